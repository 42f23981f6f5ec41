"""Numbers in `stats.json`, checked."""

from __future__ import annotations

import math
from typing import Any

from preprocess.core.untrusted import shown


def stored_count(value: Any) -> int:
    """Return a number of values from `stats.json`.

    Raises:
        ValueError: It is no whole number from 0 to 2^63.
    """
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{shown(value)} is not a number of values")
    return value


def stored_number(value: Any, most: float) -> float | None:
    """Return a number from `stats.json`, or None.

    Raises:
        ValueError: It is larger than `most`, whose square would be infinite, or not a number.
    """
    if value is None:
        return None
    if not abs(value) <= most:
        finite = abs(value) < math.inf
        raise ValueError(f"{shown(value)} is not {f'within {most:g}' if finite else 'finite'}")
    return float(value)
