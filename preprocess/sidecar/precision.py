"""Which float type holds values, and what a narrower one would make of them.

A value survives in a type if what is stored is within `max_error` of it, in parts of the range of
its parameter; a whole number and, in float16, a constant survive only unchanged. float16 has 11
bits, float32 24: the first rounds 2,049 and 174.7633 (to 174.75), the second 16,777,217 and Unix
times. float32's own rounding is let pass up to 16,777,216, where it still tells 1 from 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["auto", "float16", "float32", "float64"]
"""Of the array of a sidecar; `auto` is the first of float16 and float32 that all values survive."""

MAX_ERROR = 1e-4
"""How far a stored value may be from the one that was given, in parts of the range."""

_FLOAT32_ROUNDING = 2.0**-24  # of a value, at most

FLOATS = ("float16", "float32", "float64")
"""The types, the narrowest first."""
MOST_WHOLE = 2.0**53
"""Beyond it every float64 is a whole number, by its precision and not by what was meant."""


@dataclass(frozen=True)
class Damage:
    """The first value of a parameter that does not survive in a type.

    Attributes:
        frame: Where it stands.
        value: What was given, in words.
        stored: What the type would make of it, in words.
        dtype: That type.
        better: The narrowest type in which all values survive.
        rounding: Whether a larger `max_error` would let it pass.
    """

    frame: int
    value: str
    stored: str
    dtype: str
    better: str
    rounding: bool

    def __str__(self) -> str:
        return f"{self.dtype} would make {self.stored} of {self.value} at frame {self.frame}"


def find_damage(
    values: NDArray[np.floating], dtype: str, span: float, max_error: float = MAX_ERROR
) -> Damage | None:
    """Return the first value that `dtype` would damage; None where all survive.

    Args:
        values: `[T]`; NaN survives in every type.
        dtype: float16, float32 or float64.
        span: Width of the range that errors are measured by. It is 0 where there is none: a
            constant in one clip may differ little from that in the next.
        max_error: How far a value may move, in parts of `span`; infinity where rounding is as
            wished, and only overflow and another whole number are damage.
    """
    if np.can_cast(values.dtype, dtype):
        return None
    given = values.astype(np.float64)
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    error = np.abs(stored.astype(np.float64) - given)
    whole = (given == np.round(given)) & (np.abs(given) <= MOST_WHOLE)
    lost = (np.isinf(stored) & np.isfinite(given)) | (whole & (error > 0))
    damaged = lost | (error > _allowed(np.abs(given), dtype, span, max_error))
    if not damaged.any():
        return None
    at = int(np.argmax(damaged))
    wider = FLOATS[FLOATS.index(dtype) + 1 :]
    better = next(d for d in wider if find_damage(values, d, span, max_error) is None)
    rounding = span > 0 and not lost[at]
    # The stored value is told exactly: float16 calls its 174.75 shortly 174.8.
    return Damage(at, _text(values[at]), _text(np.float64(stored[at])), dtype, better, rounding)


def _allowed(
    sizes: NDArray[np.float64], dtype: str, span: float, max_error: float
) -> NDArray[np.float64]:
    """Return how far values of these sizes may move."""
    allowed = np.full(len(sizes), np.inf if np.isinf(max_error) else max_error * span)
    if dtype == "float32" and max_error >= _FLOAT32_ROUNDING:
        # Seven digits are enough where they tell whole numbers apart: a steady tone whose level
        # varies by a millionth of a dB is no reason to refuse.
        own = np.where(sizes <= 1 / _FLOAT32_ROUNDING, sizes * _FLOAT32_ROUNDING, 0.0)
        allowed = np.maximum(allowed, own)
    return allowed


def _text(number: np.floating) -> str:
    """Return the shortest text that tells a number from its neighbours of its type."""
    if number == 0 or 1e-4 <= abs(number) < 1e16:
        return np.format_float_positional(number, trim="-")
    return str(number)
