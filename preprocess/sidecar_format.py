"""The bytes of a sidecar's two files, and what they say. Documented in `docs/sidecar-format.md`."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.ecdc import EcdcHeader
from preprocess.features import Feature, SidecarError
from preprocess.files import digest_bytes
from preprocess.frames import time_model

SCHEMA_VERSION = 3
ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX = ".cond.npy", ".cond.json", ".ecdc"
MAX_FEATURES = 4096
"""A feature that is read takes a hundred times the bytes of its shortest description."""
_MOST_FRAMES = 1 << 40
_MOST_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, eq=False)
class Sidecar:
    """The parameters of one clip.

    Attributes:
        features: Name -> feature, in the order of the columns.
        n_frames: T.
        fps: Frames per second as the sidecar states it; None where it does not.
        version: Version of the format that it was read from.
        time: The clip's time model (`preprocess.frames.time_model`); empty before version 3.
        provenance: What an annotate step left there; see `preprocess.provenance`.
    """

    features: dict[str, Feature]
    n_frames: int
    fps: float | None
    version: int
    time: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def sidecar_paths(ecdc_path: Path, suffix: str = ARRAY_SUFFIX) -> tuple[Path, Path]:
    """Return the paths of array and metadata of a token file.

    Made by appending to the name without its last suffix: `take.1.ecdc` and `take.2.ecdc` are two
    clips.

    Args:
        ecdc_path: The token file; for sidecars in a folder of their own, its path there.
        suffix: What the array's name ends in, `.npy` last; the metadata's ends in `.json` instead.
    """
    array = ecdc_path.with_name(ecdc_path.stem + suffix)
    return array, array.with_name(array.name.removesuffix(".npy") + ".json")


def predecessor_meta_path(ecdc_path: Path) -> Path:
    """Return where the predecessor's first version put the metadata, by a mistake of its own."""
    return ecdc_path.with_name(ecdc_path.stem + ".cond" + META_SUFFIX)


def describe_array(
    data: bytes,
    features: Mapping[str, Feature],
    fps: float,
    header: EcdcHeader | None,
    provenance: Mapping[str, Any],
) -> bytes:
    """Return the JSON of version 3 that goes with the `.npy` file `data`.

    Args:
        data: The whole array file, whose hash ties the two together.
        features: Name -> feature, in the order of its columns.
        fps: Frames per second.
        header: Of the token file, for the time model; None where there is none.
        provenance: Stored as it is.
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
                "declared": f.declared,
                "measured": f.measured,
            }
            for name, f in features.items()
        },
        "time": time_model(header.audio_length, header.spec) if header else {},
        "array": digest_bytes(data),
        "provenance": dict(provenance),
    }
    return json.dumps(meta, indent=2, allow_nan=False).encode()


def parse_array(data: bytes, path: Path) -> NDArray[np.floating]:
    """Parse an `.npy` file; its size is compared before anything is allocated for its shape.

    Raises:
        SidecarError: It is no `.npy` file of floats `[T, D]`, or not as long as its shape says.
    """
    try:
        shape, fortran, dtype, start = _array_header(
            data[: min(_header_size(data), _MOST_HEADER_BYTES)]
        )
    except Exception as error:  # numpy lets tokenize's, ast's and its own errors through
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SidecarError(f"{path} is not an .npy file: {reason}") from None
    if dtype not in (np.float16, np.float32, np.float64) or len(shape) != 2:
        raise SidecarError(f"{path} must be float16 or float32 [T, D], got {dtype} {list(shape)}")
    body = data[start:]
    possible = all(type(n) is int and 0 <= n <= _MOST_FRAMES for n in shape)
    if not possible or len(body) != shape[0] * shape[1] * dtype.itemsize:
        raise SidecarError(f"{path} holds {len(body)} bytes, which is no {list(shape)} of {dtype}")
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(np.float32) if dtype == np.float64 else array


def _header_size(data: bytes) -> int:
    """Return how many bytes of an `.npy` file are its header; too many of a file that is none."""
    if data[6:7] == b"\x01":
        return 10 + int.from_bytes(data[8:10], "little")
    return 12 + int.from_bytes(data[8:12], "little")


# A corpus has few different headers, and numpy parses each as Python source.
@lru_cache(maxsize=1024)
def _array_header(header: bytes) -> tuple[Any, bool, Any, int]:
    """Return shape, order, dtype and size of an `.npy` file's header."""
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return shape, fortran, dtype, stream.tell()


def parse_sidecar(
    array: NDArray[np.floating], meta: dict[str, Any], array_path: Path, meta_path: Path
) -> Sidecar:
    """Return what an array and its metadata, of version 1, 2 or 3, say together.

    Raises:
        SidecarError: The metadata is of no known form, or names other columns than there are.
    """
    columns = meta.get("features", meta.get("names", ()))
    count = len(columns) if isinstance(columns, (dict, list)) else 0
    if count > MAX_FEATURES:
        raise SidecarError(f"{meta_path} names {count:,} features; at most {MAX_FEATURES:,}")
    try:
        described = _described(meta)
        version = int(meta.get("schema_version", 2 if "features" in meta else 1))
        fps = None if meta.get("fps") is None else float(meta["fps"])
        stated = {key: dict(meta.get(key) or {}) for key in ("time", "provenance")}
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise SidecarError(f"{meta_path} is not of a known form: {error}") from None
    if version > SCHEMA_VERSION:
        raise SidecarError(f"{meta_path} is of version {version}; up to {SCHEMA_VERSION} is known")
    if len(described) != array.shape[1]:
        raise SidecarError(
            f"{array_path} has {array.shape[1]} columns, {meta_path.name} names {len(described)}"
        )
    features = {
        name: Feature(array[:, column], **entry)
        for column, (name, entry) in enumerate(described.items())
    }
    return Sidecar(features, array.shape[0], fps, version, **stated)


def _described(meta: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the features that metadata of any version describes, in the order of the columns."""
    if "features" in meta:
        return {name: _entry(entry) for name, entry in meta["features"].items()}
    names = meta.get("names", [])
    if "stats" in meta:  # a form between the versions 1 and 2
        texts = {"units": meta.get("units") or {}, "doc_string": meta.get("docs") or {}}
        return {
            str(name): _entry(
                {**meta["stats"].get(name, {}), **{k: t.get(name) for k, t in texts.items()}}
            )
            for name in names
        }
    norm = meta.get("norm", {})
    columns = {key: norm.get(key) or [None] * len(names) for key in ("min", "max", "mean", "std")}
    return {
        str(name): _entry({key: values[i] for key, values in columns.items()})
        for i, name in enumerate(names)
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    def number(key: str) -> float | None:
        value = entry.get(key)
        return float(value) if value is not None and math.isfinite(value) else None

    return {
        "units": str(entry.get("units") or ""),
        "doc_string": str(entry.get("doc_string") or ""),
        "kind": str(entry.get("kind") or "continuous"),
        "nan": str(entry.get("nan") or ""),
        "min": number("min"),
        "max": number("max"),
        "mean": number("mean"),
        "std": number("std"),
        "declared": bool(entry.get("declared", False)),
        "measured": dict(entry.get("measured") or {}),
    }
