"""Normalise parameters for a model, and back.

    scaled = normalise(values, stats["pitch"], "minmax")    # 0 to 1 over the declared range
    values = denormalise(scaled, stats["pitch"], "minmax")

Both work in float64, so the inverse restores float16 and float32 values bit for bit, and float64
values to a few units in the last place of the range. NaN stays NaN.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preprocess.stats.parameter_stats import ParameterStats, StatsError

Method = Literal["minmax", "zscore"]


def normalise(
    values: ArrayLike, stats: ParameterStats, method: Method = "minmax"
) -> NDArray[np.float64]:
    """Return values normalised for a model, float64 of the same shape.

    Args:
        values: Values of any shape.
        stats: The parameter's statistics over the corpus.
        method: `minmax` maps the declared range, else the measured one, to `[0, 1]`; values
            outside the range map outside. For a circular parameter it maps `[low, low + period]`,
            where `low` is the lower end of the declared range, or 0. `zscore` subtracts the mean
            and divides by the standard deviation; it is only for continuous parameters. A range or
            deviation of 0 divides by 1.

    Raises:
        StatsError: The parameter has no values, or `method` does not suit its kind.
    """
    offset, scale = _offset_and_scale(stats, method)
    return (np.asarray(values, np.float64) - offset) / scale


def denormalise(
    scaled: ArrayLike, stats: ParameterStats, method: Method = "minmax"
) -> NDArray[np.float64]:
    """Return the values from which `normalise` made `scaled`, float64 of the same shape.

    Args:
        scaled: Normalised values of any shape.
        stats: The parameter's statistics over the corpus.
        method: As in `normalise`.

    Raises:
        StatsError: As in `normalise`.
    """
    offset, scale = _offset_and_scale(stats, method)
    return np.asarray(scaled, np.float64) * scale + offset


def minmax_range(stats: ParameterStats) -> tuple[float, float]:
    """Return the values that `minmax` maps to 0 and 1; they are equal for a range of width 0.

    Raises:
        StatsError: The parameter has no values.
    """
    if stats.kind == "circular":
        low: float | None = stats.declared_min or 0.0
        high = (stats.declared_min or 0.0) + (stats.period or math.tau) if stats.count else None
    else:
        low = stats.min if stats.declared_min is None else stats.declared_min
        high = stats.max if stats.declared_max is None else stats.declared_max
    if low is None or high is None:
        raise StatsError("minmax needs statistics of at least one value")
    return low, high


def _offset_and_scale(stats: ParameterStats, method: Method) -> tuple[float, float]:
    if method == "minmax":
        low, high = minmax_range(stats)
        return low, high - low or 1.0
    if method != "zscore":
        raise StatsError(f"method {method!r} must be minmax or zscore")
    if stats.kind != "continuous":
        raise StatsError(f"zscore is for continuous parameters, not {stats.kind}; use minmax")
    if stats.mean is None or stats.std is None:
        raise StatsError("zscore needs statistics of at least one value")
    return stats.mean, stats.std or 1.0
