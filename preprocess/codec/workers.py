"""Worker threads that run each torch operation on one thread.

PyTorch splits an operation between its threads, and the split changes bits of the result: sums
are grouped differently, and the ends of shares run through other code. With one thread per
operation there is no split, so codes are the same for any number of cores. The cores work on
different windows instead, which is also faster: no operation waits for its slowest share.
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

# Setting a thread's own number of torch threads also changes the number for new threads.
_setting = threading.RLock()


class Workers:
    """Threads that run tasks, those with the lowest `priority` first.

    Args:
        threads: Number of threads; 0 runs each task at once in the caller's thread.
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
        """Wait for the tasks; after an error, drop those that have not started."""
        for _ in self._threads:
            self._put(-1 if kind else 1 << 30, None)
        for thread in self._threads:
            thread.join()

    def __len__(self) -> int:
        return len(self._threads)

    def submit(self, call: Callable[[], T], priority: int = 0) -> Future[T]:
        """Run `call` in inference mode and return the future of its value or error."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                with torch.inference_mode():
                    future.set_result(call())
            except BaseException as error:  # raised again by `Future.result`
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
    """Return `call()`, run with this number of torch threads."""
    with _setting:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return call()
        finally:
            torch.set_num_threads(before)


def worker_count() -> int:
    """Return the number of workers that use all cores that torch may use."""
    with _setting:
        return int(torch.get_num_threads())
