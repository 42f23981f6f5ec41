"""Long clips in windows: an hour in the memory of a few seconds, and several clips at once.

encodec's own `encode` takes about 16 MB per second of audio. Cutting the audio into chunks and
encoding each by itself changes half of the tokens, since every layer then starts from padding. But
a convolution sees only so far, and the LSTM passes on its states:

    samples     |-----------------------------------------------------------> t
    window 0    [========= kept =========|oo]
    window 1                           [o|========= kept =========|o]
    last                                                        [o|===== kept =====]

    o  halo: computed, then dropped, because a window's edge has padding that is not the clip's;
       the clip's own edges have encodec's own padding
    LSTM: over the kept frames, in order, several clips at once

so that each output is computed from the same numbers as over the whole clip. A codec with no
look-ahead needs no halo behind. All but the last window of a clip have one length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.errors import PreprocessError
from preprocess.network import ROWS, Parts

if TYPE_CHECKING:
    from torch import Tensor

    from preprocess.network import State

Wave = NDArray[np.float32]

WINDOW_FRAMES = 128
"""Frames kept of a window. A multiple of 32: over so many at once, PyTorch sums a frame's squares
in another order than over what is left (see `preprocess.quantizer`)."""
LEAST_FRAMES = 32
"""The last window of a clip keeps more than this, and up to as many more than `WINDOW_FRAMES`."""


@dataclass(frozen=True)
class Window:
    """A part of a clip `[1, C, n]`; of what comes out for it, `kept` belongs to the clip."""

    x: Tensor
    kept: slice


class Windows:
    """Cuts one clip, as it arrives, into windows.

    Args:
        unit: Steps of the input that are one frame.
        out_unit: Steps of the output that are one frame.
        reach: How many frames before and after a frame its output depends on.
        size: Frames kept of a window.
    """

    def __init__(
        self, unit: int, out_unit: int, reach: tuple[int, int], size: int = WINDOW_FRAMES
    ) -> None:
        self.unit, self.out_unit, self.size = unit, out_unit, size
        self.before, self.after = reach
        self.least = max(LEAST_FRAMES, self.before + self.after)
        self.ended = False
        self._held: list[Tensor] = []
        self._steps = 0  # how many are held
        self._halo = 0  # frames at the start of what is held that have been kept before

    @property
    def wanted(self) -> int:
        """Steps still to come before a window other than the last can be cut."""
        return max(0, (self._halo + self.size + self.least) * self.unit + 1 - self._steps)

    @property
    def pending(self) -> bool:
        """Whether any of the clip is still to be cut."""
        return self._steps > 0

    def push(self, x: Tensor) -> None:
        """Take the next steps `[1, C, n]`."""
        if x.shape[2]:
            self._held.append(x)
            self._steps += x.shape[2]

    def pop(self) -> Window | None:
        """Return the next window, None until more has come; after `ended`, all there is."""
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
        """Return the windows that can be cut now."""
        windows = []
        while (window := self.pop()) is not None:
            windows.append(window)
        return windows


def run_windows(
    part: Callable[[Tensor], Tensor], windows: Sequence[Window], rows: int
) -> list[Tensor]:
    """Return what `part` makes of each window, halos dropped.

    Windows of one length share a run, `rows` at most. Where a GPU's memory does not hold a run, it
    is split in halves.
    """
    results: dict[int, Tensor] = {}
    order = sorted(range(len(windows)), key=lambda i: windows[i].x.shape[2])
    for _, group in groupby(order, key=lambda i: windows[i].x.shape[2]):
        same = list(group)
        for at in range(0, len(same), rows):
            chosen = same[at : at + rows]
            x = torch.cat([windows[i].x for i in chosen])
            for i, y in zip(chosen, _in_halves(part, x).split(1), strict=True):
                results[i] = y[..., windows[i].kept]
    return [results[i] for i in range(len(windows))]


def _in_halves(part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    try:
        return part(x.clone() if x.is_cuda else x)  # it may overwrite what it is given
    except torch.cuda.OutOfMemoryError:
        if x.shape[0] == 1:
            raise PreprocessError("the GPU's memory does not hold one window of audio") from None
    torch.cuda.empty_cache()
    middle = x.shape[0] // 2
    return torch.cat([_in_halves(part, half) for half in (x[:middle], x[middle:])])


class Track:
    """One clip on its way through an encoder or decoder: what its parts remember of it."""

    def __init__(self, parts: Parts, unit: int, out_unit: int) -> None:
        self.first = Windows(unit, 1, parts.reach_first)
        self.last = Windows(1, out_unit, parts.reach_last)
        self.state: State | None = None


def advance(
    parts: Parts, tracks: Sequence[Track], windows: Sequence[Sequence[Window]], rows: int
) -> list[list[Tensor]]:
    """Run the next windows of each track through all three parts.

    Args:
        parts: The network.
        tracks: One for each clip.
        windows: For each clip its next windows, cut by `Track.first`.
        rows: How many windows share a run of the convolutions.

    Returns:
        For each clip what comes out now, in order, `[1, C, n]` each.
    """
    flat = [window for own in windows for window in own]
    outputs = iter(run_windows(parts.first, flat, rows))
    inputs = [torch.cat([next(outputs) for _ in own], dim=2) if own else None for own in windows]
    for track, y in zip(tracks, _recur(parts, tracks, inputs), strict=True):
        if y is not None:
            track.last.push(y)
        track.last.ended = track.first.ended and not track.first.pending
    return [run_windows(parts.last, track.last.pop_all(), 1) for track in tracks]


def _recur(
    parts: Parts, tracks: Sequence[Track], inputs: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Run the LSTM over the next frames of each clip, `ROWS` clips at a time.

    A clip at its end may share a run with longer ones: what follows it does not count.
    """
    outputs: list[list[Tensor]] = [[] for _ in inputs]
    left = {i: x for i, x in enumerate(inputs) if x is not None}
    while left:
        going_on = [x.shape[2] for i, x in left.items() if tracks[i].first.pending]
        limit = min(going_on) if going_on else max(x.shape[2] for x in left.values())
        for some in batched(left, ROWS):
            batch = torch.cat([_fit(left[i], limit) for i in some])
            y, (h, c) = parts.recurrent(batch, _gather(parts, [tracks[i] for i in some], batch))
            for row, i in enumerate(some):
                at = slice(row, row + 1)
                outputs[i].append(y[at, :, : left[i].shape[2]])
                tracks[i].state = (h[:, at].clone(), c[:, at].clone())
        left = {i: x[..., limit:] for i, x in left.items() if x.shape[2] > limit}
    return [torch.cat(own, dim=2) if own else None for own in outputs]


def _fit(x: Tensor, steps: int) -> Tensor:
    """Return the first steps of `x`, zeros after them where it has fewer."""
    return torch.nn.functional.pad(x[..., :steps], (0, max(0, steps - x.shape[2])))


def _gather(parts: Parts, tracks: Sequence[Track], like: Tensor) -> State:
    recurrent = parts.recurrent
    zeros = like.new_zeros(recurrent.lstm.num_layers, 1, recurrent.size)
    states = [track.state or (zeros, zeros) for track in tracks]
    h, c = (torch.cat([state[part] for state in states], dim=1) for part in (0, 1))
    return h, c


def batched(items: Iterable[int], size: int) -> Iterator[list[int]]:
    """Yield the items in lists of `size`, the last of what is left."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def run_clip(parts: Parts, blocks: Iterable[Tensor], unit: int, out_unit: int) -> Iterator[Tensor]:
    """Run one clip `[1, C, n]` that arrives in blocks, and yield what comes out as it does."""
    track = Track(parts, unit, out_unit)
    for block in blocks:
        track.first.push(block)
        windows = track.first.pop_all()
        if windows:
            yield from advance(parts, [track], [windows], 1)[0]
    track.first.ended = True
    yield from advance(parts, [track], [track.first.pop_all()], 1)[0]
