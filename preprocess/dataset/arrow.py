"""Converts rows to Arrow tables without making a Python object for each code.

`datasets` encodes a row value by value: in 3.6 this takes 5 ms for the 6,000 codes of a ten-second
clip at 6 kbps. The writer takes finished tables unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def rows_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows of numbers, strings and numpy arrays as a table with the given schema.

    Args:
        rows: Each has a value for every column: a `[T]` or `[K, T]` array (or list) if the type
            is a list or a list of lists, a mapping if it is a struct.
        schema: Names and types of the columns.
    """
    columns = [_column([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def lists(row: Any) -> Any:
    """Return a row with its arrays converted to lists."""
    if isinstance(row, dict):
        return {name: lists(value) for name, value in row.items()}
    return row.tolist() if isinstance(row, np.ndarray) else row


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        parts = [_column([value[field.name] for value in values], field.type) for field in fields]
        return pa.StructArray.from_arrays(parts, fields=fields)
    if not pa.types.is_list(kind):
        return pa.array(values, kind)
    offsets = _offsets([len(value) for value in values])
    return pa.ListArray.from_arrays(offsets, _flat(values, kind.value_type), type=kind)


def _offsets(lengths: Sequence[int] | NDArray[np.integer]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.array(offsets)


def _flat(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return the elements of all lists in one array."""
    if pa.types.is_list(kind):
        if not all(isinstance(value, np.ndarray) and value.ndim == 2 for value in values):
            return _column(list(chain.from_iterable(values)), kind)
        shapes = np.array([value.shape for value in values], np.int64).reshape(-1, 2)
        lengths = np.repeat(shapes[:, 1], shapes[:, 0])
        inner = _flat([value.reshape(-1) for value in values], kind.value_type)
        return pa.ListArray.from_arrays(_offsets(lengths), inner, type=kind)
    dtype = kind.to_pandas_dtype()
    parts = [np.asarray(value, dtype) for value in values]
    return pa.array(np.concatenate(parts) if parts else np.empty(0, dtype), kind)
