"""Audio files: read in blocks at any sample rate, measured, and written at the codec's.

Everything streams: an hour needs no more memory than a second, except for what the caller keeps.
Blocks are float32 `[N, C]`, as in libsndfile; whole clips are `[C, N]`, as models expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from preprocess.audio.ffmpeg_audio import FFMPEG_EXTENSIONS, FfmpegError, can_read, open_ffmpeg
from preprocess.audio.integrity import chunk_shortfall, mp3_length, ogg_is_complete
from preprocess.core.errors import PreprocessError
from preprocess.core.files import atomic_path
from preprocess.core.untrusted import require_regular

LIBSNDFILE_EXTENSIONS = (
    *("wav", "wave", "flac", "ogg", "oga", "opus", "mp3"),
    *("aiff", "aif", "aifc", "au", "caf", "w64", "rf64"),
)
ALL_EXTENSIONS = (*LIBSNDFILE_EXTENSIONS, *FFMPEG_EXTENSIONS)
"""All extensions of audio files that libsndfile or PyAV can read."""
EXTENSIONS = ALL_EXTENSIONS if can_read() else LIBSNDFILE_EXTENSIONS
"""Extensions that count as audio by default: without PyAV only those of libsndfile."""

BLOCK_SAMPLES = 1 << 16
_MP3_FRAME = 1152
_PCM24_STEPS = 1 << 23
_MAX_WAV_BYTES = (1 << 32) - (1 << 16)

Block = NDArray[np.float32]


class AudioError(PreprocessError):
    """An audio file cannot be used; the message names it and says why."""


def read_blocks(path: Path, sample_rate: int, channels: int) -> Iterator[Block]:
    """Yield a file as blocks `[N, channels]` at `sample_rate`, about 65,536 source samples each.

    Mono is the average of all channels; stereo from mono is the same channel twice. soxr resamples
    at HQ quality, block by block, with the same result as for the whole file.

    Args:
        path: The file.
        sample_rate: Wanted sample rate in Hz.
        channels: Wanted number of channels, 1 or 2.

    Raises:
        AudioError: The file is not audio, is empty or truncated, holds NaN or infinity, or has
            channels that cannot be converted to `channels`.
    """
    with _source(path) as (source_rate, source):
        blocks = (_mix(block, channels, path) for block in _finite(source, path))
        if source_rate == sample_rate:
            yield from blocks
        else:
            yield from _resample(blocks, source_rate, sample_rate, channels)


def read_audio(path: Path, sample_rate: int, channels: int) -> NDArray[np.float32]:
    """Read a whole file as float32 `[channels, N]` at `sample_rate`; see `read_blocks`."""
    return np.ascontiguousarray(np.concatenate([*read_blocks(path, sample_rate, channels)]).T)


def write_audio(
    path: Path, blocks: Iterable[Block], samples: int, sample_rate: int, channels: int, comment: str
) -> None:
    """Write blocks as a 24-bit WAV file, atomically.

    24 bits keep the quiet tails of a levelled clip. A file that would exceed WAV's 4 GiB is
    written as RF64.

    Args:
        path: The file.
        blocks: float32 `[N, channels]`, full scale 1.0; values beyond it are clipped.
        samples: Expected samples per channel, from which the file's size is estimated.
        sample_rate: In Hz.
        channels: Number of channels.
        comment: Text of the file's ICMT tag.

    Raises:
        AudioError: libsndfile cannot write the file.
        DiskError: The disk is full or read-only, or permission is denied.
    """
    size = samples * channels * 3
    form = "RF64" if size > _MAX_WAV_BYTES else "WAV"
    with atomic_path(path) as temporary:
        temporary.touch()  # libsndfile does not say why it cannot open a file
        try:
            with sf.SoundFile(
                temporary, "w", sample_rate, channels, subtype="PCM_24", format=form
            ) as file:
                file.comment = comment
                for block in blocks:
                    # Integers: libsndfile's own conversion of floats is ten times slower.
                    steps = np.rint(block * np.float32(_PCM24_STEPS))
                    steps = steps.clip(-_PCM24_STEPS, _PCM24_STEPS - 1)
                    file.write(steps.astype(np.int32) << 8)
        except sf.LibsndfileError as error:
            _raise_disk_error(temporary)
            raise AudioError(f"{path} cannot be written: {error.error_string}") from None


def _raise_disk_error(path: Path) -> None:
    """Write to the file to get the system's error; libsndfile reports only `System error.`."""
    with open(path, "ab", buffering=0) as file:
        left = 1 << 20
        while left:
            left -= file.write(bytes(left))


def read_comment(path: Path, even_truncated: bool = False) -> str:
    """Return the comment tag of an audio file; empty if there is none.

    Also empty for a truncated file, unless `even_truncated`.
    """
    try:
        with _open(path) as file:
            if not even_truncated:
                _check_size(file, path)
            return str(file.comment)
    except AudioError:
        return ""


def stated_samples(path: Path, sample_rate: int) -> int | None:
    """Return the samples per channel that an audio file declares.

    None if it does not declare them, or has another sample rate than `sample_rate`.
    """
    if _is_ffmpegs(path):
        return None
    with _open(path) as file:
        return int(file.frames) if file.samplerate == sample_rate else None


def stated_seconds(path: Path) -> float | None:
    """Return the seconds that an audio file declares, None if none, 0 if it cannot be read."""
    if _is_ffmpegs(path):
        return None
    try:
        with _open(path) as file:
            return float(file.frames) / float(file.samplerate)
    except (AudioError, OSError):
        return 0.0


@contextmanager
def _source(path: Path) -> Iterator[tuple[int, Iterator[Block]]]:
    """Yield the sample rate and the blocks `[N, C]` of a file, read by libsndfile or ffmpeg."""
    if not _is_ffmpegs(path):
        with _open(path) as file:
            _check_size(file, path)
            yield file.samplerate, _raw_blocks(file, path)
        return
    _require_regular(path)
    if not path.exists() or path.stat().st_size == 0:
        raise AudioError(f"{path} {'is empty' if path.exists() else 'does not exist'}")
    try:
        with open_ffmpeg(path) as (rate, blocks):
            yield rate, blocks
    except FfmpegError as error:
        raise AudioError(f"{path} {error}") from None


def _require_regular(path: Path) -> None:
    try:
        require_regular(path)
    except PreprocessError as error:
        raise AudioError(str(error)) from None


def _is_ffmpegs(path: Path) -> bool:
    return path.suffix.lower().lstrip(".") in FFMPEG_EXTENSIONS


def _open(path: Path) -> sf.SoundFile:
    _require_regular(path)
    try:
        return sf.SoundFile(path)
    except sf.LibsndfileError as error:
        if not path.exists():
            raise AudioError(f"{path} does not exist") from None
        if path.stat().st_size == 0:
            raise AudioError(f"{path} is empty") from None
        raise AudioError(f"{path} cannot be read as audio: {error.error_string}") from None


def _check_size(file: sf.SoundFile, path: Path) -> None:
    shortfall = chunk_shortfall(file.extra_info)
    if shortfall:
        raise AudioError(f"{path} is truncated: {shortfall}")
    if file.format == "OGG" and not ogg_is_complete(path):
        raise AudioError(f"{path} is truncated: its last Ogg page is incomplete")
    if file.frames == 0:
        raise AudioError(f"{path} holds no samples")


def _stated_frames(file: sf.SoundFile, path: Path) -> int:
    """Return the samples that decoding a file must yield; 0 if the file does not declare them.

    Raises:
        AudioError: libsndfile would read only part of this MP3 file.
    """
    if file.format != "MP3":
        return int(file.frames)
    length = mp3_length(path)
    if length is None:
        return int(file.frames)
    if file.frames < length - 2 * _MP3_FRAME:
        raise AudioError(
            f"{path} is an MP3 file without a stated length and can be read only in part; "
            f"convert it first, for example with ffmpeg"
        )
    return 0


def _raw_blocks(file: sf.SoundFile, path: Path) -> Iterator[Block]:
    position, stated = 0, _stated_frames(file, path)
    while True:
        try:
            block = file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            raise AudioError(f"{path} is damaged: {error.error_string}") from None
        if not len(block):
            break
        position += len(block)
        yield block
    if position < stated:
        raise AudioError(f"{path} is truncated: {position:,} of {stated:,} samples")


def _finite(blocks: Iterable[Block], path: Path) -> Iterator[Block]:
    position = 0
    for block in blocks:
        # The sum is NaN or infinite if any sample is, and is cheaper than isfinite on each.
        if not np.isfinite(block.sum(dtype=np.float64)):
            at = position + int(np.argmin(np.isfinite(block).all(axis=1)))
            raise AudioError(f"{path} holds NaN or infinity, first at sample {at:,}")
        position += len(block)
        yield block


def _mix(block: Block, channels: int, path: Path) -> Block:
    have = block.shape[1]
    if have == channels:
        return block
    if channels == 1:
        mixed = block[:, :1].copy()  # by column: 20 times faster than a mean over axis 1
        for channel in range(1, have):
            mixed += block[:, channel : channel + 1]
        return mixed / np.float32(have)
    if have == 1:
        return np.repeat(block, channels, axis=1)
    raise AudioError(f"{path} has {have} channels, which cannot be converted to {channels}")


def _resample(
    blocks: Iterable[Block], source_rate: int, sample_rate: int, channels: int
) -> Iterator[Block]:
    stream = soxr.ResampleStream(source_rate, sample_rate, channels, "float32", quality="HQ")
    for block in blocks:
        out = stream.resample_chunk(block)
        if len(out):
            yield out
    out = stream.resample_chunk(np.empty((0, channels), np.float32), last=True)
    if len(out):
        yield out
