"""Reads audio that libsndfile cannot (m4a, aac, wma, webm, ...) with ffmpeg through PyAV.

PyAV is an optional dependency (the extra `formats`) that includes ffmpeg's libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError

FFMPEG_EXTENSIONS = ("m4a", "m4b", "aac", "wma", "webm", "mka", "wv")
"""Extensions that PyAV reads and libsndfile does not."""

# Containers whose header declares the length. For a bare stream (ADTS), ffmpeg guesses it.
_STATE_LENGTH = ("mp4", "matroska", "asf", "wv")
_TRIMMED = "mp4"
"""The container whose declared length excludes the padding of the last packet."""
_TOLERANCE_S = 0.1
"""More than the encoder's delay and padding and the rounding of lengths to milliseconds."""


class FfmpegError(PreprocessError):
    """ffmpeg cannot read a file; the message says why and does not name the file."""


def can_read() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


@contextmanager
def open_ffmpeg(path: Path) -> Iterator[tuple[int, Iterator[NDArray[np.float32]]]]:
    """Yield the sample rate in Hz and the float32 blocks `[N, C]` of a file's first audio stream.

    Raises:
        FfmpegError: PyAV is not installed, or the file holds no audio, is damaged or is shorter
            than it declares.
    """
    if not can_read():
        raise FfmpegError("can be read only with PyAV; type: pip install av")
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise FfmpegError(f"cannot be read as audio: {_reason(error)}") from None
    with container:
        if not container.streams.audio:
            raise FfmpegError("holds no audio stream")
        stream = container.streams.audio[0]
        if not stream.rate:
            raise FfmpegError("is truncated or not audio: it has no sample rate")
        yield int(stream.rate), _blocks(container, stream)


def _blocks(container: Any, stream: Any) -> Iterator[NDArray[np.float32]]:
    import av

    stated = _stated_samples(container, stream)
    position = 0
    try:
        for block in _decoded(container, stream, av.AudioResampler(format="fltp")):
            if stated is not None and _TRIMMED in container.format.name:
                block = block[: max(0, stated - position)]
            position += len(block)
            if len(block):
                yield block
    except av.FFmpegError as error:
        raise FfmpegError(f"is damaged or truncated: {_reason(error)}") from None
    if not position:
        raise FfmpegError("holds no samples")
    if stated is not None and position < stated - _TOLERANCE_S * stream.rate:
        raise FfmpegError(f"is truncated: {position:,} of {stated:,} samples")


def _decoded(container: Any, stream: Any, convert: Any) -> Iterator[NDArray[np.float32]]:
    for frame in container.decode(stream):
        yield from (part.to_ndarray().T for part in convert.resample(frame))
    yield from (part.to_ndarray().T for part in convert.resample(None))


def _stated_samples(container: Any, stream: Any) -> int | None:
    if not any(name in container.format.name for name in _STATE_LENGTH):
        return None
    if stream.duration is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:  # Matroska declares one length for all streams
        seconds = float(container.duration) / 1e6
    else:
        return None
    return round(seconds * int(stream.rate))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
