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
import sys
import threading
from types import ModuleType
from typing import Any

from preprocess.core.errors import one_line

_lock = threading.Lock()


class _LateTorchaudio(ModuleType):
    """What encodec's modules have in place of torchaudio: the real one, from its first use on."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        try:
            torchaudio = importlib.import_module("torchaudio")
        except Exception as error:  # its compiled parts raise OSError and RuntimeError as well
            raise ImportError(
                f"encodec needs torchaudio.{name} for this, and torchaudio cannot be imported: "
                f"{one_line(error)}; `preprocess doctor` says what fits"
            ) from error
        return getattr(torchaudio, name)


def import_encodec() -> ModuleType:
    """Import the `encodec` package and return it; `from encodec import ...` works from then on.

    Where encodec or torchaudio has been imported before, this is a plain import.

    Raises:
        ImportError: encodec or what it needs besides torchaudio is not installed.
    """
    importlib.import_module("torch")  # so that encodec's own modules alone see the stand-in
    with _lock:
        if "encodec" in sys.modules or "torchaudio" in sys.modules:
            return importlib.import_module("encodec")
        stand_in = _LateTorchaudio("torchaudio", "Imports the real torchaudio at its first use.")
        sys.modules["torchaudio"] = stand_in
        try:
            return importlib.import_module("encodec")
        finally:
            del sys.modules["torchaudio"]
