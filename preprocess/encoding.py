"""Many clips through one model: read ahead of it, in batches, each with its own codes.

    streams --loader threads--> Source, a chunk ahead --Encoder.step--> codes of each clip

A step takes the next part of every open clip. How many clips are open, and which, does not change
the codes of any of them: see `preprocess.network`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.ecdc import Ecdc
from preprocess.errors import PreprocessError
from preprocess.frames import segment_frames
from preprocess.network import ROWS, Parts
from preprocess.streaming import Track, Wave, Window, advance, run_windows

if TYPE_CHECKING:
    from torch import Tensor

    from preprocess.quantizer import Quantizer
    from preprocess.specs import CodecSpec

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


class Clip:
    """One clip that is being encoded.

    Attributes:
        codes: `[K, T]` of its parts, in order.
        scales: One for each segment, where the codec has segments.
        done: Whether it is encoded, or has failed with `error`.
    """

    def __init__(self, index: int, source: Source) -> None:
        self.index, self.source = index, source
        self.codes: list[Codes] = []
        self.scales: list[float] = []
        self.done = False
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Give the clip up."""
        self.error, self.done = error, True

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


class StreamEncoder:
    """For codecs whose frames follow each other to the end of the clip (24 and 32 kHz).

    Args:
        parts: The encoder.
        quantizer: The codebooks.
        hop: Samples of a frame.
        n_codebooks: K.
        rows: Windows that share a run of the convolutions.
        whole: encodec's own encoder, and up to how many samples a clip goes through it: PyTorch
            may take other kernels for so short a clip than for a long one.
    """

    def __init__(
        self,
        parts: Parts,
        quantizer: Quantizer,
        hop: int,
        n_codebooks: int,
        rows: int,
        whole: tuple[Callable[[Tensor], Tensor], int],
    ) -> None:
        self._parts, self._quantizer, self._hop = parts, quantizer, hop
        self._n_codebooks, self._rows = n_codebooks, rows
        self._whole, self._short = whole
        self._tracks: dict[int, Track] = {}

    def step(self, clips: list[Clip]) -> None:
        """Run the next windows of each clip."""
        share = max(1, max(self._rows, ROWS) // len(clips))
        windows: dict[int, list[Window]] = {}
        for clip in clips:
            try:
                windows[clip.index] = self._next(clip, share)
            except Exception as error:  # reported as that clip's
                clip.fail(error)
        running = [clip for clip in clips if not clip.done]
        tracks = [self._tracks[clip.index] for clip in running]
        outputs = advance(self._parts, tracks, [windows[c.index] for c in running], self._rows)
        for clip, track, embeddings in zip(running, tracks, outputs, strict=True):
            clip.codes += [self._codes(part) for part in embeddings]
            clip.done = track.last.ended
        for clip in clips:
            if clip.done:
                self._tracks.pop(clip.index, None)

    def _next(self, clip: Clip, share: int) -> list[Window]:
        """Return the next windows of a clip; a short one is encoded and done instead."""
        source = clip.source
        if clip.index not in self._tracks:
            track = self._tracks[clip.index] = Track(self._parts, self._hop, 1)
            audio = source.take(self._short + 1)
            if audio is None or source.samples <= self._short:
                if audio is not None:
                    clip.codes = [self._codes(self._whole(self._given(audio)))]
                clip.done = True
                return []
            track.first.push(self._given(audio))
        first = self._tracks[clip.index].first
        result: list[Window] = []
        while len(result) < share:
            if first.wanted and not source.ended:
                audio = source.take(first.wanted)
                if audio is not None:
                    first.push(self._given(audio))
            first.ended = source.ended
            window = first.pop()
            if window is None:
                break
            result.append(window)
        return result

    def _given(self, audio: Tensor) -> Tensor:
        return audio.to(self._parts.device, self._parts.dtype)

    def _codes(self, embeddings: Tensor) -> Codes:
        return to_codes(self._quantizer.encode(embeddings, self._n_codebooks))


class SegmentEncoder:
    """For a codec of independent segments, each with a scale (48 kHz).

    Whole segments of all clips share runs. The shorter one at a clip's end is encoded by itself,
    by encodec: its scale and its group norms span just that segment.

    Args:
        parts: The encoder.
        quantizer: The codebooks.
        spec: The codec.
        n_codebooks: K.
        rows: Segments that share a run.
        whole: encodec's own encoder.
    """

    def __init__(
        self,
        parts: Parts,
        quantizer: Quantizer,
        spec: CodecSpec,
        n_codebooks: int,
        rows: int,
        whole: Callable[[Tensor], Tensor],
    ) -> None:
        if spec.segment_samples is None or spec.stride_samples is None:
            raise ValueError(f"{spec.name} has no segments")
        self._size, self._stride = spec.segment_samples, spec.stride_samples
        self._parts, self._quantizer, self._whole = parts, quantizer, whole
        self._n_codebooks, self._rows = n_codebooks, rows
        self._held: dict[int, Tensor] = {}

    def step(self, clips: list[Clip]) -> None:
        """Encode the next segments of each clip."""
        share = max(1, max(self._rows, ROWS) // len(clips))
        segments: list[tuple[Clip, Tensor]] = []
        for clip in clips:
            try:
                segments += [(clip, segment) for segment in self._next(clip, share)]
            except Exception as error:  # reported as that clip's
                clip.fail(error)
        segments = [(clip, segment) for clip, segment in segments if clip.error is None]
        scaled = [_rescale(segment) for _, segment in segments]
        scaled = [(x.to(self._parts.dtype), scale) for x, scale in scaled]
        full = [x for x, _ in scaled if x.shape[2] == self._size]
        embeddings = iter(
            run_windows(self._parts, [Window(x, slice(None)) for x in full], self._rows)
        )
        for (clip, segment), (x, scale) in zip(segments, scaled, strict=True):
            y = next(embeddings) if segment.shape[2] == self._size else self._whole(x)
            clip.codes.append(to_codes(self._quantizer.encode(y, self._n_codebooks)))
            clip.scales.append(scale)
        for clip in clips:
            if clip.done:
                self._held.pop(clip.index, None)

    def _next(self, clip: Clip, share: int) -> list[Tensor]:
        source = clip.source
        held = self._held.get(clip.index)
        have = 0 if held is None else held.shape[2]
        wanted = (share - 1) * self._stride + self._size
        audio = source.take(wanted - have) if have < wanted and not source.ended else None
        if audio is not None:
            audio = audio.to(self._parts.device)
            held = audio if held is None else torch.cat([held, audio], dim=2)
        if held is None:
            clip.done = True
            return []
        segments: list[Tensor] = []
        while len(segments) < share and held.shape[2]:
            if held.shape[2] < self._size and not source.ended:
                break
            segments.append(held[..., : self._size])
            held = held[..., self._stride :]
        self._held[clip.index] = held
        clip.done = source.ended and not held.shape[2]
        return segments


def _rescale(segment: Tensor) -> tuple[Tensor, float]:
    """Return a segment `[1, C, n]` at an RMS of 1, and what it was divided by, as encodec does."""
    volume = segment.mean(dim=1, keepdim=True).pow(2).mean(dim=2, keepdim=True).sqrt()
    scale = 1e-8 + volume
    return segment / scale, float(scale)


def _keep_pages() -> None:
    """Let glibc keep the memory that a run frees for the next one.

    What it gives back at once, and so what must be cleared and mapped again, follows the largest
    block that has been freed so far, up to this size (M_MMAP_THRESHOLD in mallopt(3)).
    """
    torch.empty((32 << 20) - (1 << 16), dtype=torch.uint8)


def to_codes(codes: Tensor) -> Codes:
    """Return codes as they are kept."""
    result: Codes = codes.to(torch.int16).cpu().numpy()
    return result


def encode_streams(
    encoder: StreamEncoder | SegmentEncoder,
    streams: Iterable[Iterable[Wave]],
    spec: CodecSpec,
    rows: int,
    loaders: int,
) -> Iterator[Clip]:
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
    waiting: deque[Clip] = deque()
    clips: list[Clip] = []
    try:
        while True:
            # As many again wait, their first chunk being read.
            for index, blocks in islice(numbered, max(0, 2 * rows - len(clips) - len(waiting))):
                waiting.append(Clip(index, Source(blocks, spec, pool)))
            while waiting and len(clips) < rows:
                clips.append(waiting.popleft())
            if not clips:
                return
            with torch.inference_mode():
                encoder.step(clips)
            done = [clip for clip in clips if clip.done]
            clips = [clip for clip in clips if not clip.done]
            yield from done
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
