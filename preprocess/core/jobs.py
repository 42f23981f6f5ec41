"""Run a step, a function over one item, in this thread or in several.

Threads, not processes: libsndfile, soxr, numpy and torch do the work and release the
interpreter's lock, and threads start at once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from preprocess.core.errors import DiskError, PreprocessError, one_line, os_error_text

Item = TypeVar("Item")
Value = TypeVar("Value")


class Outcome(Generic[Item, Value]):
    """An item with the value that the step returned for it, or the error it raised."""

    def __init__(self, item: Item, value: Value | None, error: Exception | None) -> None:
        self.item, self.value, self.error = item, value, error

    def message(self) -> str:
        """Return the error as one line, with its type if it is unexpected; empty without one."""
        if isinstance(self.error, PreprocessError):
            return str(self.error)
        if isinstance(self.error, OSError) and self.error.strerror:
            return os_error_text(self.error)
        return one_line(self.error) if self.error else ""


def cpu_count() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attempt(step: Callable[[Item], Value], item: Item) -> Outcome[Item, Value]:
    """Run `step` on `item` and return its value or its error.

    Raises:
        DiskError: The disk cannot be written to.
    """
    try:
        return Outcome(item, step(item), None)
    except DiskError:
        raise
    except Exception as error:  # collected, counted and reported by the caller
        return Outcome(item, None, error)


def run_items(
    step: Callable[[Item], Value], items: Sequence[Item], jobs: int
) -> Iterator[Outcome[Item, Value]]:
    """Run `step` over `items` in `jobs` threads and yield the outcomes in order.

    A failed item does not stop the others.

    Raises:
        DiskError: The disk cannot be written to.
    """
    run = partial(attempt, step)
    if jobs == 1 or len(items) < 2:
        yield from map(run, items)
    else:
        yield from _in_threads(run, items, jobs)


def _in_threads(
    attempt: Callable[[Item], Outcome[Item, Value]], items: Sequence[Item], jobs: int
) -> Iterator[Outcome[Item, Value]]:
    """Yield the outcomes in order, with a few items queued for each thread."""
    executor = ThreadPoolExecutor(jobs)
    waiting: deque[Future[Outcome[Item, Value]]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(attempt, item))
            if len(waiting) > 4 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # After an interrupt, wait for running items: a thread still in native code when the
        # interpreter ends would abort the process.
        executor.shutdown(wait=True, cancel_futures=True)
