"""`preprocess run --plan`: starts workers on this machine and counts what they do.

one worker      in this process
several         a process each, restarted if it is killed; on one GPU each with --devices
--engine ray    an actor each, on the machines of a cluster: `preprocess.plan.ray_engine`
"""

from __future__ import annotations

from preprocess.core.errors import UsageError
from preprocess.core.report import Report
from preprocess.plan.clip_maker import MadeClip
from preprocess.plan.launch_config import LaunchConfig
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedShard
from preprocess.plan.shares import share_of
from preprocess.plan.tally import Tally
from preprocess.plan.worker import Tried, work


def run_plan(plan: PlanFolder, config: LaunchConfig) -> Report:
    """Make the shards of a plan, and return a report.

    Raises:
        PlanError: The plan does not match the recipe's code.
        UsageError: The share or the number of workers is invalid.
        DiskError: The disk cannot be written to.
        StorageError: The input or the output cannot be reached.
    """
    index, count = config.share
    tally = Tally(plan)
    if config.engine == "ray":
        from preprocess.plan.ray_engine import run_on_ray

        if config.shards is not None:
            raise UsageError("--shards is for workers that do not know each other, not for Ray")
        with tally.progress:
            run_on_ray(plan, config, tally)
    elif config.worker_count > 1:
        from preprocess.plan.processes import run_processes

        with tally.progress:
            run_processes(plan, config, tally)
    else:
        own, others = share_of(plan.info.shards, index, count)
        with tally.progress:
            _work_here(plan, own, others, config, tally)
    return tally.finish()


def _work_here(
    plan: PlanFolder,
    own: list[PlannedShard],
    others: list[PlannedShard],
    config: LaunchConfig,
    tally: Tally,
) -> None:
    names = {shard.name for shard in own}

    def done(shard: PlannedShard, made: MadeClip) -> None:
        tally.clip(shard.name, made.clip.path, made.seconds, made.error)

    def settled(shard: PlannedShard, tried: Tried) -> None:
        tally.shard(shard, tried, shard.name in names)

    work(plan, own, others, config.worker(0), done, settled)
