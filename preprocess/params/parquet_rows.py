"""Reads the rows of a Parquet file, whose few kilobytes may be a billion equal values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError
from preprocess.core.untrusted import clipped
from preprocess.params.cells import Unreadable
from preprocess.params.table_size import MAX_CELLS, CellRoom, check_rows

MAX_PARQUET_BYTES = 256 << 20
_BATCH_ROWS = 256
_NESTED = Unreadable("it holds lists or structs, which a table's cells are not")


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as column -> cell.

    Raises:
        UsageError: The file cannot be read, or is too large when decoded.
    """
    try:
        yield from _rows(path)
    except UsageError:
        raise
    except (
        Exception
    ) as error:  # Arrow's own, ValueError of text that is not UTF-8, RuntimeError, ...
        raise UsageError(f"table {path} is not a Parquet file: {clipped(error)}") from None


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        # No `row_group(0).column(0)`: for a damaged file, Arrow 26 ends the process there.
        rows, fields = file.metadata.num_rows, list(file.schema_arrow)
    check_rows(path, rows)
    CellRoom(path).take(MAX_CELLS, rows * len(fields))
    names = [field.name for field in fields]
    # One list can have as many values as a table, so none is read.
    flat = [field.name for field in fields if not pyarrow.types.is_nested(field.type)]
    # As dictionaries: a text that all rows share is one object, in Arrow and in Python.
    texts = [field.name for field in fields if _is_text(field.type)]
    left = MAX_PARQUET_BYTES
    with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=flat):
            left -= batch.nbytes
            if left < 0:
                raise UsageError(
                    f"table {path} is larger than {MAX_PARQUET_BYTES >> 20} MiB when decoded"
                )
            there = dict(zip(batch.schema.names, map(_cells, batch.columns), strict=True))
            columns = [there.get(name) or [_NESTED] * batch.num_rows for name in names]
            for row in zip(*columns, strict=True):
                yield dict(zip(names, row, strict=True))


def _is_text(kind: Any) -> bool:
    import pyarrow

    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_binary(kind))


def _cells(column: Any) -> list[Any]:
    import pyarrow

    if not pyarrow.types.is_dictionary(column.type):
        return list(column.to_pylist())
    texts = column.dictionary.to_pylist()
    return [None if at is None else texts[at] for at in column.indices.to_pylist()]
