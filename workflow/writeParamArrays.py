"""The predecessor's sidecar writer, based on `preprocess.sidecar`, which new code should import."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.sidecar.parameters import ParameterValue, SidecarError
from preprocess.sidecar.precision import Dtype
from preprocess.sidecar.sidecar_format import SCHEMA_VERSION
from preprocess.sidecar.writing import Mode
from preprocess.sidecar.writing import write_sidecar_features_for_rel as _write

__all__ = ["write_sidecar_features", "write_sidecar_features_for_rel"]

_READABLE_AS = (2, SCHEMA_VERSION)

warnings.warn(
    "workflow.writeParamArrays is deprecated: "
    "from preprocess.sidecar import write_sidecar_features_for_rel",
    DeprecationWarning,
    stacklevel=2,
)


def write_sidecar_features(
    *,
    root: str | Path,
    ecdc_rel: str | Path,
    features: Mapping[str, ParameterValue],
    dtype: Dtype = "auto",
    fps: float | None = None,
    schema_version: int = 2,
    mode: Mode = "overwrite",
    require_ecdc_exists: bool = False,
) -> None:
    """Write parameters of the clip whose token file is `root / ecdc_rel`.

    Args:
        root: The token folder.
        ecdc_rel: The token file, relative to it.
        features: Name -> values `[T]` or `[T, 1]`, or a mapping with `values` and optionally
            `units`, `doc_string`, `min`, `max`, `mean`, `std`. If empty, nothing is written.
        dtype: Of the array; `auto` is float16 if every value survives, else float32. The
            predecessor's default was float16 with rounding.
        fps: Frames per second; required only if the token file does not exist.
        schema_version: 2 or 3. Version 3 is written, which version 2 readers can read.
        mode: `append` keeps parameters that already exist, `overwrite` replaces them, and
            `replace-all` keeps none.
        require_ecdc_exists: A missing token file is an error.

    Raises:
        SidecarError: As in `preprocess.sidecar.write_sidecar_features_for_rel`, or the version is
            not 2 or 3; nothing is written.
        FileNotFoundError: The token file is missing and `require_ecdc_exists` is set.
    """
    if schema_version not in _READABLE_AS:
        raise SidecarError(
            f"schema_version {schema_version!r} must be one of {_READABLE_AS}: "
            f"version {SCHEMA_VERSION} is written, which version 2 readers can read"
        )
    if features:
        flat = {name: _flat(value) for name, value in features.items()}
        _write(root, ecdc_rel, flat, fps, mode, require_ecdc_exists, dtype)


write_sidecar_features_for_rel = write_sidecar_features


def _flat(value: ParameterValue) -> Any:
    """Return a parameter with its values `[T, 1]` as `[T]`; return any other unchanged."""
    if isinstance(value, Mapping):
        return {**value, "values": _flat(value["values"])} if "values" in value else value
    values = np.asarray(value)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else value
