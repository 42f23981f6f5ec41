"""A remote file as a seekable one: each read is a request for that range."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

BUFFER_BYTES = 1 << 18
"""What a small read fetches, because the next is likely to follow it."""
BLOCK_BYTES = 4 << 20
"""What is requested at a time: after an error, at most this much is requested again."""


class _Ranges(io.RawIOBase):
    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read, self._size, self._at = read, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the start of the file")
        self._at = base + offset
        return self._at

    def readall(self) -> bytes:
        blocks = []
        while self._at < self._size:  # the default reads 8 KiB at a time
            stop = min(self._at + BLOCK_BYTES, self._size)
            blocks.append(self._read(self._at, stop))
            self._at = stop
        return b"".join(blocks)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + min(len(buffer), BLOCK_BYTES), self._size)
        if stop <= self._at:
            return 0
        data = self._read(self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_ranges(read: Callable[[int, int], bytes], size: int) -> BinaryIO:
    """Return a file of `size` bytes whose content comes from `read(start, stop)`."""
    return io.BufferedReader(_Ranges(read, size), BUFFER_BYTES)
