"""Interrupts and closed pipes, from the first moment of a process. Imports nothing of ours.

Until a command begins to work, an interrupt ends it at once; from then on it is a
`KeyboardInterrupt`, so that what is being written is finished or removed, and a second one does
not wait for that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + 13
"""What a shell says of a program that SIGPIPE ended; 13 is that signal's number."""


def end_at_interrupts() -> None:
    """Let an interrupt end the process at once, where it is not ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)


def allow_interrupts() -> None:
    """Let an interrupt raise `KeyboardInterrupt` from here on, where `end_at_interrupts` keeps it from that."""
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, _raise)


@contextmanager
def children_ignore_interrupts() -> Iterator[None]:
    """Let processes that are started within leave an interrupt to this one, which ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_forks_ignore = False


@contextmanager
def forks_ignore_interrupts() -> Iterator[None]:
    """Let processes that are forked within leave an interrupt to this one, which gets it.

    Raises:
        KeyboardInterrupt: Also where what ran within made another error of it.
    """
    global _forks_ignore
    _forks_ignore = True
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


def _after_fork() -> None:
    if _forks_ignore:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def silence() -> int:
    """Drop what is still to be printed, also as the interpreter ends; return the exit status."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (AttributeError, OSError, ValueError):  # none, closed, or no file
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
    signal.signal(signal.SIGINT, _end_at_once)
    raise KeyboardInterrupt
