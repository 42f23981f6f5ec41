"""A lock on a file name that leaves no file behind, and a run that others must not disturb.

The kernel keeps the lock (`flock`) and releases it when its holder ends, even when killed, so a
leftover lock file locks nothing. `filelock` would also work, but leaves a file for every clip.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such system call on Windows
    fcntl = None  # type: ignore[assignment]

from preprocess.core.errors import DiskError, PreprocessError, disk_errors, printable

WAIT_S = 60.0
"""How long to wait for another writer; a write takes milliseconds."""
_SHORTEST_S, _LONGEST_S = 0.0005, 0.02
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)


class LockError(PreprocessError):
    """Another thread or process still holds the lock after the wait."""


@contextmanager
def locked(path: Path, wait_s: float = WAIT_S, target: Path | None = None) -> Iterator[None]:
    """Hold the lock `path` against other threads and processes.

    The lock file exists only while the lock is held. On a file system without locks, nothing is
    locked and a warning says so once.

    Args:
        path: The lock file.
        wait_s: Seconds to wait for another holder.
        target: The file that disk errors name, if not `path`.

    Raises:
        LockError: Another thread or process still holds the lock after `wait_s` seconds.
        DiskError: The disk is full or read-only, or permission is denied.
    """
    if fcntl is None:
        _say_unlocked(path)
        yield
        return
    with disk_errors(target or path):
        descriptor = _acquire(path, time.monotonic() + wait_s)
    try:
        yield
    finally:
        # Removed while held: a waiter then sees that the name is no longer this file's.
        with suppress(OSError):
            os.unlink(path)
        _release(descriptor)


@contextmanager
def only_run(path: Path, output: Path) -> Iterator[None]:
    """Refuse to run on an output while another run does.

    The lock file names its holder. On a disk that cannot be written to nothing is locked: the run
    has nothing to do, or fails at its first file.

    Args:
        path: The lock file.
        output: The output that messages name.

    Raises:
        LockError: Another run works on the output; the message names its process and machine.
    """
    if fcntl is None:
        yield
        return
    made = not path.parent.exists()
    try:
        with disk_errors(output):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _acquire(path, time.monotonic() + _LONGEST_S)
    except LockError:
        raise LockError(
            f"{output}: {_holder(path)}; wait until it ends, or choose another output"
        ) from None
    except DiskError:
        yield
        return
    with suppress(OSError):  # on a full disk it locks without a name
        os.write(descriptor, _this_process().encode("utf-8", "surrogateescape"))
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)
        if made:  # and nothing was written
            with suppress(OSError):
                path.parent.rmdir()
        _release(descriptor)


def remove_left_lock(path: Path) -> None:
    """Remove a lock file that nobody holds: one that a killed run left."""
    if path.exists():
        with suppress(LockError), only_run(path, path.parent):
            pass


def _this_process() -> str:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on host {socket.gethostname()} has been running since {now} UTC"


def _holder(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return printable(os.fsdecode(file.read(500))) or "another run has just begun"
    except OSError:
        return "another run has just ended"


def _acquire(path: Path, deadline: float) -> int:
    pause = _SHORTEST_S
    while True:
        # A link of this name, which only a hostile folder has, could make a file anywhere.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o666)
        try:
            if _try_lock(descriptor, path) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= deadline:
            raise LockError(f"{path} is locked: another process is writing; try again later")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_S)


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            _say_unlocked(path)
            return True
        if error.errno not in _BUSY:
            raise
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file, which a previous holder may have removed."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _release(descriptor: int) -> None:
    try:
        # A process forked in the meantime also has the file open and would keep the lock.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _say_unlocked(path: Path) -> None:
    warnings.warn(
        f"{path.parent}: this file system has no locks; let one process write there at a time",
        stacklevel=2,
    )
