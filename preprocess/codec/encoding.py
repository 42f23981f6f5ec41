"""Many clips through one model: read ahead of it, in batches, each with its own codes.

    streams --loader threads--> Source, a chunk ahead --Encoder.start--> Part --> codes of each clip

A part is what comes next of every open clip. While its convolutions run, those of the part after
it are begun, so that no worker waits for the LSTM. How many clips are open, and which, does not
change the codes of any of them: see `preprocess.codec.layers`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
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
"""How much of a clip is read at once, and waits in memory for its turn."""


class Source:
    """The audio of one clip `[C, n]`, checked, and read one chunk ahead where there is a pool.

    Attributes:
        samples: How many have been taken.
        ended: Whether they are all.
    """

    def __init__(self, blocks: Iterable[Wave], spec: CodecSpec, pool: Executor | None) -> None:
        self._blocks, self._spec, self._pool = iter(blocks), spec, pool
        self.samples, self.ended = 0, False
        self._next: Future[tuple[Wave | None, bool]] | None = None
        self._read_ahead()

    def take(self, least: int) -> Tensor | None:
        """Return the next samples `[1, C, n]`: `least` or more, unless the clip ends before.

        Raises:
            PreprocessError: They have another number of channels, or hold NaN or infinity.
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
                f"{self._spec.name} takes audio [{channels}, N], got {list(block.shape)}"
            )
        if not np.isfinite(block.sum(dtype=np.float64)):
            raise PreprocessError("the audio holds NaN or infinity")


class Encoding:
    """One clip that is being encoded.

    Attributes:
        codes: `[K, T]` of its parts, in order.
        scales: One for each segment, where the codec has segments.
        read: Whether its last part is on its way.
        done: Whether it is encoded, or has failed with `error`.
    """

    def __init__(self, index: int, source: Source) -> None:
        self.index, self.source = index, source
        self.codes: list[Codes] = []
        self.scales: list[float] = []
        self.read = self.done = False
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Give the clip up."""
        self.error, self.read, self.done = error, True, True

    def result(self, spec: CodecSpec) -> Ecdc:
        """Return the tokens of a clip that is done.

        Raises:
            PreprocessError: Its audio could not be had, or has no samples.
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
    """The next part of some clips, its convolutions begun."""

    def recur(self) -> None:
        """Begin what needs the part before, which is finished."""

    def finish(self) -> None:
        """Wait for the codes and give them to the clips; those that end with it are done."""


class Encoder(Protocol):
    """What turns the audio of open clips into codes, part by part (`preprocess.codec.encoders`)."""

    def start(self, clips: list[Encoding]) -> Part:
        """Begin to encode the next part of each clip; clips that fail are done."""


def encode_streams(
    encoder: Encoder,
    streams: Iterable[Iterable[Wave]],
    spec: CodecSpec,
    rows: int,
    loaders: int,
) -> Iterator[Encoding]:
    """Encode clips, several at a time, and yield each as it is done, in no certain order.

    Args:
        encoder: What encodes them.
        streams: The audio of each clip in blocks `[C, n]` of any sizes, opened as its turn comes.
        spec: The codec.
        rows: Clips that are open at once.
        loaders: Threads that read ahead; none reads when its blocks are asked for.
    """
    _keep_pages()
    pool = ThreadPoolExecutor(loaders) if loaders else None
    numbered = enumerate(streams)
    waiting: deque[Encoding] = deque()
    clips: list[Encoding] = []
    begun: Part | None = None
    recurring: Part | None = None
    try:
        while True:
            # As many again wait, their first chunk being read.
            reading = sum(not clip.read for clip in clips)
            for index, blocks in islice(numbered, max(0, 2 * rows - reading - len(waiting))):
                waiting.append(Encoding(index, Source(blocks, spec, pool)))
            while waiting and reading < rows:
                clips.append(waiting.popleft())
                reading += 1
            if not clips:
                return
            with torch.inference_mode():
                going_on = [clip for clip in clips if not clip.read]
                after = encoder.start(going_on) if going_on else None
                if recurring is not None:
                    recurring.finish()
                if begun is not None:
                    begun.recur()
            recurring, begun = begun, after
            done = [clip for clip in clips if clip.done]
            clips = [clip for clip in clips if not clip.done]
            yield from done
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _keep_pages() -> None:
    """Let glibc keep the memory that a run frees for the next one.

    What it gives back at once, and so what must be cleared and mapped again, follows the largest
    block that has been freed so far, up to this size (M_MMAP_THRESHOLD in mallopt(3)).
    """
    torch.empty((32 << 20) - (1 << 16), dtype=torch.uint8)
