"""A small spectrogram: levels in 80 dB below its loudest point as bytes, on the mel scale."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.page.clip_data import Wave

RANGE_DB = 80.0
ROWS = 128
MOST_COLUMNS = 1200
_WINDOW_S = 0.04
_WINDOWS_A_COLUMN = 4
_CHUNK = 256


def mel(hz: Any) -> Any:
    """Return a frequency on the mel scale (O'Shaughnessy, 1987), on which steps sound alike."""
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


def hertz(mels: Any) -> Any:
    """Return the frequency of a place on the mel scale."""
    return 700.0 * (10.0 ** (np.asarray(mels) / 2595.0) - 1.0)


def spectrogram(wave: Wave, sample_rate: int) -> dict[str, Any]:
    """Return the spectrogram of a sound `[C, N]`, its channels averaged.

    Of a long clip, a column is the mean power of a few windows within its time.

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
        part = frames[starts[first * each : (first + _CHUNK) * each]] * window
        bins = np.abs(np.fft.rfft(part, axis=1)).astype(np.float32) ** 2
        mean = bins.reshape(-1, each, bins.shape[1]).mean(axis=1)
        power[first : first + _CHUNK] = mean @ weights
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    peak = float(decibels.max())
    image = np.clip((decibels - peak) / RANGE_DB + 1, 0, 1) * 255
    if peak <= -100:  # of silence, the rounding of the transform is no picture
        image = np.zeros_like(image)
    return {
        "image": [np.ascontiguousarray(image.T.round().astype(np.uint8))],
        "x": np.zeros(1),
        "width": np.array([len(mono) / sample_rate]),
        "peak_db": np.array([peak]),
    }


@lru_cache(maxsize=8)
def _window(size: int) -> NDArray[np.float32]:
    """Return a Hann window that leaves the power of a full-scale sine at 0 dB."""
    window = np.hanning(size)
    return np.asarray(window * (2 / window.sum()), np.float32)


@lru_cache(maxsize=8)
def _mel_weights(size: int, sample_rate: int) -> NDArray[np.float32]:
    """Return what each bin adds to each row `[bins, ROWS]`: triangles, at least the nearest bin."""
    bins = mel(np.fft.rfftfreq(size, 1 / sample_rate))
    step = bins[-1] / ROWS
    rows = (np.arange(ROWS) + 0.5) * step
    weights = np.maximum(0.0, 1 - np.abs(bins[:, None] - rows) / step)
    weights[np.abs(bins[:, None] - rows).argmin(axis=0), np.arange(ROWS)] = 1.0
    return np.asarray(weights, np.float32)
