"""Several workers on this machine, a process each.

A worker that is killed is started again; its lease is free at once, since its process is dead.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
import time
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from typing import Any

from preprocess.core.errors import PreprocessError
from preprocess.core.interrupts import children_ignore_interrupts
from preprocess.core.report import print_note
from preprocess.plan.launch_config import LaunchConfig, WorkerConfig
from preprocess.plan.plan_file import PlanFolder, PlannedShard
from preprocess.plan.shares import share_of
from preprocess.plan.tally import Tally
from preprocess.plan.worker import MOST_ATTEMPTS, work

_LOOK_EVERY_S = 0.2
_END_S = 1.0
"""How long a worker may take to end before it is killed; nothing that it holds is lost."""


@dataclass
class _Worker:
    process: SpawnProcess
    index: int
    starts: int = 1
    done: bool = False


def run_processes(plan: PlanFolder, config: LaunchConfig, tally: Tally) -> None:
    """Run workers in processes of their own until all are done.

    Args:
        plan: The plan.
        config: Uses `share`, `worker_count` and `worker`.
        tally: Counts what they do.

    Raises:
        PreprocessError: A worker stopped with an error.
    """
    context = multiprocessing.get_context("spawn")
    events: Queue[Any] = context.Queue()
    share, shares = config.share
    count = config.worker_count
    by_name = {shard.name: shard for shard in plan.info.shards}

    def start(index: int) -> SpawnProcess:
        at, of = share * count + index, shares * count
        arguments = (str(plan), index, (at, of), config.worker(index), events)
        process = context.Process(target=_work, args=arguments, daemon=True)
        with children_ignore_interrupts():
            process.start()
        return process

    workers = [_Worker(start(index), index) for index in range(count)]
    problems: list[str] = []
    try:
        while any(not worker.done for worker in workers):
            _count(events, by_name, tally, workers, problems)
            for worker in workers:
                if worker.done or worker.process.is_alive():
                    continue
                _count(events, by_name, tally, workers, problems)
                if worker.done:
                    continue
                if worker.starts > MOST_ATTEMPTS:
                    worker.done = True
                    problems.append(f"worker {worker.index} was {_ending(worker.process)}")
                    continue
                print_note(
                    "shards",
                    f"worker {worker.index} was {_ending(worker.process)}; it is started again",
                )
                worker.process, worker.starts = start(worker.index), worker.starts + 1
    finally:
        _end(workers)
    if problems:
        raise PreprocessError("; ".join(dict.fromkeys(problems)))


def _count(
    events: Queue[Any],
    by_name: dict[str, PlannedShard],
    tally: Tally,
    workers: list[_Worker],
    problems: list[str],
) -> None:
    """Handle all events that have arrived, after a short wait for the first."""
    wait = _LOOK_EVERY_S
    while True:
        try:
            kind, index, *values = events.get(timeout=wait)
        except queue.Empty:
            return
        wait = 0.0
        if kind == "clip":
            tally.clip(*values)
        elif kind == "shard":
            name, tried, is_own = values
            tally.shard(by_name[name], tried, is_own)
        elif kind == "error":
            problems.append(values[0])
        elif kind == "end":
            for worker in workers:
                worker.done |= worker.index == index


def _ending(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit status {code}"


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.process.is_alive():
            worker.process.terminate()
    deadline = time.monotonic() + _END_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()


def _work(
    url: str, index: int, share: tuple[int, int], config: WorkerConfig, events: Queue[Any]
) -> None:
    """Do the work of one process, and report it as events `(kind, index, ...)`."""
    import torch

    torch.set_num_threads(config.jobs)
    plan = PlanFolder(url)
    try:
        own, others = share_of(plan.info.shards, *share)
        names = {shard.name for shard in own}
        work(
            plan,
            own,
            others,
            config,
            lambda s, m: events.put(("clip", index, s.name, m.clip.path, m.seconds, m.error)),
            lambda s, tried: events.put(("shard", index, s.name, tried, s.name in names)),
        )
    except PreprocessError as error:
        events.put(("error", index, str(error)))
    events.put(("end", index))
    events.close()
    events.join_thread()
