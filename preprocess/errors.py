"""What can go wrong in a way that a user can mend: each message is one complete line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PreprocessError(Exception):
    """One item could not be processed; the message names the file and what was expected."""


class UsageError(PreprocessError):
    """The command, recipe or call itself is wrong; nothing was started (exit status 2)."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error that was not foreseen, as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
