"""The two ways from audio to codes: along a stream, or segment by segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from preprocess.encoding import Clip, Codes
from preprocess.network import ROWS, Parts
from preprocess.streaming import Track, Window, advance, run_windows

if TYPE_CHECKING:
    from torch import Tensor

    from preprocess.quantizer import Quantizer
    from preprocess.specs import CodecSpec


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
        return _to_codes(self._quantizer.encode(embeddings, self._n_codebooks))


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
            clip.codes.append(_to_codes(self._quantizer.encode(y, self._n_codebooks)))
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


def _to_codes(codes: Tensor) -> Codes:
    """Return codes as they are kept."""
    result: Codes = codes.to(torch.int16).cpu().numpy()
    return result
