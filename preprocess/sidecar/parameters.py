"""A parameter of one clip, checked and measured before it goes into a sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preprocess.core.errors import PreprocessError
from preprocess.sidecar.parameter_info import ParameterInfo, circular_period
from preprocess.sidecar.precision import FLOATS, MAX_ERROR, MAX_WHOLE, Dtype, find_damage

KINDS = ("continuous", "categorical", "circular")
GIVEN_KEYS = ("values", "units", "doc_string", "kind", "nan", "source", "min", "max", "mean", "std")
_NUMBERS = ("min", "max", "mean", "std")
MAX_VALUE = 1e150
"""The largest absolute value: in a standard deviation, the square of a larger one may overflow."""

ParameterValue = ArrayLike | Mapping[str, Any]
"""A parameter as a writer gives it: its values, or a mapping with `values` and more."""


class SidecarError(PreprocessError, ValueError):
    """A sidecar cannot be read, or parameters cannot be written as one."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter of one clip.

    Attributes:
        values: `[T]`, float16, float32 or float64 as stored.
        units: Physical unit, such as `dB` or `Hz`; may be empty.
        doc_string: What it means.
        kind: `continuous`, `categorical` (integer labels) or `circular` (an angle or phase).
        nan: What NaN means, such as `unvoiced`; empty if NaN would be a mistake.
        source: What it was read from and how, such as a column of numbers with a decimal comma.
        min: Lower end of the range to normalise by; None if unknown.
        max: Upper end of the range to normalise by; None if unknown.
        declared: Whether the writer declared the range; else it was measured. Versions 1 and 2 do
            not say; for them a range counts as declared if it differs from the measured one.
        measured: min, max, mean and std of the values that are not NaN; each None if all are NaN.
        mean: The mean to normalise by: as the writer gave it, else as measured.
        std: The standard deviation to normalise by: as the writer gave it, else as measured.
    """

    values: NDArray[np.floating]
    units: str = ""
    doc_string: str = ""
    kind: str = "continuous"
    nan: str = ""
    source: str = ""
    min: float | None = None
    max: float | None = None
    declared: bool = False
    measured: dict[str, float | None] = field(default_factory=dict)
    mean: float | None = None
    std: float | None = None

    @property
    def info(self) -> ParameterInfo:
        """Its description, without a range that was only measured."""
        low, high = (self.min, self.max) if self.declared else (None, None)
        return ParameterInfo(self.units, self.doc_string, self.kind, low, high)

    @classmethod
    def from_info(cls, info: ParameterInfo, values: NDArray[np.floating]) -> Parameter:
        """Return `values` `[T]` as a parameter with this description."""
        return cls(
            values,
            units=info.units,
            doc_string=info.doc_string,
            kind=info.kind,
            min=info.min,
            max=info.max,
            declared=info.is_declared,
        )

    @property
    def period(self) -> float | None:
        """The period of a circular parameter, in `units`; None for other kinds."""
        return self.info.period

    @property
    def span(self) -> float:
        """Width of the declared range, else of the measured range; 0 if neither has a width."""
        measured = self.measured.get("min"), self.measured.get("max")
        for low, high in ((self.min, self.max) if self.declared else measured, measured):
            if low is not None and high is not None and high > low:
                return high - low
        return 0.0


def check_parameter(name: str, value: ParameterValue) -> Parameter:
    """Check one parameter, convert its values to float64 and measure its statistics.

    Values of a circular parameter are wrapped into `[low, low + period)`, where `low` is the lower
    end of the declared range, or 0.

    Args:
        name: The parameter's name, an identifier.
        value: Values `[T]`, or a mapping with `values` and other keys of `GIVEN_KEYS`.

    Raises:
        SidecarError: The name is not an identifier, a key is unknown, the values are not `[T]`
            numbers, are infinite or too large, a label is not a whole number, or min is above max.
    """
    given = _given(name, value)
    values, stated = _numbers(name, given)
    kind = given.get("kind") or "continuous"
    if kind not in KINDS:
        raise SidecarError(f"parameter {name!r}: kind {kind!r} must be one of {', '.join(KINDS)}")
    units = str(given.get("units") or "")
    if kind == "categorical" and (at := first_fraction(values)) is not None:
        raise SidecarError(
            f"parameter {name!r}: frame {at} is {values[at]:.9g}; labels of a categorical "
            f"parameter must be whole numbers"
        )
    if kind == "circular":
        stated |= _circle(units, stated)
        low = stated.get("min")
        values = wrap(values, low or 0.0, circular_period(units, low, stated.get("max")))
    measured = measure(values)
    norm = {**measured, **stated}
    if norm["min"] is not None and norm["max"] is not None and norm["min"] > norm["max"]:
        raise SidecarError(f"parameter {name!r}: min {norm['min']:g} is above max {norm['max']:g}")
    return Parameter(
        values,
        units=units,
        doc_string=str(given.get("doc_string") or ""),
        kind=kind,
        nan=str(given.get("nan") or ""),
        source=str(given.get("source") or ""),
        declared="min" in stated or "max" in stated,
        measured=measured,
        **norm,
    )


def _given(name: str, value: ParameterValue) -> dict[str, Any]:
    if not isinstance(name, str) or not name.isidentifier():
        raise SidecarError(
            f"parameter {name!r}: a name must consist of letters, digits and underscores"
        )
    given: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"values": value}
    unknown = [key for key in given if key not in GIVEN_KEYS]
    if unknown or "values" not in given:
        what = f"unknown key {unknown[0]!r}" if unknown else "no 'values'"
        raise SidecarError(f"parameter {name!r}: {what}; known keys: {', '.join(GIVEN_KEYS)}")
    return given


def _numbers(
    name: str, given: Mapping[str, Any]
) -> tuple[NDArray[np.float64], dict[str, float | None]]:
    """Return the values as float64 `[T]`, and the given ones of min, max, mean and std."""
    try:
        raw = np.asarray(given["values"])
        if raw.dtype.kind in "cmM":
            raise TypeError(raw.dtype)
        values = raw.astype(np.float64)
        stated = {key: float(given[key]) for key in _NUMBERS if given.get(key) is not None}
    except (TypeError, ValueError, OverflowError):
        raise SidecarError(f"parameter {name!r}: values, min and max must be numbers") from None
    _check_values(name, raw, values)
    if not np.isfinite([*stated.values()]).all():
        raise SidecarError(f"parameter {name!r}: min, max, mean and std must be finite")
    return values, dict(stated)


def _check_values(name: str, raw: NDArray[Any], values: NDArray[np.float64]) -> None:
    """Check values after conversion to float64.

    Raises:
        SidecarError: `values` are not `[T]`, are infinite or too large, or differ from whole
            numbers in `raw`.
    """
    if values.ndim != 1 or not len(values):
        raise SidecarError(f"parameter {name!r}: values must be [T], got {list(values.shape)}")
    if np.isinf(values).any():
        raise SidecarError(
            f"parameter {name!r}: frame {int(np.argmax(np.isinf(values)))} is infinite"
        )
    large = np.abs(values) > MAX_VALUE
    if large.any():
        at = int(np.argmax(large))
        raise SidecarError(
            f"parameter {name!r}: frame {at} is {values[at]:g}; values must be within {MAX_VALUE:g}"
        )
    if raw.dtype.kind in "iuO":  # Python compares integers with floats exactly, numpy does not
        for at in np.flatnonzero(np.abs(values) >= MAX_WHOLE).tolist():
            if int(raw[at]) != float(values[at]):
                raise SidecarError(
                    f"parameter {name!r}: frame {at} is {raw[at]}, which float64 cannot hold; "
                    f"subtract a common offset from all values"
                )


def _circle(units: str, stated: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the missing end of the declared range if exactly one end is given, else nothing."""
    low, high, period = stated.get("min"), stated.get("max"), circular_period(units)
    if low is not None and high is None:
        return {"max": low + period}
    return {"min": high - period} if high is not None and low is None else {}


def wrap(values: NDArray[np.float64], low: float, period: float) -> NDArray[np.float64]:
    """Wrap values `[T]` into `[low, low + period)`; values already inside do not change."""
    around = np.mod(values - low, period)
    around = np.where(around >= period, 0.0, around)  # just below `low`, mod rounds to `period`
    inside = (values >= low) & (values < low + period)
    return np.where(inside, values, low + around)


def first_fraction(values: NDArray[np.floating]) -> int | None:
    """Return the first frame whose value is finite but not a whole number; None if there is none."""
    fractions = np.isfinite(values) & (values != np.round(values))
    return int(np.argmax(fractions)) if fractions.any() else None


def measure(values: NDArray[np.floating]) -> dict[str, float | None]:
    """Return min, max, mean and std of the finite values; each None if there are no values."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return dict.fromkeys(("min", "max", "mean", "std"))
    return {
        "min": float(finite.min()),
        "max": float(finite.max()),
        "mean": float(finite.mean()),
        "std": float(finite.std()),
    }


def array_dtype(
    parameters: Mapping[str, Parameter],
    dtype: Dtype,
    max_error: float = MAX_ERROR,
    at_least: str = "float16",
) -> np.dtype[Any]:
    """Return the dtype of an array that holds all `parameters` without damaging a value.

    Args:
        parameters: Name -> parameter.
        dtype: The requested dtype.
        max_error: Largest difference between a stored and a given value, as a fraction of the
            parameter's range.
        at_least: The narrowest dtype that the result may have.

    Raises:
        SidecarError: `dtype`, or with `auto` float32, would damage a value.
    """
    wide_enough = FLOATS[FLOATS.index(at_least) :]
    if dtype == "auto":
        candidates = [d for d in wide_enough if d != "float64"] or ["float64"]
    else:
        candidates = [dtype if dtype in wide_enough else at_least]
    refused = []
    for candidate in candidates:
        refused = [
            (name, damage)
            for name, parameter in parameters.items()
            if (damage := find_damage(parameter.values, candidate, parameter.span, max_error))
        ]
        if not refused:
            return np.dtype(candidate)
    name, damage = refused[0]
    advice = f"choose dtype {damage.better}"
    if damage.rounding:
        advice = f"that is more than {max_error:g} of its range: {advice}, or a larger max_error"
    raise SidecarError(f"parameter {name!r}: {damage}; {advice}")
