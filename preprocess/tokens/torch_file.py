"""Reads `torch.save` files without torch, in memory of a small multiple of their size.

    a zip archive, nothing compressed         or, before PyTorch 1.6, one after the other
    NAME/data.pkl    the pickle               pickles of a magic number, a version, system facts
    NAME/byteorder   little or big            the pickle, then a pickle of its storages' keys
    NAME/data/0      the first storage        for each storage, its length (int64) and content

Format: `torch/serialization.py` of pytorch/pytorch.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from preprocess.core.untrusted import clipped, open_regular, shown
from preprocess.tokens.torch_pickle import Storage, StoredTensor, TorchFileError, load_pickle

MAX_PICKLE_BYTES = 1 << 18
"""In the predecessor's files the pickle is 235 bytes."""
ZIP_MAGIC = b"PK\x03\x04"
_MAGIC_NUMBER, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = struct.Struct("<q")
# What zipfile raises for archives that are damaged, encrypted or unsupported.
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error)


class TorchFile:
    """An open `torch.save` file.

    Attributes:
        value: The saved value, with a `StoredTensor` in place of each tensor.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Read `file`, which has `size` bytes, except for the content of its tensors.

        Raises:
            TorchFileError: The file is damaged or was not written by `torch.save`.
        """
        self._file, self._size, self._order = file, size, "<"
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._starts: dict[str, int] = {}
        is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        self.value: Any = self._open_archive() if is_zip else self._open_stream()

    def read(self, tensor: StoredTensor) -> NDArray[Any]:
        """Return the content of a tensor, read-only, with its shape and dtype.

        Raises:
            TorchFileError: The tensor is larger than its storage, or the storage is truncated.
        """
        self.check(tensor)
        dtype = np.dtype(self._order + tensor.storage.kind)
        flat = np.frombuffer(self._content(tensor.storage, dtype.itemsize), dtype)
        steps = tuple(step * dtype.itemsize for step in tensor.strides)
        flat = flat[tensor.offset :]
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)

    def check(self, tensor: StoredTensor) -> None:
        """Check that a tensor fits its storage and the storage fits the file.

        Raises:
            TorchFileError: It does not.
        """
        storage, count = tensor.storage, math.prod(tensor.shape)
        pairs = zip(tensor.shape, tensor.strides, strict=True)
        last = tensor.offset + sum((n - 1) * step for n, step in pairs)
        stored = storage.length * np.dtype(storage.kind).itemsize
        if count and (count > storage.length or last >= storage.length or stored > self._size):
            raise TorchFileError(
                f"claims a tensor of {shown(list(tensor.shape))}, more than it contains"
            )

    def _open_archive(self) -> Any:
        try:
            self._archive = zipfile.ZipFile(self._file)
        except (*_ZIP_ERRORS, ValueError, OSError) as error:
            raise TorchFileError(f"is truncated or damaged: {clipped(error)}") from None
        self._entries = {info.filename: info for info in self._archive.infolist()}
        found = [name for name in self._entries if name.endswith("/data.pkl")]
        if len(found) != 1:
            raise TorchFileError("is an archive, but not one that torch.save wrote")
        self._prefix = found[0].removesuffix("data.pkl")
        if f"{self._prefix}byteorder" in self._entries:
            self._order = ">" if self._entry("byteorder", 16) == b"big" else "<"
        return load_pickle(io.BytesIO(self._entry("data.pkl", MAX_PICKLE_BYTES)))[0]

    def _open_stream(self) -> Any:
        # More than the pickles can use; any storage bytes read along cost no more than they do.
        stream = io.BytesIO(self._file.read(2 * MAX_PICKLE_BYTES))
        if load_pickle(stream)[0] != _MAGIC_NUMBER or load_pickle(stream)[0] != _PROTOCOL:
            raise TorchFileError("is a pickle, but not one that torch.save wrote")
        facts = load_pickle(stream)[0]
        if not isinstance(facts, dict) or facts.get("little_endian") is not True:
            raise TorchFileError("was not written on a little-endian machine")
        value, storages = load_pickle(stream)
        keys = load_pickle(stream)[0]
        if not isinstance(keys, list) or any(key not in storages for key in keys):
            raise TorchFileError("names storages that it does not contain")
        at = stream.tell()
        for key in keys:
            self._starts[key] = at
            at += _LENGTH.size + storages[key].length * np.dtype(storages[key].kind).itemsize
        if at != self._size:
            raise TorchFileError(f"should be {at:,} bytes, but is {self._size:,}")
        return value

    def _entry(self, name: str, most: int) -> bytes:
        """Return an entry of the archive, of at most `most` bytes."""
        info = self._entries.get(self._prefix + name)
        if info is None:
            raise TorchFileError(f"lacks the entry {name!r}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise TorchFileError(f"has a compressed entry {name!r}, which torch.save never writes")
        if info.file_size > min(most, self._size):
            raise TorchFileError(
                f"has an entry {name!r} of {info.file_size:,} bytes; at most {most:,} are allowed"
            )
        try:
            return self._archive.read(info)
        except (*_ZIP_ERRORS, ValueError, OSError) as error:
            raise TorchFileError(f"is truncated or damaged: {clipped(error)}") from None

    def _content(self, storage: Storage, itemsize: int) -> bytes:
        size = storage.length * itemsize
        if self._entries:
            data = self._entry(f"data/{storage.key}", size)
        else:
            self._file.seek(self._starts.get(storage.key, self._size))
            head = self._file.read(_LENGTH.size)
            stated = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else -1
            data = self._file.read(size) if stated == storage.length else b""
        if len(data) != size:
            raise TorchFileError(f"should hold {size:,} bytes of a tensor, but holds {len(data):,}")
        return data


@contextmanager
def open_torch_file(path: Path) -> Iterator[TorchFile]:
    """Open the `torch.save` file at `path`.

    Raises:
        TorchFileError: The file is damaged or was not written by `torch.save`.
        OSError: The file cannot be opened.
    """
    with open_regular(path) as file:
        yield TorchFile(file, path.stat().st_size)
