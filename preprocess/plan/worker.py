"""A worker: makes the shards of its share, then those that nobody makes.

    take a lease -> make the shard -> publish it -> release the lease -> next

Leases only save work: a shard that two workers make at the same time has the same bytes.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from preprocess.core.errors import PreprocessError
from preprocess.core.jobs import cpu_count
from preprocess.plan.clip_maker import ClipMaker, MadeClip
from preprocess.plan.making import Making
from preprocess.plan.plan_file import PlanError, PlanFolder, PlannedShard
from preprocess.plan.shard_maker import LostLeaseError, ShardMaker
from preprocess.plan.shard_report import ShardReport
from preprocess.steps.recipe import Recipe, parse_recipe
from preprocess.storage.leases import Lease, Leases

LEASES = "leases"
MOST_ATTEMPTS = 3
"""Workers that may die while they make a shard, before the others leave it alone."""
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True)
class WorkerConfig:
    """How a worker works.

    Attributes:
        device: The torch device; None for the recipe's.
        jobs: Number of threads.
        retry_failed: Try clips again that failed.
        wait: Wait for shards that others make, to take them over if their makers die.
    """

    device: str | None = None
    jobs: int = field(default_factory=cpu_count)
    retry_failed: bool = False
    wait: bool = True


@dataclass
class Worked:
    """What a worker did.

    Attributes:
        made: Reports on the shards that it made.
        current: Shards that were finished already.
        others: Shards that other workers made or make.
        broken: Shards that it left alone, each with the reason.
    """

    made: list[ShardReport] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)


def worker_name() -> str:
    """Return a name for this process."""
    return f"{socket.gethostname()} {os.getpid()}"


def planned_recipe(plan: PlanFolder) -> Recipe:
    """Return the recipe of a plan."""
    return parse_recipe(plan.info.recipe, f"recipe in {plan}")


def shard_maker(plan: PlanFolder, config: WorkerConfig) -> ShardMaker:
    """Return what makes the shards of a plan.

    Raises:
        PlanError: The recipe's code or files have changed since the plan was made.
    """
    info, recipe = plan.info, planned_recipe(plan)
    try:
        making = Making.of(recipe, info.owner)
    except PreprocessError as error:
        if os.getcwd() == info.folder:
            raise
        raise PlanError(f"{error} (the plan was made in {info.folder}: run it there)") from None
    if making.digest() != info.settings:
        raise PlanError(
            f"{plan}: the recipe's code, tables or weights have changed since the plan was made; run "
            f"preprocess plan again, which keeps the shards that did not change"
        )
    maker = ClipMaker(making, plan.source, config.jobs, config.device)
    minutes = recipe.shards.part_minutes
    part_s = None if minutes is None else 60 * minutes
    schema = making.schema(info.parameters)
    return ShardMaker(plan, maker, schema, part_s, config.retry_failed, worker_name())


def work(
    plan: PlanFolder,
    own: Sequence[PlannedShard],
    others: Sequence[PlannedShard],
    config: WorkerConfig,
    done: Callable[[MadeClip], None] = lambda made: None,
    finished: Callable[[PlannedShard, ShardReport | None], None] = lambda shard, report: None,
) -> Worked:
    """Make shards until all are made, or made by others.

    Args:
        plan: The plan.
        own: The worker's own shards, which it makes first.
        others: Shards of other workers, which it makes if they do not.
        config: Settings.
        done: Called with each clip that is made.
        finished: Called with each shard that this worker made, or found finished (None).

    Raises:
        PlanError: The plan does not match the recipe's code.
        DiskError: The disk cannot be written to.
        StorageError: The input or the output cannot be reached.
    """
    maker = shard_maker(plan, config)
    leases = Leases(plan.store, LEASES, lease_s=plan.info.lease_s)
    worked = Worked()
    pending = [*own, *others]
    mine = {shard.name for shard in own}
    while pending:
        left = []
        for shard in pending:
            if maker.is_current(shard):
                (worked.current if shard.name in mine else worked.others).append(shard.name)
                finished(shard, None)
                continue
            lease = leases.take(shard.name)
            if lease is None or not _make(maker, shard, lease, worked, done, finished, config.retry_failed):
                left.append(shard)
        if len(left) == len(pending):
            if not config.wait:
                worked.others += [shard.name for shard in left]
                break
            time.sleep(min(plan.info.lease_s / 4, _LONGEST_PAUSE_S))
        pending = left
    return worked


def _make(
    maker: ShardMaker,
    shard: PlannedShard,
    lease: Lease,
    worked: Worked,
    done: Callable[[MadeClip], None],
    finished: Callable[[PlannedShard, ShardReport | None], None],
    retry_failed: bool,
) -> bool:
    """Make a shard whose lease is held; return whether it needs no more attention."""
    if lease.attempts > MOST_ATTEMPTS and not retry_failed:
        why = f"{lease.attempts - 1} workers died while they made it; --retry-failed makes it again"
        worked.broken.append((shard.name, why))
        lease.abandon()
        return True
    with lease:
        if maker.is_current(shard):  # made between the look and the lease
            worked.others.append(shard.name)
            finished(shard, None)
            return True
        try:
            report = maker.make(shard, done, lambda: lease.lost)
        except LostLeaseError:
            return False
        worked.made.append(report)
        finished(shard, report)
    return True
