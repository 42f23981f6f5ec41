"""Run functions over items in several processes, in order and with few items under way."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from preprocess.core.interrupts import children_ignore_interrupts

Item = TypeVar("Item")
Value = TypeVar("Value")
_AHEAD = 4
"""Number of items under way for each process; their values wait in memory."""


class Processes:
    """Processes for several functions, one after another.

    Args:
        count: Number of processes; 1 runs all functions in this one.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Processes:
        if self._count > 1:
            # A fork would copy locks that threads may hold.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._count, context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Wait for items under way, and end the processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def run(self, step: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """Yield `step(item)` for each item, in order; an error of `step` ends it.

        Args:
            step: A function that can be pickled, as its items and values can.
            items: The items.
        """
        if self._executor is None:
            yield from map(step, items)
            return
        waiting: deque[Future[Any]] = deque()
        try:
            for item in items:
                with children_ignore_interrupts():  # a process starts when it gets its first item
                    waiting.append(self._executor.submit(step, item))
                if len(waiting) >= _AHEAD * self._count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
