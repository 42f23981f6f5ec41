"""The thumbnail of a row as bytes: the loudness of the sound, and the curves of parameters.

byte 0 to 254   from the lower to the upper end of the range
byte 255        no value: all frames are NaN, or there is no sound
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS = 48
"""Number of points in a thumbnail's curve, one every two or three pixels."""
MISSING = 255

Bytes = NDArray[np.uint8]
Points = NDArray[np.float32]
NOTHING: Points = np.full(POINTS, np.nan, np.float32)
"""The points of a missing curve."""


def curve_points(values: NDArray[np.floating], is_label: bool = False) -> Points:
    """Return `POINTS` values of a curve `[T]`: the means of even parts, NaN if all in a part are NaN.

    Args:
        values: One value per frame; NaN means no value.
        is_label: Whether to take the first value of each part instead, because labels have no mean.
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
    """Return the peaks of `POINTS` even parts of a clip `[C, N]`, usually 0 to 1."""
    peaks = np.abs(wav).max(axis=0)
    edges = np.arange(POINTS) * len(peaks) // POINTS
    return np.maximum.reduceat(peaks, edges).astype(np.float32)


def as_bytes(points: Points, low: float, high: float) -> Bytes:
    """Return points of any shape as bytes over `low` to `high`; 127 if the range is a single value."""
    span = high - low
    part = (points.astype(np.float64) - low) / span if span > 0 else np.full(points.shape, 0.5)
    scaled = np.clip(np.round(part * 254), 0, 254)
    return np.where(np.isnan(points), MISSING, np.nan_to_num(scaled)).astype(np.uint8)
