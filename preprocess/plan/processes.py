"""Several workers on this machine, a process each.

A worker that is killed is started again; its lease is free at once, since its process is dead. Each
worker reports through a pipe of its own: a process that is killed while it holds the lock of a
shared queue would silence the others.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import FrameType

from preprocess.core.errors import PreprocessError
from preprocess.core.interrupts import INTERRUPTED, children_ignore_interrupts, end_with_parent
from preprocess.core.report import print_note
from preprocess.core.temporaries import remove_own
from preprocess.plan.launch_config import LaunchConfig, WorkerConfig
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedShard
from preprocess.plan.shares import share_of
from preprocess.plan.tally import Tally
from preprocess.plan.worker import MOST_ATTEMPTS, work

_LOOK_EVERY_S = 0.2
_END_S = 1.0
"""How long a worker may take to end before it is killed; nothing that it holds is lost."""


@dataclass
class _Worker:
    """A process and its pipe; `starts` counts since it last settled a shard."""

    index: int
    process: SpawnProcess
    events: Connection
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
    share, shares = config.share
    count = config.worker_count
    by_name = {shard.name: shard for shard in plan.info.shards}

    def start(index: int) -> tuple[SpawnProcess, Connection]:
        at, of = share * count + index, shares * count
        events, sender = context.Pipe(duplex=False)
        arguments = (str(plan), (at, of), config.worker(index), sender, os.getpid())
        process = context.Process(target=_work, args=arguments, daemon=True)
        with children_ignore_interrupts():
            process.start()
        sender.close()  # so that the pipe ends with the worker
        return process, events

    workers: list[_Worker] = []
    problems: list[str] = []
    try:
        for index in range(count):
            workers.append(_Worker(index, *start(index)))
        while open_ones := [worker for worker in workers if not worker.done]:
            connection.wait([worker.events for worker in open_ones], _LOOK_EVERY_S)
            for worker in open_ones:
                is_alive = worker.process.is_alive()  # before its last events are counted
                _count(worker, by_name, tally, problems)
                if worker.done or is_alive:
                    continue
                was = f"worker {worker.index} was {_ending(worker.process)}"
                if worker.starts > MOST_ATTEMPTS:
                    worker.done = True
                    problems.append(was)
                    continue
                print_note("shards", f"{was}; it is started again")
                worker.events.close()
                worker.process, worker.events = start(worker.index)
                worker.starts += 1
    finally:
        _end(workers)
    if problems:
        raise PreprocessError("; ".join(dict.fromkeys(problems)))


def _count(
    worker: _Worker, by_name: dict[str, PlannedShard], tally: Tally, problems: list[str]
) -> None:
    """Handle the events of a worker that have arrived."""
    while not worker.done and worker.events.poll():
        try:
            kind, *values = worker.events.recv()
        except (EOFError, OSError):  # it has ended, perhaps in the middle of an event
            return
        if kind == "clip":
            tally.clip(*values)
        elif kind == "shard":
            name, tried, is_own = values
            if tally.shard(by_name[name], tried, is_own):
                worker.starts = 1
        elif kind == "error":
            problems.append(values[0])
        elif kind == "end":
            worker.done = True


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
    url: str, share: tuple[int, int], config: WorkerConfig, events: Connection, parent: int
) -> None:
    """Do the work of one process, and report it as events `(kind, ...)`."""
    end_with_parent(parent)
    import torch

    signal.signal(signal.SIGTERM, _interrupt)
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
            lambda s, m: events.send(("clip", s.name, m.clip.path, m.seconds, m.error)),
            lambda s, tried: events.send(("shard", s.name, tried, s.name in names)),
        )
    except PreprocessError as error:
        events.send(("error", str(error)))
    except KeyboardInterrupt:  # its lease is released; threads may still be at work
        remove_own()
        os._exit(INTERRUPTED)
    events.send(("end",))
    events.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
