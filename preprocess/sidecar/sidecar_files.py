"""Reads and replaces the two files of a sidecar together, even if a writer is killed.

    take.1.cond.json           metadata, with the hash of the array
    take.1.cond.npy            array
    .take.1.cond.json.new      the new files, complete before the first rename;
    .take.1.cond.npy.new       the metadata is renamed first
    .take.1.cond.npy.lock      held by the one process that writes

The metadata holds the hash of its array. A reader that comes between the two renames, or after a
writer was killed there, finds the matching array under its `.new` name and uses it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from preprocess.core.errors import DiskError, PreprocessError, disk_errors
from preprocess.core.files import digest_bytes
from preprocess.core.locks import WAIT_S, LockError, locked
from preprocess.core.untrusted import open_regular
from preprocess.sidecar.parameters import SidecarError

MAX_META_BYTES = 4 << 20
_PAUSES_S = (0.001, 0.002, 0.004)
_PAUSES_UNLOCKED_S = (0.01, 0.02, 0.04, 0.08)
_LEFT = re.compile(r"\.(?:(.+)\.npy\.(?:new|lock)|(.+)\.json\.new)")


class SidecarFiles(NamedTuple):
    """The two files of a sidecar: the bytes of each, and the parsed metadata."""

    array: bytes
    text: bytes
    meta: dict[str, Any]


def read_files(array_path: Path, meta_path: Path) -> SidecarFiles:
    """Return an array file's bytes and the metadata that belongs to them.

    Raises:
        SidecarError: A file is missing, the metadata is invalid, or the two do not belong together.
    """
    for pause in (*_PAUSES_S, 0.0):
        found = _read_matching(array_path, meta_path)
        if found is not None:
            return found
        time.sleep(pause)
    try:
        with writing(array_path, meta_path):  # no other process renames a file now
            found = _read_matching(array_path, meta_path)
    except (OSError, DiskError):  # a read-only folder
        for pause in _PAUSES_UNLOCKED_S:
            time.sleep(pause)
            found = _read_matching(array_path, meta_path)
            if found is not None:
                break
    if found is not None:
        return found
    if not array_path.exists():
        raise SidecarError(f"{array_path} is missing")
    raise SidecarError(f"{array_path} is not the array that {meta_path.name} describes")


@contextmanager
def writing(array_path: Path, meta_path: Path, wait_s: float | None = None) -> Iterator[None]:
    """Lock out other writers of a sidecar, and finish what a killed writer left.

    Args:
        array_path: The array file.
        meta_path: The metadata file.
        wait_s: Seconds to wait for another writer; None for the default.

    Raises:
        SidecarError: Another process is still writing after the wait.
        DiskError: The folder cannot be written to.
    """
    lock = array_path.with_name(f".{array_path.name}.lock")
    try:
        with locked(lock, WAIT_S if wait_s is None else wait_s, array_path):
            _finish(array_path, meta_path)
            yield
    except LockError:
        raise SidecarError(f"{array_path} is being written by another process") from None


def replace_files(array_path: Path, meta_path: Path, data: bytes, meta: bytes) -> None:
    """Write both files of a sidecar; the caller must hold `writing`.

    Both are complete under temporary names before the first rename. So a full disk does no harm,
    and a kill can only come between the two renames.

    Raises:
        DiskError: The disk is full or read-only, or permission is denied.
    """
    new_array, new_meta = _pending(array_path), _pending(meta_path)
    try:
        with disk_errors(array_path):
            new_meta.write_bytes(meta)
            new_array.write_bytes(data)
            os.replace(new_meta, meta_path)
            os.replace(new_array, array_path)
    except BaseException:
        with suppress(OSError):
            _finish(array_path, meta_path)
        raise


def finish_interrupted(root: Path) -> None:
    """Finish or remove what killed writers left under `root`; skip sidecars being written."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        stems = {match[1] or match[2] for name in names if (match := _LEFT.fullmatch(name))}
        for stem in stems:
            array_path = Path(folder, f"{stem}.npy")
            meta_path = Path(folder, f"{stem}.json")
            with (
                suppress(SidecarError, DiskError, OSError),
                writing(array_path, meta_path, wait_s=0),
            ):
                pass


def read_meta(meta_path: Path) -> dict[str, Any]:
    """Return the metadata of a sidecar.

    Raises:
        SidecarError: The file is missing, too large, or not a JSON object.
    """
    return _read_text(meta_path)[1]


def _read_text(meta_path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of the metadata, and what they say; raises as `read_meta` does."""
    text = _read(meta_path, MAX_META_BYTES)
    if text is None:
        raise SidecarError(f"{meta_path} is missing")
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):
        raise SidecarError(f"{meta_path} is not JSON") from None
    if not isinstance(meta, dict):
        raise SidecarError(f"{meta_path} is not a JSON object")
    return text, meta


def _read_matching(array_path: Path, meta_path: Path) -> SidecarFiles | None:
    """Return the array and metadata; None if they do not match, which a writer may soon fix.

    Raises:
        SidecarError: A file is missing, or the metadata is invalid.
    """
    data = _read(array_path)
    if data is None and not meta_path.exists():
        raise SidecarError(f"{array_path} is missing")
    text, meta = _read_text(meta_path)
    stated = meta.get("array")
    if data is not None and (stated is None or stated == digest_bytes(data)):
        return SidecarFiles(data, text, meta)
    waiting = _read(_pending(array_path))
    if waiting is not None and stated == digest_bytes(waiting):
        # Finish the rename, unless its writer is still running or the folder is read-only.
        with suppress(SidecarError, DiskError, OSError), writing(array_path, meta_path, wait_s=0):
            pass
        return SidecarFiles(waiting, text, meta)
    if data is None and stated is None:
        raise SidecarError(f"{array_path} is missing")
    return None


def _finish(array_path: Path, meta_path: Path) -> None:
    """Rename the new array if the metadata describes it; remove other leftovers."""
    new_array, new_meta = _pending(array_path), _pending(meta_path)
    waiting = _read(new_array)
    if waiting is not None and _stated(meta_path) == digest_bytes(waiting):
        os.replace(new_array, array_path)
    new_array.unlink(missing_ok=True)
    new_meta.unlink(missing_ok=True)


def _stated(meta_path: Path) -> Any:
    try:
        return read_meta(meta_path).get("array")
    except SidecarError:
        return None


def _pending(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _read(path: Path, most: int | None = None) -> bytes | None:
    """Return a file's bytes, or None if it does not exist.

    Raises:
        SidecarError: The file is larger than `most` bytes, or a device or a pipe.
    """
    try:
        with open_regular(path) as file:
            if most is not None and os.fstat(file.fileno()).st_size > most:
                raise SidecarError(f"{path} is larger than {most >> 20} MiB")
            return file.read()
    except (FileNotFoundError, IsADirectoryError):
        return None
    except SidecarError:
        raise
    except PreprocessError as error:
        raise SidecarError(str(error)) from None
