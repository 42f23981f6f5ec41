"""A worker: makes the shards of its share, then those that nobody makes.

    take a lease -> make the shard -> publish it -> release the lease -> next

Leases only save work: a shard that two workers make at the same time has the same bytes.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from preprocess.core.errors import PreprocessError
from preprocess.plan.clip_maker import ClipMaker, MadeClip
from preprocess.plan.launch_config import WorkerConfig
from preprocess.plan.leftovers import LEASES, remove_leftovers, remove_temporaries
from preprocess.plan.making import Making, row_schema
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlanError, PlannedShard
from preprocess.plan.shard_maker import LostLeaseError, ShardMaker
from preprocess.plan.shard_report import ShardReport
from preprocess.steps.recipe import Recipe, parse_recipe
from preprocess.storage.leases import Leases

MOST_ATTEMPTS = 3
"""Workers that may die while they make a shard, before the others leave it alone."""
_LONGEST_PAUSE_S = 2.0

Done = Callable[[PlannedShard, MadeClip], None]


@dataclass(frozen=True)
class Tried:
    """What became of a shard that a worker looked at.

    Attributes:
        is_settled: Whether it needs no more attention; otherwise another worker makes it.
        report: The report on it, if this worker made it.
        failed: Number of its clips that failed in an earlier run.
        broken: Why no worker can make it; empty if that is not so.
    """

    is_settled: bool
    report: ShardReport | None = None
    failed: int = 0
    broken: str = ""


class Worker:
    """Makes shards of a plan.

    Args:
        plan: The plan.
        config: Settings.

    Raises:
        PlanError: The recipe's code or files have changed since the plan was made.
    """

    def __init__(self, plan: PlanFolder, config: WorkerConfig) -> None:
        self._plan, self._config = plan, config
        self._maker = _shard_maker(plan, config)
        self._leases = Leases(plan.store, LEASES, lease_s=plan.info.lease_s)

    def try_shard(self, shard: PlannedShard, done: Done) -> Tried:
        """Make a shard, unless it is finished or another worker makes it.

        Args:
            shard: The shard.
            done: Called with each clip that is made.

        Raises:
            DiskError: The disk cannot be written to.
            StorageError: The input or the output cannot be reached.
        """
        known = self._maker.current(shard)
        if known is not None:
            return Tried(True, failed=known.failed)
        lease = self._leases.take(shard.name)
        if lease is None:
            return Tried(False)
        if lease.attempts > MOST_ATTEMPTS and not self._config.retry_failed:
            lease.abandon()
            deaths = lease.attempts - 1
            why = f"{deaths} workers died while they made it; --retry-failed makes it again"
            return Tried(True, broken=why)
        with lease:
            known = self._maker.current(shard)  # made between the look and the lease?
            if known is not None:
                return Tried(True, failed=known.failed)
            try:
                report = self._maker.make(shard, partial(done, shard), lambda: lease.lost)
            except LostLeaseError:
                return Tried(False)
        return Tried(True, report)

    def tidy(self, finished: Collection[str]) -> None:
        """Remove what killed workers left of shards that are up to date."""
        remove_leftovers(self._plan, self._leases, finished)


def worker_name() -> str:
    """Return a name for this process."""
    return f"{socket.gethostname()} {os.getpid()}"


def planned_recipe(plan: PlanFolder) -> Recipe:
    """Return the recipe of a plan."""
    return parse_recipe(plan.info.recipe, f"recipe in {plan}")


def _shard_maker(plan: PlanFolder, config: WorkerConfig) -> ShardMaker:
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
    schema = row_schema(recipe, info.parameters)
    return ShardMaker(plan, maker, schema, part_s, config.retry_failed, worker_name())


def work(
    plan: PlanFolder,
    own: Sequence[PlannedShard],
    others: Sequence[PlannedShard],
    config: WorkerConfig,
    done: Done = lambda shard, made: None,
    settled: Callable[[PlannedShard, Tried], None] = lambda shard, tried: None,
) -> None:
    """Make shards until all are made, or made by others.

    Args:
        plan: The plan.
        own: The worker's own shards, which it makes first.
        others: Shards of other workers, which it makes if they do not.
        config: Settings.
        done: Called with each clip that is made.
        settled: Called with each shard that needs no more attention.

    Raises:
        PlanError: The plan does not match the recipe's code.
        DiskError: The disk cannot be written to.
        StorageError: The input or the output cannot be reached.
    """
    worker = Worker(plan, config)
    remove_temporaries(plan)
    pending, finished = [*own, *others], set()
    while pending:
        left = []
        for shard in pending:
            tried = worker.try_shard(shard, done)
            if tried.is_settled:
                settled(shard, tried)
                finished |= set() if tried.broken else {shard.name}
            else:
                left.append(shard)
        if len(left) == len(pending):
            if not config.wait:
                break
            time.sleep(min(plan.info.lease_s / 4, _LONGEST_PAUSE_S))
        pending = left
    worker.tidy(finished)
