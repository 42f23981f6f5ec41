"""From spans of rows to finished tensors: what crops and streams share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.train.arrow_rows import Chunk
from preprocess.train.batch import CropBatch
from preprocess.train.scaling import Scaler

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Parts of clips that make crops, `parts` of them each.

    Attributes:
        clips: For each part, its clip's number in the dataset.
        chunks: For each part, the chunk that its clip lies in.
        rows: Its clip's number in the chunk.
        starts: Its first frame.
        lengths: How many frames it has; 0 for a part that is empty.
    """

    clips: Counts
    chunks: Sequence[Chunk]
    rows: Counts
    starts: Counts
    lengths: Counts


class Cutter:
    """Cuts codes and parameters at the same frames.

    Args:
        n_codebooks: K of the rows.
        codebooks: How many of them to keep.
        padding: What stands where there is no code.
        scaler: Of the parameters.
    """

    def __init__(self, n_codebooks: int, codebooks: int, padding: int, scaler: Scaler) -> None:
        self._all, self._kept, self._padding, self._scaler = n_codebooks, codebooks, padding, scaler

    def cut(self, spans: Spans, frames: int, parts: int = 1, loop: bool = False) -> CropBatch:
        """Return crops of `frames` frames, each of `parts` spans in a row.

        Args:
            spans: `B * parts` of them.
            frames: Of a crop; a part fills `frames / parts`.
            parts: Spans in a crop.
            loop: Whether a span that is shorter repeats until its part is full.
        """
        count, width = len(spans.rows) // parts, frames // parts
        codes, raw, mask = self._room(count, frames, bool((spans.lengths == width).all()))
        starts, lengths = spans.starts.tolist(), spans.lengths.tolist()
        ids = []
        for at, (chunk, row) in enumerate(zip(spans.chunks, spans.rows.tolist(), strict=True)):
            crop, left = (at, 0) if parts == 1 else (at // parts, at % parts * width)
            n = lengths[at]
            self._fill(chunk, row, slice(starts[at], starts[at] + n), codes[crop], raw[crop], left)
            if n < width:
                if loop and n:
                    places = left + np.arange(width) % n
                    codes[crop, :, left : left + width] = codes[crop][:, places]
                    raw[crop, :, left : left + width] = raw[crop][:, places]
                else:
                    mask[crop, left + n : left + width] = False
            ids.append(chunk.name(row))
        values, parameter_mask = self._scaler(raw)
        tensors = {
            "codes": torch.from_numpy(codes),
            "parameters": torch.from_numpy(values),
            "mask": torch.from_numpy(mask),
            "parameter_mask": torch.from_numpy(parameter_mask),
            "starts": torch.from_numpy(
                spans.starts.copy() if parts == 1 else spans.starts.reshape(count, parts).copy()
            ),
        }
        names = (
            ids if parts == 1 else [tuple(ids[i : i + parts]) for i in range(0, len(ids), parts)]
        )
        return CropBatch(tensors, names, [frames] * count, self._padding)

    def _room(
        self, count: int, frames: int, full: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
        """Return codes, raw values and mask to write to; padded, unless each crop is full."""
        shape = (count, self._kept, frames)
        codes = np.empty(shape, np.int64) if full else np.full(shape, self._padding, np.int64)
        raw = np.full((count, len(self._scaler.parts), frames), np.nan, np.float32)
        return codes, raw, np.ones((count, frames), np.bool_)

    def _fill(
        self,
        chunk: Chunk,
        row: int,
        part: slice,
        codes: NDArray[np.int64],
        raw: NDArray[np.float32],
        left: int,
    ) -> None:
        """Write a part of a row to codes `[K, T]` and values `[P, T]`, from column `left` on."""
        frames, at = chunk.frames.item(row), chunk.codes_at.item(row)
        shaped = chunk.codes[at : at + frames * self._all].reshape(self._all, frames)
        right = left + part.stop - part.start
        codes[:, left:right] = shaped[: self._kept, part]
        for line, values, begins, lacks in zip(
            raw, chunk.values, chunk.values_at, chunk.lacks, strict=True
        ):
            if lacks is None or not lacks[row]:
                at = begins.item(row)
                line[left:right] = values[at + part.start : at + part.stop]
