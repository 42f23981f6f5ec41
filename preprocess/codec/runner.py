"""Windows through a part of a network: several in a run, runs side by side, order kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch

from preprocess.codec.workers import Workers
from preprocess.core.errors import PreprocessError

if TYPE_CHECKING:
    from torch import Tensor

FIRST, RECURRENT, LAST = 2, 0, 1
"""Priorities: what finishes clips before what begins the next windows."""


@dataclass(frozen=True)
class Window:
    """A part of a clip `[1, C, n]`; of what comes out for it, `kept` belongs to the clip."""

    x: Tensor
    kept: slice


class Runner:
    """Runs windows of one length together, each run by one of the workers.

    Args:
        rows: How many windows share a run. Where a GPU's memory does not hold them it is split in
            halves, and later runs begin with the number that was held.
        workers: Threads for the runs; without them, the caller's.
    """

    def __init__(self, rows: int, workers: Workers | None = None) -> None:
        self.rows = rows
        self.workers = workers or Workers(0)

    def start(
        self,
        part: Callable[[Tensor], Tensor],
        windows: Sequence[Window],
        then: Callable[[Tensor], Any] | None = None,
        priority: int = FIRST,
    ) -> Callable[[], list[Any]]:
        """Begin to run `part` over windows, and return a call that waits for what it makes of each.

        Halos are dropped, and `then` is applied to what is kept of each window.
        """
        runs: list[tuple[list[int], Future[list[Any]]]] = []
        order = sorted(range(len(windows)), key=lambda i: windows[i].x.shape[2])
        for _, group in groupby(order, key=lambda i: windows[i].x.shape[2]):
            same = list(group)
            while same:
                chosen, same = same[: self.rows], same[self.rows :]
                run = self._run(part, [windows[i] for i in chosen], then)
                runs.append((chosen, self.workers.submit(run, priority)))

        def wait() -> list[Any]:
            results = {i: y for own, run in runs for i, y in zip(own, run.result(), strict=True)}
            return [results[i] for i in range(len(windows))]

        return wait

    def run(self, part: Callable[[Tensor], Tensor], windows: Sequence[Window]) -> list[Tensor]:
        """Return what `part` makes of each window, halos dropped."""
        return self.start(part, windows)()

    def _run(
        self,
        part: Callable[[Tensor], Tensor],
        windows: Sequence[Window],
        then: Callable[[Tensor], Any] | None,
    ) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            rows = self._in_halves(part, torch.cat([window.x for window in windows])).split(1)
            kept = [y[..., window.kept] for y, window in zip(rows, windows, strict=True)]
            return [then(y) for y in kept] if then else kept

        return run

    def _in_halves(self, part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        try:
            return part(x.clone() if x.is_cuda else x)  # it may overwrite what it is given
        except torch.cuda.OutOfMemoryError:
            if x.shape[0] == 1:
                raise PreprocessError(
                    "the GPU's memory does not hold one window of audio"
                ) from None
        torch.cuda.empty_cache()
        middle = x.shape[0] // 2
        self.rows = min(self.rows, x.shape[0] - middle)  # what is tried next
        return torch.cat([self._in_halves(part, half) for half in (x[:middle], x[middle:])])
