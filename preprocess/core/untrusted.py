"""What a hostile file may do to its reader: be endless, be no file at all, and be quoted in errors."""

from __future__ import annotations

import os
import re
import reprlib
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from preprocess.core.errors import PreprocessError, printable

_ADDRESS = re.compile(r" object at 0x[0-9a-f]+")
MAX_SHOWN = 200
"""Characters of a file's content that a message may quote."""


class _Short(reprlib.Repr):
    """`repr` that costs little for any value: nested a million times, or a number of a megabyte."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = 80

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 4096 else "a huge number"


_short = _Short()


def shown(value: Any) -> str:
    """Return a value from a file as a message quotes it: one short line."""
    return clipped(_short.repr(value))


def clipped(text: object) -> str:
    """Return a text, such as another package's error, as one line of at most `MAX_SHOWN` characters."""
    line = _ADDRESS.sub("", " ".join(str(text)[: 4 * MAX_SHOWN].split()))
    return printable(line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 3]}...")


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading, unless it is a device or a pipe, which may never end.

    Raises:
        PreprocessError: It is no regular file.
        OSError: It cannot be opened.
    """
    # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, os.strerror(21), str(path))
        if not stat.S_ISREG(mode):
            raise PreprocessError(f"{path} is not a regular file, but a device or a pipe")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(path: Path) -> None:
    """Check that a path, if it exists, is no device or pipe, for packages that open it themselves.

    Raises:
        PreprocessError: It is one.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise PreprocessError(f"{path} is not a regular file, but a device or a pipe")


def is_inside(name: str) -> bool:
    """Whether a path that a file names stays in its folder: relative, without `..` and zero bytes."""
    path = PurePosixPath(name.replace("\\", "/"))
    away = path.is_absolute() or PureWindowsPath(name).drive or "\0" in name
    return not away and ".." not in path.parts
