"""Imports the `encodec` package whether or not torchaudio works.

`import encodec` imports `encodec.utils`, which imports torchaudio to resample and write files. The
network does not need it, and we use soxr and soundfile instead. torchaudio's compiled modules fit
only one build of torch; with another, it refuses at import
(https://github.com/pytorch/audio/issues/4226), which would make `import encodec` fail.

So `encodec.utils` gets a placeholder that imports torchaudio at its first use and raises only then
if the import fails. Other modules do not see it: `import torchaudio` elsewhere imports the real
package, or fails, as usual.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from preprocess.core.errors import one_line

_lock = threading.Lock()


class _LateTorchaudio(ModuleType):
    """A placeholder for torchaudio in other packages that imports the real one at first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks these up on every module
            raise AttributeError(name)
        try:
            torchaudio = importlib.import_module("torchaudio")
        except Exception as error:  # its compiled modules also raise OSError and RuntimeError
            raise ImportError(
                f"this needs torchaudio.{name}, but torchaudio cannot be imported: "
                f"{one_line(error)}; run `preprocess doctor` to see which version fits"
            ) from error
        return getattr(torchaudio, name)


def import_encodec() -> ModuleType:
    """Import the `encodec` package and return it; `from encodec import ...` works afterwards.

    If encodec or torchaudio has already been imported, this is a plain import.

    Raises:
        ImportError: encodec, or a package that it needs besides torchaudio, is not installed.
    """
    return _import_before(None, "encodec")


def import_before_torchaudio(name: str) -> ModuleType:
    """Import a module of another package so that it imports torchaudio only at first use.

    `transformers.trainer` also imports torchaudio if it is installed, and does not need it.

    Raises:
        ImportError: The module, or a package that it needs besides torchaudio, is not installed.
    """
    try:
        spec = importlib.util.find_spec("torchaudio")
    except (ImportError, ValueError):
        spec = None
    return importlib.import_module(name) if spec is None else _import_before(spec, name)


def _import_before(spec: ModuleSpec | None, name: str) -> ModuleType:
    """Import a module with a placeholder for torchaudio with this spec, unless it is imported."""
    importlib.import_module("torch")  # first, so that only the package sees the placeholder
    with _lock:
        if name in sys.modules or "torchaudio" in sys.modules:
            return importlib.import_module(name)
        placeholder = _LateTorchaudio("torchaudio", "Imports the real torchaudio at its first use.")
        placeholder.__spec__ = spec
        sys.modules["torchaudio"] = placeholder
        try:
            return importlib.import_module(name)
        finally:
            del sys.modules["torchaudio"]
