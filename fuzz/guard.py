"""What a reader must never do, whatever its file says, as Python's audit events show it.

Python reports each file that is opened, each process, connection and unpickled name to audit hooks
(PEP 578), also those of C code that uses Python's functions. `exec` and `compile` are not among what
is forbidden, because reading type annotations and an array's header uses them; hostile files of the
tests start a process or write a file instead.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from fuzz.readers import Reader
from preprocess.core.errors import PreprocessError

MAX_MESSAGE = 1500
"""Characters of a refusal, the file's own path left out."""

_FORBIDDEN = (
    *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile", "pty."),
    *("socket.", "urllib.", "http.", "ftplib.", "pickle.find_class"),
)
_CHANGES = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 1, "os.truncate": 1, "os.chmod": 1}
_CHANGES |= {"os.rename": 2, "os.link": 2, "os.symlink": 2, "shutil.rmtree": 1}
_CODE = (".py", ".pyc", ".so", ".pth")


class ForbiddenError(BaseException):
    """A reader did what no reader may do; no `except Exception` of the reader catches it."""


class _Watch:
    """The hook, which cannot be removed, and whether it is on."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.found: list[str] = []
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            sys.addaudithook(self._hear)
            self._installed = True

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open":
            self._check(event, arguments[0], isinstance(arguments[1], str) and arguments[1] == "r")
        elif event in _CHANGES:
            for path in arguments[: _CHANGES[event]]:
                self._check(event, path, False)
        elif event.startswith(_FORBIDDEN):
            self.found.append(f"{event} {arguments!r:.200}")

    def _check(self, event: str, path: Any, reads: bool) -> None:
        if isinstance(path, int) or path is None:  # of a file that is open
            return
        folder, self.folder = self.folder, None  # what follows opens nothing of its own
        try:
            place = os.path.realpath(os.fsdecode(path))
            inside = place == folder or place.startswith(f"{folder}{os.sep}")
            own = place.endswith(_CODE) or place.startswith(
                (f"/proc/{os.getpid()}/", "/dev/urandom")
            )
            if not inside and not own:
                self.found.append(f"{event} {place}{' to read' if reads else ''}")
        except ValueError:  # a path with a null character, which no system opens
            pass
        finally:
            self.folder = folder


_watch = _Watch()


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Fail if the code inside leaves `folder`, starts a process, connects, or runs code of a file.

    Raises:
        ForbiddenError: It did.
    """
    _watch.install()
    _watch.found = []
    _watch.folder = os.path.realpath(folder)
    try:
        yield
    finally:
        _watch.folder = None
    if _watch.found:
        raise ForbiddenError("; ".join(_watch.found[:5]))


def check(reader: Reader, data: bytes, folder: Path) -> str | None:
    """Read `data` as a file in `folder`, and check how it is refused if it is.

    Returns:
        The refusal; None if the file was read.

    Raises:
        ForbiddenError: The reader left the folder, or ran code.
        AssertionError: Its refusal is longer than a line.
        Exception: Whatever else than a `PreprocessError` the reader raised.
    """
    with watched(folder):
        try:
            reader.read(data, folder)
        except PreprocessError as error:
            kind, text = type(error).__name__, str(error)
        else:
            return None
    rest = text.replace(str(folder), "")
    if "\n" in text or len(rest) > MAX_MESSAGE:
        raise AssertionError(f"{kind} is no short line: {rest[:200]!r}")
    return text


@lru_cache
def warm_up(reader: Reader) -> None:
    """Read the valid files once, so that imports are done; the first must be accepted."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(reader.seeds()):
            try:
                reader.read(seed, Path(folder))
            except PreprocessError:
                if not number:
                    raise
