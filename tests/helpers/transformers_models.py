"""Models of transformers, also where torchaudio is installed but cannot be imported."""

from __future__ import annotations

import importlib
from types import ModuleType


def transformers_module(name: str) -> ModuleType:
    """Import a module of transformers.

    Its audio utilities, which all models import, import torchaudio wherever it is installed.
    """
    try:
        importlib.import_module("torchaudio")
    except Exception:  # its compiled parts raise OSError and RuntimeError as well
        utils = importlib.import_module("transformers.utils")
        utils.is_torchaudio_available = lambda: False  # type: ignore[attr-defined]
    return importlib.import_module(name)
