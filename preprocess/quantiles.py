"""Quantiles of a stream: exact while it is short, then within a stated error; mergeable.

Past `EXACT_VALUES` values, each is counted in a bucket whose width grows with its size, as in
DDSketch (Masson, Rim and Lee, VLDB 2019, https://arxiv.org/abs/1908.10693): bucket `i` holds the
magnitudes in `(G^(i-1), G^i]`, `G = (1 + E) / (1 - E)`, and stands for all of them with
`2 G^i / (G + 1)`, which is off by at most the fraction `E`. Counts add up, so the sketch of a
corpus does not depend on the order of its clips, nor on how it was cut into shards.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT_VALUES = 1024
"""Up to so many values are kept as they are."""
RELATIVE_ERROR = 0.005
"""How far a quantile of more values may be off, of its size."""
ABSOLUTE_ERROR = 1e-9
"""A magnitude up to this counts as 0."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
# Magnitudes of float64 end at 1.8e308.
_MOST_BUCKET = math.ceil(math.log(np.finfo(np.float64).max) / math.log(_GAMMA))


class QuantileSketch:
    """The distribution of finite numbers that come in pieces.

    Attributes:
        count: How many numbers it has seen.
    """

    def __init__(self) -> None:
        self.count = 0
        self._exact: NDArray[np.float64] | None = np.empty(0)
        # Bucket -> how many, for negative and for positive numbers; and those that count as 0.
        self._negative: Counter[int] = Counter()
        self._positive: Counter[int] = Counter()
        self._zeros = 0

    @property
    def exact(self) -> bool:
        """Whether every number is still known."""
        return self._exact is not None

    def update(self, values: NDArray[np.float64]) -> None:
        """Add finite numbers `[N]`."""
        self.count += len(values)
        if self._exact is not None and self.count <= EXACT_VALUES:
            self._exact = np.concatenate([self._exact, values])
            return
        self._spill()
        self._count(values)

    def merge(self, other: QuantileSketch) -> None:
        """Add all that `other` has seen."""
        if other._exact is not None:
            self.update(other._exact)
            return
        self._spill()
        self.count += other.count
        self._negative += other._negative
        self._positive += other._positive
        self._zeros += other._zeros

    def quantiles(self, fractions: Sequence[float]) -> list[float]:
        """Return the values below which `fractions` (0 to 1) of the numbers lie.

        The number of rank `fraction * (count - 1)`, rounded down: exact up to `EXACT_VALUES`
        numbers, else within `RELATIVE_ERROR` of it.

        Raises:
            ValueError: It has seen none.
        """
        if not self.count:
            raise ValueError("there are no quantiles of nothing")
        ranks = [math.floor(fraction * (self.count - 1)) for fraction in fractions]
        if self._exact is not None:
            ordered = np.sort(self._exact)
            return [float(ordered[rank]) for rank in ranks]
        values, counts = self._buckets()
        ends = np.cumsum(counts)
        return [float(values[np.searchsorted(ends, rank, side="right")]) for rank in ranks]

    def to_dict(self) -> dict[str, Any]:
        """Return the sketch as JSON can hold it; see `from_dict`."""
        if self._exact is not None:
            return {"values": np.sort(self._exact).tolist()}
        return {
            "negative": sorted([bucket, n] for bucket, n in self._negative.items()),
            "zeros": self._zeros,
            "positive": sorted([bucket, n] for bucket, n in self._positive.items()),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> QuantileSketch:
        """Return the sketch that `to_dict` stored.

        Raises:
            ValueError: It is no such thing.
            TypeError: Likewise.
            KeyError: Likewise.
        """
        sketch = cls()
        if "values" in stored:
            values = np.asarray(stored["values"], np.float64)
            if values.ndim != 1 or len(values) > EXACT_VALUES or not np.isfinite(values).all():
                raise ValueError(f"values must be up to {EXACT_VALUES} finite numbers")
            sketch.update(values)
            return sketch
        sketch._exact = None
        sketch._zeros = int(stored["zeros"])
        for side, counter in (("negative", sketch._negative), ("positive", sketch._positive)):
            for bucket, n in stored[side]:
                if not -_MOST_BUCKET <= bucket <= _MOST_BUCKET or n < 1:
                    raise ValueError(f"bucket {bucket} with {n} numbers is none of this sketch")
                counter[int(bucket)] += int(n)
        sketch.count = sketch._zeros + sketch._negative.total() + sketch._positive.total()
        return sketch

    def _spill(self) -> None:
        """Count the numbers that were kept so far."""
        if self._exact is not None:
            values, self._exact = self._exact, None
            self._count(values)

    def _count(self, values: NDArray[np.float64]) -> None:
        sizes = np.abs(values)
        some = sizes > ABSOLUTE_ERROR
        self._zeros += int(np.sum(~some))
        for counter, side in ((self._negative, values < 0), (self._positive, values > 0)):
            buckets = np.ceil(np.log(sizes[some & side]) / math.log(_GAMMA)).astype(np.int64)
            for bucket, n in zip(*np.unique(buckets, return_counts=True), strict=True):
                counter[int(bucket)] += int(n)

    def _buckets(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return what the buckets stand for, in ascending order, with their counts."""
        negative = sorted(self._negative.items(), reverse=True)
        positive = sorted(self._positive.items())
        values = [
            *(-_middle(bucket) for bucket, _ in negative),
            0.0,
            *(_middle(bucket) for bucket, _ in positive),
        ]
        counts = [*(n for _, n in negative), self._zeros, *(n for _, n in positive)]
        return np.array(values), np.array(counts)


def _middle(bucket: int) -> float:
    return 2 / (_GAMMA + 1) * math.exp(bucket * math.log(_GAMMA))
