"""What can go wrong in a way that a user can mend: each message is one complete line."""

from __future__ import annotations

import difflib
import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class PreprocessError(Exception):
    """One item could not be processed; the message names the file and what was expected."""


class UsageError(PreprocessError):
    """The command, recipe or call itself is wrong; nothing was started (exit status 2)."""


class DiskError(PreprocessError):
    """Nothing more can be written: the next file would fail alike, so the step stops."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn the errors of writing `target` into a line that names it.

    Raises:
        DiskError: The disk is full or read-only, or the folder may not be written to.
    """
    try:
        yield
    except OSError as raised:
        error = raised
        while error.errno is None and isinstance(error.__context__, OSError):
            error = error.__context__  # `datasets` raises its own for the system's
        # What has no name came from writing to an open file.
        at = target if error.filename is None else Path(os.fsdecode(error.filename))
        beside = at.parent == target.parent or at in target.parents
        if error.errno in _FULL or (error.errno in _FORBIDDEN and beside):
            raise DiskError(f"{os.strerror(error.errno)}: {target}") from None
        if error.errno is not None and beside:  # a temporary name says nothing to a user
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from None
        raise


def printable(text: str) -> str:
    r"""Return `text` with an escape such as `\x1b` for every character that is not shown as itself.

    A file's name may hold what clears a terminal, ends a line or turns the direction of writing,
    and bytes that are no UTF-8, which cannot be printed at all.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or unicodedata.category(c) == "Zs"
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def os_error_text(error: OSError) -> str:
    """Return an error of the operating system as `No space left on device: PATH`."""
    if not error.strerror:
        return one_line(error)
    named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return f"{error.strerror}: {named}" if named else error.strerror


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error that was not foreseen, as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
