"""The distance of decoded sound from the original.

A codec trained to sound similar need not keep the phase, so the signal-to-noise ratio can be low or
even negative without an audible fault. The spectral distance ignores the phase. Both cover the whole
clip, and can be compared between the clips of a corpus.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from preprocess.page.clip_data import Wave
from preprocess.page.spectra import band_magnitudes
from preprocess.page.spectrogram import hertz, mel

_FLOOR = 1e-3
"""Magnitude below which a mel band counts as silent, to ignore inaudible differences in noise."""
_BANDS = 64
_BLOCK_FRAMES = 2048


class Distance(NamedTuple):
    """The distance of a decoded clip from its original.

    Attributes:
        snr_db: Energy of the original over that of the difference in dB; None if either is zero.
        mel_db: Mean absolute difference of the levels in 64 mel bands, in dB.
    """

    snr_db: float | None
    mel_db: float


def distance(original: Wave, decoded: Wave, sample_rate: int) -> Distance:
    """Return the distance of two clips `[C, N]` of the same shape.

    Raises:
        ValueError: The shapes differ.
    """
    if original.shape != decoded.shape:
        raise ValueError(f"shapes {original.shape} and {decoded.shape} cannot be compared")
    return Distance(snr_db(original, decoded), mel_distance_db(original, decoded, sample_rate))


def snr_db(original: Wave, decoded: Wave) -> float | None:
    """Return the signal-to-noise ratio in dB; None if it would be infinite."""
    signal = float(np.sum(np.square(original, dtype=np.float64)))
    noise = float(np.sum(np.square(original.astype(np.float64) - decoded)))
    return 10 * float(np.log10(signal / noise)) if signal and noise else None


def mel_distance_db(original: Wave, decoded: Wave, sample_rate: int) -> float:
    """Return the mean absolute difference of `20 log10(mel + 1e-3)`, in dB, channels averaged.

    It has 64 bands of magnitude spectra, from Hann windows of 1,024 samples at 24 kHz (43 ms) with a
    hop of a quarter, as in `tools/demo_codec/quality.py`.
    """
    window = 1 << round(np.log2(sample_rate * 1024 / 24_000))
    total, count = 0.0, 0
    for a, b in zip(original, decoded, strict=True):
        for x, y in zip(_blocks(a, window), _blocks(b, window), strict=True):
            levels = [_mel_db(part, sample_rate, window) for part in (x, y)]
            total += float(np.abs(levels[0] - levels[1]).sum())
            count += levels[0].size
    return total / count


def _blocks(wav: Wave, window: int) -> list[Wave]:
    """Return the windows `[frames, window]` of a channel `[N]` in blocks, centred as in librosa."""
    padded = np.pad(wav, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[:: window // 4]
    return [frames[at : at + _BLOCK_FRAMES] for at in range(0, len(frames), _BLOCK_FRAMES)]


def _mel_db(frames: Wave, sample_rate: int, window: int) -> Wave:
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    bands = band_magnitudes(frames, hann, _mel_filters(sample_rate, window))
    levels: Wave = 20 * np.log10(bands + np.float32(_FLOOR))
    return levels


@lru_cache(maxsize=4)
def _mel_filters(sample_rate: int, window: int) -> Wave:
    """Return triangles `[bins, bands]` with a peak of 1, spaced evenly on the HTK mel scale."""
    edges = hertz(np.linspace(0, mel(sample_rate / 2), _BANDS + 2))
    bins = np.fft.rfftfreq(window, 1 / sample_rate)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    up, down = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters: Wave = np.maximum(0, np.minimum(up, down)).astype(np.float32)
    return filters
