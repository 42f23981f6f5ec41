"""What is asked of the trained models: three curves that none of them has seen."""

from __future__ import annotations

import numpy as np
from sounds import BRIGHTNESS, LEVEL, PITCH, SPEC, Values

ORDER = ("pitch", "level", "brightness")


def asked(seconds: float) -> dict[str, Values]:
    """Return the name of each request with its curves: pitch, level and brightness, `[3, T]`.

    The glide runs over nearly the whole range in one go while the sound fades in, the step jumps
    to a new pitch and to a new level at times of their own, and the tremolo swings the level three
    times a second above an arch of pitch.
    """
    at = np.linspace(0, 1, round(seconds * SPEC.fps))
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * 3 * seconds * at)
    parts = {
        "glide": (0.05 + 0.9 * at, 0.15 + 0.75 * at),
        "step": (np.where(at < 0.5, 0.2, 0.75), np.select([at < 0.3, at < 0.7], [0.85, 0.2], 0.6)),
        "tremolo": (0.25 + 0.5 * np.sin(np.pi * at), wave),
    }
    dark = np.full(len(at), 0.25)  # in brighter tones the pitch tracker hears octaves now and then
    return {
        name: np.stack([PITCH.at(pitch), LEVEL.at(level), BRIGHTNESS.at(dark)])
        for name, (pitch, level) in parts.items()
    }
