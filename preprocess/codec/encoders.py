"""The two ways from audio to codes: as a stream, or segment by segment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

import torch

from preprocess.codec.encoding import Codes, Encoding
from preprocess.codec.network import Parts
from preprocess.codec.recurrent import ROWS
from preprocess.codec.runner import RECURRENT, Runner, Window
from preprocess.codec.streaming import Step, Track

if TYPE_CHECKING:
    from torch import Tensor

    from preprocess.codec.quantizer import Quantizer
    from preprocess.tokens.specs import CodecSpec


_GRAIN_SIZE = 32_768


class StreamEncoder:
    """Encodes with a codec without segments (24 and 32 kHz).

    A clip too short for PyTorch's long-clip kernels is run whole, by the kernels for its length.

    Args:
        parts: The encoder network.
        quantizer: The codebooks.
        hop: Hop length in samples.
        n_codebooks: K.
        runner: Runs the windows.
    """

    def __init__(
        self, parts: Parts, quantizer: Quantizer, hop: int, n_codebooks: int, runner: Runner
    ) -> None:
        self._parts, self._quantizer, self._hop = parts, quantizer, hop
        self._n_codebooks, self._runner = n_codebooks, runner
        self._short = (parts.long_from - 1) * hop
        self._tracks: dict[int, Track] = {}

    def start(self, clips: list[Encoding]) -> _StreamPart:
        """Start to encode the next windows of each clip."""
        windows_a_step = max(ROWS, self._runner.rows * len(self._runner.workers))
        share = max(1, windows_a_step // len(clips))
        running: list[tuple[Encoding, Track, list[Window]]] = []
        short: list[tuple[Encoding, Future[Codes]]] = []
        for clip in clips:
            try:
                track = self._tracks.get(clip.index)
                if track is None and (audio := self._short_audio(clip)) is not None:
                    short.append((clip, self._encode_whole(audio)))
                elif not clip.read_all:
                    track = self._tracks[clip.index]
                    running.append((clip, track, self._next(clip, track, share)))
            except Exception as error:  # reported as that clip's
                clip.fail(error)
            if clip.read_all:
                self._tracks.pop(clip.index, None)
        tracks, windows = [t for _, t, _ in running], [w for _, _, w in running]
        step = Step(self._parts, tracks, windows, self._runner)
        return _StreamPart(step, [clip for clip, _, _ in running], short, self._codes)

    def _short_audio(self, clip: Encoding) -> Tensor | None:
        """Return all audio of a new clip if it is short; else start its track and return None."""
        audio = clip.source.take(self._short + 1)
        if audio is None:
            clip.read_all = clip.done = True
            return None
        if clip.source.samples <= self._short:
            clip.read_all = True
            return self._given(audio)
        track = self._tracks[clip.index] = Track(self._parts, self._hop, 1)
        track.first.push(self._given(audio))
        return None

    def _encode_whole(self, audio: Tensor) -> Future[Codes]:
        return self._runner.workers.submit(lambda: self._codes(self._parts.whole(audio)))

    def _next(self, clip: Encoding, track: Track, share: int) -> list[Window]:
        """Return the next windows of a clip, at most `share` of them."""
        source, first = clip.source, track.first
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
        clip.read_all = first.ended and not first.pending
        return result

    def _given(self, audio: Tensor) -> Tensor:
        return audio.to(self._parts.device, self._parts.dtype)

    def _codes(self, embeddings: Tensor) -> Codes:
        return _to_codes(self._quantizer.encode(embeddings, self._n_codebooks))


class _StreamPart:
    """The next windows of some clips while they are encoded."""

    def __init__(
        self,
        step: Step,
        clips: list[Encoding],
        short: list[tuple[Encoding, Future[Codes]]],
        codes: Callable[[Tensor], Codes],
    ) -> None:
        self._step, self._clips, self._short, self._codes = step, clips, short, codes

    def clips(self) -> list[Encoding]:
        """Return the clips that it is a part of."""
        return [*self._clips, *(clip for clip, _ in self._short)]

    def recur(self) -> None:
        """Start the LSTM, which needs the states of the previous part."""
        self._step.recur()

    def finish(self) -> None:
        """Wait for the codes and add them to the clips."""
        outputs = self._step.finish(self._codes)
        for clip, ends, codes in zip(self._clips, self._step.ends, outputs, strict=True):
            clip.codes += codes
            clip.done = clip.done or ends
        for clip, whole in self._short:
            clip.codes, clip.done = [whole.result()], True


class SegmentEncoder:
    """Encodes with a codec of independent segments, each with a scale (48 kHz).

    Full segments of all clips share runs. The shorter one at a clip's end runs alone, by the
    kernels for its length; its scale and group norms span only that segment.

    Args:
        parts: The encoder network.
        quantizer: The codebooks.
        spec: The codec.
        n_codebooks: K.
        runner: Runs the segments.
    """

    def __init__(
        self,
        parts: Parts,
        quantizer: Quantizer,
        spec: CodecSpec,
        n_codebooks: int,
        runner: Runner,
    ) -> None:
        if spec.segment_samples is None or spec.stride_samples is None:
            raise ValueError(f"{spec.name} has no segments")
        self._size, self._stride = spec.segment_samples, spec.stride_samples
        self._parts, self._quantizer, self._runner = parts, quantizer, runner
        self._n_codebooks = n_codebooks
        self._held: dict[int, Tensor] = {}

    def start(self, clips: list[Encoding]) -> _SegmentPart:
        """Start to encode the next segments of each clip."""
        share = max(1, max(ROWS, self._runner.rows * len(self._runner.workers)) // len(clips))
        segments: list[tuple[Encoding, Tensor]] = []
        for clip in clips:
            try:
                segments += [(clip, segment) for segment in self._next(clip, share)]
            except Exception as error:  # reported as that clip's
                clip.fail(error)
            if clip.read_all:
                self._held.pop(clip.index, None)
        segments = [(clip, segment) for clip, segment in segments if clip.error is None]
        rescale = partial(_rescale, [segment for _, segment in segments])
        scaled = self._runner.workers.submit(rescale, RECURRENT).result()
        windows = [Window(x.to(self._parts.dtype), slice(None)) for x, _ in scaled]
        full = [window.x.shape[2] == self._size for window in windows]
        whole = [window for window, is_full in zip(windows, full, strict=True) if is_full]
        short = [window for window, is_full in zip(windows, full, strict=True) if not is_full]
        waits = [
            self._runner.start(self._parts, whole, self._codes),
            self._runner.start(self._parts.whole, short, self._codes),
        ]
        ends = [clip for clip in clips if clip.read_all]
        scales = [(clip, scale) for (clip, _), (_, scale) in zip(segments, scaled, strict=True)]
        return _SegmentPart(scales, full, waits, ends)

    def _next(self, clip: Encoding, share: int) -> list[Tensor]:
        source = clip.source
        held = self._held.get(clip.index)
        have = 0 if held is None else held.shape[2]
        wanted = (share - 1) * self._stride + self._size
        audio = source.take(wanted - have) if have < wanted and not source.ended else None
        if audio is not None:
            audio = audio.to(self._parts.device)
            held = audio if held is None else torch.cat([held, audio], dim=2)
        if held is None:
            clip.read_all = True
            return []
        segments: list[Tensor] = []
        while len(segments) < share and held.shape[2]:
            if held.shape[2] < self._size and not source.ended:
                break
            segments.append(held[..., : self._size])
            held = held[..., self._stride :]
        self._held[clip.index] = held
        clip.read_all = source.ended and not held.shape[2]
        return segments

    def _codes(self, embeddings: Tensor) -> Codes:
        return _to_codes(self._quantizer.encode(embeddings, self._n_codebooks))


class _SegmentPart:
    """The next segments of some clips while they are encoded."""

    def __init__(
        self,
        segments: list[tuple[Encoding, float]],
        full: list[bool],
        waits: list[Callable[[], list[Codes]]],
        ends: list[Encoding],
    ) -> None:
        self._segments, self._full, self._waits, self._ends = segments, full, waits, ends

    def clips(self) -> list[Encoding]:
        """Return the clips that it is a part of."""
        return [*(clip for clip, _ in self._segments), *self._ends]

    def recur(self) -> None:
        """Do nothing: segments are independent."""

    def finish(self) -> None:
        """Wait for the codes and add them to the clips."""
        whole, short = (iter(wait()) for wait in self._waits)
        for (clip, scale), is_full in zip(self._segments, self._full, strict=True):
            clip.codes.append(next(whole if is_full else short))
            clip.scales.append(scale)
        for clip in self._ends:
            clip.done = True


def _rescale(segments: list[Tensor]) -> list[tuple[Tensor, float]]:
    """Scale each segment `[1, C, n]` to an RMS of 1 as encodec does; return it with its scale."""
    scaled = []
    for segment in segments:
        mono = segment.mean(dim=1, keepdim=True)
        scale = 1e-8 + _mean(mono.pow(2)).sqrt()
        scaled.append((segment / scale, float(scale)))
    return scaled


def _mean(x: Tensor) -> Tensor:
    """Return the mean over time of `[1, 1, n]`, summed in the order of two threads.

    Two threads sum one half each if there are more samples than PyTorch's smallest share for a
    thread (`GRAIN_SIZE` in `ATen/TensorIterator.h` of pytorch/pytorch).
    """
    n = x.shape[2]
    if n <= _GRAIN_SIZE or x.is_cuda:
        return x.mean(dim=2, keepdim=True)
    return sum(half.sum(2, keepdim=True) for half in x.split(-(-n // 2), dim=2)) / n


def _to_codes(codes: Tensor) -> Codes:
    """Return codes as int16 `[K, n]` in the CPU's memory."""
    result: Codes = codes.to(torch.int16).cpu().numpy()
    return result
