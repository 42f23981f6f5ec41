"""A parameter's values over time, with their own times or at a rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.params.columns import Column

Values = NDArray[np.float64]
Indices = NDArray[np.int64]
# Tolerance for equal times: far above rounding errors within a day, far below one sample.
SAME_TIME_S = 1e-9


@dataclass(frozen=True, eq=False)
class Points:
    """A parameter's values over time.

    Attributes:
        values: Values `[N]`.
        times_s: Times in seconds `[N]`, ascending; equal times make a jump. None with a rate.
        rate_hz: Values per second; None with times.
        first_s: Time of the first value in seconds, with a rate.
        column: The table column that the values come from, or None.
    """

    values: Values
    times_s: Values | None = None
    rate_hz: float | None = None
    first_s: float = 0.0
    column: Column | None = None

    def check(self) -> None:
        """Check that values and times make a curve.

        Raises:
            PreprocessError: They do not.
        """
        if self.values.ndim != 1 or not len(self.values):
            raise PreprocessError(f"a curve must be [N] values, got {list(self.values.shape)}")
        if np.isinf(self.values).any():
            at = int(np.argmax(np.isinf(self.values)))
            raise PreprocessError(f"value {at} of the curve is infinite")
        if self.times_s is None:
            if self.rate_hz is None or not 0 < self.rate_hz < np.inf:
                raise PreprocessError(f"a curve needs times or a positive rate, got {self.rate_hz}")
            return
        if self.times_s.shape != self.values.shape:
            raise PreprocessError(f"{len(self.times_s)} times, but {len(self.values)} values")
        if not np.isfinite(self.times_s).all():
            at = int(np.argmin(np.isfinite(self.times_s)))
            raise PreprocessError(f"time {at} of the curve is {self.times_s[at]}")
        back = np.diff(self.times_s) < 0
        if back.any():
            at = int(np.argmax(back))
            before, after = self.times_s[at : at + 2]
            raise PreprocessError(f"the times go back from {before:g} s to {after:g} s")

    def ends_s(self) -> tuple[float, float]:
        """Return the times of the first and last value in seconds."""
        if self.times_s is not None:
            return float(self.times_s[0]), float(self.times_s[-1])
        return self.first_s, self.first_s + (len(self.values) - 1) / (self.rate_hz or 1)

    def spacing_s(self) -> float:
        """Return the median time between successive values in seconds, ignoring jumps."""
        if self.times_s is None:
            return 1 / (self.rate_hz or 1)
        steps = np.diff(self.times_s)
        steps = steps[steps > 0]
        return float(np.median(steps)) if len(steps) else 0.0

    def places(self, at_s: Values) -> Values:
        """Return fractional indices of times: 2.25 is a quarter of the way from value 2 to 3."""
        if self.times_s is None:
            return np.clip((at_s - self.first_s) * (self.rate_hz or 1), 0, len(self.values) - 1)
        before = np.searchsorted(self.times_s, at_s, side="right") - 1
        before = np.clip(before, 0, len(self.values) - 1)
        after = np.minimum(before + 1, len(self.values) - 1)
        start, end = self.times_s[before], self.times_s[after]
        width = np.where(end > start, end - start, 1.0)
        return before + np.clip((at_s - start) / width, 0.0, np.nextafter(1, 0)) * (end > start)

    def between(self, starts_s: Values, ends_s: Values) -> tuple[Indices, Indices]:
        """Return, for each time span, the index of its first value and the index after its last.

        A span includes a value at its start, but not a value at its end.
        """
        return self._at_or_after(starts_s), self._at_or_after(ends_s)

    def _at_or_after(self, at_s: Values) -> Indices:
        at_s = at_s - SAME_TIME_S
        if self.times_s is not None:
            return np.searchsorted(self.times_s, at_s, side="left").astype(np.int64)
        places = np.ceil((at_s - self.first_s) * (self.rate_hz or 1))
        return np.clip(places, 0, len(self.values)).astype(np.int64)
