"""Time: every conversion between samples, token frames and seconds, in integer samples.

A codec without segments has one frame for every `hop` samples:

    samples  0        320       640       960    audio_length = 1,000
    frames   |--- 0 ---|--- 1 ---|--- 2 ---|- 3      ceil(1000 / 320) = 4

The 48 kHz codec cuts the audio into segments of 48,000 samples that start every 47,520 samples.
Each segment has its own frames, and its last 480 samples overlap the next segment:

    segment 0  |0 ... 148|149|          frame i of segment s starts at
    segment 1          |0|1| ...        sample 47,520 s + 320 i
    samples    0     47520 48000

So its frames are not on a uniform 150 fps grid, which would drift by 36 s in an hour.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.specs import CodecSpec


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


class Run(NamedTuple):
    """`repeats` segments in a row, each of `samples` samples and `frames` token frames."""

    samples: int
    frames: int
    repeats: int


def segment_runs(audio_length: int, spec: CodecSpec) -> tuple[Run, ...]:
    """Return the segments of a clip as runs of equal segments; one run for a codec without them.

    Takes constant time and memory, so it is safe for a length that a hostile file claims.

    Args:
        audio_length: Samples per channel, at least 1.
        spec: The codec.

    Raises:
        ValueError: `audio_length` is less than 1.
    """
    if audio_length < 1:
        raise ValueError(f"audio_length must be at least 1 sample, got {audio_length}")
    if spec.segment_samples is None or spec.stride_samples is None:
        return (Run(audio_length, _ceil_div(audio_length, spec.hop), 1),)
    full = max(0, (audio_length - spec.segment_samples) // spec.stride_samples + 1)
    starts = range(full, _ceil_div(audio_length, spec.stride_samples))
    tails = [audio_length - s * spec.stride_samples for s in starts]
    runs = [(spec.segment_samples, full)] if full else []
    runs += [(samples, 1) for samples in tails]
    return tuple(Run(samples, _ceil_div(samples, spec.hop), count) for samples, count in runs)


def segment_lengths(audio_length: int, spec: CodecSpec) -> tuple[int, ...]:
    """Return the length in samples of each segment of a clip."""
    return tuple(
        run.samples for run in segment_runs(audio_length, spec) for _ in range(run.repeats)
    )


def segment_frames(audio_length: int, spec: CodecSpec) -> tuple[int, ...]:
    """Return the number of token frames of each segment; their sum is `n_frames`."""
    return tuple(run.frames for run in segment_runs(audio_length, spec) for _ in range(run.repeats))


def n_frames(audio_length: int, spec: CodecSpec) -> int:
    """Return T, the number of token frames of a clip of `audio_length` samples."""
    return sum(run.frames * run.repeats for run in segment_runs(audio_length, spec))


def frame_start_samples(audio_length: int, spec: CodecSpec) -> NDArray[np.int64]:
    """Return the sample at which each frame starts, int64 `[T]`.

    Not monotonic at 48 kHz: the first frames of a segment start before the last frames of the
    previous segment.
    """
    stride = spec.stride_samples or 0
    return np.concatenate(
        [
            s * stride + spec.hop * np.arange(frames, dtype=np.int64)
            for s, frames in enumerate(segment_frames(audio_length, spec))
        ]
    )


def frame_centre_samples(audio_length: int, spec: CodecSpec) -> NDArray[np.int64]:
    """Return the sample in the middle of each frame's hop, int64 `[T]` (every hop is even)."""
    return frame_start_samples(audio_length, spec) + spec.hop // 2


def frame_starts_s(audio_length: int, spec: CodecSpec) -> NDArray[np.float64]:
    """Return the start of each frame in seconds `[T]`. Each is rounded once, so nothing drifts."""
    return frame_start_samples(audio_length, spec) / spec.sample_rate


def frame_centres_s(audio_length: int, spec: CodecSpec) -> NDArray[np.float64]:
    """Return the middle of each frame's hop in seconds `[T]`."""
    return frame_centre_samples(audio_length, spec) / spec.sample_rate


def frame_ends_s(audio_length: int, spec: CodecSpec) -> NDArray[np.float64]:
    """Return the end of each frame's hop in seconds `[T]`, at most the end of the audio."""
    ends = frame_start_samples(audio_length, spec) + spec.hop
    return np.minimum(ends, audio_length) / spec.sample_rate


def sample_to_frame(sample: int, audio_length: int, spec: CodecSpec) -> int:
    """Return the index of the frame that covers `sample`.

    Where two segments of the 48 kHz codec overlap, this is the frame of the later segment.

    Raises:
        ValueError: `sample` is outside the clip.
    """
    if not 0 <= sample < audio_length:
        raise ValueError(f"sample {sample} is outside the clip of {audio_length} samples")
    if spec.stride_samples is None:
        return sample // spec.hop
    segment, offset = divmod(sample, spec.stride_samples)
    frames_before = 0
    for run in segment_runs(audio_length, spec):
        passed = min(run.repeats, segment)
        frames_before += passed * run.frames
        segment -= passed
    return frames_before + offset // spec.hop


def seconds_to_samples(seconds: float | Fraction, sample_rate: int) -> int:
    """Return the sample nearest to a time in seconds, computed exactly (ties round to even)."""
    return round(Fraction(seconds) * sample_rate)


def samples_to_seconds(samples: int, sample_rate: int) -> float:
    """Return the time of a sample in seconds, correctly rounded."""
    return samples / sample_rate


def seconds_to_frame(seconds: float | Fraction, audio_length: int, spec: CodecSpec) -> int:
    """Return the frame that covers a time in seconds.

    Uses the last sample whose time (`samples_to_seconds`) is at or before `seconds`, so that the
    start of a frame maps back to that frame even if rounding made it slightly too early.

    Raises:
        ValueError: The time is outside the clip.
    """
    if not -1 < seconds < audio_length / spec.sample_rate + 1:
        raise ValueError(f"{seconds} s is outside the clip of {audio_length} samples")
    exact = Fraction(seconds) * spec.sample_rate
    sample = exact.numerator // exact.denominator
    if samples_to_seconds(sample + 1, spec.sample_rate) <= seconds:
        sample += 1
    return sample_to_frame(sample, audio_length, spec)


def time_model(audio_length: int, spec: CodecSpec) -> dict[str, Any]:
    """Return the JSON values with which a reader can place every frame of a clip in time."""
    model: dict[str, Any] = {
        "codec": spec.name,
        "sample_rate": spec.sample_rate,
        "hop": spec.hop,
        "audio_length": audio_length,
    }
    if spec.stride_samples is not None:
        model["segment_samples"] = spec.segment_samples
        model["stride_samples"] = spec.stride_samples
    return model
