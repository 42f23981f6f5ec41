"""Long clips in windows: an hour in the memory of a few seconds, and several clips at once.

encodec's own `encode` needs about 16 MB per second of audio. Encoding separate chunks instead
changes half of the codes, because every layer then starts from padding. But convolutions have a
limited receptive field, and the LSTM can pass on its states:

    samples     |-----------------------------------------------------------> t
    window 0    [========= kept =========|oo]
    window 1                           [o|========= kept =========|o]
    last                                                        [o|===== kept =====]

    o  halo: computed, then dropped, because the padding at a window's edge is not the clip's;
       the clip's own edges get encodec's padding
    LSTM: over the kept frames, in order, several clips at once

So each output is computed from the same numbers as for the whole clip. A causal codec needs no
halo after the window. All windows of a clip but the last have the same length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.codec.network import Parts
from preprocess.codec.recurrent import ROWS
from preprocess.codec.runner import LAST, RECURRENT, Runner, Window

if TYPE_CHECKING:
    from torch import Tensor

    from preprocess.codec.recurrent import State

T = TypeVar("T")

Wave = NDArray[np.float32]

WINDOW_FRAMES = 128
"""Frames kept of a window. A multiple of 32: PyTorch sums the squares of 32 frames at a time, and
those of a remainder in another order (see `preprocess.codec.quantizer`)."""
LEAST_FRAMES = 32
"""The last window of a clip keeps more frames than this, and at most this many more than
`WINDOW_FRAMES`."""


class Windows:
    """Cuts one clip, as it arrives, into windows.

    Args:
        unit: Input steps per frame.
        out_unit: Output steps per frame.
        receptive: Receptive field: frames `(before, after)` that the output of a frame depends on.
        size: Frames kept of a window.
    """

    def __init__(
        self, unit: int, out_unit: int, receptive: tuple[int, int], size: int = WINDOW_FRAMES
    ) -> None:
        self.unit, self.out_unit, self.size = unit, out_unit, size
        self.before, self.after = receptive
        self.least = max(LEAST_FRAMES, self.before + self.after)
        self.ended = False
        self._held: list[Tensor] = []
        self._steps = 0  # number of steps held
        self._halo = 0  # frames at the start of the held steps that an earlier window kept

    @property
    def wanted(self) -> int:
        """Steps still needed to cut a window that is not the last."""
        return max(0, (self._halo + self.size + self.least) * self.unit + 1 - self._steps)

    @property
    def pending(self) -> bool:
        """Whether steps are left to cut."""
        return self._steps > 0

    def push(self, x: Tensor) -> None:
        """Add the next steps `[1, C, n]`."""
        if x.shape[2]:
            self._held.append(x)
            self._steps += x.shape[2]

    def pop(self) -> Window | None:
        """Return the next window, or None if it needs more steps; after `ended`, the rest."""
        if not self._steps or (self.wanted and not self.ended):
            return None
        held = torch.cat(self._held, dim=2) if len(self._held) > 1 else self._held[0]
        start = self._halo
        if self.wanted:
            self._held, self._steps = [], 0
            return Window(held, slice(start * self.out_unit, None))
        length = (self.before + self.size + self.after) * self.unit
        kept = slice(start * self.out_unit, (start + self.size) * self.out_unit)
        left = start + self.size - self.before
        self._held = [held[..., left * self.unit :]]
        self._steps -= left * self.unit
        self._halo = self.before
        return Window(held[..., :length], kept)

    def pop_all(self) -> list[Window]:
        """Return all windows that can be cut now."""
        windows = []
        while (window := self.pop()) is not None:
            windows.append(window)
        return windows


class Track:
    """The state of one clip in an encoder or decoder.

    Attributes:
        first: Windows for the convolutions before the LSTM.
        last: Windows for the convolutions after it.
        state: States of the LSTM; None at the start.
    """

    def __init__(self, parts: Parts, unit: int, out_unit: int) -> None:
        self.first = Windows(unit, 1, parts.receptive_first)
        self.last = Windows(1, out_unit, parts.receptive_last)
        self.state: State | None = None


class Step:
    """Runs the next windows of some clips through the three parts.

    The convolutions of a step may start before the previous step is done; `recur` and `finish` run
    in the order of the steps.

    Args:
        parts: The network.
        tracks: One for each clip.
        windows: For each clip, its next windows, cut by `Track.first`.
        runner: Runs the windows.
    """

    def __init__(
        self,
        parts: Parts,
        tracks: Sequence[Track],
        windows: Sequence[Sequence[Window]],
        runner: Runner,
    ) -> None:
        self._parts, self._tracks, self._runner = parts, tracks, runner
        self._counts = [len(own) for own in windows]
        self.ends = [track.first.ended and not track.first.pending for track in tracks]
        self._first = runner.start(parts.first, [window for own in windows for window in own])
        self._recurring: list[Future[list[Tensor]]] = []

    def recur(self) -> None:
        """Start to run the LSTM over the output of the first convolutions."""
        outputs = iter(self._first())
        inputs = [torch.cat([next(outputs) for _ in range(n)], dim=2) for n in self._counts]
        clips = list(zip(self._tracks, inputs, self.ends, strict=True))
        self._recurring = [
            self._runner.workers.submit(partial(_recur, self._parts, some), RECURRENT)
            for some in batched(clips, ROWS)
        ]

    def finish(self, then: Callable[[Tensor], Any] | None = None) -> list[list[Any]]:
        """Wait for the step, and return the outputs `[1, C, n]` of each clip, in order.

        Args:
            then: A function applied to each output.
        """
        outputs = (y for some in self._recurring for y in some.result())
        windows = []
        for track, y, ends in zip(self._tracks, outputs, self.ends, strict=True):
            track.last.push(y)
            track.last.ended = ends
            windows.append(track.last.pop_all())
        flat = [window for own in windows for window in own]
        results = iter(self._runner.start(self._parts.last, flat, then, LAST)())
        return [[next(results) for _ in own] for own in windows]


def _recur(parts: Parts, clips: Sequence[tuple[Track, Tensor, bool]]) -> list[Tensor]:
    """Run the LSTM over the next frames of up to `ROWS` clips and keep their states.

    A clip that ends may share a run with longer ones; output after its end is dropped.
    """
    outputs: list[list[Tensor]] = [[] for _ in clips]
    left = {i: x for i, (_, x, _) in enumerate(clips)}
    while left:
        continuing = [x.shape[2] for i, x in left.items() if not clips[i][2]]
        limit = min(continuing) if continuing else max(x.shape[2] for x in left.values())
        batch = torch.cat([_fit(x, limit) for x in left.values()])
        tracks = [clips[i][0] for i in left]
        y, (h, c) = parts.recurrent(batch, _gather(parts, tracks, batch))
        for row, (i, x) in enumerate(left.items()):
            at = slice(row, row + 1)
            outputs[i].append(y[at, :, : x.shape[2]])
            tracks[row].state = (h[:, at].clone(), c[:, at].clone())
        left = {i: x[..., limit:] for i, x in left.items() if x.shape[2] > limit}
    return [torch.cat(own, dim=2) for own in outputs]


def _fit(x: Tensor, steps: int) -> Tensor:
    """Return the first `steps` steps of `x`, padded with zeros if it has fewer."""
    return torch.nn.functional.pad(x[..., :steps], (0, max(0, steps - x.shape[2])))


def _gather(parts: Parts, tracks: Sequence[Track], like: Tensor) -> State:
    recurrent = parts.recurrent
    zeros = like.new_zeros(recurrent.lstm.num_layers, 1, recurrent.size)
    states = [track.state or (zeros, zeros) for track in tracks]
    h, c = (torch.cat([state[part] for state in states], dim=1) for part in (0, 1))
    return h, c


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def run_clip(parts: Parts, blocks: Iterable[Tensor], unit: int, out_unit: int) -> Iterator[Tensor]:
    """Run one clip that arrives in blocks `[1, C, n]`, and yield the outputs as they are ready."""
    track, runner = Track(parts, unit, out_unit), Runner(1)

    def advance() -> Iterator[Tensor]:
        windows = track.first.pop_all()
        if windows:
            step = Step(parts, [track], [windows], runner)
            step.recur()
            yield from step.finish()[0]

    for block in blocks:
        track.first.push(block)
        yield from advance()
    track.first.ended = True
    yield from advance()
