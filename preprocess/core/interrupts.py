"""Interrupts and closed pipes, from the start of a process. Imports none of our modules.

Before a command starts its work, an interrupt ends the process at once. During the work it raises
`KeyboardInterrupt`, so that files being written are finished or removed. A second interrupt, or one
within an import, ends the process at once.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
LONGEST_END_S = 1.5
"""Seconds that an interrupted command may take to finish or remove what it is writing."""
NOBODY_READS = 128 + 13
"""The exit status that a shell gives a program ended by SIGPIPE, signal 13."""


_end_late: Callable[[bool], None] | None = None
_is_over = False


def end_at_interrupts() -> None:
    """Let an interrupt end the process at once, unless interrupts are ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)


def allow_interrupts(end_late: Callable[[bool], None]) -> None:
    """Undo `end_at_interrupts`: from here on an interrupt raises `KeyboardInterrupt`.

    If the process then does not end within `LONGEST_END_S`, because a thread is still at work, it
    is ended: whatever it writes, the next run finds as after a kill.

    Args:
        end_late: Called before that, with whether `work_is_over` was called.
    """
    global _end_late, _is_over
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        _end_late, _is_over = end_late, False
        signal.signal(signal.SIGINT, _raise)


def work_is_over() -> None:
    """Undo `allow_interrupts`: an exception while the interpreter ends would be a traceback."""
    global _is_over
    _is_over = True
    if signal.getsignal(signal.SIGINT) is _raise:
        signal.signal(signal.SIGINT, _end_at_once)


@contextmanager
def children_ignore_interrupts() -> Iterator[None]:
    """Make processes started in this context ignore interrupts; this process ends them.

    An interrupt of this process is handled at the end of the context.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    elif hasattr(signal, "pthread_sigmask"):  # a process inherits what is blocked
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)


_forks_ignore = _main_forks = False
_parent = 0
_PR_SET_PDEATHSIG = 1


@contextmanager
def forks_ignore_interrupts() -> Iterator[None]:
    """Make processes forked in this context ignore interrupts, and end with this process.

    Raises:
        KeyboardInterrupt: Interrupted, even if the code in the context raised another error
            because of it.
    """
    global _forks_ignore, _parent
    _forks_ignore, _parent = True, os.getpid()
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            cause = cause.__context__
        raise
    finally:
        _forks_ignore = False


def _before_fork() -> None:
    global _main_forks
    _main_forks = threading.current_thread() is threading.main_thread()


def _after_fork() -> None:
    if _forks_ignore:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if _main_forks:  # other threads of a pool end before it; their processes must not
            end_with_parent(_parent)


def end_with_parent(parent: int) -> None:
    """Let the system end this process when the thread that started it ends, even if killed.

    Workers of a pool otherwise wait for ever for the next item. Only Linux has this.

    Args:
        parent: The process that started this one.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def silence() -> int:
    """Drop all further output, including what the interpreter flushes at exit.

    Returns:
        The exit status, `NOBODY_READS`.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (AttributeError, OSError, ValueError):  # missing, closed, or not a file
            continue
    os.close(nowhere)
    return NOBODY_READS


def _end_at_once(number: int, frame: Any) -> None:
    try:
        name = os.path.basename(sys.argv[0]).replace("__main__.py", "preprocess")
        os.write(2, f"{name}: interrupted\n".encode())
    finally:
        os._exit(INTERRUPTED)


def _raise(number: int, frame: Any) -> None:
    if _is_importing(frame):  # nothing is being written
        _end_at_once(number, frame)
    signal.signal(signal.SIGINT, _end_at_once)
    _thread.start_new_thread(_wait_for_end, ())  # without the locks of `threading`
    raise KeyboardInterrupt


def _wait_for_end() -> None:
    time.sleep(LONGEST_END_S)
    try:
        if _end_late is not None:
            _end_late(_is_over)
    finally:
        os._exit(INTERRUPTED)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether an import is under way; an exception may make its native code abort, as torch's."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
