"""Errors a user can fix. Each message is one complete line."""

from __future__ import annotations

import difflib
import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class PreprocessError(Exception):
    """An item cannot be processed; the message names the file and what was expected."""


class UsageError(PreprocessError):
    """The command, recipe or call itself is wrong and nothing has started (exit status 2)."""


class DiskError(PreprocessError):
    """The disk cannot be written to. The next file would fail too, so the step stops."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn errors from writing `target` into one line that names it.

    Raises:
        DiskError: The disk is full or read-only, or permission is denied.
    """
    try:
        yield
    except OSError as raised:
        error = raised
        while error.errno is None and isinstance(error.__context__, OSError):
            error = error.__context__  # `datasets` replaces the system's error with its own
        # An error without a file name comes from writing to an open file.
        at = target if error.filename is None else Path(os.fsdecode(error.filename))
        is_ours = at.parent == target.parent or at in target.parents
        if error.errno in _FULL or (error.errno in _FORBIDDEN and is_ours):
            raise DiskError(f"{os.strerror(error.errno)}: {target}") from None
        if error.errno is not None and is_ours:  # a temporary name means nothing to a user
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from None
        raise


def printable(text: str) -> str:
    r"""Return `text` with every unprintable character replaced by an escape such as `\x1b`.

    A file name may contain characters that clear the terminal, end the line or reverse the text
    direction, and bytes that are not UTF-8 and cannot be printed at all.
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
    """Return an operating system error in the form `No space left on device: PATH`."""
    if not error.strerror:
        return one_line(error)
    named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return f"{error.strerror}: {named}" if named else error.strerror


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Return the type and message of an unexpected error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
