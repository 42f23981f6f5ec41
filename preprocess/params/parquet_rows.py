"""Reads the rows of a Parquet file, whose few kilobytes may be a billion equal values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError
from preprocess.core.untrusted import clipped
from preprocess.params.table_size import MAX_CELLS, CellRoom, check_rows

MAX_PARQUET_BYTES = 256 << 20
_BATCH_ROWS = 256


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
        facts = file.metadata
        check_rows(path, facts.num_rows)
        groups = [facts.row_group(at) for at in range(facts.num_row_groups)]
        cells = [g.column(at).num_values for g in groups for at in range(g.num_columns)]
        CellRoom(path).take(MAX_CELLS, max(sum(cells), facts.num_rows * facts.num_columns))
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
    left = MAX_PARQUET_BYTES
    # As dictionaries: a text that all rows share is one object, in Arrow and in Python.
    with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            left -= batch.nbytes
            if left < 0:
                raise UsageError(
                    f"table {path} is larger than {MAX_PARQUET_BYTES >> 20} MiB when decoded"
                )
            columns = [_cells(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))


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
