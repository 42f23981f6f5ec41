"""A sidecar's values apart from its files, in a form that gives both files back byte for byte.

The metadata is kept as text. Of the array, its values are kept elsewhere, and here only what they do
not tell: its dtype or, if its `.npy` header is not the usual one, the whole header.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.reading import existing_paths
from preprocess.sidecar.sidecar_files import read_files
from preprocess.sidecar.sidecar_format import Sidecar, array_header, parse_array, parse_sidecar

_MAGIC = "\x93NUMPY"
_HEADER = Path("the header of an array")
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
    usual = header == _header(array.dtype.name, array.shape)
    return RawSidecar(
        parse_sidecar(array, files.meta, array_path, meta_path),
        text,
        array.dtype.name if usual else header.decode("latin-1"),
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
