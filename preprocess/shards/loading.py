"""Rows of a dataset from a shards folder, for the builder.

The builder script reads no files itself; see `preprocess.dataset.clips`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from preprocess.core.errors import UsageError, nearest
from preprocess.core.untrusted import shown
from preprocess.dataset.clips import DatasetError, manifest_digest
from preprocess.dataset.options import RowOptions
from preprocess.dataset.schema import Schema
from preprocess.shards.reading import (
    BATCH_BYTES,
    ShardFolder,
    is_shards_folder,
    read_tables,
    readable,
)
from preprocess.sidecar.precision import MAX_ERROR, find_damage
from preprocess.tokens.specs import codec_spec

_OF_TOKENS = (
    *("split_by", "fractions", "group", "suffix", "cond_root", "recursive", "max_files"),
    *("missing_sidecar", "audio_prefix"),
)
"""Options that choose among files, which shards no longer have."""


def content_digest(folder: Path, suffix: str, cond_root: Path) -> str:
    """Return a hash of paths, sizes and modification times of the files that rows are made from.

    Args:
        folder: A token folder or a shards folder.
        suffix: Suffix of the token files.
        cond_root: The sidecar folder.

    Raises:
        UsageError: `folder` is not a folder.
        DatasetError: A shard is missing.
    """
    if is_shards_folder(folder):
        return ShardFolder.at(folder).digest()
    return manifest_digest(folder, suffix, cond_root)


def open_shards(folder: Path, options: RowOptions) -> ShardRows | None:
    """Return the rows of a shards folder; None for any other folder.

    Raises:
        UsageError: An option has no meaning for shards, or the codec lacks the bandwidth.
        DatasetError: A shard is missing; the codec is another, the bandwidth lower, or a parameter
            is missing.
    """
    if not is_shards_folder(folder):
        return None
    for field in dataclasses.fields(RowOptions):
        if field.name in _OF_TOKENS and getattr(options, field.name) != field.default:
            raise UsageError(f"{folder} has shards, for which {field.name} has no meaning")
    shards = ShardFolder.at(folder)
    model, k = _first_tokens(shards)
    if options.codec is not None and model != options.codec:
        raise DatasetError(f"{folder} has tokens of {model}, not of {options.codec}")
    wanted = k if options.bandwidth is None else codec_spec(model).n_codebooks(options.bandwidth)
    if wanted > k:
        own = codec_spec(model).bandwidth_kbps(k)
        raise DatasetError(
            f"{folder} has tokens at {own:g} kbps and cannot load at {options.bandwidth:g} kbps"
        )
    known = shards.parameters
    for name in (*options.parameters, *options.require_parameters):
        if name not in known:
            have = f"it has {', '.join(known)}" if known else "it has none"
            raise DatasetError(
                f"{folder} lacks the parameter {name!r}{nearest(name, known)}; {have}"
            )
    parameters = {name: known[name] for name in options.parameters or known}
    schema = Schema(model, wanted, options.bandwidth is not None, parameters, options.dtype)
    return ShardRows(shards, schema, k, options.split_name)


def _first_tokens(shards: ShardFolder) -> tuple[str, int]:
    """Return codec and K of the first row."""
    for paths in shards.splits.values():
        for path in paths:
            with readable(path), pq.ParquetFile(path) as file:
                for batch in file.iter_batches(1, columns=["model", "codes"]):
                    row = batch.slice(0, 1)
                    return str(row["model"][0]), int(pc.list_value_length(row["codes"])[0].as_py())
    raise DatasetError(f"{shards.path} has no rows")


@dataclass(frozen=True)
class ShardRows:
    """The rows of a shards folder under options.

    Attributes:
        folder: The folder.
        schema: What all rows share.
        stored: K of the rows as stored.
        split_name: The split for all rows; None for their own.
    """

    folder: ShardFolder
    schema: Schema
    stored: int
    split_name: str | None

    def splits(self) -> dict[str, list[str]]:
        """Return split -> its files, as texts."""
        own = {name: [os.fspath(p) for p in paths] for name, paths in self.folder.splits.items()}
        if self.split_name is None:
            return own
        return {self.split_name: [path for paths in own.values() for path in paths]}

    def tables(self, files: Sequence[str], columns: pa.Schema) -> Iterator[tuple[str, pa.Table]]:
        """Yield the rows of files as tables, each with the id of its first row.

        Args:
            files: The files.
            columns: The declared columns of the tables.

        Raises:
            DatasetError: A row has another codec or K than the first, or a value that the dtype
                would damage.
            PreprocessError: A file is damaged.
        """
        wanted = [name for name in columns.names if name != "features"]
        wanted += [f"features.{name}" for name in self.schema.parameters]
        for file in files:
            for table in read_tables(Path(file), self.folder.schema, wanted, BATCH_BYTES):
                if len(table):
                    self._check(table)
                    arrays = [self._column(table, field) for field in columns]
                    made = pa.Table.from_arrays(arrays, schema=columns)
                    yield str(table["id"][0]), made

    def _check(self, table: pa.Table) -> None:
        counts = pc.list_value_length(table["codes"]).to_numpy()
        other = (counts != self.stored) | ~np.asarray(
            pc.equal(table["model"], self.schema.model), bool
        )
        if other.any():
            at = int(np.argmax(other))
            raise DatasetError(
                f"{self.folder.path}: clip {shown(table['id'][at].as_py())} has {counts[at]} codebooks "
                f"of {table['model'][at].as_py()}, the first {self.stored} of {self.schema.model}"
            )

    def _column(self, table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
        column = table.column(field.name)
        if field.name == "codes" and self.schema.n_codebooks < self.stored:
            return pc.list_slice(column, 0, self.schema.n_codebooks).cast(field.type)
        if field.name == "bandwidth_kbps":
            return pa.array(np.full(len(table), self.schema.bandwidth_kbps))
        if field.name != "features":
            return column
        struct = column.combine_chunks()
        parts = [self._values(table, struct.field(name), name) for name in self.schema.parameters]
        return pa.StructArray.from_arrays(parts, fields=list(field.type))

    def _values(self, table: pa.Table, lists: pa.ListArray, name: str) -> pa.ListArray:
        """Return the values of a parameter in the dtype of the options."""
        dtype = self.schema.dtype
        if self.folder.dtype == dtype:
            return lists
        offsets = lists.offsets.to_numpy()
        start, end = int(offsets[0]), int(offsets[-1])
        values = lists.values.to_numpy(zero_copy_only=False)[start:end]
        span = float(np.nanmax(values) - np.nanmin(values)) if np.isfinite(values).any() else 0.0
        # float16 is chosen to save space, so its rounding is accepted.
        damage = find_damage(values, dtype, span, math.inf if dtype == "float16" else MAX_ERROR)
        if damage is not None:
            at = int(np.searchsorted(offsets - start, damage.frame, "right")) - 1
            raise DatasetError(
                f"{self.folder.path}: clip {shown(table['id'][at].as_py())}: parameter {name!r}: "
                f"{damage}; load with dtype {damage.better}"
            )
        return pa.ListArray.from_arrays(
            pa.array((offsets - start).astype(np.int32)), pa.array(values.astype(dtype))
        )
