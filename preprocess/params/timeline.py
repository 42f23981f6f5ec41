"""Converts values at any times or rate to token frames.

    values   v0    v1    v2    v3    v4         at times, or at a rate in Hz
    frames   |--- 0 ---|--- 1 ---|--- 2 ---|    frame i gets the value at its centre,
                  ^         ^         ^         or the mean of the values in its hop

Errors do not accumulate: a frame's time is computed from its sample, and its position among the
values from that time. The last frame of an hour is as exact as the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.params.points import SAME_TIME_S, Points, Values
from preprocess.tokens.frames import frame_centres_s, frame_ends_s, frame_starts_s, n_frames
from preprocess.tokens.specs import CodecSpec

Interpolation = Literal["linear", "step", "circular", "mean", "circular_mean"]
Outside = Literal["error", "hold", "nan"]
Gap = Literal["error", "interpolate", "hold", "nan"]
Mask = NDArray[np.bool_]
_GAP_SPACINGS = 10
"""Default limit for gaps in a curve, in median spacings."""


@dataclass(frozen=True)
class Reading:
    """How to read a curve at frames.

    Attributes:
        interpolation: `linear`; `step` (a value holds until the next, the last one to the end);
            `circular` (the shorter way around the circle); `mean` (of the values in the frame's
            hop, or `linear` if it has none); `circular_mean` (the same for angles).
        outside: For frames that the curve does not reach: `hold` the nearest value, `nan`, or
            `error`. A curve extends half a spacing beyond its ends, and reaches the clip's end if
            it falls short of it by at most a hop.
        period: Period of circular values.
        lowest: Start of the range of circular results, `[lowest, lowest + period)`.
        gap: For frames between two points that are too far apart: `interpolate` as usual, `hold`
            the point before, `nan` beyond half a spacing from both, or `error`.
        max_gap_s: Longest spacing in seconds that is not a gap; None for ten median spacings, but
            at least a hop. Without a value, steps hold over any distance.
    """

    interpolation: Interpolation = "linear"
    outside: Outside = "error"
    period: float = 360.0
    lowest: float = 0.0
    gap: Gap = "error"
    max_gap_s: float | None = None

    @property
    def around(self) -> bool:
        """Whether values are circular."""
        return self.interpolation in ("circular", "circular_mean")


def to_frames(points: Points, audio_length: int, spec: CodecSpec, how: Reading) -> Values:
    """Return a curve at the frames of a clip `[T]`.

    At the codec's own frame rate, value i belongs to frame i, and values beyond the last frame are
    not used.

    Args:
        points: The curve, at any rate.
        audio_length: Length of the clip in samples.
        spec: The clip's codec.
        how: How to read the curve.

    Raises:
        PreprocessError: The curve is invalid; or it does not reach a frame and `outside` is
            `error`; or it has a gap and `gap` is `error`.
    """
    points.check()
    if points.rate_hz == spec.fps:
        count = n_frames(audio_length, spec)
        if not points.first_s and (spec.segment_samples is None or len(points.values) == count):
            return _wrap(_a_row_a_frame(points.values, count, how.outside), how)
        # A uniform grid that ignores segments: each value is at the middle of its period.
        points = replace(points, first_s=points.first_s + 0.5 / spec.fps)
    clip_s, hop_s = audio_length / spec.sample_rate, spec.hop / spec.sample_rate
    # The audio may end within the last hop; no time is beyond its end.
    centres = np.minimum(frame_centres_s(audio_length, spec), clip_s)
    result = _interpolate(points, centres, how)
    measured = np.zeros(len(centres), bool)
    if how.interpolation in ("mean", "circular_mean"):
        starts, ends = frame_starts_s(audio_length, spec), frame_ends_s(audio_length, spec)
        means, measured = _means(points, starts, ends, how)
        result = np.where(measured, means, result)
    result = _over_gaps(points, centres, result, measured, hop_s, how)
    return _wrap(_within(points, centres, result, measured, clip_s, hop_s, how), how)


def _a_row_a_frame(values: Values, count: int, outside: Outside) -> Values:
    """Return values for `count` frames, where value i belongs to frame i."""
    short = max(0, count - len(values))
    if short and outside == "error":
        raise PreprocessError(
            f"the curve has {len(values)} values, but the clip has {count} frames; set outside: "
            "hold or nan"
        )
    rest = values[-1] if outside == "hold" else np.nan
    return np.append(values[:count], np.full(short, rest))


def _within(
    points: Points,
    centres: Values,
    result: Values,
    measured: Mask,
    clip_s: float,
    hop_s: float,
    how: Reading,
) -> Values:
    """Apply `outside` to the frames before and after the curve."""
    first, last = points.ends_s()
    reach = points.spacing_s() / 2 + SAME_TIME_S
    # At a rate, a value lasts until the next is due, so enough values cover the whole clip.
    lasts = last if points.rate_hz is None else last + 1 / points.rate_hz - hop_s
    early = (centres < first - reach) & (first > hop_s) & ~measured
    late = (centres > last + reach) & (clip_s - max(last, lasts) > hop_s + SAME_TIME_S) & ~measured
    if how.interpolation == "step":
        late[:] = False
    if how.outside == "error" and (early | late).any():
        what = f"begins at {first:g} s" if early.any() else f"ends at {last:g} s"
        raise PreprocessError(
            f"the curve {what}, but the clip is from 0 to {clip_s:g} s; set outside: hold or nan"
        )
    return np.where(early | late, np.nan, result) if how.outside == "nan" else result


def _interpolate(points: Points, at_s: Values, how: Reading) -> Values:
    values = points.values
    if how.interpolation == "step":
        # A step exactly at a frame's centre counts for that frame, despite rounding.
        return values[np.floor(points.places(at_s + SAME_TIME_S)).astype(np.int64)]
    places = points.places(at_s)
    before = np.floor(places).astype(np.int64)
    part = places - before
    start, end = values[before], values[np.minimum(before + 1, len(values) - 1)]
    way = end - start
    if how.around:
        way = np.mod(way + how.period / 2, how.period) - how.period / 2
    # Exactly on a value, use it, even if the next one is NaN.
    return np.where(part == 0, start, start + part * way)


def _means(points: Points, starts: Values, ends: Values, how: Reading) -> tuple[Values, Mask]:
    """Return the mean of the values in each span, ignoring NaN, and which spans have values."""
    first, after = points.between(starts, ends)
    # reduceat takes pairs of bounds, as spans may overlap, and one extra value for the last bound.
    bounds = np.stack([first, after], axis=1).reshape(-1)
    finite = np.isfinite(points.values)

    def sums(values: Values) -> Values:
        found = np.add.reduceat(np.append(values, 0.0), bounds)[::2]
        return np.where(after > first, found, 0.0)

    counts = sums(finite.astype(np.float64))
    with np.errstate(invalid="ignore"):  # the mean of a span of NaN is NaN
        if not how.around:
            means = sums(np.where(finite, points.values, 0.0)) / counts
        else:
            angles = np.where(finite, points.values, 0.0) * (2 * np.pi / how.period)
            x, y = sums(np.cos(angles) * finite), sums(np.sin(angles) * finite)
            means = np.arctan2(y, x) * (how.period / (2 * np.pi))
            means = np.where(counts > 0, means, np.nan)
    return means, after > first


def _over_gaps(
    points: Points, centres: Values, result: Values, measured: Mask, hop_s: float, how: Reading
) -> Values:
    """Apply `gap` to the frames in gaps of the curve."""
    times = points.times_s
    if times is None or len(times) < 2 or how.gap == "interpolate":
        return result
    if how.interpolation == "step" and how.max_gap_s is None:
        return result
    limit_s = how.max_gap_s or max(_GAP_SPACINGS * points.spacing_s(), hop_s)
    before = np.clip(np.searchsorted(times, centres + SAME_TIME_S, "right") - 1, 0, len(times) - 2)
    start, end = times[before], times[before + 1]
    inside = (centres > start + SAME_TIME_S) & (centres < end - SAME_TIME_S) & ~measured
    inside &= end - start > limit_s * (1 + 1e-9)
    if not inside.any():
        return result
    if how.gap == "error":
        at = int(np.argmax(inside))
        raise PreprocessError(
            f"no value from {start[at]:g} s to {end[at]:g} s, longer than {limit_s:g} s; set gap: "
            "interpolate, hold or nan, or a longer max_gap_s"
        )
    held = points.values[before]
    if how.gap == "hold":
        return np.where(inside, held, result)
    reach = points.spacing_s() / 2
    near_end = (end - centres <= reach) & (how.interpolation != "step")
    near = np.where(near_end, points.values[before + 1], held)
    far = (centres - start > reach) & ~near_end
    return np.where(inside, np.where(far, np.nan, near), result)


def _wrap(values: Values, how: Reading) -> Values:
    return around_circle(values, how.period, how.lowest) if how.around else values


def around_circle(values: Values, period: float, lowest: float) -> Values:
    """Wrap circular values into `[lowest, lowest + period)`; NaN stays NaN."""
    around = np.mod(values - lowest, period)
    return lowest + np.where(around >= period, 0.0, around)  # mod rounds tiny negatives to period
