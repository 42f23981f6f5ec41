"""A small spectrogram on the mel scale, with levels as bytes over 80 dB below the loudest point."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.page.clip_data import Wave
from preprocess.page.spectra import band_magnitudes

RANGE_DB = 80.0
ROWS = 128
MOST_COLUMNS = 1200
_WINDOW_S = 0.04
_WINDOWS_A_COLUMN = 4
_CHUNK = 256


def mel(hz: Any) -> Any:
    """Return a frequency on the mel scale (O'Shaughnessy, 1987); equal steps sound equal on it."""
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


def hertz(mels: Any) -> Any:
    """Return the frequency of a place on the mel scale."""
    return 700.0 * (10.0 ** (np.asarray(mels) / 2595.0) - 1.0)


def spectrogram(wave: Wave, sample_rate: int) -> dict[str, Any]:
    """Return the spectrogram of a sound `[C, N]`, its channels averaged.

    In a long clip, a column is the mean power of a few windows within its time.

    Returns:
        `image`, a list of one uint8 array `[ROWS, n]`, the lowest frequency first: 255 is the
        loudest point, 0 is `RANGE_DB` below it. `x` and `width` in seconds, `peak_db` re full scale.
    """
    mono = wave.mean(axis=0, dtype=np.float32)
    size = 1 << int(np.ceil(np.log2(_WINDOW_S * sample_rate)))
    columns = int(np.clip(-(-4 * len(mono) // size), 1, MOST_COLUMNS))
    width = len(mono) / columns
    each = int(np.clip(width // (size // 2), 1, _WINDOWS_A_COLUMN))
    centres = (np.arange(columns * each) + 0.5) * (width / each)
    padded = np.pad(mono, (size // 2, size // 2 + 1))
    starts = centres.astype(np.int64)
    window, weights = _window(size), _mel_weights(size, sample_rate)
    power = np.empty((columns, ROWS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)
    for first in range(0, columns, _CHUNK):
        part = frames[starts[first * each : (first + _CHUNK) * each]]
        rows = band_magnitudes(part, window, weights, power=2)
        power[first : first + _CHUNK] = rows.reshape(-1, each, ROWS).mean(axis=1)
    decibels = 10 * np.log10(np.maximum(power, np.float32(1e-12)))
    peak = float(decibels.max())
    image = np.clip((decibels - peak) / RANGE_DB + 1, 0, 1) * 255
    if peak <= -100:  # silence; do not draw the rounding errors of the transform
        image = np.zeros_like(image)
    return {
        "image": [np.ascontiguousarray(image.T.round().astype(np.uint8))],
        "x": np.zeros(1),
        "width": np.array([len(mono) / sample_rate]),
        "peak_db": np.array([peak]),
    }


@lru_cache(maxsize=8)
def _window(size: int) -> NDArray[np.float32]:
    """Return a Hann window scaled so that a full-scale sine has 0 dB."""
    window = np.hanning(size)
    return np.asarray(window * (2 / window.sum()), np.float32)


@lru_cache(maxsize=8)
def _mel_weights(size: int, sample_rate: int) -> NDArray[np.float32]:
    """Return the weight of each bin in each row `[bins, ROWS]`: triangles, and 1 for the nearest."""
    bins = mel(np.fft.rfftfreq(size, 1 / sample_rate))
    step = bins[-1] / ROWS
    rows = (np.arange(ROWS) + 0.5) * step
    weights = np.maximum(0.0, 1 - np.abs(bins[:, None] - rows) / step)
    weights[np.abs(bins[:, None] - rows).argmin(axis=0), np.arange(ROWS)] = 1.0
    return np.asarray(weights, np.float32)
