"""Run functions over items in several processes, in order and with few items under way."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from preprocess.core.errors import PreprocessError
from preprocess.core.interrupts import children_ignore_interrupts, end_with_parent

Item = TypeVar("Item")
Value = TypeVar("Value")
_AHEAD = 4
"""Number of items under way for each process; their values wait in memory."""


class Processes:
    """Processes for several functions, one after another.

    They end with this process, also if it is killed; an interrupt ends them at once.

    Args:
        count: Number of processes; 1 runs all functions in this one.
        work: What one of them does, for the message if it is killed: `a process that WORK`.
    """

    def __init__(self, count: int, work: str) -> None:
        self._count, self._work = count, work
        self._others: set[Any] = set()
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Processes:
        if self._count > 1:
            # A fork would copy locks that threads may hold.
            spawn = multiprocessing.get_context("spawn")
            self._others = set(multiprocessing.active_children())
            self._executor = ProcessPoolExecutor(
                self._count, spawn, end_with_parent, (os.getpid(),)
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Wait for items under way, and end the processes; after an interrupt, do not wait."""
        if self._executor is None:
            return
        if kind is not None and issubclass(kind, KeyboardInterrupt | GeneratorExit):
            for child in set(multiprocessing.active_children()) - self._others:
                child.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def run(
        self, step: Callable[[Item], Value], items: Iterable[Item], chunk: int = 1
    ) -> Iterator[Value]:
        """Yield `step(item)` for each item, in order; an error of `step` ends it.

        Args:
            step: A function that can be pickled, as its items and values can.
            items: The items.
            chunk: Number of items that a process gets at once.

        Raises:
            PreprocessError: A process was killed.
        """
        if self._executor is None:
            yield from map(step, items)
            return
        waiting: deque[Future[list[Value]]] = deque()
        left = iter(items)
        try:
            while some := list(islice(left, chunk)):
                with children_ignore_interrupts():  # a process starts when it gets its first item
                    waiting.append(self._executor.submit(_each, step, some))
                if len(waiting) >= _AHEAD * self._count:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise PreprocessError(
                f"a process that {self._work} was killed, perhaps because memory ran out; use fewer "
                "--jobs"
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _each(step: Callable[[Item], Value], items: list[Item]) -> list[Value]:
    return [step(item) for item in items]
