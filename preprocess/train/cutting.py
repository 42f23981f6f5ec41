"""From spans of rows to finished tensors: what crops and streams share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        chunks: For each part, the chunk that its clip lies in.
        rows: Its clip's number in the chunk.
        starts: Its first frame.
        lengths: How many frames it has; 0 for a part that is empty.
    """

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
        codes = np.full((count, self._kept, frames), self._padding, np.int64)
        raw = np.full((count, len(self._scaler.parts), frames), np.nan, np.float32)
        mask = np.zeros((count, frames), np.bool_)
        starts, lengths = spans.starts.tolist(), spans.lengths.tolist()
        ids = []
        for at, (chunk, row) in enumerate(zip(spans.chunks, spans.rows.tolist(), strict=True)):
            crop, left = at // parts, at % parts * width
            n = lengths[at]
            self._fill(chunk, row, starts[at], n, codes[crop, :, left:], raw[crop, :, left:])
            if loop and 0 < n < width:
                places = left + np.arange(width) % n
                codes[crop, :, left : left + width] = codes[crop][:, places]
                raw[crop, :, left : left + width] = raw[crop][:, places]
                n = width
            mask[crop, left : left + n] = True
            ids.append(chunk.name(row))
        values, parameter_mask = self._scaler(raw)
        tensors = {
            "codes": torch.from_numpy(codes),
            "parameters": torch.from_numpy(values),
            "mask": torch.from_numpy(mask),
            "parameter_mask": torch.from_numpy(parameter_mask),
            "starts": torch.from_numpy(
                spans.starts if parts == 1 else spans.starts.reshape(count, parts)
            ),
        }
        names = (
            ids if parts == 1 else [tuple(ids[i : i + parts]) for i in range(0, len(ids), parts)]
        )
        return CropBatch(tensors, names, [frames] * count, self._padding)

    def _fill(
        self,
        chunk: Chunk,
        row: int,
        start: int,
        length: int,
        codes: NDArray[np.int64],
        raw: NDArray[Any],
    ) -> None:
        """Write `length` frames of a row from `start` on: codes `[K, >=T]`, values `[P, >=T]`."""
        frames, at = int(chunk.frames[row]), int(chunk.codes_at[row])
        shaped = chunk.codes[at : at + frames * self._all].reshape(self._all, frames)
        codes[:, :length] = shaped[: self._kept, start : start + length]
        for index, values in enumerate(chunk.values):
            lacks = chunk.lacks[index]
            if lacks is None or not lacks[row]:
                at = int(chunk.values_at[index][row]) + start
                raw[index, :length] = values[at : at + length]
