"""A folder of this machine, or of a mounted file system."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from preprocess.core.errors import PreprocessError, disk_errors
from preprocess.core.files import atomic_path, write_bytes
from preprocess.core.listing import Listing, list_folder
from preprocess.core.temporaries import temporary_name
from preprocess.storage.names import checked
from preprocess.storage.types import Entry, SourceChangedError

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)

_LISTINGS = 20


@dataclass(frozen=True)
class LocalFolder:
    """A local folder; see `Store` for its methods."""

    root: Path

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.root)

    def list(self, suffixes: Iterable[str] | None, under: str) -> Iterator[Entry]:
        """Yield the files in sorted order; a link without a target has the version `broken`."""
        folder, prefix = (self._at(under), f"{under}/") if under else (self.root, "")
        listing = _listing(folder, suffixes or (), may_be_missing=bool(under))
        paths = sorted([*listing.files, *listing.others]) if suffixes is None else listing.files
        for path in paths:
            try:
                info = os.stat(folder / path)
            except FileNotFoundError:
                if os.path.lexists(folder / path):
                    yield Entry(prefix + path, 0, "broken")
                continue  # removed since it was listed
            yield Entry(prefix + path, info.st_size, str(info.st_mtime_ns))

    def entry(self, path: str) -> Entry | None:
        """Return a file's size and version, None if it is no file."""
        try:
            info = os.stat(self._at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _entry(path, info) if stat.S_ISREG(info.st_mode) else None

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        return self._at(path).read_bytes()

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        return open(self._at(path), "rb")

    def fetch(self, path: str, target: Path, expected: Entry | None) -> None:
        """Copy a file to `target`."""
        with open(self._at(path), "rb") as source, atomic_path(target) as temporary:
            before = _entry(path, os.fstat(source.fileno()))
            with open(temporary, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            if not (expected or before) == before == self.entry(path):
                raise SourceChangedError(f"{self._at(path)} changed while it was read")

    def local(self, path: str) -> Path | None:
        """Return the file's own path."""
        return self._at(path) if path else self.root

    def write(self, path: str, data: bytes) -> None:
        """Write a file atomically."""
        write_bytes(self._at(path), data)

    def put(self, source: Path, path: str) -> None:
        """Copy a file into the folder atomically."""
        with atomic_path(self._at(path)) as temporary:
            shutil.copyfile(source, temporary)

    def create(self, path: str, data: bytes) -> bool:
        """Create a file unless it exists; with its whole content where links can be made."""
        target = self._at(path)
        temporary = target.with_name(temporary_name(target.name))
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _create_exclusively(target, data)
            finally:
                temporary.unlink(missing_ok=True)
        return True

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._at(path).unlink()

    def _at(self, path: str) -> Path:
        return self.root / checked(path)


def _listing(folder: Path, suffixes: Iterable[str], may_be_missing: bool) -> Listing:
    """List a folder whose subfolders others may remove meanwhile."""
    for _ in range(_LISTINGS):
        try:
            return list_folder(folder, suffixes)
        except PreprocessError as error:
            cause = error.__cause__
            if not isinstance(cause, FileNotFoundError):
                raise
            if str(cause.filename) == str(folder):
                if may_be_missing:
                    return Listing()
                raise
    raise PreprocessError(f"folder {folder} changes faster than it can be listed")


def _entry(path: str, info: os.stat_result) -> Entry:
    return Entry(path, info.st_size, str(info.st_mtime_ns))


def _create_exclusively(target: Path, data: bytes) -> bool:
    """Create a file where links cannot be made; readers may see it before its content."""
    try:
        with open(target, "xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True
