"""A sidecar's values apart from its files, in a form that gives both files back byte for byte.

The metadata is kept as text. Of the array, its values are kept elsewhere, and here only what they do
not tell: its dtype or, if its `.npy` header is not the usual one, the whole header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.files import digest_bytes
from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.reading import existing_paths
from preprocess.sidecar.sidecar_files import MAX_META_BYTES, read_files
from preprocess.sidecar.sidecar_format import (
    Sidecar,
    array_header,
    column_names,
    describe_array,
    parse_array,
    parse_sidecar,
)
from preprocess.tokens.types import EcdcHeader

_MAGIC = "\x93NUMPY"
_HEADER = Path("the header of an array")
_START = 4096
_ALIGNED = 64
_ROOM = 128
"""Size of the header that numpy writes, which leaves room for the shape to grow."""


@dataclass(frozen=True, eq=False)
class RawSidecar:
    """A sidecar, and what gives its files back together with its values.

    Attributes:
        sidecar: Its content.
        text: The text of `.cond.json`.
        dtype: dtype of `.cond.npy`, or its whole header as Latin-1 if that is unusual.
        renamed: Whether the metadata has the predecessor's misspelt name.
    """

    sidecar: Sidecar
    text: str
    dtype: str
    renamed: bool = False


def read_raw_sidecar(ecdc_path: Path) -> RawSidecar:
    """Read the sidecar of a token file; see `preprocess.sidecar.reading.read_sidecar`.

    Raises:
        SidecarError: As `read_sidecar` does, or the metadata is not UTF-8.
    """
    array_path, meta_path = existing_paths(ecdc_path)
    files = read_files(array_path, meta_path)
    array = parse_array(files.array, array_path)
    try:
        text = files.text.decode()
    except UnicodeDecodeError:
        raise SidecarError(f"{meta_path} is not UTF-8") from None
    header = files.array[: array_header(files.array, array_path).size]
    dtype = array.dtype.name
    usual = header == _header(dtype, array.shape)
    return RawSidecar(
        parse_sidecar(array, files.meta, array_path, meta_path),
        text,
        dtype if usual else header.decode("latin-1"),
        meta_path.name != array_path.name.removesuffix(".npy") + ".json",
    )


def array_dtype(dtype: str) -> np.dtype[np.floating]:
    """Return the dtype of an array of which `RawSidecar.dtype` is known.

    Raises:
        SidecarError: It is neither a float type nor an `.npy` header.
    """
    if not dtype.startswith(_MAGIC):
        if dtype not in ("float16", "float32", "float64"):
            raise SidecarError(f"dtype must be float16, float32 or float64, got {dtype[:40]!r}")
        return np.dtype(dtype)
    return array_header(_header_bytes(dtype), _HEADER).dtype


def restore(
    text: str, dtype: str, values: Mapping[str, NDArray[np.floating]], header: EcdcHeader
) -> tuple[bytes, bytes, bool]:
    """Return the files of a sidecar, and whether they are those that `read_raw_sidecar` read.

    If parameters are missing, or were rounded to a narrower type, the files hold what is there.

    Args:
        text: See `RawSidecar.text`.
        dtype: See `RawSidecar.dtype`.
        values: Name -> values `[T]`.
        header: The header of the clip's tokens.

    Raises:
        SidecarError: The text or the dtype is invalid, or the values are not those of the sidecar.
    """
    meta = _parse(text)
    names, wanted, frames = column_names(meta), array_dtype(dtype), header.n_frames
    there = [values[name] for name in names if name in values]
    if any(len(column) != frames for column in there):
        raise SidecarError(f"values of {frames} frames are expected")
    if len(there) == len(names) and all(np.can_cast(wanted, c.dtype) for c in there):
        columns = np.stack(there, axis=1) if there else np.empty((frames, 0), wanted)
        data = array_bytes(columns, dtype)
        if meta.get("array", digest := digest_bytes(data)) != digest:
            raise SidecarError("the values are not those that the metadata describes")
        return data, text.encode(), True
    whole = np.full((frames, len(names)), np.nan)
    for at, name in enumerate(names):
        if name in values:
            whole[:, at] = values[name]
    sidecar = parse_sidecar(whole, meta, _HEADER, _HEADER)
    kept = {name: sidecar.parameters[name] for name in names if name in values}
    narrow = min((wanted, *(c.dtype for c in there)), key=lambda kind: kind.itemsize)
    rest = np.stack([p.values for p in kept.values()], axis=1) if kept else whole[:, :0]
    data = array_bytes(rest, narrow.name)
    fps = header.spec.fps if sidecar.fps is None else sidecar.fps
    try:
        return data, describe_array(data, kept, fps, header, sidecar.records), False
    except ValueError:
        raise SidecarError("the metadata has numbers that are not finite") from None


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_META_BYTES:
        raise SidecarError(f"the metadata is larger than {MAX_META_BYTES >> 20} MiB")
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        raise SidecarError("the metadata is not a JSON object")
    return meta


def array_bytes(values: NDArray[np.floating], dtype: str) -> bytes:
    """Return the `.npy` file of values `[T, D]`.

    Args:
        values: The values, in a type that holds those of the file.
        dtype: See `RawSidecar.dtype`.

    Raises:
        SidecarError: `dtype` is invalid, or is a header for another shape.
    """
    if not dtype.startswith(_MAGIC):
        stored = np.ascontiguousarray(values, array_dtype(dtype))
        return _header(dtype, values.shape) + stored.tobytes()
    header = _header_bytes(dtype)
    stated = array_header(header, _HEADER)
    if stated.shape != values.shape or stated.size != len(header):
        raise SidecarError(f"the header states {list(stated.shape)}, not {list(values.shape)}")
    return header + values.astype(stated.dtype).tobytes("F" if stated.fortran else "C")


def _header_bytes(dtype: str) -> bytes:
    try:
        return dtype.encode("latin-1")
    except UnicodeEncodeError:
        raise SidecarError("the header of an array is not Latin-1") from None


@lru_cache(maxsize=1024)
def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header that numpy writes for an array in C order.

    Written here so that another version of numpy cannot change which headers are usual.
    """
    descr = np.dtype(dtype).newbyteorder("<").str
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    size = max(_ROOM, -(-(10 + len(text) + 1) // _ALIGNED) * _ALIGNED)
    body = text.ljust(size - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def stored_dtype(ecdc_path: Path) -> str:
    """Return the dtype of a sidecar's array, from its header alone; empty if it cannot be read."""
    try:
        with open(existing_paths(ecdc_path)[0], "rb") as file:
            return str(array_header(file.read(_START), _HEADER).dtype.name)
    except (OSError, SidecarError):  # reading the clip tells why
        return ""
