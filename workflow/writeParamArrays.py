"""The predecessor's writer of sidecars, over `preprocess.sidecar`, which new code imports itself."""

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
        features: Name -> values `[T]` or `[T, 1]`, or a mapping with `values` and, as wished,
            `units`, `doc_string`, `min`, `max`, `mean`, `std`. Nothing is written for none.
        dtype: Of the array; `auto` is float16 where every value survives, else float32. The
            predecessor's default was a float16 that rounded.
        fps: Frames per second; needed only where the token file does not exist.
        schema_version: 2 or 3. Version 3 is written, which a reader of version 2 reads.
        mode: A parameter that is already there is kept (`append`) or replaced (`overwrite`).
        require_ecdc_exists: Whether a token file that does not exist is an error.

    Raises:
        SidecarError: As `preprocess.sidecar.write_sidecar_features_for_rel`, or the version is
            another; nothing is written.
        FileNotFoundError: `require_ecdc_exists` and there is no token file.
    """
    if schema_version not in _READABLE_AS:
        raise SidecarError(
            f"schema_version {schema_version!r} must be one of {_READABLE_AS}: "
            f"version {SCHEMA_VERSION} is written, which readers of version 2 read"
        )
    if features:
        flat = {name: _flat(value) for name, value in features.items()}
        _write(root, ecdc_rel, flat, fps, mode, require_ecdc_exists, dtype)


write_sidecar_features_for_rel = write_sidecar_features


def _flat(value: ParameterValue) -> Any:
    """Return a parameter with values `[T, 1]` as one with `[T]`, and any other as it is."""
    if isinstance(value, Mapping):
        return {**value, "values": _flat(value["values"])} if "values" in value else value
    values = np.asarray(value)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else value
