"""Tokens to audio, in the memory of a few seconds of audio."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from preprocess.codec.network import Parts
from preprocess.codec.recurrent import ROWS
from preprocess.codec.runner import Runner, Window
from preprocess.codec.streaming import WINDOW_FRAMES, Wave, run_clip

if TYPE_CHECKING:
    from preprocess.codec.quantizer import Quantizer
    from preprocess.tokens.specs import CodecSpec
    from preprocess.tokens.types import Ecdc


def decode_stream(
    parts: Parts, quantizer: Quantizer, ecdc: Ecdc, spec: CodecSpec
) -> Iterator[Wave]:
    """Yield the audio of a clip without segments as blocks, float32 `[C, n]`."""
    codes = torch.from_numpy(ecdc.codes.astype(np.int64)).to(parts.device)
    embeddings = (quantizer.decode(part) for part in codes.split(WINDOW_FRAMES, dim=1))
    left = ecdc.audio_length
    with torch.inference_mode():
        for audio in run_clip(parts, embeddings, 1, spec.hop):
            yield audio[0, :, :left].cpu().numpy()
            left = max(0, left - audio.shape[2])


def decode_segments(
    parts: Parts, quantizer: Quantizer, ecdc: Ecdc, spec: CodecSpec
) -> Iterator[Wave]:
    """Yield the audio of a clip of overlapping segments as blocks, float32 `[C, n]`.

        segment 0  |-----------------==|         ==  a crossfade, weighted by the distance to the
        segment 1                   |==-----...      end of segment 0 and the start of segment 1
                   |<-- yielded --->|

    Weights: `_linear_overlap_add` in `encodec/utils.py` of facebookresearch/encodec.
    """
    stride = spec.stride_samples or 0
    ramp = torch.linspace(0, 1, ecdc.segment_frames[0] * spec.hop + 2)[1:-1]
    weight = (0.5 - (ramp - 0.5).abs()).numpy()
    total = np.zeros((spec.channels, 0), np.float32)  # from the start of the segment on
    weights = np.zeros(0, np.float32)
    left, last = ecdc.audio_length, len(ecdc.segment_frames) - 1
    for index, segment in enumerate(_segments(parts, quantizer, ecdc)):
        missing = max(0, segment.shape[1] - total.shape[1])
        total = np.pad(total, ((0, 0), (0, missing)))
        weights = np.pad(weights, (0, missing))
        total[:, : segment.shape[1]] += weight[: segment.shape[1]] * segment
        weights[: segment.shape[1]] += weight[: segment.shape[1]]
        done = stride if index < last else total.shape[1]
        yield (total[:, :done] / weights[:done])[:, :left]
        left = max(0, left - done)
        total, weights = total[:, done:], weights[done:]


def _segments(parts: Parts, quantizer: Quantizer, ecdc: Ecdc) -> Iterator[Wave]:
    """Yield the audio of each segment, `[C, n]`, multiplied by its scale."""
    ends = np.cumsum((0, *ecdc.segment_frames)).tolist()
    bounds = list(pairwise(ends))
    scales = ecdc.scales if ecdc.scales is not None else np.ones(len(bounds), np.float32)
    runner = Runner(ROWS)
    for first in range(0, len(bounds), ROWS):
        windows = []
        for start, end in bounds[first : first + ROWS]:
            codes = torch.from_numpy(ecdc.codes[:, start:end].astype(np.int64)).to(parts.device)
            windows.append(Window(quantizer.decode(codes), slice(None)))
        with torch.inference_mode():
            audio = runner.run(parts, windows)
        for segment, scale in zip(audio, scales[first : first + ROWS], strict=True):
            yield segment[0].cpu().numpy() * scale
