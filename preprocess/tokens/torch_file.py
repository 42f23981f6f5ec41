"""Files of `torch.save`, read without torch, in no more memory than a small factor of their size.

    a zip archive, nothing compressed         or, before PyTorch 1.6, one after the other
    NAME/data.pkl    the pickle               a magic number, a version, system facts: pickles
    NAME/byteorder   little or big            the pickle, and one of the keys of its storages
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

from preprocess.tokens.torch_pickle import Storage, StoredTensor, TorchFileError, load_pickle

MAX_PICKLE_BYTES = 1 << 18
"""Of the predecessor's files it is 235 bytes."""
ZIP_MAGIC = b"PK\x03\x04"
_MAGIC_NUMBER, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = struct.Struct("<q")
# What zipfile raises for archives that are damaged, encrypted, or of a kind that it cannot read.
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error)


class TorchFile:
    """A file of `torch.save` that is open.

    Attributes:
        value: What was saved, with a `StoredTensor` for each of its tensors.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Read all but the content of tensors from the start of `file`, which has `size` bytes.

        Raises:
            TorchFileError: It is no such file, or a tensor is larger than its storage.
        """
        self._file, self._size, self._order = file, size, "<"
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._starts: dict[str, int] = {}
        is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        self.value: Any = self._open_archive() if is_zip else self._open_stream()

    def read(self, tensor: StoredTensor) -> NDArray[Any]:
        """Return the content of a tensor, read-only.

        Raises:
            TorchFileError: It has more elements than its storage, or that is not whole.
        """
        self.check(tensor)
        dtype = np.dtype(self._order + tensor.storage.kind)
        flat = np.frombuffer(self._content(tensor.storage, dtype.itemsize), dtype)
        steps = tuple(step * dtype.itemsize for step in tensor.strides)
        flat = flat[tensor.offset :]
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)

    def check(self, tensor: StoredTensor) -> None:
        """Raise `TorchFileError` for a tensor that is larger than its storage, or that one than the file."""
        storage, count = tensor.storage, math.prod(tensor.shape)
        pairs = zip(tensor.shape, tensor.strides, strict=True)
        last = tensor.offset + sum((n - 1) * step for n, step in pairs)
        stored = storage.length * np.dtype(storage.kind).itemsize
        if count and (count > storage.length or last >= storage.length or stored > self._size):
            raise TorchFileError(f"claims a tensor of {list(tensor.shape)}, more than it holds")

    def _open_archive(self) -> Any:
        try:
            self._archive = zipfile.ZipFile(self._file)
        except (*_ZIP_ERRORS, ValueError, OSError) as error:
            raise TorchFileError(f"is cut short or damaged: {error}") from None
        self._entries = {info.filename: info for info in self._archive.infolist()}
        found = [name for name in self._entries if name.endswith("/data.pkl")]
        if len(found) != 1:
            raise TorchFileError("is an archive, but none of torch.save")
        self._prefix = found[0].removesuffix("data.pkl")
        if f"{self._prefix}byteorder" in self._entries:
            self._order = ">" if self._entry("byteorder", 16) == b"big" else "<"
        return load_pickle(io.BytesIO(self._entry("data.pkl", MAX_PICKLE_BYTES)))[0]

    def _open_stream(self) -> Any:
        # More than the pickles can take; what follows of storages costs no more than they do.
        stream = io.BytesIO(self._file.read(2 * MAX_PICKLE_BYTES))
        if load_pickle(stream)[0] != _MAGIC_NUMBER or load_pickle(stream)[0] != _PROTOCOL:
            raise TorchFileError("is a pickle, but none of torch.save")
        facts = load_pickle(stream)[0]
        if not isinstance(facts, dict) or facts.get("little_endian") is not True:
            raise TorchFileError("was not written on a little-endian machine")
        value, storages = load_pickle(stream)
        keys = load_pickle(stream)[0]
        if not isinstance(keys, list) or any(key not in storages for key in keys):
            raise TorchFileError("names storages that it does not have")
        at = stream.tell()
        for key in keys:
            self._starts[key] = at
            at += _LENGTH.size + storages[key].length * np.dtype(storages[key].kind).itemsize
        if at != self._size:
            raise TorchFileError(f"promises {at:,} bytes, it holds {self._size:,}")
        return value

    def _entry(self, name: str, most: int) -> bytes:
        """Return a part of the archive of at most `most` bytes."""
        info = self._entries.get(self._prefix + name)
        if info is None:
            raise TorchFileError(f"lacks its part {name!r}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise TorchFileError(f"has a compressed part {name!r}, which torch.save never writes")
        if info.file_size > min(most, self._size):
            raise TorchFileError(f"has a part {name!r} of {info.file_size:,} bytes, not {most:,}")
        try:
            return self._archive.read(info)
        except (*_ZIP_ERRORS, ValueError, OSError) as error:
            raise TorchFileError(f"is cut short or damaged: {error}") from None

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
            raise TorchFileError(f"promises {size:,} bytes of a tensor, it holds {len(data):,}")
        return data


@contextmanager
def open_torch_file(path: Path) -> Iterator[TorchFile]:
    """Yield the file of `torch.save` at `path`; see `TorchFile`."""
    with open(path, "rb") as file:
        yield TorchFile(file, path.stat().st_size)
