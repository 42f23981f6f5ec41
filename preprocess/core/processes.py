"""Which process wrote something, and whether it still runs."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import lru_cache


def is_dead(pid: int, start: int) -> bool:
    """Whether a process of this machine has ended, even if a new one has its number.

    Args:
        pid: Its number.
        start: When it started, as `started` returned it; 0 if unknown.
    """
    now = started(pid)
    if now is not None and start:
        return now != start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's process
        return False
    return now == 0  # a zombie


def started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if unknown.

    0 for a process that has ended and is still listed.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # program names may contain spaces
    except OSError:
        return None
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


@lru_cache(maxsize=1)
def machine_id() -> str:
    """Return a hash that identifies this machine, or this container if it numbers its processes."""
    try:
        space = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return what the kernel calls this start of the machine; empty if it says nothing."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
