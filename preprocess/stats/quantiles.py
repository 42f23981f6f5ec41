"""Quantiles of a stream: exact while its values are few, then within a thousandth of the spread.

Equal values are counted together. Up to `MOST_BINS` different values all are kept, so that the
quantiles are exact, however many values there are. Beyond, values are rounded down to multiples of
a power of two, the smallest that leaves `MOST_BINS` bins with something in them:

    values      439.61 439.64      440.02 440.07 440.11
    bins       |439.5 : 2    |    |440.0 : 3           |        each 2^exponent wide

That power follows from the values alone: rounding twice is rounding once to the coarser multiple.
So the sketch of a corpus depends neither on the order of its clips nor on how it was cut into
shards. Only bins that hold something count, so that one value far away does not coarsen the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BINS = 4096
"""Up to so many different values are kept as they are, and so many bins beyond."""
RELATIVE_ERROR = 1e-3
"""How far a quantile may be off, in parts of the spread from the smallest to the largest value.

Bins of `spread / (MOST_BINS - 2)` would be few enough, and a power of two is at most twice that:
a quantile is off by 0.0489 % of the spread at worst.
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
"""The quantiles that statistics state, by name."""

_FINEST, _COARSEST = -1074, 1023  # exponents of the smallest and the largest power of two
_MOST_PENDING = 1 << 16

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class QuantileSketch:
    """The distribution of finite numbers that come in pieces.

    Attributes:
        count: How many numbers it has seen.
    """

    def __init__(self) -> None:
        self.count = 0
        # Lower ends of the bins, which are 2^exponent wide, ascending; how many numbers are in
        # each. At `_FINEST` every bin is a single number.
        self._exponent = _FINEST
        self._bins: Floats = np.empty(0)
        self._counts: Counts = np.empty(0, np.int64)
        # What is not sorted into the bins yet: sorting a million clips one by one is slow.
        self._pending: list[tuple[Floats, Counts]] = []
        self._n_pending = 0

    @property
    def exact(self) -> bool:
        """Whether every number is still known."""
        self._settle()
        return self._exponent == _FINEST

    def update(self, values: NDArray[np.float64]) -> None:
        """Add finite numbers `[N]`."""
        self.count += len(values)
        self._add(values + 0.0, np.ones(len(values), np.int64))  # -0.0 becomes 0.0

    def merge(self, other: QuantileSketch) -> None:
        """Add all that `other` has seen."""
        self.count += other.count
        self._exponent = max(self._exponent, other._exponent)
        self._add(other._bins, other._counts)
        for values, counts in other._pending:
            self._add(values, counts)

    def quantiles(self, fractions: Sequence[float]) -> list[float]:
        """Return the values below which `fractions` (0 to 1) of the numbers lie.

        As `numpy.quantile` defines them by default: of `count` numbers in order, the one of rank
        `fraction * (count - 1)`, on a line between two neighbours where that is no whole number.
        Exact up to `MOST_BINS` different numbers, else within `RELATIVE_ERROR` of the spread.

        Raises:
            ValueError: It has seen none.
        """
        if not self.count:
            raise ValueError("there are no quantiles of nothing")
        self._settle()
        ranks = np.asarray(fractions, np.float64) * (self.count - 1)
        below = np.floor(ranks).astype(np.int64)
        low = self._at(below)
        high = self._at(np.minimum(below + 1, self.count - 1))
        way, gap = ranks - below, high - low
        # As numpy sums it, to the last bit: from the nearer neighbour.
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
        """Return the sketch as JSON can hold it; see `from_dict`.

        Bins are told as multiples of `2^exponent`, the first by itself and each other by its
        distance from the one before: most of these are 1.
        """
        self._settle()
        exponent = self._exponent if len(self._bins) else 0
        if exponent == _FINEST:  # the coarsest multiples that still hold every number
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
            ValueError: It is no such thing.
            TypeError: Likewise.
            KeyError: Likewise.
            OverflowError: Likewise.
        """
        exponent, counts, steps = stored["exponent"], stored["counts"], stored["steps"]
        if type(exponent) is not int or not _FINEST <= exponent <= _COARSEST:
            raise ValueError(f"exponent {exponent!r} is that of no bins")
        fits = len(steps) == max(len(counts) - 1, 0) and len(counts) <= MOST_BINS
        if not fits or not all(type(n) is int and n > 0 for n in (*counts, *steps)):
            raise ValueError(f"bins must be up to {MOST_BINS}, in order, and none of them empty")
        sketch = cls()
        places = accumulate(steps, initial=int(stored["first"])) if counts else ()
        unit = Fraction(2) ** exponent
        sketch._bins = np.array([float(place * unit) for place in places], np.float64)
        sketch._counts = np.array(counts, np.int64)
        sketch._exponent = _FINEST if stored["exact"] else exponent
        sketch.count = sum(counts)
        return sketch

    def _add(self, values: Floats, counts: Counts) -> None:
        self._pending.append((values, counts))
        self._n_pending += len(values)
        if self._n_pending > _MOST_PENDING:
            self._settle()

    def _settle(self) -> None:
        """Sort what is pending into the bins, which coarsen until they are few enough."""
        if not self._pending:
            return
        values, counts = (
            np.concatenate([own, *(piece[i] for piece in self._pending)])
            for i, own in enumerate((self._bins, self._counts))
        )
        self._pending, self._n_pending = [], 0
        order = np.argsort(values, kind="stable")
        values, counts = values[order], counts[order]
        self._exponent = _fitting_exponent(values, self._exponent)
        bins = _round_down(values, self._exponent)
        starts = _starts(bins)
        self._bins = bins[starts]
        self._counts = np.add.reduceat(counts, starts) if len(starts) else counts

    def _at(self, ranks: Counts) -> Floats:
        """Return the numbers of these ranks, from 0; in a bin, as if they were spread evenly."""
        ends = np.cumsum(self._counts)
        at = np.searchsorted(ends, ranks, side="right")
        if self._exponent == _FINEST:
            return self._bins[at]
        place = (ranks - (ends[at] - self._counts[at]) + 0.5) / self._counts[at]
        return self._bins[at] + np.ldexp(place, self._exponent)


def _fitting_exponent(ordered: Floats, exponent: int) -> int:
    """Return the least exponent, from `exponent` on, of at most `MOST_BINS` bins with content."""
    low, high = exponent, _COARSEST + 1  # `high` fits: from 2^1023 on, four bins hold everything
    while low < high:
        middle = (low + high) // 2
        if len(_starts(_round_down(ordered, middle))) <= MOST_BINS:
            high = middle
        else:
            low = middle + 1
    return low


def _round_down(values: Floats, exponent: int) -> Floats:
    """Return the multiples of `2^exponent` at or below `values`."""
    if exponent == _FINEST:
        return values
    with np.errstate(over="ignore", under="ignore"):
        places = np.floor(np.ldexp(values, -exponent))
        # What is so small that it scales to nothing lies below 0 all the same.
        places = np.where((values < 0) & (places == 0), -1.0, places)
        # Beyond 2^53 units every float is a multiple already.
        return np.where(np.abs(places) < 2.0**53, np.ldexp(places, exponent), values)


def _starts(ordered: Floats) -> NDArray[np.int64]:
    """Return where in `ordered` values begin that differ from those before."""
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _lowest_bit(value: float) -> int:
    """Return the exponent of the largest power of two that a number is a multiple of."""
    top, bottom = abs(value).as_integer_ratio()
    if not top:
        return _COARSEST
    return (top & -top).bit_length() - 1 if bottom == 1 else 1 - bottom.bit_length()
