"""What is drawn of a clip, as columns for Bokeh: curves, spans, bands, token images, envelopes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.page.clip_data import ClipData, Wave
from preprocess.page.frame_times import FrameTimes, frame_times
from preprocess.page.spectrogram import spectrogram
from preprocess.sidecar.parameters import Parameter
from preprocess.tokens.types import Ecdc

Columns = dict[str, Any]
ENVELOPE_POINTS = 2500
"""Minimum and maximum of a sound are drawn at this many places."""
_LABEL = re.compile(r"(\d+) ([^,()]+)")
_LABELS = re.compile(r"\((0 [^()]*)\)\s*$")


def clip_columns(clip: ClipData) -> dict[str, Columns]:
    """Return name of a source -> its columns.

    `wave:decoded`, `spectrogram:decoded`, likewise `original`; `tokens`; and of each parameter
    `curve:NAME` or `spans:NAME`, and `missing:NAME`.
    """
    times = frame_times(clip.tokens)
    columns: dict[str, Columns] = {"tokens": token_images(clip.tokens, times)}
    for name, wave in clip.sounds.items():
        columns[f"wave:{name}"] = envelope(wave, clip.duration_s)
        columns[f"spectrogram:{name}"] = spectrogram(wave, clip.tokens.header.spec.sample_rate)
    for name, parameter in clip.parameters.items():
        if parameter.kind == "categorical":
            columns[f"spans:{name}"] = spans(parameter, times)
        else:
            columns[f"curve:{name}"] = curve(parameter, times)
        columns[f"missing:{name}"] = missing_bands(parameter.values, times)
    return columns


def envelope(wave: Wave, duration_s: float) -> Columns:
    """Return the least and the greatest sample of all channels, `x` in seconds, `low` and `high`."""
    samples = wave.shape[1]
    points = min(samples, ENVELOPE_POINTS)
    edges = np.arange(points) * samples // points
    low = np.minimum.reduceat(wave.min(axis=0), edges)
    high = np.maximum.reduceat(wave.max(axis=0), edges)
    x = edges * (duration_s / samples)
    # What is drawn ends where the sound does.
    return {
        "x": np.append(x, duration_s),
        "low": np.append(low, low[-1]).astype(np.float32),
        "high": np.append(high, high[-1]).astype(np.float32),
    }


def token_images(tokens: Ecdc, times: FrameTimes) -> Columns:
    """Return the tokens as images: `image` int16 `[K, n]`, from `x` on `width` seconds wide.

    One image, or one for each segment where there are segments; of a long clip every `step`-th
    frame.
    """
    spec, step = tokens.header.spec, times.step
    hop_s = spec.hop / spec.sample_rate
    images, widths = [], []
    first = 0
    for frames in tokens.segment_frames:
        codes = tokens.codes[:, first : first + frames : step]
        images.append(np.ascontiguousarray(codes, np.int16))
        widths.append(codes.shape[1] * step * hop_s)
        first += frames
    return {"image": images, "x": times.segment_starts, "width": np.array(widths)}


def curve(parameter: Parameter, times: FrameTimes) -> Columns:
    """Return a parameter as a line `x`, `y`: level over each frame, and broken at NaN.

    A circular one is also broken where it goes around. Of a long clip, each `step` frames are a
    line from their least to their greatest value.
    """
    values = parameter.values[times.frames]
    if times.step > 1:
        return _decimated(values, times)
    x = np.stack([times.starts, times.ends], axis=1)
    y = np.stack([values, values], axis=1)
    if parameter.period is not None:
        jumps = np.abs(np.diff(values)) > parameter.period / 2
        after = np.flatnonzero(jumps) + 1
        x = np.insert(x.ravel(), 2 * after, times.starts[after])
        y = np.insert(y.ravel(), 2 * after, np.nan)
    return {"x": x.ravel(), "y": _narrow(y.ravel())}


def _decimated(values: NDArray[np.floating], times: FrameTimes) -> Columns:
    firsts = np.arange(0, len(values), times.step)
    low = np.fmin.reduceat(values, firsts)
    high = np.fmax.reduceat(values, firsts)
    x = np.repeat(times.starts[firsts], 2)
    return {"x": x, "y": _narrow(np.stack([low, high], axis=1).ravel())}


def _narrow(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return float32 where it holds the values to a millionth of their spread, else float64."""
    narrow = values.astype(np.float32)
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return narrow
    error = np.abs(narrow[np.isfinite(values)].astype(np.float64) - finite).max()
    spread = finite.max() - finite.min()
    return narrow if error <= 1e-6 * spread or error == 0 else values.astype(np.float64)


def runs(values: NDArray[Any]) -> list[tuple[int, int]]:
    """Return first and last index of each run of equal values; NaN equals nothing, and NaN."""
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    ends = np.append(starts[1:] - 1, len(values) - 1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def spans(parameter: Parameter, times: FrameTimes) -> Columns:
    """Return a categorical parameter as spans: `left`, `right`, `label` and `text`."""
    values, names = parameter.values[times.frames], label_names(parameter)
    columns: Columns = {"left": [], "right": [], "label": [], "text": []}
    for first, last in runs(values):
        if not np.isnan(values[first]):
            label = int(values[first])
            columns["left"].append(times.starts[first])
            columns["right"].append(times.ends[last])
            columns["label"].append(label)
            columns["text"].append(names.get(label, str(label)))
    left, right = np.array(columns["left"], float), np.array(columns["right"], float)
    return {**columns, "left": left, "right": right}


def missing_bands(values: NDArray[np.floating], times: FrameTimes) -> Columns:
    """Return where a parameter is NaN, as bands from `left` to `right`."""
    found = [
        pair for pair in runs(np.isnan(values).astype(np.float32)) if np.isnan(values[pair[0]])
    ]
    return {
        "left": np.array([times.starts[first] for first, _ in found], float),
        "right": np.array([times.ends[last] for _, last in found], float),
    }


def label_names(parameter: Parameter) -> dict[int, str]:
    """Return what labels stand for, where its `doc_string` ends in `(0 quiet, 1 loud)`."""
    found = _LABELS.search(parameter.doc_string)
    named = {int(n): text.strip() for n, text in _LABEL.findall(found[1])} if found else {}
    return named if len(named) > 1 and list(named) == list(range(len(named))) else {}


def value_range(parameter: Parameter) -> tuple[float, float]:
    """Return what the axis of a parameter spans: its values, and the range declared for them."""
    ends = [parameter.measured.get("min"), parameter.measured.get("max")]
    if parameter.declared:
        ends += [parameter.min, parameter.max]
    known = [end for end in ends if end is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin
