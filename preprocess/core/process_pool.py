"""Run a function over items in several processes, in order and with few items under way."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

from preprocess.core.interrupts import children_ignore_interrupts

Item = TypeVar("Item")
Value = TypeVar("Value")
_AHEAD = 4
"""Number of items under way for each process; their values wait in memory."""


def in_processes(
    step: Callable[[Item], Value], items: Iterable[Item], processes: int
) -> Iterator[Value]:
    """Yield `step(item)` for each item, in order; an error of `step` ends it.

    Args:
        step: A function that can be pickled, as its items and values can.
        items: The items.
        processes: Number of processes; 1 runs `step` in this one.
    """
    if processes < 2:
        yield from map(step, items)
        return
    context = multiprocessing.get_context("spawn")  # a fork copies locks that threads may hold
    executor = ProcessPoolExecutor(processes, context)
    waiting: deque[Future[Value]] = deque()
    try:
        for item in items:
            with children_ignore_interrupts():  # a process starts when it gets its first item
                waiting.append(executor.submit(step, item))
            if len(waiting) >= _AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
