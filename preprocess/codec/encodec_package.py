"""The `encodec` package, imported whether or not torchaudio works.

`import encodec` imports `encodec.utils`, which imports torchaudio to resample and write files: work
that we leave to soxr and soundfile. The network itself needs none of it. torchaudio has compiled
parts that fit a single build of torch, and where the two do not match it refuses at import
(https://github.com/pytorch/audio/issues/4226), which would make `import encodec` fail.

So `encodec.utils` gets a stand-in that imports torchaudio at its first use, and raises only there
if that cannot be done. Nobody else sees it: `import torchaudio` elsewhere imports the real one, or
fails, as it would without us.
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
    """What other packages have in place of torchaudio: the real one, from its first use on."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        try:
            torchaudio = importlib.import_module("torchaudio")
        except Exception as error:  # its compiled parts raise OSError and RuntimeError as well
            raise ImportError(
                f"this needs torchaudio.{name}, and torchaudio cannot be imported: "
                f"{one_line(error)}; `preprocess doctor` says what fits"
            ) from error
        return getattr(torchaudio, name)


def import_encodec() -> ModuleType:
    """Import the `encodec` package and return it; `from encodec import ...` works from then on.

    Where encodec or torchaudio has been imported before, this is a plain import.

    Raises:
        ImportError: encodec or what it needs besides torchaudio is not installed.
    """
    return _import_before(None, "encodec")


def import_before_torchaudio(name: str) -> ModuleType:
    """Import a module of another package, which gets torchaudio at its first use of it.

    `transformers.trainer` imports torchaudio as well, where it is installed, and needs none of it.

    Raises:
        ImportError: The module or what it needs besides torchaudio is not installed.
    """
    try:
        spec = importlib.util.find_spec("torchaudio")
    except (ImportError, ValueError):
        spec = None
    return importlib.import_module(name) if spec is None else _import_before(spec, name)


def _import_before(spec: ModuleSpec | None, name: str) -> ModuleType:
    """Import a module that sees a stand-in of torchaudio with this spec, unless it is imported."""
    importlib.import_module("torch")  # so that the package's own modules alone see the stand-in
    with _lock:
        if name in sys.modules or "torchaudio" in sys.modules:
            return importlib.import_module(name)
        stand_in = _LateTorchaudio("torchaudio", "Imports the real torchaudio at its first use.")
        stand_in.__spec__ = spec
        sys.modules["torchaudio"] = stand_in
        try:
            return importlib.import_module(name)
        finally:
            del sys.modules["torchaudio"]
