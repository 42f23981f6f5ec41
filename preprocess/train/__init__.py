"""From rows to batches: aligned crops, collation, and exact resume."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "AlignedCrops": "crops",
    "CropSettings": "settings",
    "CropTrainer": "trainer",
    "ElasticBatches": "elastic",
    "ElasticLoader": "elastic",
    "StreamedCrops": "streaming",
    "TrainError": "settings",
    "LmVocabulary": "lm_view",
    "PATTERNS": "patterns",
    "Pattern": "patterns",
    "View": "views",
    "arrange": "views",
    "codebook_table": "latents",
    "collate": "batch",
    "from_lm": "lm_view",
    "nar_stage": "views",
    "next_frame": "latents",
    "next_step": "views",
    "pattern": "patterns",
    "restore": "views",
    "to_latents": "latents",
    "to_lm": "lm_view",
}
"""Public name -> its module, which is imported at first use, so importing the room is cheap."""

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
