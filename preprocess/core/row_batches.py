"""Rows of Parquet files from strangers, a few at a time.

Parquet stores equal values once: a file of 7 kB can hold 10,000 names of 100 kB. So rows are decoded in
small batches, and a file with longer texts than any of ours is refused after the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROWS = 64
"""Rows that are decoded at once; more are not faster, since one has tens of kilobytes."""
MAX_TEXT_BYTES = 64 << 10
MAX_NESTED_TEXT_BYTES = 4 << 20
"""A text inside a column, such as the metadata of a sidecar."""


def row_batches(
    file: pq.ParquetFile,
    groups: Sequence[int],
    columns: Sequence[str] | None = None,
    use_threads: bool = True,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of row groups in batches of at most `ROWS`.

    Args:
        file: The file.
        groups: Numbers of the row groups.
        columns: Columns to read, of a struct also single fields; None for all.
        use_threads: Whether Arrow decodes columns in several threads.

    Raises:
        ValueError: A text is too long.
        Exception: Whatever Arrow raises for a damaged file.
    """
    chosen = None if columns is None else list(columns)
    for batch in file.iter_batches(
        ROWS, row_groups=list(groups), columns=chosen, use_threads=use_threads
    ):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            most = MAX_NESTED_TEXT_BYTES if pa.types.is_nested(column.type) else MAX_TEXT_BYTES
            longest = _longest_text(column)
            if longest > most:
                raise ValueError(
                    f"column {name[:40]!r} has a text of {longest:,} bytes; at most {most:,} are allowed"
                )
        yield batch


def _longest_text(array: pa.Array) -> int:
    """Return the bytes of the longest text in an array, at any depth; 0 without texts."""
    kind = array.type
    if pa.types.is_struct(kind):
        return max((_longest_text(each) for each in array.flatten()), default=0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _longest_text(array.flatten())
    if pa.types.is_dictionary(kind):
        return _longest_text(array.dictionary)
    if not _is_text(kind):
        return 0
    return int(pc.max(pc.binary_length(array)).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )
