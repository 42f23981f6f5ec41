"""Statistics of one parameter over a corpus; for all parameters, `preprocess.stats.corpus_stats`."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.core.untrusted import clipped, shown
from preprocess.sidecar.parameters import KINDS, MAX_VALUE, first_fraction
from preprocess.stats.labels import MAX_LABELS, label_counts, stored_labels
from preprocess.stats.quantiles import QUANTILES, QuantileSketch
from preprocess.stats.stored_numbers import stored_count, stored_number


class StatsError(PreprocessError, ValueError):
    """Statistics do not fit each other, or a file with statistics cannot be read."""


@dataclass
class ParameterStats:
    """One parameter over a corpus.

    Attributes:
        count: Number of values that are not NaN.
        nan_count: Number of values that are NaN, which means "no value".
        min: Smallest value; None without values.
        max: Largest value; None without values.
        kind: `continuous`, `categorical` or `circular`; None before the first update.
        units: Physical unit.
        period: Period of a circular parameter, in `units`; else None.
        declared_min: Lower end of the declared range, the lowest of all clips; None if a clip
            declares none.
        declared_max: Upper end of the declared range, the highest of all clips; None if a clip
            declares none.
        labels: For a categorical parameter, label -> number of frames; None if there are more than
            `MAX_LABELS` labels.
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
            values: `[T]`, of any float type; NaN is counted separately.
            kind: `continuous`, `categorical` or `circular`.
            period: Period of a circular parameter, such as 360 for degrees; without it, 2 pi.

        Raises:
            StatsError: A value is infinite or too large to square, a label is not a whole number,
                or kind or period differ from earlier clips.
        """
        if kind not in KINDS:
            raise StatsError(f"kind {kind!r} must be one of {', '.join(KINDS)}")
        period = (period or math.tau) if kind == "circular" else None
        self._agree(kind, period)
        if np.isinf(values).any():
            raise StatsError(f"frame {int(np.argmax(np.isinf(values)))} is infinite")
        doubles = np.asarray(values, np.float64)
        if (np.abs(doubles) > MAX_VALUE).any():
            raise StatsError(f"frame {int(np.nanargmax(np.abs(doubles)))} is beyond {MAX_VALUE:g}")
        finite = doubles[~np.isnan(doubles)]
        if kind == "categorical" and (at := first_fraction(values)) is not None:
            raise StatsError(f"frame {at} is {values[at]:.9g}; labels must be whole numbers")
        piece = ParameterStats(len(finite), len(values) - len(finite), kind=kind, period=period)
        if len(finite):
            piece._measure(finite)
        self._add(piece)

    def merge(self, other: ParameterStats) -> None:
        """Add the statistics of `other`.

        Raises:
            StatsError: Its kind, period or unit differs.
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

    def check_fits(self, other: ParameterStats) -> None:
        """Check that `other` can be merged.

        Raises:
            StatsError: Its kind, period or unit differs.
        """
        if self.kind is None or other.kind is None:
            return
        if self.units != other.units:
            raise StatsError(f"units {other.units!r} differ from {self.units!r} in earlier clips")
        self._agree(other.kind, other.period)

    @property
    def mean(self) -> float | None:
        """Mean of the values; the circular mean for a circular parameter.

        A circular mean is in `[start, start + period)`, where `start` is the lower end of the
        declared range, or 0. None without values, for a categorical parameter, and for angles that
        cancel out.
        """
        if not self.count or self.kind == "categorical":
            return None
        if self.kind != "circular":
            return self._mean
        if self._resultant < 1e-9:
            return None
        period, start = self.period or math.tau, self.declared_min or 0.0
        angle = math.atan2(self._sin, self._cos) / math.tau * period
        around = (angle - start) % period
        # Rounding just below `start` gives almost a whole period; return `start` then.
        return start if period - around < 1e-12 * period else start + around

    @property
    def std(self) -> float | None:
        """Population standard deviation; for a circular parameter, `sqrt(-2 ln R)` in `units`.

        R is the length of the mean of the values as unit vectors; see Mardia and Jupp,
        "Directional Statistics", 2.3.4. None without values, for a categorical parameter, and for
        angles that cancel out.
        """
        if not self.count or self.kind == "categorical":
            return None
        if self.kind != "circular":
            return math.sqrt(max(self._squares, 0.0) / self.count)
        if self._resultant < 1e-9:
            return None
        spread = math.sqrt(max(0.0, -2 * math.log(self._resultant)))
        return spread / math.tau * (self.period or math.tau)

    @property
    def quantiles(self) -> dict[str, float]:
        """`p01` to `p99` by numpy's default definition; empty without values.

        Exact up to `preprocess.stats.quantiles.MAX_BINS` different values, else within
        `preprocess.stats.quantiles.RELATIVE_ERROR` of the spread from `min` to `max`. Angles and labels
        are not ordered, so circular and categorical parameters have no quantiles.
        """
        if not self.count or self.kind != "continuous":
            return {}
        low, high = float(self.min or 0.0), float(self.max or 0.0)
        found = self._sketch.quantiles(list(QUANTILES.values()))
        return {name: min(max(v, low), high) for name, v in zip(QUANTILES, found, strict=True)}

    def histogram(self, bins: int) -> list[int]:
        """Return the values in even parts from `min` to `max`; empty where `quantiles` are."""
        if not self.count or self.kind != "continuous" or self.min is None or self.max is None:
            return []
        return [int(n) for n in self._sketch.histogram(self.min, self.max, bins)]

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON values; `state` holds what a later merge needs."""
        state: dict[str, Any] = {}
        if self.kind == "circular":
            state = {"cos": self._cos, "sin": self._sin}
        elif self.kind == "continuous":
            sketch = self._sketch.to_dict()
            state = {"mean": self._mean, "squares": self._squares, "sketch": sketch}
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
    def from_dict(cls, stored: Mapping[str, Any]) -> ParameterStats:
        """Return the statistics that `to_dict` stored.

        Raises:
            StatsError: The format is not that of `to_dict`.
        """
        try:
            kind, state = stored["kind"], stored["state"]
            if kind is not None and kind not in KINDS:
                raise ValueError(f"kind {shown(kind)}")
            numbers = ("min", "max", "declared_min", "declared_max", "period")
            has_sketch = kind == "continuous"
            sketch = QuantileSketch.from_dict(state["sketch"]) if has_sketch else QuantileSketch()
            if has_sketch and sketch.count != stored["count"]:
                raise ValueError(f"quantiles of {sketch.count} values")
            stats = cls(
                count=stored_count(stored["count"]),
                nan_count=stored_count(stored["nan_count"]),
                kind=kind,
                units=str(stored["units"]),
                labels=stored_labels(stored),
                _mean=stored_number(state.get("mean"), MAX_VALUE) or 0.0,
                _squares=stored_number(state.get("squares"), sys.float_info.max) or 0.0,
                _cos=stored_number(state.get("cos"), MAX_VALUE) or 0.0,
                _sin=stored_number(state.get("sin"), MAX_VALUE) or 0.0,
                _sketch=sketch,
                **{key: stored_number(stored.get(key), MAX_VALUE) for key in numbers},
            )
            stats._check_whole()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StatsError(f"invalid statistics of a parameter: {clipped(error)}") from None
        return stats

    def _check_whole(self) -> None:
        """Raise `ValueError` if statistics from a file contradict each other."""
        if self.period is not None and not self.period > 0:
            raise ValueError(f"period {self.period}")
        if self.count and (self.kind is None or self.min is None or self.max is None):
            raise ValueError(f"{self.count} values without a kind or a range")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")

    @property
    def _resultant(self) -> float:
        """R: 1 if all angles are the same, 0 if they cancel out."""
        return min(1.0, math.hypot(self._cos, self._sin) / self.count)

    def _agree(self, kind: str, period: float | None) -> None:
        if period is not None and not 0 < period < math.inf:
            raise StatsError(f"period {period} must be positive and finite")
        for name, mine, given in (("kind", self.kind, kind), ("period", self.period, period)):
            if self.kind is not None and mine != given:
                raise StatsError(f"{name} {given!r} differs from {mine!r} in earlier clips")

    def _declare(self, low: float | None, high: float | None) -> None:
        """Widen the declared range; a clip without one makes it None."""
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
        if self.kind == "categorical":
            self.labels = label_counts(finite)
            return
        self._mean = float(finite.mean())
        self._squares = float(np.square(finite - self._mean).sum())
        self._sketch.update(finite)

    def _add(self, piece: ParameterStats) -> None:
        """Add sums; updates the mean as in Chan, Golub and LeVeque, "Updating Formulae", 1979."""
        self.kind, self.period = piece.kind, piece.period
        together = self.count + piece.count
        if piece.count:
            apart = piece._mean - self._mean
            self._mean += apart * (piece.count / together)
            self._squares += piece._squares + apart**2 * (self.count * piece.count / together)
            self.min = min(v for v in (self.min, piece.min) if v is not None)
            self.max = max(v for v in (self.max, piece.max) if v is not None)
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
