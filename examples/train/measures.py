"""What is heard in a sound, frame by frame, and how it agrees with what was asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sounds import HARMONICS, PITCH, SPEC, Values, hertz, semitones

from preprocess.audio.measures import frame_rms, pitch, spectral

LOW_HZ, HIGH_HZ = float(hertz(PITCH.low - 2)), float(hertz(PITCH.high + 2))
"""Where a pitch is looked for: two semitones beyond what is asked for."""
FLOOR_DB = -60.0


def measured(wave: NDArray[np.float32]) -> Values:
    """Return pitch in semitones, level in dB and brightness of a wave `[N]`: `[3, T]`.

    Pitch and brightness are NaN where there is no pitch.
    """
    frequency = pitch(wave[None], SPEC, LOW_HZ, HIGH_HZ)
    centre = spectral(wave[None], SPEC, "spectral_centroid_hz")
    highest = float(HARMONICS[-1, 0])
    brightness = np.clip(centre / frequency, 1, highest)
    return np.stack([semitones(frequency), level_db(wave), brightness])


def level_db(wave: NDArray[np.float32]) -> Values:
    """Return the level of each frame `[T]`, `FLOOR_DB` in silence."""
    rms = frame_rms(wave[None], SPEC)
    return np.asarray(20 * np.log10(np.maximum(rms, 10 ** (FLOOR_DB / 20))), np.float64)


def correlation(asked: Values, heard: Values) -> float:
    """Return the correlation of two curves of any shape over the frames that both have."""
    both = ~(np.isnan(asked) | np.isnan(heard))
    return float(np.corrcoef(asked[both], heard[both])[0, 1])
