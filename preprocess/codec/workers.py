"""Threads that run torch with one thread each.

How PyTorch splits an operation between its threads changes bits of the result: sums are cut
elsewhere, and ends of shares go through other code. One thread an operation leaves nothing to
split, so that codes are the same for any number of cores; the cores work on different windows
instead. That is faster, too: nothing waits at the end of each operation for the slowest share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from queue import PriorityQueue
from types import TracebackType
from typing import Any, TypeVar

import torch

T = TypeVar("T")
_Task = tuple[int, int, Callable[[], None] | None]

# torch keeps one number of threads for new threads of the process, which setting one's own changes.
_setting = threading.RLock()


class Workers:
    """Threads that take tasks, those of the least `priority` first.

    Args:
        threads: How many; 0 runs each task at once, by the caller.
    """

    def __init__(self, threads: int) -> None:
        self._tasks: PriorityQueue[_Task] = PriorityQueue()
        self._numbers = count()
        self._threads = [
            threading.Thread(target=self._work, name=f"torch-{i}", daemon=True)
            for i in range(threads)
        ]
        with _setting:
            before = torch.get_num_threads()
            ready = threading.Barrier(threads + 1)
            for thread in self._threads:
                thread.start()
                self._put(-1, ready.wait)
            ready.wait()
            if threads:
                torch.set_num_threads(before)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Finish what runs; what waits is dropped after an error."""
        for _ in self._threads:
            self._put(-1 if kind else 1 << 30, None)
        for thread in self._threads:
            thread.join()

    def __len__(self) -> int:
        return len(self._threads)

    def submit(self, call: Callable[[], T], priority: int = 0) -> Future[T]:
        """Run `call` in inference mode, and return the future of its value or error."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                with torch.inference_mode():
                    future.set_result(call())
            except BaseException as error:  # raised where the result is asked for
                future.set_exception(error)

        if self._threads:
            self._put(priority, run)
        else:
            run()
        return future

    def _put(self, priority: int, call: Callable[[], Any] | None) -> None:
        self._tasks.put((priority, next(self._numbers), call))

    def _work(self) -> None:
        torch.get_num_threads()  # the first use in a thread sets it to the process's number
        torch.set_num_threads(1)
        while (call := self._tasks.get()[2]) is not None:
            call()


def with_threads(threads: int, call: Callable[[], T]) -> T:
    """Return `call()`, torch having that many threads meanwhile."""
    with _setting:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return call()
        finally:
            torch.set_num_threads(before)


def worker_count() -> int:
    """Return how many workers fill the cores that torch may use."""
    with _setting:
        return int(torch.get_num_threads())
