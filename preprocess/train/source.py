"""What crops are cut from: the rows of a dataset, checked, and what it says of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from preprocess.dataset.schema import read_parameters
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.tokens.specs import CodecSpec, codec_spec
from preprocess.train.arrow_rows import (
    ArrowRows,
    check_names,
    parameter_names,
    row_codebooks,
    row_lengths,
)
from preprocess.train.digest import dataset_digest
from preprocess.train.geometry import Pieces, clip_pieces, frame_times
from preprocess.train.settings import TrainError

if TYPE_CHECKING:
    from datasets import Dataset

Counts = NDArray[np.int64]


class Source:
    """A dataset as crops need it.

    Args:
        dataset: Its rows, or a table of some of them.
        codebooks: How many codebooks to take; None for all.
        parameters: Names of the parameters to take; None for all.
        told: What is known of the parameters of a table; a dataset says it itself.

    Attributes:
        rows: The views of its rows.
        spec: Its codec.
        all_codebooks: K of its rows.
        codebooks: K that is taken.
        frames: T of each clip `[N]`.
        known: What it says of each parameter that is taken.

    Raises:
        TrainError: It is no dataset of tokens, empty, or of several codecs or K; or it lacks a
            parameter or has too few codebooks.
    """

    def __init__(
        self,
        dataset: Dataset | pa.Table,
        codebooks: int | None,
        parameters: Sequence[str] | None,
        told: Mapping[str, ParameterInfo] | None = None,
    ) -> None:
        self._dataset = dataset
        table, indices = _arrow(dataset)
        _check_columns(table, len(dataset))
        self._indices = indices
        told = read_parameters(dataset.features) if told is None else told
        self.spec = _one_codec(table, indices)
        self.all_codebooks = _one_k(table, indices)
        self.codebooks = codebooks or self.all_codebooks
        if self.codebooks > self.all_codebooks:
            raise TrainError(
                f"codebooks={codebooks}, but the dataset has {self.all_codebooks} of them"
            )
        names = parameter_names(table)
        chosen = names if parameters is None else tuple(parameters)
        check_names(chosen, names)
        self.known = {name: told.get(name, ParameterInfo()) for name in chosen}
        self._open(table)

    def _open(self, table: pa.Table) -> None:
        self.rows = ArrowRows(table, self.all_codebooks, tuple(self.known), self._indices)
        frames = row_lengths(table)
        self.frames = frames if self._indices is None else frames[self._indices]
        self._table = table
        self._digest: str | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_dataset", "_indices", "spec", "all_codebooks", "codebooks", "known")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open(_arrow(self._dataset)[0])

    def name(self, clip: int) -> str:
        """Return the id of a clip."""
        chunks, rows = self.rows.find(np.array([clip]))
        return chunks[0].name(int(rows[0]))

    def pieces(self, clips: Counts | None) -> Pieces:
        """Return the segments of some clips, or of all.

        Raises:
            TrainError: There are segments, and the dataset does not say how long its audio is.
        """
        frames = self.frames if clips is None else self.frames[clips]
        if self.spec.segment_samples is None:
            return clip_pieces(frames, frames, self.spec)
        samples = self._audio_lengths if clips is None else self._audio_lengths[clips]
        return clip_pieces(frames, samples, self.spec)

    def times(
        self, clips: Counts, starts: Counts, lengths: Counts, width: int, loop: bool
    ) -> torch.Tensor:
        """Return the start in seconds of each frame of parts of clips, float64 `[N, width]`.

        NaN where there is no frame.
        """
        at = np.arange(width)
        short = lengths[:, None]
        frames = starts[:, None] + (at % np.maximum(short, 1) if loop else at)
        seconds = frame_times(self.pieces(clips), frames, self.spec)
        there = (short > 0) if loop else (at < short)
        return torch.from_numpy(np.where(there, seconds, np.nan))

    def digest(self) -> str:
        """Return a hash of the dataset, as `preprocess.train.digest` has it; computed once."""
        if self._digest is None:
            ids = self._table.column("id") if "id" in self._table.column_names else None
            if ids is not None and self._indices is not None:
                ids = ids.take(pa.array(self._indices))
            names = parameter_names(self._table)  # all of them, whichever are taken
            rows = ArrowRows(self._table, self.all_codebooks, names, self._indices)
            facts = f"{self.spec.name}/{self.all_codebooks}/{','.join(names)}"
            self._digest = dataset_digest(rows, ids, self.frames, facts)
        return self._digest

    @property
    def _audio_lengths(self) -> Counts:
        known = self.__dict__.get("_samples")
        if known is None:
            if "audio_length" not in self._table.column_names:
                raise TrainError(
                    f"{self.spec.name} has segments, so the dataset needs the column 'audio_length'"
                )
            known = self._table.column("audio_length").to_numpy()
            known = known if self._indices is None else known[self._indices]
            frames = clip_pieces(self.frames, known, self.spec).frames()
            if (wrong := frames != self.frames).any():
                clip = int(np.argmax(wrong))
                raise TrainError(
                    f"clip {self.name(clip)!r} has {self.frames[clip]} frames, but its "
                    f"{known[clip]} samples make {frames[clip]}"
                )
            self._samples = known
        return np.asarray(known, np.int64)


def _arrow(dataset: Dataset | pa.Table) -> tuple[pa.Table, Counts | None]:
    """Return the table of a dataset, and which of its rows it shows, if not all."""
    if isinstance(dataset, pa.Table):
        return dataset, None
    if not hasattr(dataset, "data") or not hasattr(dataset, "features"):
        raise TrainError(
            f"crops need one split, a datasets.Dataset, not {type(dataset).__name__}"
            + (f"; take one of {', '.join(dataset)}" if isinstance(dataset, dict) else "")
        )
    indices = dataset._indices  # of select and shuffle; there is no public name for it
    shown = None if indices is None else indices.column(0).to_numpy().astype(np.int64)
    return dataset.data.table, shown


def _check_columns(table: pa.Table, rows: int) -> None:
    for name in ("codes", "model"):
        if name not in table.column_names:
            have = ", ".join(table.column_names)
            raise TrainError(f"the dataset lacks the column {name!r}; it has {have}")
    if not rows:
        raise TrainError("the split is empty: it has no clip to cut crops from")


def _one_codec(table: pa.Table, indices: Counts | None) -> CodecSpec:
    models = table.column("model")
    if indices is not None:
        models = models.take(pa.array(indices))
    names = pc.unique(models).to_pylist()
    if len(names) > 1:
        first = pc.index(models, names[1]).as_py()
        row = first if indices is None else int(indices[first])
        raise TrainError(
            f"the clips are of different codecs: {_row_id(table, row)!r} is of {names[1]}, those "
            f"before it of {names[0]}; filter the dataset by its column 'model'"
        )
    return codec_spec(str(names[0]))


def _one_k(table: pa.Table, indices: Counts | None) -> int:
    counts = row_codebooks(table)
    counts = counts if indices is None else counts[indices]
    if (other := counts != counts[0]).any():
        clip = int(np.argmax(other))
        row = clip if indices is None else int(indices[clip])
        raise TrainError(
            f"the clips have different numbers of codebooks: {_row_id(table, row)!r} has "
            f"{counts[clip]}, those before it {counts[0]}; filter by 'bandwidth_kbps'"
        )
    return int(counts[0])


def _row_id(table: pa.Table, row: int) -> str:
    return str(table.column("id")[row].as_py()) if "id" in table.column_names else str(row)
