"""Where the project reads inputs and writes outputs: a local folder, or a folder behind a URL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from preprocess.core.errors import UsageError
from preprocess.storage.local import LocalFolder
from preprocess.storage.names import checked
from preprocess.storage.remote import RemoteFolder
from preprocess.storage.retries import Retries
from preprocess.storage.types import Entry, Folder, SourceChangedError, StorageError

__all__ = ["Entry", "SourceChangedError", "StorageError", "Store", "is_url"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")


def is_url(text: str) -> bool:
    """Whether a text is a URL, which `Store.at` does not take for a local path."""
    return _URL.match(text) is not None


@dataclass(frozen=True)
class Store:
    """One folder, local or remote.

    It holds no connection, so it is cheap to make and can be pickled, also into processes that
    are forked or spawned. `str(store)` is its URL or path.

    Paths are relative to the folder, with forward slashes; one that leads out of it is a
    `UsageError`. All methods may raise `StorageError`: the storage cannot be reached, even after
    retries, so other files would fail too. Local folders raise the system's `OSError` instead.

    Attributes:
        folder: What does the work.
    """

    folder: Folder

    @classmethod
    def at(cls, url: str | os.PathLike[str], retries: Retries | None = None) -> Store:
        """Return the store at a path or URL, without a look at it.

        Args:
            url: A local path, or a URL such as `s3://bucket/folder`, `gs://`, `hf://`, `memory://`
                or `file://`.
            retries: How long to try what fails, if not as usual.

        Raises:
            UsageError: The URL lacks a bucket, or joins several protocols (`::`).
        """
        text = os.fspath(url)
        if "::" in text and _URL.search(text):
            raise UsageError(f"{text} joins several protocols; give a URL like s3://bucket/folder")
        protocol = _URL.match(text)
        if protocol is None:
            return cls(LocalFolder(Path(os.path.abspath(text))))
        rest = text[protocol.end() + len("://") :].rstrip("/")
        if protocol[0] in ("file", "local"):
            if not text[protocol.end() + len("://") :].startswith("/"):
                raise UsageError(f"{text} is not an absolute path; file:// is followed by /folder")
            return cls(LocalFolder(Path(rest or "/")))
        if not rest:
            raise UsageError(f"{text} names no folder; a URL looks like s3://bucket/folder")
        return cls(RemoteFolder(f"{protocol[0].lower()}://{rest}", retries or Retries()))

    def __str__(self) -> str:
        return self.folder.url

    def child(self, path: str | os.PathLike[str]) -> str:
        """Return the path or URL of a file or folder inside."""
        return f"{self.folder.url.rstrip('/')}/{checked(path)}"

    def giving_up_after(self, seconds: float) -> Store:
        """Return the same store with a shorter bound on retries; a local one makes none."""
        if not isinstance(self.folder, RemoteFolder):
            return self
        usual = self.folder.retries
        total_s, read_s = min(usual.total_s, seconds), min(usual.read_s, max(seconds, 1.0))
        retries = replace(usual, total_s=total_s, read_s=read_s)
        return Store(RemoteFolder(self.folder.url, retries))

    def list(self, suffixes: Iterable[str] | None = None, under: str = "") -> Iterator[Entry]:
        """Yield the files, in all subfolders, without hidden ones.

        The listing is never cached. It is sorted if the store is local, and not yet complete when
        its first entries are yielded if it is on S3.

        Args:
            suffixes: Extensions to look for, with or without a dot, in any case; None for all.
            under: List only this folder. Entries are relative to the store nonetheless; if there
                is no such folder, there are none.

        Raises:
            PreprocessError: A local folder cannot be read, or a name cannot be a path
                (`../a.wav`); the message names it.
        """
        return self.folder.list(None if suffixes is None else tuple(suffixes), under.strip("/"))

    def entry(self, path: str | os.PathLike[str]) -> Entry | None:
        """Return the size and version that a file has now; None if there is no such file."""
        return self.folder.entry(os.fspath(path))

    def exists(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file is there."""
        return self.entry(path) is not None

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """Return the content of a small file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return self.folder.read(os.fspath(path))

    def open(self, path: str | os.PathLike[str]) -> BinaryIO:
        """Open a file for reading from anywhere in it, as `pyarrow.parquet.ParquetFile` does.

        Only the ranges that are read are requested, each with retries.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return self.folder.open(os.fspath(path))

    def fetch(
        self, path: str | os.PathLike[str], target: Path, expected: Entry | None = None
    ) -> None:
        """Copy a file to a local one, in blocks; after an error, go on where it was.

        `target` appears when it is complete.

        Args:
            path: The file.
            target: The local file.
            expected: The file's entry in a listing, which must still hold.

        Raises:
            FileNotFoundError: There is no such file.
            SourceChangedError: The file is no longer the expected one, or changed meanwhile.
        """
        self.folder.fetch(os.fspath(path), target, expected)

    def local(self, path: str | os.PathLike[str]) -> Path | None:
        """Return a file's path where the store is local, so that it needs no copy.

        The path `""` is the folder itself.
        """
        return self.folder.local(os.fspath(path))

    def write(self, path: str | os.PathLike[str], data: bytes) -> None:
        """Write a small file atomically: readers see the old content or the new one."""
        self.folder.write(os.fspath(path), data)

    def put(self, source: Path, path: str | os.PathLike[str]) -> None:
        """Publish a local file atomically, in parts if it is large; memory is bounded."""
        self.folder.put(source, os.fspath(path))

    def create(self, path: str | os.PathLike[str], data: bytes) -> bool:
        """Create a file and return True, or return False if it exists.

        Of several callers at once, one gets True where the storage can do it: local folders,
        and S3 and Google Cloud through their conditional writes. Elsewhere, or where an
        S3 server ignores the condition, the file is written if it seems to be missing and then
        read back. Then two callers may both get True if one reads its content before the other
        writes; so content should differ between callers, and work should bear to be done twice.
        """
        return self.folder.create(os.fspath(path), data)

    def delete(self, path: str | os.PathLike[str]) -> None:
        """Delete a file; one that is missing is fine."""
        self.folder.delete(os.fspath(path))
