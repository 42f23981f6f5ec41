"""Features: one parameter of one clip, checked and measured before it goes into a sidecar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preprocess.errors import PreprocessError

KINDS = ("continuous", "categorical", "circular")
GIVEN_KEYS = ("values", "units", "doc_string", "kind", "nan", "source", "min", "max", "mean", "std")
_NUMBERS = ("min", "max", "mean", "std")
_FLOAT16_EXACT_INTEGERS = 2048

_PERIODS = {
    **dict.fromkeys(("deg", "degree", "degrees", "\N{DEGREE SIGN}"), 360.0),
    **dict.fromkeys(("turn", "turns", "cycle", "cycles"), 1.0),
}

Dtype = Literal["auto", "float16", "float32"]
FeatureValue = ArrayLike | Mapping[str, Any]
"""What a writer gives for a feature: its values, or a mapping with `values` and more."""


class SidecarError(PreprocessError, ValueError):
    """A sidecar cannot be read, or features cannot be written as one."""


@dataclass(frozen=True, eq=False)
class Feature:
    """One parameter of one clip.

    Attributes:
        values: `[T]`, float16 or float32 as stored.
        units: Physical unit, such as `dB` or `Hz`; may be empty.
        doc_string: What it means.
        kind: `continuous`, `categorical` (integer labels) or `circular` (an angle or phase).
        nan: What NaN stands for, such as `unvoiced`; empty where NaN would be a mistake.
        source: What it was read from and how, such as a column of numbers with a decimal comma.
        min: Lower end of the range to normalise by; None where nothing is known.
        max: Upper end of it.
        declared: Whether the writer declared that range, or it was measured. Versions 1 and 2 do
            not tell; then False.
        measured: min, max, mean and std over the frames that are not NaN; None where all are.
        mean: The mean to normalise by: as given by the writer, else measured.
        std: The standard deviation to normalise by, likewise.
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
    def period(self) -> float | None:
        """Of a circular feature, how far it is around the circle; else None."""
        if self.kind != "circular":
            return None
        low, high = (self.min, self.max) if self.declared else (None, None)
        return circular_period(self.units, low, high)


def circular_period(units: str, low: float | None = None, high: float | None = None) -> float:
    """Return how far it is around the circle of a circular feature.

    The width of the declared range; without one, 360 where `units` are degrees, 1 where they are
    turns or cycles, and 2 pi.
    """
    if low is not None and high is not None and high > low:
        return high - low
    return _PERIODS.get(units.lower(), math.tau)


def check_feature(name: str, value: FeatureValue) -> Feature:
    """Return what a writer gives for one feature as float64 values with its measured statistics.

    Raises:
        SidecarError: The name is no identifier, a key is unknown, the values are not `[T]`
            numbers or hold infinity, or the range is upside down.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise SidecarError(f"feature {name!r}: a name must be letters, digits and underscores")
    given: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"values": value}
    unknown = [key for key in given if key not in GIVEN_KEYS]
    if unknown or "values" not in given:
        what = f"unknown key {unknown[0]!r}" if unknown else "no 'values'"
        raise SidecarError(f"feature {name!r}: {what}; known keys: {', '.join(GIVEN_KEYS)}")
    try:
        if np.iscomplexobj(given["values"]):
            raise TypeError("complex")
        values = np.asarray(given["values"], np.float64)
        stated = {key: float(given[key]) for key in _NUMBERS if given.get(key) is not None}
    except (TypeError, ValueError):
        raise SidecarError(f"feature {name!r}: values, min and max must be numbers") from None
    if values.ndim != 1 or not len(values):
        raise SidecarError(f"feature {name!r}: values must be [T], got {list(values.shape)}")
    if np.isinf(values).any():
        raise SidecarError(
            f"feature {name!r}: frame {int(np.argmax(np.isinf(values)))} is infinite"
        )
    kind = given.get("kind") or "continuous"
    if kind not in KINDS:
        raise SidecarError(f"feature {name!r}: kind {kind!r} must be one of {', '.join(KINDS)}")
    if not np.isfinite([*stated.values()]).all():
        raise SidecarError(f"feature {name!r}: min, max, mean and std must be finite")
    measured = measure(values)
    norm = {**measured, **stated}
    if norm["min"] is not None and norm["max"] is not None and norm["min"] > norm["max"]:
        raise SidecarError(f"feature {name!r}: min {norm['min']:g} is above max {norm['max']:g}")
    return Feature(
        values,
        units=str(given.get("units") or ""),
        doc_string=str(given.get("doc_string") or ""),
        kind=kind,
        nan=str(given.get("nan") or ""),
        source=str(given.get("source") or ""),
        declared="min" in stated or "max" in stated,
        measured=measured,
        **norm,
    )


def measure(values: NDArray[np.floating]) -> dict[str, float | None]:
    """Return min, max, mean and std of the finite values, None where there are none."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return dict.fromkeys(("min", "max", "mean", "std"))
    return {
        "min": float(finite.min()),
        "max": float(finite.max()),
        "mean": float(finite.mean()),
        "std": float(finite.std()),
    }


def array_dtype(features: Mapping[str, Feature], dtype: Dtype) -> type[np.floating]:
    """Return the dtype of the array that holds all `features`.

    An array that has float32 in it stays float32; float16 is taken only where it damages nothing.

    Raises:
        SidecarError: `dtype` is float16 and would overflow or round an integer of a feature.
    """
    if dtype == "float32" or any(f.values.dtype == np.float32 for f in features.values()):
        return np.float32
    for name, feature in features.items():
        at = _first_damaged(feature.values)
        if at is None:
            continue
        if dtype == "auto":
            return np.float32
        value = feature.values[at]
        with np.errstate(over="ignore"):
            half = np.float16(value)
        raise SidecarError(
            f"feature {name!r}: float16 would make {half} of {value:.9g} at frame {at}; "
            f'write with dtype="float32"'
        )
    return np.float16


def _first_damaged(values: NDArray[np.floating]) -> int | None:
    """Return the first frame whose value float16 overflows or, if it is an integer, rounds."""
    with np.errstate(over="ignore"):
        half = values.astype(np.float16).astype(np.float64)
    integers = (values == np.round(values)) & (np.abs(values) > _FLOAT16_EXACT_INTEGERS)
    damaged = (np.isinf(half) & np.isfinite(values)) | (integers & (half != values))
    return int(np.argmax(damaged)) if damaged.any() else None
