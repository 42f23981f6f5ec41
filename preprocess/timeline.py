"""From any rate to token frames: values at times of their own, interpolated to frame centres.

    values   v0    v1    v2    v3    v4         at times, or at a rate in Hz
    frames   |--- 0 ---|--- 1 ---|--- 2 ---|    what frame i gets is read at its centre
                  ^         ^         ^

Nothing adds up on the way: the time of a frame comes from its sample, the place among the values
from that time, so that the last frame of an hour is as exact as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preprocess.errors import PreprocessError
from preprocess.frames import frame_centres_s
from preprocess.specs import CodecSpec

Interpolation = Literal["linear", "step", "circular"]
Outside = Literal["error", "hold", "nan"]
Values = NDArray[np.float64]
# A step at the very time of a frame's centre counts for it, though rounding may tell otherwise.
_SAME_TIME_S = 1e-9


@dataclass(frozen=True, eq=False)
class Points:
    """Values in time, of one parameter.

    Attributes:
        values: `[N]`.
        times_s: `[N]`, ascending; equal ones make a jump. None where there is a rate.
        rate_hz: Values per second, the first of them at 0; None where there are times.
    """

    values: Values
    times_s: Values | None = None
    rate_hz: float | None = None

    def check(self) -> None:
        """Raise `PreprocessError` for values or times that make no curve."""
        if self.values.ndim != 1 or not len(self.values):
            raise PreprocessError(f"a curve must be [N] values, got {list(self.values.shape)}")
        if np.isinf(self.values).any():
            at = int(np.argmax(np.isinf(self.values)))
            raise PreprocessError(f"value {at} of the curve is infinite")
        if self.times_s is None:
            if self.rate_hz is None or not 0 < self.rate_hz < np.inf:
                raise PreprocessError(f"a curve needs times, or a positive rate: {self.rate_hz}")
            return
        if self.times_s.shape != self.values.shape:
            raise PreprocessError(f"{len(self.times_s)} times, but {len(self.values)} values")
        if not np.isfinite(self.times_s).all():
            at = int(np.argmin(np.isfinite(self.times_s)))
            raise PreprocessError(f"time {at} of the curve is {self.times_s[at]}")
        back = np.diff(self.times_s) < 0
        if back.any():
            at = int(np.argmax(back))
            before, after = self.times_s[at : at + 2]
            raise PreprocessError(f"the times go back from {before:g} s to {after:g} s")

    def ends_s(self) -> tuple[float, float]:
        """Return the times of the first and the last value."""
        if self.times_s is not None:
            return float(self.times_s[0]), float(self.times_s[-1])
        return 0.0, (len(self.values) - 1) / (self.rate_hz or 1)

    def spacing_s(self) -> float:
        """Return the time from one value to the next, the median one."""
        if self.times_s is None:
            return 1 / (self.rate_hz or 1)
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 0.0

    def places(self, at_s: Values) -> Values:
        """Return where times lie among the values: 2.25 is a quarter from value 2 to value 3."""
        if self.times_s is None:
            return np.clip(at_s * (self.rate_hz or 1), 0, len(self.values) - 1)
        before = np.searchsorted(self.times_s, at_s, side="right") - 1
        before = np.clip(before, 0, len(self.values) - 1)
        after = np.minimum(before + 1, len(self.values) - 1)
        start, end = self.times_s[before], self.times_s[after]
        width = np.where(end > start, end - start, 1.0)
        return before + np.clip((at_s - start) / width, 0.0, np.nextafter(1, 0)) * (end > start)


def to_frames(
    points: Points,
    audio_length: int,
    spec: CodecSpec,
    interpolation: Interpolation = "linear",
    outside: Outside = "error",
    period: float = 360.0,
    lowest: float = 0.0,
) -> Values:
    """Return a curve at the centres of a clip's frames `[T]`.

    Args:
        points: The curve, at any rate.
        audio_length: Length of the clip in samples.
        spec: Its codec.
        interpolation: `linear`; `step` (a value holds until the next, the last one to the end);
            `circular` (the shorter way around the circle).
        outside: What a frame gets that the curve does not reach: `hold` the nearest value, `nan`,
            or an `error`. A curve that falls short by no more than a hop or the distance of its
            own values reaches: its nearest value holds.
        period: Of `circular` values, how far it is around.
        lowest: Of `circular` values, where results begin: they lie in `[lowest, lowest + period)`.

    Raises:
        PreprocessError: The curve is none, or does not reach a frame and `outside` is `error`.
    """
    points.check()
    # The last hop may be cut short by the end of the audio; no time lies beyond that.
    centres = np.minimum(frame_centres_s(audio_length, spec), audio_length / spec.sample_rate)
    result = _interpolate(points, centres, interpolation, period, lowest)
    first, last = points.ends_s()
    slack = max(spec.hop / spec.sample_rate, points.spacing_s())
    early = centres < first - slack
    late = (centres > last + slack) & (interpolation != "step")
    if outside == "error" and (early | late).any():
        clip_s = audio_length / spec.sample_rate
        what = f"begins at {first:g} s" if early.any() else f"ends at {last:g} s"
        raise PreprocessError(
            f"the curve {what}, the clip lasts from 0 to {clip_s:g} s; choose outside: hold or nan"
        )
    return np.where(early | late, np.nan, result) if outside == "nan" else result


def _interpolate(
    points: Points, at_s: Values, interpolation: Interpolation, period: float, lowest: float
) -> Values:
    values = points.values
    if interpolation == "step":
        return values[np.floor(points.places(at_s + _SAME_TIME_S)).astype(np.int64)]
    places = points.places(at_s)
    before = np.floor(places).astype(np.int64)
    part = places - before
    start, end = values[before], values[np.minimum(before + 1, len(values) - 1)]
    way = end - start
    if interpolation == "circular":
        way = np.mod(way + period / 2, period) - period / 2
    # A place on a value is that value, whatever comes after it.
    result = np.where(part == 0, start, start + part * way)
    if interpolation != "circular":
        return result
    around = np.mod(result - lowest, period)
    return lowest + np.where(around < period, around, 0.0)  # of a hair below 0, mod makes period
