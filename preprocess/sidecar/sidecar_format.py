"""Builds and parses the bytes of a sidecar's two files. Format: `docs/sidecar-format.md`."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocess.core.files import digest_bytes
from preprocess.core.untrusted import clipped, shown
from preprocess.sidecar.parameters import Parameter, SidecarError, measure
from preprocess.sidecar.records import Record, read_records
from preprocess.tokens.frames import time_model
from preprocess.tokens.types import EcdcHeader

SCHEMA_VERSION = 3
ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX = ".cond.npy", ".cond.json", ".ecdc"
MAX_PARAMETERS = 4096
"""A parameter in memory needs a hundred times the bytes of its shortest JSON entry."""
_MAX_FRAMES = 1 << 40
_MAX_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, eq=False)
class Sidecar:
    """The parameters of one clip.

    Attributes:
        parameters: Name -> parameter, in the order of the columns.
        n_frames: T.
        fps: Frames per second as the sidecar states them; None if it does not.
        version: Version of the format that was read.
        time: The clip's time model (`preprocess.tokens.frames.time_model`); empty before version 3.
        records: Who made which parameters, and from what; empty before version 3.
    """

    parameters: dict[str, Parameter]
    n_frames: int
    fps: float | None
    version: int
    time: dict[str, Any] = field(default_factory=dict)
    records: tuple[Record, ...] = ()


def sidecar_paths(ecdc_path: Path, suffix: str = ARRAY_SUFFIX) -> tuple[Path, Path]:
    """Return the paths of a token file's array and metadata.

    The suffixes are appended to the name without its last suffix, so `take.1.ecdc` and
    `take.2.ecdc` are two clips.

    Args:
        ecdc_path: The token file; if the sidecars are in a separate folder, its path there.
        suffix: The end of the array's name, ending in `.npy`; for the metadata this is `.json`.
    """
    array = ecdc_path.with_name(ecdc_path.stem + suffix)
    return array, array.with_name(array.name.removesuffix(".npy") + ".json")


def predecessor_meta_path(ecdc_path: Path) -> Path:
    """Return the misspelt path to which the predecessor's first version wrote the metadata."""
    return ecdc_path.with_name(ecdc_path.stem + ".cond" + META_SUFFIX)


def describe_array(
    data: bytes,
    parameters: Mapping[str, Parameter],
    fps: float,
    header: EcdcHeader | None,
    records: Sequence[Record],
) -> bytes:
    """Return the JSON of version 3 that goes with the `.npy` file `data`.

    Args:
        data: The whole array file; the JSON stores its hash.
        parameters: Name -> parameter, in the order of the columns.
        fps: Frames per second.
        header: The token file's header, for the time model; None without a token file.
        records: Who made which parameters.
    """
    meta = {
        "schema_version": SCHEMA_VERSION,
        "fps": fps,
        "source_rate": fps,
        "features": {
            name: {
                "min": f.min,
                "max": f.max,
                "mean": f.mean,
                "std": f.std,
                "units": f.units,
                "doc_string": f.doc_string,
                "kind": f.kind,
                "nan": f.nan,
                "source": f.source,
                "declared": f.declared,
                "measured": f.measured,
            }
            for name, f in parameters.items()
        },
        "time": time_model(header.audio_length, header.spec) if header else {},
        "array": digest_bytes(data),
        "provenance": {"made": [record.to_dict() for record in records]},
    }
    return json.dumps(meta, indent=2, allow_nan=False).encode()


def parse_array(data: bytes, path: Path) -> NDArray[np.floating]:
    """Parse an `.npy` file as floats `[T, D]`; check its size before allocating for its shape.

    Raises:
        SidecarError: The file is not an `.npy` file of floats `[T, D]`, or its length does not
            match its shape.
    """
    shape, fortran, dtype, start = array_header(data, path)
    body = data[start:]
    possible = all(type(n) is int and 0 <= n <= _MAX_FRAMES for n in shape)
    if not possible or len(body) != shape[0] * shape[1] * dtype.itemsize:
        raise SidecarError(
            f"{path} holds {len(body)} bytes, which do not fit its shape {shown(list(shape))} of {dtype}"
        )
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


class ArrayHeader(NamedTuple):
    """What the header of an `.npy` file states, and its size in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.floating]
    size: int


def array_header(data: bytes, path: Path) -> ArrayHeader:
    """Parse the header of an `.npy` file of floats `[T, D]`.

    Raises:
        SidecarError: The file is not an `.npy` file of floats `[T, D]`.
    """
    try:
        header = _array_header(data[: min(_header_size(data), _MAX_HEADER_BYTES)])
    except Exception as error:  # from numpy, tokenize or ast
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SidecarError(f"{path} is not an .npy file: {clipped(reason)}") from None
    shape, _, dtype, _ = header
    if dtype not in (np.float16, np.float32, np.float64) or len(shape) != 2:
        raise SidecarError(
            f"{path} must be float16, float32 or float64 [T, D], got {clipped(dtype)} "
            f"{shown(list(shape))}"
        )
    return header


def _header_size(data: bytes) -> int:
    """Return the size in bytes of an `.npy` file's header; arbitrary for any other file."""
    if data[6:7] == b"\x01":
        return 10 + int.from_bytes(data[8:10], "little")
    return 12 + int.from_bytes(data[8:12], "little")


# Cached: a corpus has few different headers, and numpy parses each as Python source.
@lru_cache(maxsize=1024)
def _array_header(header: bytes) -> ArrayHeader:
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return ArrayHeader(shape, fortran, dtype, stream.tell())


def parse_sidecar(
    array: NDArray[np.floating], meta: dict[str, Any], array_path: Path, meta_path: Path
) -> Sidecar:
    """Combine an array and its metadata, of version 1, 2 or 3.

    Versions 1 and 2 state a range without saying whether it was declared. It counts as declared if
    it differs from the range of the values.

    Args:
        array: `[T, D]`; T may be 0 to read only the metadata.
        meta: The parsed JSON.
        array_path: The array file, for messages.
        meta_path: The metadata file, for messages.

    Raises:
        SidecarError: The metadata has an unknown format or too many parameters, or does not match
            the array's columns.
    """
    count = len(column_names(meta))
    if count > MAX_PARAMETERS:
        raise SidecarError(
            f"{meta_path} names {count:,} parameters; at most {MAX_PARAMETERS:,} are allowed"
        )
    try:
        described = _described(meta)
        version = int(meta.get("schema_version", 2 if "features" in meta else 1))
        fps = None if meta.get("fps") is None else float(meta["fps"])
        time = dict(meta.get("time") or {})
        records = read_records(dict(meta.get("provenance") or {}))
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise SidecarError(f"{meta_path} has an unknown format: {clipped(error)}") from None
    if version > SCHEMA_VERSION:
        raise SidecarError(
            f"{meta_path} is version {shown(version)}; versions up to {SCHEMA_VERSION} are supported"
        )
    if len(described) != array.shape[1]:
        raise SidecarError(
            f"{array_path} has {array.shape[1]} columns, but {meta_path.name} names {len(described)}"
        )
    parameters = {
        name: Parameter(array[:, column], **entry)
        for column, (name, entry) in enumerate(described.items())
    }
    if version < SCHEMA_VERSION:
        parameters = {name: _with_measured(parameter) for name, parameter in parameters.items()}
    return Sidecar(parameters, array.shape[0], fps, version, time, records)


def column_names(meta: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters in metadata of any version, in the order of the columns."""
    columns = meta.get("features", meta.get("names", ()))
    return [str(name) for name in columns] if isinstance(columns, (dict, list)) else []


def _with_measured(parameter: Parameter) -> Parameter:
    """Measure a parameter from before version 3; its range counts as declared if it differs.

    Old writers measured ranges before rounding the values to the array's type, so ranges are
    compared after rounding to that type. Rounding keeps the order and thus the ends.
    """
    measured = measure(parameter.values)
    low, high = parameter.min, parameter.max
    if low == high == 0 and (parameter.values != 0).any():  # a placeholder for an unknown range
        unknown: dict[str, Any] = {"measured": measured, **measured}
        return replace(parameter, **unknown)
    with np.errstate(over="ignore"):
        declared = any(
            stated is not None and (found is None or parameter.values.dtype.type(stated) != found)
            for stated, found in ((low, measured["min"]), (high, measured["max"]))
        )
    return replace(parameter, measured=measured, declared=declared)


def _described(meta: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parameters in metadata of any version, in the order of the columns."""
    if "features" in meta:
        return {_text(name): _entry(entry) for name, entry in meta["features"].items()}
    names = meta.get("names", [])
    if "stats" in meta:  # a format between versions 1 and 2
        texts = {"units": meta.get("units") or {}, "doc_string": meta.get("docs") or {}}
        return {
            _text(name): _entry(
                {**meta["stats"].get(name, {}), **{k: t.get(name) for k, t in texts.items()}}
            )
            for name in names
        }
    norm = meta.get("norm", {})
    columns = {key: norm.get(key) or [None] * len(names) for key in ("min", "max", "mean", "std")}
    return {
        _text(name): _entry({key: values[i] for key, values in columns.items()})
        for i, name in enumerate(names)
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "units": _text(entry.get("units") or ""),
        "doc_string": _text(entry.get("doc_string") or ""),
        "kind": _text(entry.get("kind") or "continuous"),
        "nan": _text(entry.get("nan") or ""),
        "source": _text(entry.get("source") or ""),
        "min": _number(entry.get("min")),
        "max": _number(entry.get("max")),
        "mean": _number(entry.get("mean")),
        "std": _number(entry.get("std")),
        "declared": bool(entry.get("declared", False)),
        "measured": {str(k): _number(v) for k, v in dict(entry.get("measured") or {}).items()},
    }


def _number(value: Any) -> float | None:
    """Return a stored number; None for NaN and infinity, as for a missing one."""
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: Any) -> str:
    """Return a stored text; half of a surrogate pair, which cannot be written, is a `ValueError`."""
    text = str(value)
    text.encode()
    return text
