"""The `encodec` package, imported whether or not torchaudio works.

`import encodec` imports torchaudio, which encodec uses to read and resample files: work that we
leave to soundfile and soxr. torchaudio has compiled parts that fit a single build of torch, and
where the two do not match it refuses at import (https://github.com/pytorch/audio/issues/4226). The
network itself needs none of it. So where torchaudio is missing or broken, encodec's modules get a
stand-in that raises at first use, and only they see it: `import torchaudio` elsewhere fails as it
did before.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _NoTorchaudio(ModuleType):
    """What encodec's modules see in place of torchaudio."""

    def __init__(self, reason: str) -> None:
        super().__init__("torchaudio", "A stand-in for a torchaudio that cannot be imported.")
        self._reason = reason

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks every module for
            raise AttributeError(name)
        raise ImportError(f"encodec needs torchaudio.{name} here, and {self._reason}")


def import_encodec() -> ModuleType:
    """Import the `encodec` package and return it; `from encodec import ...` works from then on.

    Raises:
        ImportError: encodec is not installed.
    """
    if "encodec" in sys.modules:
        return sys.modules["encodec"]
    reason = torchaudio_problem()
    if reason is None:
        return importlib.import_module("encodec")
    sys.modules["torchaudio"] = _NoTorchaudio(reason)
    try:
        return importlib.import_module("encodec")
    finally:
        del sys.modules["torchaudio"]


def torchaudio_problem() -> str | None:
    """Return why torchaudio cannot be imported, in one line, or None where it can."""
    before = set(sys.modules)
    try:
        importlib.import_module("torchaudio")
    except Exception as error:  # ImportError, or whatever its compiled parts raise
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torchaudio":
                del sys.modules[name]
        text = " ".join(str(error).split()) or type(error).__name__
        return f"torchaudio cannot be imported: {text}"
    return None
