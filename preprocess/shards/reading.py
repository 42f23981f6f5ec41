"""Reads a folder of shards.

data/train-00000-of-00020.parquet ...   the rows
README.md, enchf.json, stats.json       card, description and statistics of a finished folder
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.core.errors import PreprocessError, one_line
from preprocess.core.files import require_folder
from preprocess.core.provenance import settings_digest
from preprocess.core.row_batches import row_batches
from preprocess.core.untrusted import clipped
from preprocess.dataset.clips import DatasetError
from preprocess.dataset.schema import Schema, dataset_features
from preprocess.shards.names import FOLDER, parse_name, shard_name
from preprocess.shards.rows import PROVENANCE, PROVENANCE_TYPE
from preprocess.sidecar.parameter_info import ParameterInfo

if TYPE_CHECKING:
    from datasets import Features

INFO_NAME = "enchf.json"
"""The description of a finished folder, and of a repository on the Hub."""
BATCH_BYTES = 32 << 20
_FIRST = ("train", "validation", "test")
_MAX_INFO_BYTES = 64 << 20


def is_shards_folder(path: Path) -> bool:
    """Whether a folder has shards, finished or not."""
    try:
        return any(parse_name(f"{FOLDER}/{name}") for name in os.listdir(path / FOLDER))
    except OSError:
        return False


@dataclass(frozen=True)
class ShardFolder:
    """A folder with complete sets of shards.

    Attributes:
        path: The folder.
        splits: Split -> its files, in order: train, validation, test, then others.
    """

    path: Path
    splits: dict[str, list[Path]]

    @classmethod
    def at(cls, path: str | Path) -> ShardFolder:
        """Open a folder.

        Raises:
            UsageError: The folder does not exist.
            DatasetError: It has no shards, or lacks some.
        """
        path = require_folder(Path(path), "shards folder")
        found: dict[str, dict[int, set[int]]] = {}
        for name in os.listdir(path / FOLDER) if (path / FOLDER).is_dir() else ():
            if parsed := parse_name(f"{FOLDER}/{name}"):
                split, index, count = parsed
                found.setdefault(split, {}).setdefault(count, set()).add(index)
        if not found:
            raise DatasetError(f"{path} has no shards ({shard_name('train', 0, 1)} and so on)")
        order = sorted(found, key=lambda s: (_FIRST.index(s) if s in _FIRST else len(_FIRST), s))
        return cls(path, {split: _complete(path, split, found[split]) for split in order})

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns, without metadata.

        Raises:
            PreprocessError: The first file is not Parquet.
        """
        first = next(iter(self.splits.values()))[0]
        with readable(first), pq.ParquetFile(first) as file:
            return file.schema_arrow.remove_metadata()

    @cached_property
    def info(self) -> dict[str, Any]:
        """The folder's own subset in `enchf.json`; empty if the folder is not finished.

        Raises:
            PreprocessError: The file cannot be read.
        """
        path = self.path / INFO_NAME
        if not path.exists():
            return {}
        try:
            if path.stat().st_size > _MAX_INFO_BYTES:
                raise ValueError(f"it is larger than {_MAX_INFO_BYTES >> 20} MiB")
            subsets = json.loads(path.read_bytes())["subsets"].values()
            # In a copy of a repository, other subsets are slices of this one.
            widest = max(subsets, key=lambda subset: int(subset["n_codebooks"]))
            return {str(key): value for key, value in widest.items()}
        except (
            ArithmeticError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise PreprocessError(f"{path} cannot be read: {clipped(one_line(error))}") from None

    @property
    def parameters(self) -> dict[str, ParameterInfo]:
        """Name -> description, in the order of the columns; empty descriptions where unknown."""
        told = self.info.get("parameters")
        told = told if isinstance(told, dict) else {}
        return {name: _described(told.get(name)) for name in _parameter_names(self.schema)}

    @property
    def dtype(self) -> str:
        """Dtype of the parameters; float32 if there are none."""
        return _parameter_dtype(self.schema)

    @property
    def features(self) -> Features:
        """The columns as `datasets` declares them; those of parameters have their descriptions."""
        return shard_features(self.parameters, self.dtype, self.schema)

    def tables(
        self, split: str, columns: Sequence[str] | None = None, batch_bytes: int = BATCH_BYTES
    ) -> Iterator[pa.Table]:
        """Yield the rows of a split, in order, in tables of about `batch_bytes`.

        Args:
            split: Name of the split.
            columns: Columns to read, such as `id` or `features.pitch`; None for all.
            batch_bytes: Size of a table in Arrow; a table has at least one row.

        Raises:
            PreprocessError: A file is damaged, or has other columns than the first.
        """
        for path in self.splits[split]:
            yield from read_tables(path, self.schema, columns, batch_bytes)

    def digest(self) -> str:
        """Return a hash of the names, sizes and modification times of shards and description."""
        paths = [path for files in self.splits.values() for path in files]
        info = self.path / INFO_NAME
        listed = []
        for path in [*paths, *([info] if info.exists() else [])]:
            status = path.stat()
            listed.append((path.name, status.st_size, status.st_mtime_ns))
        return settings_digest(files=listed)


def shard_features(
    parameters: dict[str, ParameterInfo], dtype: str, schema: pa.Schema | None = None
) -> Features:
    """Return the columns of a shard as `datasets` declares them.

    Args:
        parameters: Name -> description.
        dtype: dtype of the parameters.
        schema: The columns that the shards have; None for all.
    """
    from datasets import Features, Value

    shared = Schema("encodec_24khz", 1, False, parameters, dtype)
    columns = dict(dataset_features(shared))
    columns[PROVENANCE] = {field.name: Value("string") for field in PROVENANCE_TYPE}
    if schema is None:
        return Features(columns)
    own = Features.from_arrow_schema(schema)
    return Features({name: columns.get(name, own[name]) for name in schema.names})


def read_tables(
    path: Path, schema: pa.Schema, columns: Sequence[str] | None, batch_bytes: int
) -> Iterator[pa.Table]:
    """Yield the rows of one file; see `ShardFolder.tables`."""
    with readable(path), pq.ParquetFile(path) as file:
        if file.schema_arrow.remove_metadata() != schema:
            raise DatasetError(f"{path} has other columns than the first shard")
        for group in range(file.num_row_groups):
            waiting: list[pa.RecordBatch] = []
            size = 0
            for batch in row_batches(file, [group], columns):
                for part in _parts(batch, batch_bytes):
                    if waiting and size + part.nbytes > batch_bytes:
                        yield _joined(waiting)
                        waiting, size = [], 0
                    waiting.append(part)
                    size += part.nbytes
            if waiting:
                yield _joined(waiting)


def read_row(path: Path, at: int) -> pa.Table:
    """Return row `at` of one file, reading only its row group.

    Raises:
        PreprocessError: The file is damaged, or has no such row.
    """
    with readable(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if at >= rows:
                at -= rows
                continue
            for batch in row_batches(file, [group]):
                if at < len(batch):
                    return pa.Table.from_batches([batch.slice(at, 1)])
                at -= len(batch)
    raise PreprocessError(f"{path} has no row {at} after its last")


def _parts(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts of about `most_bytes`, each of at least one row."""
    rows = max(1, len(batch) * most_bytes // max(1, batch.nbytes))
    for start in range(0, len(batch), rows):
        yield batch.slice(start, rows)


def _joined(batches: list[pa.RecordBatch]) -> pa.Table:
    """Return batches as a table in one chunk."""
    return pa.Table.from_batches(batches).combine_chunks().replace_schema_metadata(None)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of the Parquet reader into one line that names the file."""
    try:
        yield
    except PreprocessError:
        raise
    except Exception as error:  # Arrow's own, ValueError of text that is not UTF-8, ...
        text = str(error) or one_line(error)
        raise PreprocessError(f"{path} cannot be read: {clipped(text)}") from None


def _complete(path: Path, split: str, counts: dict[int, set[int]]) -> list[Path]:
    """Return the files of a split, of which each index must be there once."""
    if len(counts) > 1:
        several = " and ".join(str(count) for count in sorted(counts))
        raise DatasetError(f"{path} has shards of {several} for split {split}; remove the old ones")
    count, indices = next(iter(counts.items()))
    for index in range(count):
        if index not in indices:
            raise DatasetError(f"{path} lacks the shard {shard_name(split, index, count)}")
    return [path / shard_name(split, index, count) for index in range(count)]


def _parameter_names(schema: pa.Schema) -> list[str]:
    if "features" not in schema.names:
        return []
    kind = schema.field("features").type
    return [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []


def _parameter_dtype(schema: pa.Schema) -> str:
    """Return the dtype of the parameters' values; float32 if there are no parameters."""
    if not _parameter_names(schema):
        return "float32"
    kind = schema.field("features").type.field(0).type
    value = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    return str({"halffloat": "float16", "float": "float32"}.get(str(value), "float64"))


def _described(entry: Any) -> ParameterInfo:
    names = ("units", "doc_string", "kind", "min", "max")
    known = (
        {name: entry[name] for name in names if name in entry} if isinstance(entry, dict) else {}
    )
    return ParameterInfo.from_json(json.dumps(known))
