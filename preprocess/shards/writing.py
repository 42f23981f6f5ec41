"""Writes the rows of a shard to Parquet, so that equal rows give equal bytes.

Row groups are cut by the sizes of the rows themselves, so neither the tables that arrive nor the
processes that made them show in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from preprocess.shards.encodings import ROW_GROUP_BYTES, parquet_encodings

Sizes = NDArray[np.int64]


class ShardWriter:
    """Writes tables to one Parquet file, a row group at a time.

    Holds at most the rows of one row group and one table in memory.

    Args:
        target: A path, or a file open for writing.
        schema: Names and types of the columns.
        metadata: Texts to store in the file; whatever is in them is in its bytes.
        group_bytes: Size of a row group in Arrow.

    Attributes:
        rows: Number of rows written so far.
        num_bytes: Their size in Arrow.
    """

    def __init__(
        self,
        target: str | Path | BinaryIO,
        schema: pa.Schema,
        metadata: Mapping[str, str] | None = None,
        group_bytes: int = ROW_GROUP_BYTES,
    ) -> None:
        stored = {key: (metadata or {})[key] for key in sorted(metadata or {})}
        self._schema = schema.with_metadata(stored or None)
        self._group_bytes = group_bytes
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self.rows = self.num_bytes = 0
        where: Any = str(target) if isinstance(target, Path) else target
        self._writer = pq.ParquetWriter(where, self._schema, **parquet_encodings(schema))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Complete the file; after an error, only close it."""
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Add the rows of a table, which has the columns of the schema.

        Raises:
            ValueError: The table has other columns.
        """
        table = table.replace_schema_metadata(self._schema.metadata)
        if table.schema != self._schema:
            raise ValueError(f"expected the columns {self._schema}, got {table.schema}")
        sizes = row_bytes(table)
        self.rows += len(table)
        self.num_bytes += int(sizes.sum())
        start = 0
        while start < len(table):
            ends = self._waiting_bytes + np.cumsum(sizes[start:])
            full = int(np.searchsorted(ends, self._group_bytes))  # the row that fills the group
            taken = min(full + 1, len(table) - start)
            self._waiting.append(table.slice(start, taken))
            self._waiting_bytes = int(ends[taken - 1])
            start += taken
            if self._waiting_bytes >= self._group_bytes:
                self._flush()

    def _flush(self) -> None:
        """Write the waiting rows as one row group."""
        if not self._waiting:
            return
        # One chunk: a chunk's end would also end a page.
        group = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._waiting_bytes = [], 0
        self._writer.write_table(group, row_group_size=max(1, len(group)))


def row_bytes(table: pa.Table) -> Sizes:
    """Return the size of each row in Arrow, int64 `[N]`; it depends on the row alone."""
    total = np.zeros(len(table), np.int64)
    for column in table.columns:
        parts = [_value_bytes(chunk) for chunk in column.chunks]
        total += np.concatenate(parts) if parts else 0
    return total


def _value_bytes(array: pa.Array) -> Sizes:
    kind, sizes = array.type, np.zeros(len(array), np.int64)
    if pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            sizes += _value_bytes(array.field(index))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        offsets = array.offsets.to_numpy().astype(np.int64)
        if pa.types.is_primitive(kind.value_type):
            sizes += np.diff(offsets) * (kind.value_type.bit_width // 8) + 4
        else:
            values = array.values.slice(offsets[0], offsets[-1] - offsets[0])
            ends = np.concatenate([[0], np.cumsum(_value_bytes(values))])
            sizes += np.diff(ends[offsets - offsets[0]]) + 4
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        sizes += np.asarray(pc.fill_null(pc.binary_length(array), 0), np.int64) + 4
    else:
        sizes += max(1, kind.bit_width // 8)
    return sizes
