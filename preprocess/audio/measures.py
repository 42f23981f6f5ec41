"""Measures of sound, one value per token frame: level, pitch, spectrum, onsets.

Frame `i` describes the hop that token frame `i` covers. Level uses only the hop. Pitch and
spectrum need more than a hop (13 ms at 24 kHz), so their windows are centred on it. The onset
window ends soon after the hop, so that a click raises the frame that covers it:

    samples          |<---- hop i ---->|
    level            |=================|
    pitch, spectrum  =====|=================|=====     centred on the hop
    onsets           ==========|============|==        up to a quarter window after it

Beyond the clip's ends there is silence. Long clips are measured in blocks to save memory.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.frames import segment_frames, segment_lengths
from preprocess.tokens.specs import CodecSpec

SILENCE_DB = -120.0
"""The level of a silent frame, in dB."""
_BLOCK_FRAMES = 4096
_CONTEXT_S = 0.25
"""Seconds of sound on either side of a block that the pitch tracker also sees."""
_ONSET_FLOOR = 1e-8
"""Power below which a mel band counts as silent, relative to a full-scale sine: -80 dB."""

Values = NDArray[np.float64]


class _Block(NamedTuple):
    """Consecutive frames, one hop apart: the sample where the first starts, and their number."""

    start: int
    frames: int


def missing_library(parameters: Iterable[str]) -> str:
    """Return the name of a missing package that `parameters` need; empty if none is missing."""
    needed = {"f0_hz": "praat-parselmouth", "rms_db": ""}
    modules = {"praat-parselmouth": "parselmouth"}
    for parameter in parameters:
        package = needed.get(parameter, "librosa")
        if package and importlib.util.find_spec(modules.get(package, package)) is None:
            return package
    return ""


def frame_rms(wav: NDArray[np.float32], spec: CodecSpec) -> Values:
    """Return the RMS `[T]` of each frame's hop over all channels, linear, full scale 1.0.

    The last frame of a clip or segment may cover less than a hop; the average is over the samples
    that it covers.

    Args:
        wav: float32 `[C, N]` at the codec's rate.
        spec: The codec.
    """
    power = np.mean(np.square(wav, dtype=np.float64), axis=0)
    levels = []
    for segment, length in enumerate(segment_lengths(wav.shape[1], spec)):
        start = segment * (spec.stride_samples or 0)
        edges = np.arange(0, length, spec.hop)
        sums = np.add.reduceat(power[start : start + length], edges)
        levels.append(np.sqrt(sums / np.diff(np.append(edges, length))))
    return np.concatenate(levels)


def pitch(wav: NDArray[np.float32], spec: CodecSpec, low_hz: float, high_hz: float) -> Values:
    """Return the fundamental frequency `[T]` in Hz of the channels' mean, NaN where unvoiced.

    Uses Praat's autocorrelation method (Boersma 1993) with windows of three periods of `low_hz`.

    Args:
        wav: float32 `[C, N]` at the codec's rate.
        spec: The codec.
        low_hz: Lowest pitch to look for.
        high_hz: Highest pitch to look for.
    """
    import parselmouth

    rate, hop = spec.sample_rate, spec.hop
    mono = _mono(wav)
    # Praat uses as many windows as fit and centres them as a group. The sound passed to it has room
    # for exactly one window per frame, so each is centred on a hop; half a hop extra keeps rounding
    # from dropping one.
    window = _even(3 / low_hz * rate) + _even(hop / 2)
    context = round(_CONTEXT_S * rate / hop)
    found = []
    for start, frames in _blocks(wav.shape[1], spec):
        first = start - context * hop
        count = frames + 2 * context
        part = _part(mono, first + hop // 2 - window // 2, (count - 1) * hop + window)
        track = parselmouth.Sound(part, rate).to_pitch_ac(
            time_step=hop / rate, pitch_floor=low_hz, pitch_ceiling=high_hz
        )
        values = track.selected_array["frequency"]
        if len(values) != count:
            raise RuntimeError(f"Praat returned {len(values)} frames, expected {count}")
        found.append(values[context : context + frames])
    track_hz = np.concatenate(found)
    return np.where(track_hz > 0, track_hz, np.nan)


def spectral(wav: NDArray[np.float32], spec: CodecSpec, name: str) -> Values:
    """Return `spectral_centroid_hz`, `spectral_flatness` or `onset_strength` `[T]`.

    Uses librosa on the channels' mean, with Hann windows of about 43 ms at 24 kHz. The centroid is
    in Hz, the flatness is 0 to 1, the onset strength is the mean rise of the mel bands in dB.
    Centroid and flatness are NaN where the window's level is not above `SILENCE_DB`.

    Args:
        wav: float32 `[C, N]` at the codec's rate.
        spec: The codec.
        name: Which of the three.
    """
    mono = _mono(wav)
    size = 1 << int(np.ceil(np.log2(0.04 * spec.sample_rate)))
    measure = _onsets if name == "onset_strength" else _shape
    blocks = _blocks(wav.shape[1], spec)
    return np.concatenate([measure(mono, block, spec, size, name) for block in blocks])


def _shape(mono: Values, block: _Block, spec: CodecSpec, size: int, name: str) -> Values:
    import librosa

    hop = spec.hop
    first = block.start + hop // 2 - size // 2
    part = _part(mono, first, (block.frames - 1) * hop + size)
    options: Any = {"y": part, "n_fft": size, "hop_length": hop, "center": False}
    if name == "spectral_centroid_hz":
        values = librosa.feature.spectral_centroid(sr=spec.sample_rate, **options)[0]
    else:
        # librosa's default floor of 1e-10 would make quiet sounds look flat.
        values = librosa.feature.spectral_flatness(amin=1e-20, **options)[0]
    level = librosa.feature.rms(y=part, frame_length=size, hop_length=hop, center=False)[0]
    return np.where(level > 10 ** (SILENCE_DB / 20), values, np.nan)


def _onsets(mono: Values, block: _Block, spec: CodecSpec, size: int, _: str) -> Values:
    import librosa

    hop = spec.hop
    # Starts one frame early: the first rise is from that frame.
    first = block.start + hop + size // 4 - size - hop
    part = _part(mono, first, block.frames * hop + size)
    mel = librosa.feature.melspectrogram(
        y=part, sr=spec.sample_rate, n_fft=size, hop_length=hop, center=False, n_mels=64
    )
    power = mel / (size / 4) ** 2  # relative to a full-scale sine, before the mel filters
    levels = librosa.power_to_db(power, amin=_ONSET_FLOOR, top_db=None)
    rises = np.maximum(0.0, np.diff(levels, axis=1))
    return np.asarray(rises.mean(axis=0), np.float64)


def _blocks(audio_length: int, spec: CodecSpec) -> Iterator[_Block]:
    """Yield all frames of a clip in order, in blocks of consecutive frames."""
    for segment, frames in enumerate(segment_frames(audio_length, spec)):
        for at in range(0, frames, _BLOCK_FRAMES):
            start = segment * (spec.stride_samples or 0) + at * spec.hop
            yield _Block(start, min(_BLOCK_FRAMES, frames - at))


def _part(mono: Values, start: int, samples: int) -> Values:
    """Return `samples` samples from `start`, with silence beyond the clip's ends."""
    inside = mono[max(0, start) : max(0, start + samples)]
    before = max(0, min(samples, -start))
    return np.pad(inside, (before, samples - before - len(inside)))


def _mono(wav: NDArray[np.float32]) -> Values:
    mono: Values = wav.mean(axis=0, dtype=np.float64)
    return mono


def _even(samples: float) -> int:
    return 2 * int(np.ceil(samples / 2))
