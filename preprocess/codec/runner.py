"""Runs windows through a part of a network: several per run, runs in parallel, in order."""

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
"""Priorities, lowest first: work that finishes clips comes before work that starts windows."""


@dataclass(frozen=True)
class Window:
    """A part of a clip.

    Attributes:
        x: The input, `[1, C, n]`.
        kept: The steps of the output that belong to the clip; the rest is halo.
    """

    x: Tensor
    kept: slice


class Runner:
    """Runs windows of the same length together; a worker executes each run.

    Args:
        rows: Number of windows that share a run. A run that does not fit into a GPU's memory is
            split in half, and later runs use the smaller number.
        workers: Threads for the runs; without them, the caller's thread.
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
        """Start to run `part` over windows.

        Args:
            part: A part of a network, `[B, C, n]` to `[B, C', n']`.
            windows: Windows of any lengths.
            then: A function applied to the kept output `[1, C', n]` of each window.
            priority: `FIRST`, `RECURRENT` or `LAST`.

        Returns:
            A function that waits and returns the result of each window, without its halo.
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
        """Return the output of `part` for each window, `[1, C', n]`, without its halo."""
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
            return part(x.clone() if x.is_cuda else x)  # it may overwrite its input
        except torch.cuda.OutOfMemoryError:
            if x.shape[0] == 1:
                raise PreprocessError(
                    "one window of audio does not fit into the GPU's memory"
                ) from None
        torch.cuda.empty_cache()
        middle = x.shape[0] // 2
        self.rows = min(self.rows, x.shape[0] - middle)  # for later runs
        return torch.cat([self._in_halves(part, half) for half in (x[:middle], x[middle:])])
