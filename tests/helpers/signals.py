"""Signals of known content, and models with seeded random weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tone(hertz: float, sample_rate: int, samples: int, level: float = 0.1) -> NDArray[np.float32]:
    """Return a sine `[N]` with an RMS of `level`."""
    phase = 2 * np.pi * hertz * np.arange(samples) / sample_rate
    return (level * np.sqrt(2) * np.sin(phase)).astype(np.float32)


def fading_tone(hertz: float, sample_rate: int, samples: int) -> NDArray[np.float32]:
    """Return a sine `[N]` that fades out, with a little noise, so that its codes vary."""
    fade = np.exp(-2 * np.arange(samples) / sample_rate)
    noise = 0.01 * np.random.default_rng(0).standard_normal(samples)
    return (tone(hertz, sample_rate, samples) * fade + noise).astype(np.float32)
