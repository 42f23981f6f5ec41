"""Which float type can hold values, and how a narrower type would damage them.

A value survives in a type if the stored value differs by at most `max_error` of the parameter's
range. Whole numbers, and constants in float16, must not change at all. float16 has 11 significant
bits and rounds 2,049, and 174.7633 to 174.75. float32 has 24 bits and rounds 16,777,217 and Unix
times. float32's rounding is accepted up to 16,777,216, where neighbouring whole numbers still
differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["auto", "float16", "float32", "float64"]
"""The type of a sidecar's array; `auto` is the first of float16 and float32 that damages no value."""

MAX_ERROR = 1e-4
"""Default for the largest difference between a stored and a given value, as a fraction of the range."""

_FLOAT32_ROUNDING = 2.0**-24  # largest relative rounding error

FLOATS = ("float16", "float32", "float64")
"""The types, narrowest first."""
MAX_WHOLE = 2.0**53
"""Beyond this every float64 is a whole number because of its precision."""


@dataclass(frozen=True)
class Damage:
    """The first value of a parameter that does not survive in a type.

    Attributes:
        frame: Its frame.
        value: The given value, as text.
        stored: The value as the type would store it, as text.
        dtype: The type.
        better: The narrowest type in which all values survive.
        rounding: Whether a larger `max_error` would accept it.
    """

    frame: int
    value: str
    stored: str
    dtype: str
    better: str
    rounding: bool

    def __str__(self) -> str:
        return f"{self.dtype} would change {self.value} to {self.stored} at frame {self.frame}"


def find_damage(
    values: NDArray[np.floating], dtype: str, span: float, max_error: float = MAX_ERROR
) -> Damage | None:
    """Return the first value that `dtype` would damage; None if all survive.

    Args:
        values: `[T]`; NaN survives in every type.
        dtype: float16, float32 or float64.
        span: Width of the range that errors are relative to. 0 allows no error: a constant in one
            clip may differ only slightly from the constant in the next.
        max_error: Largest change of a value, as a fraction of `span`. Infinity accepts any
            rounding; only overflow and changed whole numbers then count as damage.
    """
    if np.can_cast(values.dtype, dtype):
        return None
    given = values.astype(np.float64)
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    error = np.abs(stored.astype(np.float64) - given)
    whole = (given == np.round(given)) & (np.abs(given) <= MAX_WHOLE)
    lost = (np.isinf(stored) & np.isfinite(given)) | (whole & (error > 0))
    damaged = lost | (error > _allowed(np.abs(given), dtype, span, max_error))
    if not damaged.any():
        return None
    at = int(np.argmax(damaged))
    wider = FLOATS[FLOATS.index(dtype) + 1 :]
    better = next(d for d in wider if find_damage(values, d, span, max_error) is None)
    rounding = span > 0 and not lost[at]
    # As float64, to show the stored value exactly: float16 prints its 174.75 as 174.8.
    return Damage(at, _text(values[at]), _text(np.float64(stored[at])), dtype, better, rounding)


def _allowed(
    sizes: NDArray[np.float64], dtype: str, span: float, max_error: float
) -> NDArray[np.float64]:
    """Return the largest allowed change of values of these sizes, `[T]`."""
    allowed = np.full(len(sizes), np.inf if np.isinf(max_error) else max_error * span)
    if dtype == "float32" and max_error >= _FLOAT32_ROUNDING:
        # Seven digits are enough as long as they tell whole numbers apart: a steady tone whose
        # level varies by a millionth of a dB must not be an error.
        own = np.where(sizes <= 1 / _FLOAT32_ROUNDING, sizes * _FLOAT32_ROUNDING, 0.0)
        allowed = np.maximum(allowed, own)
    return allowed


def _text(number: np.floating) -> str:
    """Return the shortest text that identifies a number among those of its type."""
    if number == 0 or 1e-4 <= abs(number) < 1e16:
        return np.format_float_positional(number, trim="-")
    return str(number)
