"""What a store consists of: its entries, its errors, and the operations of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from preprocess.core.errors import PreprocessError


class StorageError(PreprocessError):
    """The storage cannot be reached, even after retries. No single file is at fault."""


class SourceChangedError(PreprocessError):
    """A file changed while it was read."""


@dataclass(frozen=True)
class Entry:
    """A file in a store.

    Attributes:
        path: Its path relative to the store, with forward slashes.
        size: Its size in bytes.
        version: A string that changes when the content does: the modification time of a local
            file; the ETag, generation or hash of an object.
    """

    path: str
    size: int
    version: str


class Folder(Protocol):
    """The operations of a folder, local or remote; `Store` documents them."""

    @property
    def url(self) -> str: ...  # noqa: D102

    def list(self, suffixes: Iterable[str] | None, under: str) -> Iterator[Entry]: ...  # noqa: D102

    def entry(self, path: str) -> Entry | None: ...  # noqa: D102

    def read(self, path: str) -> bytes: ...  # noqa: D102

    def open(self, path: str) -> BinaryIO: ...  # noqa: D102

    def fetch(self, path: str, target: Path, expected: Entry | None) -> None: ...  # noqa: D102

    def local(self, path: str) -> Path | None: ...  # noqa: D102

    def write(self, path: str, data: bytes) -> None: ...  # noqa: D102

    def put(self, source: Path, path: str) -> None: ...  # noqa: D102

    def create(self, path: str, data: bytes) -> bool: ...  # noqa: D102

    def delete(self, path: str) -> None: ...  # noqa: D102
