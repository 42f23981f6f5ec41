"""Imports and calls a user's function, named `module:function` or `path.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from preprocess.core.errors import PreprocessError, UsageError, one_line
from preprocess.core.files import digest_bytes, digest_file

_digests: dict[str, str] = {}
"""Module -> hash of the source that was imported."""


@dataclass(frozen=True)
class UserCode:
    """A user's function, with the hash of its code.

    Attributes:
        function: The function.
        digest: Hash of the source file that ran; empty for a module without one.
    """

    function: Callable[..., Any]
    digest: str


def import_function(name: str) -> UserCode:
    """Import the function called `name`, `module:function` or `path.py:function`.

    Raises:
        UsageError: The name is malformed, the module or file cannot be imported, or it has no
            such function.
    """
    where, attribute = split_name(name)
    try:
        module = import_code(where)
    except UsageError as error:
        raise UsageError(f"function {name!r}: {error}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UsageError(f"function {name!r}: {where} has no function {attribute!r}")
    return UserCode(function, _digests[module.__name__])


def call_function(function: Callable[..., Any], name: str, *arguments: Any, **named: Any) -> Any:
    """Call a user's function; messages call it `name`.

    Raises:
        PreprocessError: The function raised an error; the message has the error and its line.
    """
    try:
        return function(*arguments, **named)
    except PreprocessError:
        raise
    except (
        BaseException
    ) as error:  # anything that a user's code raises, even `exit`, fails only this item
        if _is_interrupt(error):
            raise
        where = _users_line(error)
        raise PreprocessError(f"{name} raised {one_line(error)} at {where}") from error


def _is_interrupt(error: BaseException) -> bool:
    """Whether this is the user's Ctrl-C, which Python raises only in the main thread."""
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
    )


def _users_line(error: BaseException) -> str:
    """Return the deepest line of the user's own file in an error's traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    entry = frames[min(1, len(frames) - 1)].filename  # the first frame is our call
    last = next(frame for frame in reversed(frames) if frame.filename == entry)
    return f"{Path(last.filename).name}:{last.lineno}"


def import_code(where: str) -> ModuleType:
    """Import a `path.py`, or a module by its name.

    Raises:
        UsageError: It cannot be imported.
    """
    try:
        if where.endswith(".py"):
            return _module_of_file(Path(where))
        _add_to_path(Path.cwd())  # unlike python -m, an installed command does not search it
        return _module_of_package(where)
    except UsageError:
        raise
    except BaseException as error:  # imported code may call `exit`
        if _is_interrupt(error):
            raise
        raise UsageError(f"{where} cannot be imported: {one_line(error)}") from error


def split_name(name: str) -> tuple[str, str]:
    """Split `module:function` into module or file, and function.

    Raises:
        UsageError: The name has another form.
    """
    where, _, attribute = name.rpartition(":")
    if not where or not attribute.isidentifier():
        raise UsageError(f"function {name!r} must be module:function or path.py:function")
    return where, attribute


def _add_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _module_of_package(name: str) -> ModuleType:
    """Import a module by name, and record the hash of its source at the first import.

    Python imports a module only once, so later edits of its file do not run in this process.
    """
    if name not in _digests:
        spec = importlib.util.find_spec(name)
        file = Path(spec.origin) if spec and spec.has_location and spec.origin else None
        digest = digest_file(file) if file else ""
        _digests[importlib.import_module(name).__name__] = digest
    return importlib.import_module(name)


class _SourceLoader(SourceFileLoader):
    """Compiles the given source without reading or writing a bytecode cache.

    The cache compares only a file's size and modification time in whole seconds, so it would miss
    an edit within the same second.
    """

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled source."""
        return self.source_to_code(self._source, self.path)


def _module_of_file(path: Path) -> ModuleType:
    """Import a file once, under a unique name; it can import modules in its own folder."""
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    source = path.read_bytes()  # read once, so that the hashed code is the code that runs
    # The name depends on the content, so that an edited file is imported again.
    name = f"enchf_user_{path.stem}_{digest_bytes(str(path.resolve()).encode() + source)}"
    if name not in sys.modules:
        loader = _SourceLoader(name, str(path), source)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        _add_to_path(path.resolve().parent)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        _digests[name] = digest_bytes(source)
    return sys.modules[name]
