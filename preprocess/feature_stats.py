"""Statistics of one parameter over a corpus; `preprocess.stats` holds those of all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.errors import PreprocessError
from preprocess.features import KINDS
from preprocess.quantiles import QuantileSketch

MAX_LABELS = 1024
"""A categorical feature of more labels is not counted label by label."""
QUANTILES = {
    "p01": 0.01,
    "p05": 0.05,
    "p25": 0.25,
    "p50": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "p99": 0.99,
}


class StatsError(PreprocessError, ValueError):
    """Statistics do not fit each other, or a file of them cannot be read."""


@dataclass
class FeatureStats:
    """One parameter over a corpus.

    Attributes:
        count: How many values were numbers.
        nan_count: How many were NaN, which stands for "no value".
        min: Smallest value; None where there was none.
        max: Largest value.
        kind: `continuous`, `categorical` or `circular`; None before the first update.
        units: Physical unit.
        period: Of a circular feature, how far it is around the circle, in `units`.
        declared_min: Lower end of the range that the clips declare, the widest where they differ;
            None where one declares none.
        declared_max: Upper end of it.
        labels: Of a categorical feature, label -> how many frames; None where there are more than
            `MAX_LABELS`.
    """

    count: int = 0
    nan_count: int = 0
    min: float | None = None
    max: float | None = None
    kind: str | None = None
    units: str = ""
    period: float | None = None
    declared_min: float | None = None
    declared_max: float | None = None
    labels: Counter[int] | None = field(default_factory=Counter)
    _mean: float = 0.0
    _squares: float = 0.0  # sum of squared distances from the mean
    _cos: float = 0.0
    _sin: float = 0.0
    _sketch: QuantileSketch = field(default_factory=QuantileSketch)

    def update(
        self, values: NDArray[np.floating], kind: str = "continuous", period: float | None = None
    ) -> None:
        """Add the values of one clip.

        Args:
            values: `[T]`, of any float type; NaN is counted apart.
            kind: `continuous`, `categorical` or `circular`.
            period: Of a circular feature: 360 for degrees; without it, 2 pi.

        Raises:
            StatsError: A value is infinite, or kind or period differ from those before.
        """
        if kind not in KINDS:
            raise StatsError(f"kind {kind!r} must be one of {', '.join(KINDS)}")
        period = (period or math.tau) if kind == "circular" else None
        self._agree(kind, period)
        if np.isinf(values).any():
            raise StatsError(f"frame {int(np.argmax(np.isinf(values)))} is infinite")
        finite = np.asarray(values, np.float64)[~np.isnan(values)]
        piece = FeatureStats(len(finite), len(values) - len(finite), kind=kind, period=period)
        if len(finite):
            piece._measure(finite)
        self._add(piece)

    def merge(self, other: FeatureStats) -> None:
        """Add all that `other` has seen.

        Raises:
            StatsError: It is of another kind, period or unit.
        """
        if other.kind is None:
            return
        self.check_fits(other)
        if self.count + self.nan_count:
            self._declare(other.declared_min, other.declared_max)
        else:
            self.units = other.units
            self.declared_min, self.declared_max = other.declared_min, other.declared_max
        self._add(other)

    def check_fits(self, other: FeatureStats) -> None:
        """Raise `StatsError` if `other` is of another kind, period or unit."""
        if self.kind is None or other.kind is None:
            return
        if self.units != other.units:
            raise StatsError(f"units {other.units!r} differ from {self.units!r} before")
        self._agree(other.kind, other.period)

    @property
    def mean(self) -> float | None:
        """Mean of the values, of a circular feature the circular one; None where it has none.

        A circular mean lies in `[start, start + period)`, where the start is the lower end of the
        declared range, or 0. It is None for values that cancel out around the circle.
        """
        if not self.count:
            return None
        if self.kind != "circular":
            return self._mean
        if self._resultant < 1e-9:
            return None
        period, start = self.period or math.tau, self.declared_min or 0.0
        angle = math.atan2(self._sin, self._cos) / math.tau * period
        around = (angle - start) % period
        # A hair below the start is the start: the modulo made almost a whole period of it.
        return start if period - around < 1e-12 * period else start + around

    @property
    def std(self) -> float | None:
        """Standard deviation (of the population), of a circular feature `sqrt(-2 ln R)`.

        R is the length of the mean of the values as unit vectors; see Mardia and Jupp,
        "Directional Statistics", 2.3.4. None for values that cancel out around the circle.
        """
        if not self.count:
            return None
        if self.kind != "circular":
            return math.sqrt(max(self._squares, 0.0) / self.count)
        if self._resultant < 1e-9:
            return None
        spread = math.sqrt(max(0.0, -2 * math.log(self._resultant)))
        return spread / math.tau * (self.period or math.tau)

    @property
    def quantiles(self) -> dict[str, float]:
        """`p01` to `p99`; empty for a circular feature, and where there is no value.

        Exact up to `preprocess.quantiles.EXACT_VALUES` values, else within
        `preprocess.quantiles.RELATIVE_ERROR` of their size.
        """
        if not self.count or self.kind == "circular":
            return {}
        low, high = float(self.min or 0.0), float(self.max or 0.0)
        found = self._sketch.quantiles(list(QUANTILES.values()))
        return {name: min(max(v, low), high) for name, v in zip(QUANTILES, found, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON can hold them, with what a later merge needs in `state`."""
        state: dict[str, Any] = {"mean": self._mean, "squares": self._squares}
        if self.kind == "circular":
            state = {"cos": self._cos, "sin": self._sin}
        else:
            state["sketch"] = self._sketch.to_dict()
        stored: dict[str, Any] = {
            "kind": self.kind,
            "units": self.units,
            "declared_min": self.declared_min,
            "declared_max": self.declared_max,
            "count": self.count,
            "nan_count": self.nan_count,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "std": self.std,
            "quantiles": self.quantiles,
        }
        if self.kind == "circular":
            stored["period"] = self.period
        if self.kind == "categorical" and self.labels is not None:
            stored["labels"] = {str(label): n for label, n in sorted(self.labels.items())}
        return {**stored, "state": state}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FeatureStats:
        """Return the statistics that `to_dict` stored.

        Raises:
            StatsError: They are not of that form.
        """
        try:
            kind, state = stored["kind"], stored["state"]
            if kind is not None and kind not in KINDS:
                raise ValueError(f"kind {kind!r}")
            labels = stored.get("labels")
            numbers = ("min", "max", "declared_min", "declared_max", "period")
            return cls(
                count=int(stored["count"]),
                nan_count=int(stored["nan_count"]),
                kind=kind,
                units=str(stored["units"]),
                labels=Counter({int(label): int(n) for label, n in labels.items()})
                if labels is not None
                else (None if kind == "categorical" else Counter()),
                _mean=float(state.get("mean", 0.0)),
                _squares=float(state.get("squares", 0.0)),
                _cos=float(state.get("cos", 0.0)),
                _sin=float(state.get("sin", 0.0)),
                _sketch=QuantileSketch.from_dict(state.get("sketch", {"values": []})),
                **{key: _number(stored.get(key)) for key in numbers},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StatsError(f"these are no statistics of a feature: {error}") from None

    @property
    def _resultant(self) -> float:
        """R: 1 where all values are the same, 0 where they cancel out."""
        return min(1.0, math.hypot(self._cos, self._sin) / self.count)

    def _agree(self, kind: str, period: float | None) -> None:
        if period is not None and not 0 < period < math.inf:
            raise StatsError(f"period {period} must be positive and finite")
        for name, mine, given in (("kind", self.kind, kind), ("period", self.period, period)):
            if self.kind is not None and mine != given:
                raise StatsError(f"{name} {given!r} differs from {mine!r} before")

    def _declare(self, low: float | None, high: float | None) -> None:
        """Widen the declared range; a clip that declares none leaves none."""
        for name, value, widest in (("declared_min", low, min), ("declared_max", high, max)):
            now = getattr(self, name)
            setattr(self, name, None if now is None or value is None else widest(now, value))

    def _measure(self, finite: NDArray[np.float64]) -> None:
        self.min, self.max = float(finite.min()), float(finite.max())
        if self.kind == "circular":
            period = self.period or math.tau
            angles = np.mod(finite, period) / period * math.tau
            self._cos, self._sin = float(np.cos(angles).sum()), float(np.sin(angles).sum())
            return
        self._mean = float(finite.mean())
        self._squares = float(np.square(finite - self._mean).sum())
        self._sketch.update(finite)
        if self.kind == "categorical":
            self.labels = _label_counts(finite)

    def _add(self, piece: FeatureStats) -> None:
        """Add sums; the mean moves as in Chan, Golub and LeVeque, "Updating Formulae", 1979."""
        self.kind, self.period = piece.kind, piece.period
        together = self.count + piece.count
        if piece.count:
            apart = piece._mean - self._mean
            self._mean += apart * (piece.count / together)
            self._squares += piece._squares + apart**2 * (self.count * piece.count / together)
            self.min = _least(self.min, piece.min)
            self.max = _most(self.max, piece.max)
        self.count = together
        self.nan_count += piece.nan_count
        self._cos += piece._cos
        self._sin += piece._sin
        self._sketch.merge(piece._sketch)
        if self.labels is None or piece.labels is None:
            self.labels = None
        else:
            self.labels = self.labels + piece.labels
            if len(self.labels) > MAX_LABELS:
                self.labels = None


def _label_counts(values: NDArray[np.float64]) -> Counter[int] | None:
    labels, counts = np.unique(values, return_counts=True)
    if len(labels) > MAX_LABELS or (labels != np.round(labels)).any():
        return None
    return Counter({int(label): int(n) for label, n in zip(labels, counts, strict=True)})


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise ValueError(f"{value} is not finite")
    return float(value)


def _least(a: float | None, b: float | None) -> float | None:
    return min((v for v in (a, b) if v is not None), default=None)


def _most(a: float | None, b: float | None) -> float | None:
    return max((v for v in (a, b) if v is not None), default=None)
