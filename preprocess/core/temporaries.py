"""Temporary files and folders: names that say whose they are, and removal of those of the dead.

    .take.ecdc.5f0c21aa-4711-880123-1f71e177.tmp
     target    host     pid  start  random

They lie beside their targets, where a rename is atomic, and are removed by the run that made them,
unless it is killed. The next run of a step removes them then: those whose process is gone from
this machine, and those of another machine (or a container) that have not changed for a day, for
there is no telling whether it still runs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from functools import lru_cache
from pathlib import Path

FOREIGN_AGE_S = 24 * 3600
_NAME = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp")
_UNNAMED = re.compile(r"\..*\.[0-9a-f]{8}\.tmp")  # as version 0.1.0 wrote them
_MOST_NAME_BYTES = 150
"""Of a target's name; the whole must fit in the 255 bytes that file systems allow."""


def temporary_name(name: str) -> str:
    """Return a name for a temporary file or folder of this process that will become `name`."""
    pid = os.getpid()
    kept = os.fsdecode(os.fsencode(name)[:_MOST_NAME_BYTES])
    return f".{kept}.{_host()}-{pid}-{_started(pid) or 0}-{uuid.uuid4().hex[:8]}.tmp"


def remove_stale(folder: Path, recursive: bool = True) -> int:
    """Remove what dead processes left in a folder, and return how much that was.

    What cannot be removed is left: it is in nobody's way.
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
    if match and match[1] == _host() and os.name == "posix":
        return _is_dead(int(match[2]), int(match[3]))
    if not match and not _UNNAMED.fullmatch(name):
        return False
    try:
        return time.time() - os.lstat(os.path.join(folder, name)).st_mtime > FOREIGN_AGE_S
    except OSError:
        return False


def _is_dead(pid: int, started: int) -> bool:
    """Whether a process of this machine has ended, though another may have its number now."""
    now = _started(pid)
    if now is not None and started:
        return now != started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's
        return False
    return now == 0  # it has ended, and its parent has not asked how


def _started(pid: int) -> int | None:
    """Return when a process started, in ticks since the machine did; None where nobody says.

    0 for one that has ended and is still listed.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the program's name may hold spaces
    except OSError:
        return None
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


@lru_cache(maxsize=1)
def _host() -> str:
    """Return what tells this machine, or this container with its own process numbers, from others."""
    try:
        space = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]
