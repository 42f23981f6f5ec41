"""Writes rows to Parquet shards that any version of `datasets`, pandas and polars can read."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from preprocess.publish.subset import Subset
from preprocess.shards.encodings import ROW_GROUP_BYTES, parquet_encodings

if TYPE_CHECKING:
    from datasets import Dataset

SHARD_BYTES = 500_000_000
"""Largest shard by its size in Arrow, which bounds the size of its file."""


@dataclass(frozen=True)
class Shards:
    """The files of one split.

    Attributes:
        paths: Paths of the files, in order.
        num_examples: Total number of rows.
        num_bytes: Size of the rows in Arrow.
        folder: Their folder in a repository; empty for that of the subset, which has its name.
        stored: Size of the files, where `paths` are not at hand.
    """

    paths: list[Path]
    num_examples: int
    num_bytes: int
    folder: str = ""
    stored: int | None = None

    @property
    def file_bytes(self) -> int:
        """Size of the files."""
        return sum(p.stat().st_size for p in self.paths) if self.stored is None else self.stored


def write_shards(
    rows: Dataset, folder: Path, split: str, subset: Subset, shard_bytes: int = SHARD_BYTES
) -> Shards:
    """Write the rows of one split, sliced to the codebooks of `subset`.

    The same rows give the same bytes, so repeating a push uploads nothing again.

    Args:
        rows: Rows with at least as many codebooks as `subset`.
        folder: Folder for `SPLIT-00000-of-00001.parquet` and so on.
        split: Name of the split.
        subset: Description to store in the files' metadata, under the key `enchf`.
        shard_bytes: Largest shard in bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    row_bytes = _arrow_bytes(rows) / len(rows)
    count = min(len(rows), math.ceil(row_bytes * len(rows) / shard_bytes))
    per_group = max(1, int(ROW_GROUP_BYTES / row_bytes))
    paths, total = [], 0
    for index in range(count):
        path = folder / f"{split}-{index:05d}-of-{count:05d}.parquet"
        shard = rows.shard(count, index, contiguous=True)
        total += _write(shard.with_format("arrow"), path, subset, per_group)
        paths.append(path)
    return Shards(paths, len(rows), total)


def _write(shard: Dataset, path: Path, subset: Subset, per_group: int) -> int:
    writer, total = None, 0
    for table in shard.iter(batch_size=per_group):
        table = sliced(table, subset)
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, **parquet_encodings(table.schema))
        writer.write_table(table, row_group_size=per_group)
        total += table.nbytes
    if writer is not None:
        writer.close()
    return total


def sliced(table: pa.Table, subset: Subset) -> pa.Table:
    """Return `table` at the bandwidth of `subset`, without the metadata that `datasets` adds.

    `datasets` 3.6 cannot read the metadata of 4 and newer; the Arrow types hold the same facts.
    """
    at = table.schema.get_field_index("codes")
    k = pc.max(pc.list_value_length(table["codes"])).as_py()
    if k not in (None, subset.n_codebooks):
        codes = pc.list_slice(table["codes"], 0, subset.n_codebooks)
        table = table.set_column(at, "codes", codes.cast(table.schema.field(at).type))
        at = table.schema.get_field_index("bandwidth_kbps")
        kbps = pa.array([subset.bandwidth_kbps] * len(table), table.schema.field(at).type)
        table = table.set_column(at, "bandwidth_kbps", kbps)
    return table.replace_schema_metadata({"enchf": json.dumps(asdict(subset))})


def _arrow_bytes(rows: Dataset) -> int:
    """Return the size of the rows in Arrow, counting only rows that a selection includes."""
    total, stored = int(rows.data.nbytes), int(rows.data.num_rows)
    return max(1, total * len(rows) // max(1, stored))
