"""Files: find them in a stable order, and write them atomically."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from preprocess.core.errors import DiskError, UsageError, disk_errors
from preprocess.core.listing import list_folder
from preprocess.core.temporaries import temporary_path


def require_folder(path: Path, what: str) -> Path:
    """Return `path` if it is a folder.

    Args:
        path: The folder.
        what: What the folder is for, as the error message names it.

    Raises:
        UsageError: The path does not exist or is a file.
    """
    if not path.exists():
        raise UsageError(f"{what} {path} does not exist")
    if not path.is_dir():
        raise UsageError(f"{what} {path} is not a folder")
    return path


def find_files(root: Path, suffixes: Iterable[str], recursive: bool = True) -> list[Path]:
    """Return the files under `root` that end in one of `suffixes`; see `list_folder`."""
    return [Path(rel) for rel in walk_files(root, suffixes, recursive)]


def walk_files(root: Path, suffixes: Iterable[str], recursive: bool = True) -> list[str]:
    """Return the files that `find_files` finds as strings with forward slashes.

    Faster than `find_files` for folders with many files.
    """
    return list_folder(root, suffixes, recursive).files


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to `target`, renamed to it on success and removed on failure.

    A reader sees either the old file or the complete new one, and a killed run leaves no partial
    file that counts as done. `preprocess.core.temporaries` removes the files it does leave.

    Raises:
        DiskError: The disk is full or read-only, or permission is denied.
    """
    with disk_errors(target), temporary_path(target) as temporary:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder next to `target`, removed at the end with everything in it."""
    with disk_errors(target), temporary_path(target) as folder:
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def require_writable(folder: Path) -> None:
    """Check, without writing, that files can be created in `folder`, or that it can be created.

    Raises:
        UsageError: The path is a file.
        DiskError: The disk is read-only, or permission is denied.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UsageError(f"output {existing} is a file, not a folder")
    if os.access(existing, os.W_OK | os.X_OK):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(existing).f_flag & os.ST_RDONLY
    raise DiskError(f"{os.strerror(errno.EROFS if read_only else errno.EACCES)}: {folder}")


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data` to `target` atomically.

    Raises:
        DiskError: The disk is full or read-only, or permission is denied.
    """
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def digest_bytes(data: bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()[:16]


def digest_file(path: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file's content."""
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()[:16]


def in_shard(rel: Path, index: int, count: int) -> bool:
    """Whether a file belongs to shard `index` of `count`. Only its path decides this."""
    return int(digest_bytes(rel.as_posix().encode()), 16) % count == index


def pair_outputs(
    files: Iterable[Path], suffix: str
) -> tuple[list[tuple[Path, Path]], list[tuple[Path, str]]]:
    """Return `(file, output)` pairs, where the output is the file's name with `suffix`.

    Files that would share an output (`a.wav` and `a.flac`) are not paired. They are returned
    second, each with a message that names the others, so that neither silently wins.
    """
    by_output: dict[Path, list[Path]] = {}
    for file in files:
        by_output.setdefault(file.with_name(file.stem + suffix), []).append(file)
    pairs, clashes = [], []
    for output, sources in by_output.items():
        if len(sources) == 1:
            pairs.append((sources[0], output))
            continue
        names = " and ".join(source.name for source in sources)
        clashes += [(s, f"{names} would both become {output.name}; rename one") for s in sources]
    return pairs, clashes
