"""Clips without files, for producers that need none."""

from __future__ import annotations

from pathlib import Path

from preprocess.params.clip import Clip
from preprocess.tokens.types import EcdcHeader


def clip_of(
    samples: int = 3200, model: str = "encodec_24khz", name: str = "a/b", audio: Path | None = None
) -> Clip:
    """Return a clip of `samples` samples, of which no file exists."""
    return Clip(name, Path(f"{name}.ecdc"), EcdcHeader(model, samples, 2), audio)
