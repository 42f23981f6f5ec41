"""Quantiles of a stream: exact for few different values, else within a thousandth of the spread.

Equal values are counted together. Up to `MAX_BINS` different values are all kept, so the quantiles
are exact for any number of values. Beyond that, values are rounded down to multiples of a power of
two, the smallest that leaves at most `MAX_BINS` nonempty bins:

    values      439.61 439.64      440.02 440.07 440.11
    bins       |439.5 : 2    |    |440.0 : 3           |        each 2^exponent wide

The power depends only on the values, because rounding twice equals rounding once to the coarser
multiple. So the sketch of a corpus depends neither on the order of its clips nor on its shards.
Empty bins do not count, so one outlier does not coarsen the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.untrusted import shown

MAX_BINS = 4096
"""The largest number of different values that are kept exactly, and of bins beyond that."""
RELATIVE_ERROR = 1e-3
"""The largest error of a quantile, as a fraction of the spread from smallest to largest value.

Bins of width `spread / (MAX_BINS - 2)` are few enough, and the next power of two is at most twice
that: a quantile is off by at most 0.0489 % of the spread.
"""

QUANTILES = {
    "p01": 0.01,
    "p05": 0.05,
    "p25": 0.25,
    "p50": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "p99": 0.99,
}
"""The quantiles in the statistics, by name."""

_FINEST, _COARSEST = -1074, 1023  # exponents of the smallest and the largest power of two
_MAX_PENDING = 1 << 16

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class QuantileSketch:
    """The distribution of finite numbers that arrive in pieces.

    Attributes:
        count: Number of values added.
    """

    def __init__(self) -> None:
        self.count = 0
        # Lower ends of the bins, ascending, and the number of values in each. Bins are 2^exponent
        # wide; at `_FINEST` every bin is a single value.
        self._exponent = _FINEST
        self._bins: Floats = np.empty(0)
        self._counts: Counts = np.empty(0, np.int64)
        # Values not sorted into bins yet: sorting a million clips one by one is slow.
        self._pending: list[tuple[Floats, Counts]] = []
        self._n_pending = 0

    @property
    def exact(self) -> bool:
        """Whether every value is still known exactly."""
        self._settle()
        return self._exponent == _FINEST

    def update(self, values: NDArray[np.float64]) -> None:
        """Add finite numbers `[N]`."""
        self.count += len(values)
        ordered = np.sort(values + 0.0)  # -0.0 becomes 0.0
        starts = _starts(ordered)
        self._add(ordered[starts], np.diff(starts, append=len(ordered)))

    def merge(self, other: QuantileSketch) -> None:
        """Add the values of `other`."""
        self.count += other.count
        self._exponent = max(self._exponent, other._exponent)
        self._add(other._bins, other._counts)
        for values, counts in other._pending:
            self._add(values, counts)

    def quantiles(self, fractions: Sequence[float]) -> list[float]:
        """Return the quantiles at `fractions` (0 to 1).

        Uses the default definition of `numpy.quantile`: the value of rank `fraction * (count - 1)`,
        interpolated linearly between neighbours. Exact up to `MAX_BINS` different values, else
        within `RELATIVE_ERROR` of the spread.

        Raises:
            ValueError: There are no values.
        """
        if not self.count:
            raise ValueError("quantiles need at least one value")
        self._settle()
        ranks = np.asarray(fractions, np.float64) * (self.count - 1)
        below = np.floor(ranks).astype(np.int64)
        low = self._at(below)
        high = self._at(np.minimum(below + 1, self.count - 1))
        way, gap = ranks - below, high - low
        # Like numpy, bit for bit: interpolate from the nearer neighbour.
        found: list[float] = np.where(way < 0.5, low + gap * way, high - gap * (1 - way)).tolist()
        return found

    def histogram(self, low: float, high: float, bins: int) -> Counts:
        """Return how many numbers lie in each of `bins` even parts of `low` to `high`, int64.

        Numbers that are kept together count where the middle of their bin lies.
        """
        self._settle()
        half = 0.0 if self._exponent == _FINEST else 2.0 ** (self._exponent - 1)
        at = np.clip(self._bins + half, low, high)
        counts, _ = np.histogram(at, bins, (low, high), weights=self._counts)
        return np.round(counts).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return the sketch as JSON values; see `from_dict`.

        Bins are multiples of `2^exponent`, stored as the first multiple and the differences between
        neighbours, most of which are 1.
        """
        self._settle()
        exponent = self._exponent if len(self._bins) else 0
        if exponent == _FINEST:  # the coarsest exponent that still represents every value
            exponent = min(_lowest_bit(value) for value in self._bins.tolist())
        places = [int(Fraction(value) / Fraction(2) ** exponent) for value in self._bins.tolist()]
        return {
            "exact": self.exact,
            "exponent": exponent,
            "first": places[0] if places else 0,
            "steps": [b - a for a, b in pairwise(places)],
            "counts": self._counts.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> QuantileSketch:
        """Return the sketch that `to_dict` stored.

        Raises:
            ValueError: A value is invalid.
            TypeError: A value has the wrong type.
            KeyError: A key is missing.
            OverflowError: A number is too large.
        """
        exponent, counts, steps = stored["exponent"], stored["counts"], stored["steps"]
        if type(exponent) is not int or not _FINEST <= exponent <= _COARSEST:
            raise ValueError(f"exponent {shown(exponent)} must be {_FINEST} to {_COARSEST}")
        fits = len(steps) == max(len(counts) - 1, 0) and len(counts) <= MAX_BINS
        if not fits or not all(type(n) is int and n > 0 for n in (*counts, *steps)):
            raise ValueError(f"expected at most {MAX_BINS} bins, in order, none of them empty")
        sketch = cls()
        first = stored["first"]
        if type(first) is not int:
            raise TypeError(f"first {shown(first)} must be a whole number")
        places = accumulate(steps, initial=first) if counts else ()
        unit = Fraction(2) ** exponent
        sketch._bins = np.array([float(place * unit) for place in places], np.float64)
        sketch._counts = np.array(counts, np.int64)
        sketch._exponent = _FINEST if stored["exact"] else exponent
        sketch.count = sum(counts)
        return sketch

    def _add(self, values: Floats, counts: Counts) -> None:
        self._pending.append((values, counts))
        self._n_pending += len(values)
        if self._n_pending > _MAX_PENDING:
            self._settle()

    def _settle(self) -> None:
        """Sort pending values into the bins, and coarsen the bins until they are few enough."""
        if not self._pending:
            return
        if len(self._pending) == 1 and not len(self._bins):
            values, counts = self._pending[0]  # in order, as every piece is
        else:
            values, counts = (
                np.concatenate([own, *(piece[i] for piece in self._pending)])
                for i, own in enumerate((self._bins, self._counts))
            )
            order = np.argsort(values, kind="stable")
            values, counts = values[order], counts[order]
        self._pending, self._n_pending = [], 0
        self._exponent = _fitting_exponent(values, self._exponent)
        bins = _round_down(values, self._exponent)
        starts = _starts(bins)
        self._bins = bins[starts]
        self._counts = np.add.reduceat(counts, starts) if len(starts) else counts

    def _at(self, ranks: Counts) -> Floats:
        """Return the values of these ranks (from 0), assuming that a bin's values are evenly spread."""
        ends = np.cumsum(self._counts)
        at = np.searchsorted(ends, ranks, side="right")
        if self._exponent == _FINEST:
            return self._bins[at]
        place = (ranks - (ends[at] - self._counts[at]) + 0.5) / self._counts[at]
        return self._bins[at] + np.ldexp(place, self._exponent)


def _fitting_exponent(ordered: Floats, exponent: int) -> int:
    """Return the smallest exponent, at least `exponent`, with at most `MAX_BINS` nonempty bins."""
    ordered = ordered[_starts(ordered)]

    def fits(candidate: int) -> bool:
        return _bin_count(ordered, candidate) <= MAX_BINS

    if fits(exponent):
        return exponent
    low, high = (
        exponent + 1,
        _COARSEST + 1,
    )  # `high` fits: from 2^1023 on, four bins hold everything
    span = float(ordered[-1]) - float(ordered[0])
    if math.isfinite(span):  # half of the bins hold the whole span: search from here downwards
        high = max(low, min(high, math.frexp(span)[1] - int(math.log2(MAX_BINS)) + 1))
    step = 1
    while low < high:
        middle = max(low, high - step)
        if not fits(middle):
            low = middle + 1
            break
        high, step = middle, 2 * step
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _bin_count(ordered: Floats, exponent: int) -> int:
    """Return the number of nonempty bins, without the bins where that is safe: five times as fast."""
    if not len(ordered):
        return 0
    largest = max(abs(float(ordered[0])), abs(float(ordered[-1])))
    exact = largest < 2.0 ** min(53 + exponent, 1000)  # as `_round_down`, without its special cases
    if exact and (-1000 <= exponent <= 0 or (0 < exponent <= 1000 and ordered[0] >= 0)):
        places = np.floor(ordered * 2.0**-exponent)
        return 1 + int(np.count_nonzero(places[1:] != places[:-1]))
    return len(_starts(_round_down(ordered, exponent)))


def _round_down(values: Floats, exponent: int) -> Floats:
    """Return the multiples of `2^exponent` at or below `values`."""
    if exponent == _FINEST:
        return values
    with np.errstate(over="ignore", under="ignore"):
        places = np.floor(np.ldexp(values, -exponent))
        # A negative value so small that it scales to 0 still belongs to the bin below 0.
        places = np.where((values < 0) & (places == 0), -1.0, places)
        # Beyond 2^53 units every float is already a multiple.
        return np.where(np.abs(places) < 2.0**53, np.ldexp(places, exponent), values)


def _starts(ordered: Floats) -> NDArray[np.int64]:
    """Return the indices in `ordered` at which a new value starts."""
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _lowest_bit(value: float) -> int:
    """Return the exponent of the largest power of two that divides a number."""
    top, bottom = abs(value).as_integer_ratio()
    if not top:
        return _COARSEST
    return (top & -top).bit_length() - 1 if bottom == 1 else 1 - bottom.bit_length()
