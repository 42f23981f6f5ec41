"""Clips for pages: what they sound like says where in them one is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.page.clip_data import ClipData
from preprocess.page.clip_page import clip_page
from preprocess.sidecar.parameters import Parameter, check_parameter
from preprocess.tokens.frames import segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc


def tokens(model: str, samples: int, k: int = 4) -> Ecdc:
    """Return codes that differ in every frame and codebook."""
    spec = codec_spec(model)
    frames = segment_frames(samples, spec)
    total = sum(frames)
    codes = (np.arange(k)[:, None] * 7 + np.arange(total)) % spec.codebook_size
    scales = None
    if spec.segment_samples is not None:
        scales = np.ones(len(frames), np.float32)
    return Ecdc(model, codes.astype(np.int16), samples, frames, scales)


def parameter(name: str, values: Any, **more: Any) -> dict[str, Parameter]:
    """Return a parameter by its name."""
    return {name: check_parameter(name, {"values": values, **more})}


def clip(
    id: str = "clip",
    seconds: float = 4.0,
    parameters: Mapping[str, Parameter] | None = None,
    sounds: Mapping[str, Any] | None = None,
    model: str = "encodec_24khz",
) -> ClipData:
    """Return a clip; without `parameters`, with a ramp."""
    samples = round(seconds * codec_spec(model).sample_rate)
    made = tokens(model, samples)
    if parameters is None:
        parameters = parameter("ramp", np.linspace(0, 1, made.codes.shape[1]), units="V")
    return ClipData(id, made, parameters, sounds or {})


def steps(hertz: list[float], rate: int = 24_000, level: float = 0.3) -> Any:
    """Return a sound `[1, N]` with one tone a second."""
    at = np.arange(rate) / rate
    tones = [level * np.sin(2 * np.pi * f * at) for f in hertz]
    return np.concatenate(tones).astype(np.float32)[None]


def ramp(seconds: float, rate: int = 24_000) -> Any:
    """Return a sound `[1, N]` whose samples say where they are: 0 at the start, 0.9 at the end."""
    return np.linspace(0, 0.9, round(seconds * rate), dtype=np.float32)[None]


def write_page(path: Path, *clips: ClipData, title: str = "sounds", total: int = 0) -> Path:
    """Write a page of clips, `total` as in `clip_page`."""
    path.write_text(clip_page(clips, title, total), encoding="utf-8")
    return path
