"""Encodes many clips with one model: read ahead, in batches, each with the codes it gets alone.

    streams --loader threads--> Source, a chunk ahead --Encoder.start--> Part --> codes of each clip

A part is the next piece of every open clip. The convolutions of the next part start while those of
the current one run, so that no worker waits for the LSTM. The codes of a clip do not depend on the
other open clips; see `preprocess.codec.layers`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.codec.streaming import Wave
from preprocess.core.errors import PreprocessError
from preprocess.tokens.frames import segment_frames
from preprocess.tokens.types import Ecdc

if TYPE_CHECKING:
    from torch import Tensor

    from preprocess.tokens.specs import CodecSpec

Codes = NDArray[np.int16]

CHUNK_SAMPLES = 1 << 18
"""Samples per channel that are read at once and wait in memory to be encoded."""


class Source:
    """The audio of one clip, checked, and read one chunk ahead if there is a pool.

    Attributes:
        samples: Samples per channel taken so far.
        ended: Whether all audio has been taken.
    """

    def __init__(self, blocks: Iterable[Wave], spec: CodecSpec, pool: Executor | None) -> None:
        self._blocks, self._spec, self._pool = iter(blocks), spec, pool
        self.samples, self.ended = 0, False
        self._next: Future[tuple[Wave | None, bool]] | None = None
        self._read_ahead()

    def take(self, least: int) -> Tensor | None:
        """Return the next samples, float32 `[1, C, n]`; None at the clip's end.

        Args:
            least: Smallest n, unless the clip ends first.

        Raises:
            PreprocessError: The audio has another number of channels, or holds NaN or infinity.
        """
        parts, count = [], 0
        while count < least and not self.ended:
            chunk, self.ended = self._next.result() if self._next else self._chunk()
            if not self.ended:
                self._read_ahead()
            if chunk is not None:
                parts.append(chunk)
                count += chunk.shape[1]
        self.samples += count
        if not parts:
            return None
        wave = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None]

    def _read_ahead(self) -> None:
        if self._pool is not None:
            self._next = self._pool.submit(self._chunk)

    def _chunk(self) -> tuple[Wave | None, bool]:
        parts, count = [], 0
        for block in self._blocks:
            self._check(block)
            if block.shape[1]:
                parts.append(block)
                count += block.shape[1]
            if count >= CHUNK_SAMPLES:
                return np.concatenate(parts, axis=1), False
        return (np.concatenate(parts, axis=1) if parts else None), True

    def _check(self, block: Wave) -> None:
        channels = self._spec.channels
        if block.ndim != 2 or block.shape[0] != channels:
            raise PreprocessError(
                f"{self._spec.name} needs audio [{channels}, N], got {list(block.shape)}"
            )
        if not np.isfinite(block.sum(dtype=np.float64)):
            raise PreprocessError("the audio holds NaN or infinity")


class Encoding:
    """A clip that is being encoded.

    Attributes:
        index: Its index among the streams.
        source: Its audio.
        codes: int16 `[K, n]` of its parts, in order.
        scales: One for each segment; empty for a codec without segments.
        read_all: Whether its last part has started.
        done: Whether it is encoded or has failed.
        error: Why it failed, or None.
    """

    def __init__(self, index: int, source: Source) -> None:
        self.index, self.source = index, source
        self.codes: list[Codes] = []
        self.scales: list[float] = []
        self.read_all = self.done = False
        self.error: Exception | None = None
        self._counted = 0

    def fail(self, error: Exception) -> None:
        """Mark the clip as failed."""
        self.error, self.read_all, self.done = error, True, True

    def new_frames(self) -> int:
        """Return the number of frames that were encoded since the last call."""
        new, self._counted = self.codes[self._counted :], len(self.codes)
        return sum(codes.shape[1] for codes in new)

    def result(self, spec: CodecSpec) -> Ecdc:
        """Return the tokens of a clip that is done.

        Raises:
            PreprocessError: The audio has no samples.
            Exception: The error with which the clip failed.
        """
        if self.error is not None:
            raise self.error
        if not self.codes:
            raise PreprocessError("the audio holds no samples")
        frames = segment_frames(self.source.samples, spec)
        scales = np.array(self.scales, np.float32) if spec.segment_samples else None
        codes = np.concatenate(self.codes, axis=1)
        return Ecdc(spec.name, codes, self.source.samples, frames, scales)


class Part(Protocol):
    """The next part of some clips, with its convolutions started."""

    def recur(self) -> None:
        """Start the steps that need the previous part, which is finished."""

    def finish(self) -> None:
        """Wait for the codes and add them to the clips; clips that end here are done."""

    def clips(self) -> list[Encoding]:
        """Return the clips that it is a part of."""


class Encoder(Protocol):
    """Turns the audio of open clips into codes, part by part (`preprocess.codec.encoders`)."""

    def start(self, clips: list[Encoding]) -> Part:
        """Start to encode the next part of each clip; clips that fail are done."""


def encode_streams(
    encoder: Encoder,
    streams: Iterable[Iterable[Wave]],
    spec: CodecSpec,
    rows: int,
    loaders: int,
    on_part: Callable[[float], None] | None = None,
) -> Iterator[Encoding]:
    """Encode clips, several at a time, and yield each when it is done, in no fixed order.

    Args:
        encoder: Encodes the parts.
        streams: The audio of each clip in blocks `[C, n]` of any size; opened when needed.
        spec: The codec.
        rows: Number of clips open at once.
        loaders: Threads that read ahead; 0 reads blocks only when they are needed.
        on_part: Called with the seconds of audio that were encoded since the last call.
    """
    _keep_pages()
    pool = ThreadPoolExecutor(loaders) if loaders else None
    numbered = enumerate(streams)
    waiting: deque[Encoding] = deque()
    clips: list[Encoding] = []
    started: Part | None = None
    recurring: Part | None = None
    try:
        while True:
            # Keep as many more clips waiting while their first chunk is read.
            reading = sum(not clip.read_all for clip in clips)
            for index, blocks in islice(numbered, max(0, 2 * rows - reading - len(waiting))):
                waiting.append(Encoding(index, Source(blocks, spec, pool)))
            while waiting and reading < rows:
                clips.append(waiting.popleft())
                reading += 1
            if not clips:
                return
            with torch.inference_mode():
                unread = [clip for clip in clips if not clip.read_all]
                following = _start(encoder, unread) if unread else None
                if recurring is not None:
                    _attempt(recurring.finish, recurring.clips())
                if started is not None:
                    _attempt(started.recur, started.clips())
            if on_part is not None and recurring is not None:
                on_part(sum(clip.new_frames() for clip in clips) * _frame_seconds(spec))
            recurring, started = started, following
            done = [clip for clip in clips if clip.done]
            clips = [clip for clip in clips if not clip.done]
            yield from done
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(encoder: Encoder, clips: list[Encoding]) -> Part | None:
    parts: list[Part] = []
    _attempt(lambda: parts.append(encoder.start(clips)), clips)
    return parts[0] if parts else None


def _attempt(call: Callable[[], None], clips: list[Encoding]) -> None:
    """Call `call`; if it fails, as when memory runs out, fail `clips` and go on with the others."""
    try:
        call()
    except Exception as error:  # reported as theirs
        for clip in clips:
            if not clip.done:
                clip.fail(error)


def _frame_seconds(spec: CodecSpec) -> float:
    """Return the seconds of new audio in a frame; segments overlap."""
    if spec.segment_samples is None or spec.stride_samples is None:
        return 1 / spec.fps
    return spec.stride_samples / spec.segment_samples / spec.fps


def _keep_pages() -> None:
    """Make glibc keep freed memory for the next run.

    glibc returns large blocks to the system at once, and mapping them again is slow. Freeing one
    block of the largest allowed size raises its threshold (M_MMAP_THRESHOLD in mallopt(3)).
    """
    torch.empty((32 << 20) - (1 << 16), dtype=torch.uint8)
