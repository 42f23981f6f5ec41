"""Tones whose pitch, level and brightness are known in every frame, and the curves that they follow.

A curve has one value a frame; a sample between the middles of two frames takes its value from both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens import codec_spec

Values = NDArray[np.float64]
CODEC = "encodec_24khz_demo"
SPEC = codec_spec(CODEC)
HARMONICS = np.arange(1, 7)[:, None]
WINDOW_S = 0.25
"""The window whose loudest place `preprocess normalize` brings to `LOUDEST_DB`."""
LOUDEST_DB = -20.0


@dataclass(frozen=True)
class Range:
    """The lowest and the highest value of a curve."""

    low: float
    high: float

    def at(self, part: Values | float) -> Values:
        """Return the value at a part of the range, 0 to 1."""
        return self.low + (self.high - self.low) * np.asarray(part, np.float64)


PITCH = Range(50.5, 74.0)
"""In semitones, 69 being 440 Hz: 151 to 587 Hz. The demo codec keeps it there."""
LEVEL = Range(-40.0, -18.0)
"""In dB: RMS, full scale 1."""
BRIGHTNESS = Range(1.25, 1.95)
"""Where the spectrum's centre of gravity is, in multiples of the pitch."""


def hertz(semitones: Values) -> Values:
    """Return the frequency of a pitch; 69 is 440 Hz."""
    return np.asarray(440 * 2 ** ((semitones - 69) / 12), np.float64)


def semitones(frequency: Values) -> Values:
    """Return the pitch of a frequency; 440 Hz is 69."""
    return np.asarray(69 + 12 * np.log2(frequency / 440), np.float64)


def random_curve(rng: np.random.Generator, frames: int, values: Range) -> Values:
    """Return a curve of `frames` values: a line through a few points, steps, or a wave."""
    shape, at = rng.choice(["line", "steps", "wave"]), np.arange(frames)
    places = np.sort(rng.uniform(0, frames, rng.integers(2, 6)))
    heights = rng.uniform(0, 1, len(places))
    if shape == "line":
        return values.at(np.interp(at, places, heights))
    if shape == "steps":
        return values.at(heights[np.searchsorted(places[1:], at)])
    middle, rate_hz = rng.uniform(0.1, 0.9), np.exp(rng.uniform(np.log(0.3), np.log(5)))
    swing = rng.uniform(0.2, 1) * min(middle, 1 - middle)
    return values.at(middle + swing * np.sin(2 * np.pi * (rate_hz * at / SPEC.fps + rng.random())))


def tone(pitch: Values, level: Values, brightness: Values) -> NDArray[np.float32]:
    """Return a tone that follows three curves `[T]`, float32 `[T * hop]`."""
    samples = np.arange(len(pitch) * SPEC.hop)
    middles = SPEC.hop * (np.arange(len(pitch)) + 0.5)
    frequency = hertz(np.interp(samples, middles, pitch))
    phase = 2 * np.pi * np.cumsum(frequency) / SPEC.sample_rate
    # Each harmonic is as loud as the one below it times `fall`; see `falls`.
    fall = np.interp(np.interp(samples, middles, brightness), *falls())
    loudness = fall ** (HARMONICS - 1)
    loudness /= np.sqrt((loudness**2).sum(0) / 2)
    wave = (loudness * np.sin(HARMONICS * phase)).sum(0)
    return (wave * 10 ** (np.interp(samples, middles, level) / 20)).astype(np.float32)


def falls() -> tuple[Values, Values]:
    """Return centres of gravity, ascending, and the fall from harmonic to harmonic of each."""
    fall = np.linspace(0.05, 0.95, 200)
    loudness = fall ** (HARMONICS - 1)
    return (HARMONICS * loudness).sum(0) / loudness.sum(0), fall
