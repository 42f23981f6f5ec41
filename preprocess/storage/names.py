"""Paths inside a store: always relative, with forward slashes, never outside of it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from preprocess.core.errors import PreprocessError, UsageError, printable


def checked(path: str | os.PathLike[str]) -> str:
    """Return a caller's path inside a store as text.

    Raises:
        UsageError: It is empty, absolute or contains `..`, so it may lie outside of the store.
    """
    text = os.fspath(path)
    if not is_inside(text):
        raise UsageError(f"{printable(text)!r} is not a path inside a folder (a/b.wav)")
    return text


def is_inside(path: str) -> bool:
    """Whether a path is relative, in its shortest form, and stays in its folder."""
    return "\0" not in path and not any(part in ("", ".", "..") for part in path.split("/"))


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder that it is in, is hidden (`.name`)."""
    return path.startswith(".") or "/." in path


def endings(suffixes: Iterable[str] | None) -> tuple[str, ...]:
    """Return suffixes in lower case with a dot, for `str.endswith`; `("",)` for all files."""
    if suffixes is None:
        return ("",)
    return tuple(s.lower() if s.startswith(".") else f".{s.lower()}" for s in suffixes)


def listed(name: str, prefix: str, wanted: tuple[str, ...], url: str) -> str | None:
    """Return the path inside a store of a name that its backend listed; None to skip it.

    Args:
        name: The whole name of an object.
        prefix: What the names in the store start with, with a slash at the end.
        wanted: Endings to keep, in lower case.
        url: The store, for the message.

    Raises:
        PreprocessError: The name is wanted and lies outside of the store.
    """
    if not name.lower().endswith(wanted) or name.endswith("/"):
        return None
    path = name[len(prefix) :] if name.startswith(prefix) else name
    if not name.startswith(prefix) or not is_inside(path):
        raise PreprocessError(
            f"{url} contains the name {printable(name)!r}, which has no place in a folder; rename it"
        )
    return None if is_hidden(path) else path
