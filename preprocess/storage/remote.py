"""A folder behind a URL, through fsspec."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from preprocess.core.errors import PreprocessError
from preprocess.core.files import atomic_path
from preprocess.storage.filesystems import filesystem
from preprocess.storage.listing import list_names
from preprocess.storage.names import checked, endings, listed
from preprocess.storage.ranges import BLOCK_BYTES, open_ranges
from preprocess.storage.retries import MissingError, Retries, ShortReadError, is_missing
from preprocess.storage.types import Entry, SourceChangedError

T = TypeVar("T")
_PART_BYTES, _MOST_PARTS, _PARTS_AT_ONCE = 8 << 20, 9_000, 3
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "sha256", "blob_id", "content_hash")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")
_S3, _GCS = ("s3", "s3a"), ("gs", "gcs")
_MEMORY = threading.Lock()
"""fsspec's files in memory look for a file and make it in two steps."""


@dataclass(frozen=True)
class RemoteFolder:
    """A remote folder; see `Store` for its methods."""

    url: str
    retries: Retries

    def list(self, suffixes: Iterable[str] | None, under: str) -> Iterator[Entry]:
        """Yield the files as the storage lists them."""
        fs, root = self._fs(), self._root()
        wanted = endings(suffixes)
        start = f"{root}/{checked(under)}" if under else root
        what = f"{self.url} cannot be listed"
        for info in list_names(fs, self._protocol, start, self._call(what)):
            path = listed(info["name"], f"{root}/", wanted, self.url)
            if path is not None:
                yield _entry(path, info)

    def entry(self, path: str) -> Entry | None:
        """Return a file's size and version, None if it is no file."""
        fs, at = self._fs(), self._at(path)

        def look() -> dict[str, Any]:
            fs.invalidate_cache()
            return dict(fs.info(at))

        try:
            info = self._request(look, path, "looked up")
        except MissingError:
            return None
        return None if info["type"] == "directory" else _entry(path, info)

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        fs, at = self._fs(), self._at(path)
        return self._existing(lambda: bytes(fs.cat_file(at)), path)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        size = self._expect(path).size
        return open_ranges(lambda start, stop: self._read_range(path, start, stop), size)

    def fetch(self, path: str, target: Path, expected: Entry | None) -> None:
        """Copy a file to `target`, block by block."""
        expected = expected or self._expect(path)
        with atomic_path(target) as temporary:
            with open(temporary, "wb") as copy:
                for start in range(0, expected.size, BLOCK_BYTES):
                    stop = min(start + BLOCK_BYTES, expected.size)
                    copy.write(self._read_range(path, start, stop))
            self._check_unchanged(path, expected)

    def local(self, path: str) -> Path | None:
        """Return None: the file must be copied."""
        return None

    def write(self, path: str, data: bytes) -> None:
        """Write a file in one request."""
        fs, at = self._fs(), self._at(path)
        self._request(lambda: fs.pipe_file(at, data), path, "written")

    def put(self, source: Path, path: str) -> None:
        """Upload a file; the storage shows it when it is complete."""
        at = self._at(path)
        fs = filesystem(self._protocol, self.retries, uploads=True)
        options: dict[str, int] = {}
        if self._protocol in (*_S3, *_GCS):
            options["chunksize"] = max(_PART_BYTES, source.stat().st_size // _MOST_PARTS)
        if self._protocol in _S3:
            options["max_concurrency"] = _PARTS_AT_ONCE
        self._request(lambda: fs.put_file(str(source), at, **options), path, "written")

    def create(self, path: str, data: bytes) -> bool:
        """Create a file unless it exists."""
        fs, at = self._fs(), self._at(path)
        tries = 0

        def create() -> bool:
            nonlocal tries
            tries += 1
            if self._protocol == "memory":
                with _MEMORY:
                    return _create_new(fs, at, data)
            if self._protocol in (*_S3, *_GCS):
                try:
                    fs.pipe_file(at, data, mode="create")
                except Exception as error:
                    if not _exists_already(error):
                        raise
                    if tries == 1:
                        return False
            elif fs.exists(at):  # of an earlier try, perhaps
                if tries == 1:
                    return False
            else:
                fs.pipe_file(at, data)
            return bytes(fs.cat_file(at)) == data

        return self._request(create, path, "created")

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""
        fs, at = self._fs(), self._at(path)
        with suppress(MissingError):
            self._request(lambda: fs.rm_file(at), path, "deleted")

    @property
    def _protocol(self) -> str:
        return self.url.partition("://")[0]

    def _fs(self) -> Any:
        return filesystem(self._protocol, self.retries)

    def _root(self) -> str:
        return str(self._fs()._strip_protocol(self.url)).rstrip("/")

    def _at(self, path: str) -> str:
        if self._protocol in _S3 and "?versionId=" in path:
            raise PreprocessError(f"{self.url}/{path}: a name may not contain ?versionId= on S3")
        return f"{self._root()}/{checked(path)}"

    def _call(self, what: str) -> Callable[[Callable[[], T]], T]:
        """Return a function that makes a request, with retries."""

        def call(action: Callable[[], T]) -> T:
            def tell_missing() -> T:
                try:
                    return action()
                except Exception as error:
                    if is_missing(error):
                        raise MissingError(f"{what}: it does not exist") from error
                    raise

            return self.retries.call(tell_missing, what)

        return call

    def _request(self, action: Callable[[], T], path: str, verb: str) -> T:
        return self._call(f"{self.url}/{path} cannot be {verb}")(action)

    def _existing(self, action: Callable[[], T], path: str) -> T:
        try:
            return self._request(action, path, "read")
        except MissingError:
            raise FileNotFoundError(2, "No such file", f"{self.url}/{path}") from None

    def _expect(self, path: str) -> Entry:
        entry = self.entry(path)
        if entry is None:
            raise FileNotFoundError(2, "No such file", f"{self.url}/{path}")
        return entry

    def _read_range(self, path: str, start: int, stop: int) -> bytes:
        fs, at = self._fs(), self._at(path)

        def read() -> bytes:
            data = bytes(fs.cat_file(at, start=start, end=stop))
            if len(data) != stop - start:
                raise ShortReadError(f"{len(data)} bytes came instead of {stop - start}")
            return data

        return self._existing(read, path)

    def _check_unchanged(self, path: str, expected: Entry) -> None:
        now = self.entry(path)
        if now is None or (now.size, now.version) != (expected.size, expected.version):
            raise SourceChangedError(f"{self.url}/{path} changed while it was read")


def _entry(path: str, info: dict[str, Any]) -> Entry:
    lfs = info.get("lfs")
    hashed = lfs.get("sha256") if isinstance(lfs, dict) else None
    known = [hashed, *(info.get(key) for key in (*_VERSIONS, *_TIMES))]
    version = next((value for value in known if value), "")
    if isinstance(version, datetime):
        version = version.timestamp()
    return Entry(path, int(info.get("size") or 0), str(version).strip('"'))


def _create_new(fs: Any, at: str, data: bytes) -> bool:
    if fs.exists(at):
        return False
    fs.pipe_file(at, data)
    return True


def _exists_already(error: BaseException) -> bool:
    """Whether a conditional write found the file."""
    if isinstance(error, FileExistsError):
        return True
    response = getattr(error.__cause__ or error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code == "PreconditionFailed" or getattr(error, "code", None) == 412
