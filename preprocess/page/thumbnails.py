"""What a row's thumbnail shows, in bytes: how loud the sound is, and how parameters move.

byte 0 to 254   from the lower end of the range to the upper
byte 255        no value: NaN in all frames there, or no sound
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS = 48
"""Points of a thumbnail's curve, one every two or three pixels."""
MISSING = 255

Bytes = NDArray[np.uint8]
Points = NDArray[np.float32]
NOTHING: Points = np.full(POINTS, np.nan, np.float32)
"""The points of a curve that a clip does not have."""


def curve_points(values: NDArray[np.floating], is_label: bool = False) -> Points:
    """Return `POINTS` values of a curve `[T]`: means of even parts of it, NaN where all are NaN.

    Args:
        values: One value a frame; NaN means no value.
        is_label: Take the first value of each part instead, since labels have no mean.
    """
    edges = np.arange(POINTS + 1) * len(values) // POINTS
    starts, ends = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    starts = np.minimum(starts, len(values) - 1)
    if is_label:
        return values[starts].astype(np.float32)
    doubles = np.asarray(values, np.float64)
    known = ~np.isnan(doubles)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, doubles, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ends = np.minimum(ends, len(values))
    number = counts[ends] - counts[starts]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[ends] - sums[starts]) / number
    points: Points = means.astype(np.float32)
    return points


def loudness_points(wav: NDArray[np.float32]) -> Points:
    """Return the peak of `POINTS` even parts of a clip `[C, N]`, 0 to 1 as a rule."""
    peaks = np.abs(wav).max(axis=0)
    edges = np.arange(POINTS) * len(peaks) // POINTS
    return np.maximum.reduceat(peaks, edges).astype(np.float32)


def as_bytes(points: Points, low: float, high: float) -> Bytes:
    """Return points of any shape as bytes of the range `low` to `high`; a range of one is half up."""
    span = high - low
    part = (points.astype(np.float64) - low) / span if span > 0 else np.full(points.shape, 0.5)
    scaled = np.clip(np.round(part * 254), 0, 254)
    return np.where(np.isnan(points), MISSING, np.nan_to_num(scaled)).astype(np.uint8)
