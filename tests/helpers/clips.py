"""Clips without files, for producers that need none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preprocess.params import Producer, parse_producer
from preprocess.params.clip import Clip
from preprocess.tokens.types import EcdcHeader


def prepared(entry: Any) -> Producer:
    """Return the producer that an entry of a recipe's `annotate:` describes, ready for a run."""
    return parse_producer(entry).prepare()


def clip_of(
    samples: int = 3200, model: str = "encodec_24khz", name: str = "a/b", audio: Path | None = None
) -> Clip:
    """Return a clip of `samples` samples, of which no file exists."""
    return Clip(name, Path(f"{name}.ecdc"), EcdcHeader(model, samples, 2), audio)
