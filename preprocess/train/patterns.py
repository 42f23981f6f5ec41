"""The orders in which models read codes: index tensors, made once per length, with their inverses.

A pattern arranges the codes `[K, T]` of a clip in rows and steps `[R, S]`; a model predicts one
step after the other, all rows of a step at once. With K = 3 codebooks and T = 4 frames, where `b2`
is the code of the second codebook in frame 2 and a dot is empty:

    parallel      delay               coarse_first              nar
    a0 a1 a2 a3   a0 a1 a2 a3 .  .    a0 a1 a2 a3 .  .  .  .    b0 b1 b2 b3
    b0 b1 b2 b3   .  b0 b1 b2 b3 .    .  .  .  .  b0 b1 b2 b3   c0 c1 c2 c3
    c0 c1 c2 c3   .  .  c0 c1 c2 c3   .  .  .  .  c0 c1 c2 c3
                                                                depth
    flatten                                                     a0 b0 c0
    a0 b0 c0 a1 b1 c1 a2 b2 c2 a3 b3 c3                         a1 b1 c1
                                                                a2 b2 c2
    ar                                                          a3 b3 c3
    a0 a1 a2 a3

MusicGen uses `delay` (arXiv:2306.05284), the two models of VALL-E use `ar` and `nar` (arXiv:2301.02111),
and RQ-Transformer's second model uses `depth`, with one frame per row (arXiv:2203.01941).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preprocess.core.errors import UsageError, nearest

Index = NDArray[np.int64]

CACHED = 128
"""Number of shapes whose index tensors are cached."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """The mapping from the codes `[K, T]` to their places in `[R, S]`, and back.

    Attributes:
        name: One of `PATTERNS`.
        codebooks: K.
        frames: T.
        source: int64 `[R, S]`: the code at each place, as `k * T + t`; `K * T` at empty places.
        place: int64 `[K, T]`: the place of each code, as `r * S + s`; `R * S` if it has none.
        delays: Number of steps that each codebook is delayed; only for `delay`.
    """

    name: str
    codebooks: int
    frames: int
    source: Tensor
    place: Tensor
    delays: tuple[int, ...] | None = None

    @cached_property
    def frame(self) -> Tensor:
        """int64 `[R, S]`: the frame of the code at each place; T at empty places."""
        with torch.inference_mode(False):
            empty = self.source == self.codebooks * self.frames
            return (self.source % self.frames).masked_fill(empty, self.frames)

    @cached_property
    def step_frame(self) -> Tensor:
        """int64 `[S]`: the latest frame of each step's codes."""
        with torch.inference_mode(False):
            latest = self.frame.masked_fill(self.frame == self.frames, 0).amax(0)
        return cast(Tensor, latest)

    @property
    def rows(self) -> int:
        """R."""
        return int(self.source.shape[0])

    @property
    def steps(self) -> int:
        """S."""
        return int(self.source.shape[1])

    def apply(self, codes: Tensor, fill: int) -> Tensor:
        """Arrange codes `[..., K, T]` as `[..., R, S]`, with `fill` at empty places."""
        self._check(codes, (self.codebooks, self.frames))
        return _take(codes.flatten(-2), self.on(codes.device).source, fill)

    def invert(self, laid_out: Tensor, fill: int) -> Tensor:
        """Return the codes `[..., K, T]` in `laid_out` `[..., R, S]`, with `fill` for missing ones."""
        self._check(laid_out, (self.rows, self.steps))
        return _take(laid_out.flatten(-2), self.on(laid_out.device).place, fill)

    def apply_frames(self, values: Tensor, fill: float | bool) -> Tensor:
        """Arrange values of frames `[..., T]` as `[..., R, S]`: each place gets those of its frame."""
        self._check(values, (self.frames,))
        return _take(values, self.on(values.device).frame, fill)

    def apply_steps(self, values: Tensor) -> Tensor:
        """Return the values `[..., T]` at the latest frame of each step, `[..., S]`."""
        self._check(values, (self.frames,))
        return values[..., self.on(values.device).step_frame]

    def invert_frames(self, laid_out: Tensor) -> Tensor:
        """Return the values `[..., T]` that `apply_frames` arranged as `laid_out` `[..., R, S]`."""
        self._check(laid_out, (self.rows, self.steps))
        place = self.on(laid_out.device).place
        return laid_out.flatten(-2)[..., place[1 if self.name == "nar" else 0]]

    def on(self, device: torch.device | str) -> Pattern:
        """Return the same pattern with its index tensors on a device, cached there, too."""
        if device == self.source.device:
            return self
        device = torch.device(device)
        return _build(self.name, self.codebooks, self.frames, self.delays, device)

    def _check(self, values: Tensor, shape: tuple[int, ...]) -> None:
        if tuple(values.shape[-len(shape) :]) != shape:
            raise UsageError(
                f"pattern {self.name!r} of {self.codebooks} codebooks and {self.frames} frames "
                f"takes [..., {', '.join(map(str, shape))}], not {list(values.shape)}"
            )


def pattern(name: str, codebooks: int, frames: int, delays: Sequence[int] | None = None) -> Pattern:
    """Return the pattern for one shape; the last ones used are cached.

    Args:
        name: One of `PATTERNS`.
        codebooks: K; `nar` needs at least 2.
        frames: T.
        delays: Only for `delay`: number of steps that each codebook is delayed. By default, codebook k
            is delayed by k steps; stereo MusicGen uses `(0, 0, 1, 1, 2, 2, 3, 3)`.

    Raises:
        UsageError: The pattern is unknown, or the shape or the delays do not fit it.
    """
    if name not in PATTERNS:
        known = ", ".join(PATTERNS)
        raise UsageError(f"unknown pattern {name!r}{nearest(name, PATTERNS)}; known: {known}")
    least = 2 if name == "nar" else 1
    if codebooks < least or frames < 1:
        raise UsageError(
            f"pattern {name!r} needs {least} codebooks or more and 1 frame or more, got "
            f"{codebooks} and {frames}"
        )
    late = None if delays is None else tuple(int(delay) for delay in delays)
    if late is not None and (name != "delay" or len(late) != codebooks or min(late) < 0):
        raise UsageError(
            f"delays {list(late)} must be {codebooks} numbers from 0 on, for the pattern 'delay'; "
            f"the pattern is {name!r}"
        )
    return _build(name, codebooks, frames, late, torch.device("cpu"))


@lru_cache(maxsize=CACHED)
def _build(
    name: str, codebooks: int, frames: int, delays: tuple[int, ...] | None, device: torch.device
) -> Pattern:
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False):  # the cached pattern may be used for training later
            return _build(name, codebooks, frames, delays, device)
    # numpy, because its calls have less overhead than torch's for such small arrays.
    codes = np.arange(codebooks * frames).reshape(codebooks, frames)
    source = PATTERNS[name](codes) if delays is None else _delayed(codes, delays)
    # Empty places point to one entry beyond the last code, so `place` has an extra entry.
    place = np.full(codes.size + 1, source.size)
    place[source.ravel()] = np.arange(source.size)
    index = source, place[:-1].reshape(codes.shape)
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in index]
    if device.type != "cpu":
        tensors = [tensor.to(device) for tensor in tensors]
    return Pattern(name, codebooks, frames, tensors[0], tensors[1], delays)


def _delayed(codes: Index, delays: Sequence[int]) -> Index:
    frames = codes.shape[1]
    source = np.full((len(codes), frames + max(delays)), codes.size)
    for row, line, late in zip(source, codes, delays, strict=True):
        row[late : late + frames] = line
    return source


def _coarse_first(codes: Index) -> Index:
    frames = codes.shape[1]
    if len(codes) == 1:
        return codes
    source = np.full((len(codes), 2 * frames), codes.size)
    source[0, :frames] = codes[0]
    source[1:, frames:] = codes[1:]
    return source


PATTERNS: dict[str, Callable[[Index], Index]] = {
    "parallel": lambda codes: codes,
    "delay": lambda codes: _delayed(codes, range(len(codes))),
    "flatten": lambda codes: codes.T.reshape(1, -1),
    "coarse_first": _coarse_first,
    "ar": lambda codes: codes[:1],
    "nar": lambda codes: codes[1:],
    "depth": lambda codes: codes.T,
}
"""Name -> the numbers `k * T + t` of `[K, T]` in the pattern's order `[R, S]`."""


def _take(values: Tensor, index: Tensor, fill: float | bool) -> Tensor:
    """Return `values[..., index]`, with `fill` where `index` is one beyond the last."""
    last = values.shape[-1] - 1
    # Places to fill first read the last value, which is cheaper than a copy with an extra value.
    at = index.clamp_max(last).flatten().expand(*values.shape[:-1], -1)
    taken = values.gather(-1, at).view(*values.shape[:-1], *index.shape)
    return taken.masked_fill_(index > last, fill)
