"""Temporary files and folders: names that identify their owner, and removal of stale ones.

    .take.ecdc.5f0c21aa-4711-880123-1f71e177.tmp
     target    host     pid  start  random

They are next to their targets, where a rename is atomic. The run that made them removes them,
unless it is killed. The next run of a step then removes those whose process on this machine has
ended, and those of another machine or container that have not changed for a day, because this
machine cannot tell whether their process still runs.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preprocess.core.processes import is_dead, machine_id, started

FOREIGN_AGE_S = 24 * 3600
_NAME = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp")
_UNNAMED = re.compile(r"\..*\.[0-9a-f]{8}\.tmp")  # as version 0.1.0 wrote them
_MAX_NAME_BYTES = 150
"""Bytes kept of the target's name; the whole name must fit in the 255 bytes of a file system."""


def temporary_name(name: str) -> str:
    """Return a name for a temporary file or folder of this process that will become `name`."""
    pid = os.getpid()
    kept = os.fsdecode(os.fsencode(name)[:_MAX_NAME_BYTES])
    return f".{kept}.{machine_id()}-{pid}-{started(pid) or 0}-{uuid.uuid4().hex[:8]}.tmp"


_live: set[Path] = set()
"""Temporary files and folders that this process is writing."""


@contextmanager
def temporary_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to `target` for the caller to make, and to rename or remove."""
    path = target.with_name(temporary_name(target.name))
    _live.add(path)
    try:
        yield path
    finally:
        _live.discard(path)


def remove_own() -> None:
    """Remove what this process is writing; for a process that ends while its threads still work."""
    for path in tuple(_live):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def remove_stale(folder: Path, recursive: bool = True) -> int:
    """Remove what dead processes left in a folder, and return the number of items removed.

    Items that cannot be removed are left; they do no harm.
    """
    removed = 0
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if name.endswith(".tmp") and name.startswith(".") and _is_stale(where, name):
                path = Path(where, name)
                try:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                except OSError:
                    continue
                removed += 1
        folders[:] = [d for d in folders if recursive and not d.startswith(".")]
    return removed


def _is_stale(folder: str, name: str) -> bool:
    match = _NAME.fullmatch(name)
    if match and match[1] == machine_id() and os.name == "posix":
        return is_dead(int(match[2]), int(match[3]))
    if not match and not _UNNAMED.fullmatch(name):
        return False
    try:
        return time.time() - os.lstat(os.path.join(folder, name)).st_mtime > FOREIGN_AGE_S
    except OSError:
        return False
