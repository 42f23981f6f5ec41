"""The rows of a dataset as views of its Arrow buffers: nothing is copied, no row becomes Python.

A record batch holds the codes of all its rows in one buffer, row after row, codebook after codebook:

    values   |0 0 0 0 0|1 1 1 1 1|0 0 0|1 1 1| ...       K = 2, T = 5, then T = 3
             ^ codes_at[0]       ^ codes_at[1]

so `values[codes_at[r]:][: K * T].reshape(K, T)` is a row's `[K, T]`, and a crop of it a slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from preprocess.core.errors import nearest
from preprocess.train.settings import TrainError

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of one record batch.

    Attributes:
        codes: All codes of its rows, one after another.
        codes_at: `[rows]`, where those of each row begin.
        frames: `[rows]`, T of each row.
        values: For each parameter, all values of its rows.
        values_at: For each parameter `[rows]`, where those of each row begin.
        lacks: For each parameter `[rows]`, whether the row has no values of it; None where each has.
        ids: Names of the clips.
        texts: The same as bytes, one after another, and where each begins.
    """

    codes: NDArray[np.integer[Any]]
    codes_at: Counts
    frames: Counts
    values: tuple[NDArray[np.floating[Any]], ...]
    values_at: tuple[Counts, ...]
    lacks: tuple[NDArray[np.bool_] | None, ...]
    ids: pa.Array | None
    texts: tuple[memoryview, NDArray[np.integer[Any]]] | None

    def name(self, row: int) -> str:
        """Return the id of a clip."""
        if self.texts is None:
            return _name(self.ids, row)
        data, at = self.texts
        return str(data[at.item(row) : at.item(row + 1)], "utf-8")


class ArrowRows:
    """The rows of a table, found by their number.

    Args:
        table: With `codes` and, for parameters, `features`.
        n_codebooks: K of all rows.
        parameters: Names of the parameters to read.
        indices: Which rows of the table, in which order (those of `Dataset.select` and
            `Dataset.shuffle`); None for all.
    """

    def __init__(
        self,
        table: pa.Table,
        n_codebooks: int,
        parameters: Sequence[str],
        indices: Counts | None = None,
    ) -> None:
        columns = [name for name in ("id", "codes", "features") if name in table.column_names]
        self._batches: list[pa.RecordBatch] = table.select(columns).to_batches()
        sizes = [batch.num_rows for batch in self._batches]
        self._ends = np.cumsum(np.array(sizes, np.int64))
        self._chunks: list[Chunk | None] = [None] * len(self._batches)
        self._n_codebooks, self._parameters = n_codebooks, tuple(parameters)
        self._indices = indices

    def find(self, rows: Counts) -> tuple[list[Chunk], Counts]:
        """Return the chunk of each of `rows`, and each row's number in it."""
        if self._indices is not None:
            rows = self._indices[rows]
        at = np.searchsorted(self._ends, rows, side="right")
        starts = np.concatenate([[0], self._ends[:-1]])[at]
        return [self._chunk(index) for index in at.tolist()], rows - starts

    def chunks(self) -> Sequence[pa.RecordBatch]:
        """Return the record batches."""
        return self._batches

    def _chunk(self, index: int) -> Chunk:
        chunk = self._chunks[index]
        if chunk is None:
            chunk = read_chunk(self._batches[index], self._n_codebooks, self._parameters)
            self._chunks[index] = chunk
        return chunk


def read_chunk(batch: pa.RecordBatch, n_codebooks: int, parameters: Sequence[str]) -> Chunk:
    """Return the rows of a record batch.

    Raises:
        TrainError: A row has another K, codebooks of different lengths, or a parameter whose
            length is not that of its codes.
    """
    ids = batch.column("id") if "id" in batch.schema.names else None
    outer = batch.column("codes")
    codebooks, at = _list_values(outer), _offsets(outer)
    values, inner = _numbers(_list_values(codebooks)), _offsets(codebooks)
    lengths = np.diff(inner)[at[0] : at[-1]]
    if len(lengths) != batch.num_rows * n_codebooks or (np.diff(at) != n_codebooks).any():
        row = int(np.argmax(np.diff(at) != n_codebooks))
        raise TrainError(
            f"clip {_name(ids, row)!r} has {int(at[row + 1] - at[row])} codebooks, the first clip "
            f"{n_codebooks}: a dataset for training has one K"
        )
    shaped = lengths.reshape(batch.num_rows, n_codebooks)
    if (ragged := (shaped != shaped[:, :1]).any(axis=1)).any():
        row = int(np.argmax(ragged))
        raise TrainError(f"clip {_name(ids, row)!r}: its codebooks have different lengths")
    frames, pieces = shaped[:, 0], []
    for name in parameters:
        pieces.append(_parameter(batch, name, frames, ids))
    return Chunk(
        values,
        inner[at[:-1]],
        np.ascontiguousarray(frames),
        tuple(piece[0] for piece in pieces),
        tuple(piece[1] for piece in pieces),
        tuple(piece[2] for piece in pieces),
        ids,
        _texts(ids),
    )


def row_lengths(table: pa.Table) -> Counts:
    """Return T of each row `[N]`: from the column `n_frames`, or counted."""
    if "n_frames" in table.column_names and not table.column("n_frames").null_count:
        return np.asarray(table.column("n_frames").to_numpy(), np.int64)
    parts = []
    for batch in table.select(["codes"]).to_batches():
        at, codebooks = _offsets(batch.column(0)), _list_values(batch.column(0))
        inner = _offsets(codebooks)
        parts.append(
            np.where(np.diff(at) > 0, inner[at[:-1] + (np.diff(at) > 0)] - inner[at[:-1]], 0)
        )
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def row_codebooks(table: pa.Table) -> Counts:
    """Return K of each row `[N]`."""
    parts = [np.diff(_offsets(chunk)) for chunk in table.column("codes").chunks]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def parameter_names(table: pa.Table) -> tuple[str, ...]:
    """Return the names of the parameters of a table."""
    if "features" not in table.column_names:
        return ()
    kind = table.schema.field("features").type
    return tuple(kind.field(at).name for at in range(kind.num_fields))


def check_names(chosen: Sequence[str], names: Sequence[str]) -> None:
    """Raise `TrainError` unless each of `chosen` is one of `names`."""
    for name in chosen:
        if name not in names:
            have = f"has {', '.join(names)}" if names else "has no parameters"
            raise TrainError(f"the dataset {have}, but no {name!r}{nearest(name, names)}")


def _parameter(
    batch: pa.RecordBatch, name: str, frames: Counts, ids: pa.Array | None
) -> tuple[NDArray[np.floating[Any]], Counts, NDArray[np.bool_] | None]:
    struct = batch.column("features")
    if struct.null_count:  # a row without any: its lists are empty, too
        struct = pa.StructArray.from_arrays(struct.flatten(), fields=list(struct.type))
    column = struct.field(name)
    at = _offsets(column)
    lengths = np.diff(at)
    lacks = lengths == 0
    if ((lengths != frames) & ~lacks).any():
        row = int(np.argmax((lengths != frames) & ~lacks))
        raise TrainError(
            f"clip {_name(ids, row)!r} has {int(frames[row])} frames, but {int(lengths[row])} "
            f"values of {name!r}"
        )
    return _numbers(_list_values(column)), at[:-1], lacks if lacks.any() else None


def _offsets(lists: pa.Array) -> Counts:
    """Return where each list begins in `_list_values`, and where the last one ends."""
    if pa.types.is_fixed_size_list(lists.type):
        size = lists.type.list_size
        at: Counts = np.arange(lists.offset, lists.offset + len(lists) + 1, dtype=np.int64) * size
        return at
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
        raise TrainError(f"a column of lists was expected, not of {lists.type}")
    return np.asarray(lists.offsets.to_numpy(), np.int64)


def _list_values(lists: pa.Array) -> pa.Array:
    return lists.values


def _numbers(values: pa.Array) -> NDArray[Any]:
    if pa.types.is_null(values.type):  # of lists that are all empty
        return np.full(len(values), np.nan, np.float32)
    if values.null_count:  # of a parameter: what is missing is NaN
        values = pc.cast(values, pa.float64()) if not pa.types.is_floating(values.type) else values
        return np.asarray(values.to_numpy(zero_copy_only=False))
    return np.asarray(values.to_numpy())


def _texts(ids: pa.Array | None) -> tuple[memoryview, NDArray[np.integer[Any]]] | None:
    """Return the bytes of texts and where each begins, which is faster than one by one."""
    if ids is None or not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        return None
    _, offsets, data = ids.buffers()
    kind: Any = np.int32 if pa.types.is_string(ids.type) else np.int64
    if offsets is None or data is None or ids.null_count:
        return None
    return memoryview(data), np.frombuffer(offsets, kind)[ids.offset :]


def _name(ids: pa.Array | None, row: int) -> str:
    return str(row) if ids is None else str(ids[row].as_py())
