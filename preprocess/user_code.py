"""A user's own function, found by `module:function` or `path.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from preprocess.errors import UsageError
from preprocess.files import digest_bytes


def import_function(name: str) -> Callable[..., Any]:
    """Import the function called `name`.

    Raises:
        UsageError: The name is malformed, the module or file cannot be imported, or it has no
            such function.
    """
    where, _, attribute = name.rpartition(":")
    if not where or not attribute.isidentifier():
        raise UsageError(f"function {name!r} must be module:function or path.py:function")
    try:
        is_file = where.endswith(".py")
        module = _module_of_file(Path(where)) if is_file else importlib.import_module(where)
    except UsageError:
        raise
    except Exception as error:  # importing runs a user's code
        raise UsageError(
            f"function {name!r}: {where} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UsageError(f"function {name!r}: {where} has no function {attribute!r}")
    return function  # type: ignore[no-any-return]


def _module_of_file(path: Path) -> Any:
    """Import a file once, under a name of its own."""
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    name = f"enchf_user_{path.stem}_{digest_bytes(str(path.resolve()).encode())}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
