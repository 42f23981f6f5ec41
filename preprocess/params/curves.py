"""Reads curves from files: values with their own times or rate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError, nearest
from preprocess.core.untrusted import clipped, require_regular, shown
from preprocess.params.curve_cells import read_cells
from preprocess.params.curve_times import TimeAs, read_times
from preprocess.params.numerals import Decimal
from preprocess.params.points import Points, Values
from preprocess.params.table_size import CellRoom
from preprocess.params.tables import Layout, read_table

MIDI_SUFFIXES = (".mid", ".midi")
CURVE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet", ".npy", *MIDI_SUFFIXES)
MAX_JSON_BYTES = 64 << 20
MAX_RATE_HZ = 1e9
_RATE_KEY = "rate_hz"
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class CurveFormat:
    """How a file stores values and their times.

    Attributes:
        time: The column of times.
        time_as: The format of the times; see `read_times`.
        rate_hz: Values per second, for a file without times.
        scale: Factor for the times: 0.001 for milliseconds.
        offset_s: Time in the clip, in seconds, of the file's time 0.
        labels: Curve -> its labels, for columns of words.
        decimal: The decimal mark of the numbers.
        layout: The layout of the file's table.
    """

    time: str = "time"
    time_as: TimeAs = "auto"
    rate_hz: float | None = None
    scale: float = 1.0
    offset_s: float = 0.0
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    decimal: Decimal = "auto"
    layout: Layout | None = None


def read_curves(
    path: Path, columns: Mapping[str, str], form: CurveFormat, skip_missing: bool = False
) -> dict[str, Points]:
    """Return the curves in some columns of a file.

    Args:
        path: A table (`.csv`, `.tsv`, `.xlsx`, `.jsonl`, `.parquet`), a `.json` of columns or of
            rows, or an array `.npy` `[N]` or `[N, D]`.
        columns: Name of a curve -> column. The columns of an `[N, D]` array follow its order.
        form: How the file stores values and times.
        skip_missing: Leave out a column that the file lacks.

    Raises:
        PreprocessError: The file cannot be read, or lacks a column.
    """
    require_regular(path)
    if path.suffix.lower() == ".npy":
        return _from_array(path, list(columns), form)
    table, stated_hz = read_columns(path, form.layout)
    rate_hz = form.rate_hz if stated_hz is None else stated_hz
    times = None
    if rate_hz is None:
        if form.time not in table:
            raise PreprocessError(
                f"{path} has no column {form.time!r}; set time to the column of times, or set "
                f"rate_hz; it has {clipped(', '.join(table))}"
            )
        times = read_times(table[form.time], path, form.time, form.time_as, form.decimal)
    found = {}
    for name, column in columns.items():
        if column not in table:
            if skip_missing:
                continue
            hint = nearest(column, table) or f"; it has {clipped(', '.join(table))}"
            raise PreprocessError(f"{path} has no column {column!r}{hint}")
        labels = form.labels.get(name, ())
        read = read_cells(table[column], path, name, column, form.decimal, labels)
        points = _points(np.array(read.values), times, rate_hz, form)
        found[name] = replace(points, column=read)
    return found


def read_columns(path: Path, layout: Layout | None = None) -> tuple[Columns, float | None]:
    """Return the cells of a table or JSON file by column, and the rate if a JSON file states one.

    Raises:
        PreprocessError: The file cannot be read.
    """
    if path.suffix.lower() == ".json":
        return _read_json(path)
    return _by_column(path, read_table(path, layout)), None


def _points(
    values: Values, times: Values | None, rate_hz: float | None, form: CurveFormat
) -> Points:
    if times is not None:
        return Points(values, times * form.scale + form.offset_s)
    return Points(values, None, (rate_hz or 0.0) / form.scale, form.offset_s)


def _from_array(path: Path, names: list[str], form: CurveFormat) -> dict[str, Points]:
    if form.rate_hz is None:
        raise PreprocessError(f"{path} has no times: set rate_hz")
    try:
        # np.load would also read archives and pickles.
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy parses the header with tokenize and ast
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PreprocessError(f"{path} is not an array: {clipped(reason)}") from None
    if array.dtype.kind not in "fiub":
        raise PreprocessError(f"{path} must be an array of numbers, got {clipped(array.dtype)}")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != len(names):
        raise PreprocessError(
            f"{path} has shape {list(array.shape)}; for {', '.join(names)} it must be "
            f"[N, {len(names)}]"
        )
    return {
        name: _points(np.asarray(array[:, at], np.float64), None, form.rate_hz, form)
        for at, name in enumerate(names)
    }


def _read_json(path: Path) -> tuple[Columns, float | None]:
    """Return the columns of a JSON file, and the rate if it states one."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise PreprocessError(f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB; use .npy")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise PreprocessError(f"{path} is not JSON") from None
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return _by_column(path, data), None
    if not isinstance(data, dict):
        raise PreprocessError(f"{path} must be an object of columns, or a list of objects")
    rate = data.pop(_RATE_KEY, None)
    number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if rate is not None and not (number and abs(rate) < MAX_RATE_HZ):
        most = f" below {MAX_RATE_HZ:g}" if number else ""
        raise PreprocessError(f"{path}: {_RATE_KEY} must be a number{most}, got {shown(rate)}")
    columns = {str(name): cells for name, cells in data.items()}
    for name, cells in columns.items():
        if not isinstance(cells, list):
            raise PreprocessError(f"{path}: {shown(name)} must be a list of numbers")
    return columns, rate


def _by_column(path: Path, rows: list[dict[str, Any]]) -> Columns:
    names = dict.fromkeys(name for row in rows for name in row)
    CellRoom(path).take(sum(map(len, rows)), len(names) * len(rows))
    return {name: [row.get(name) for row in rows] for name in names}


def is_midi(path: Path) -> bool:
    """Whether a curve's file is MIDI, judging by its suffix."""
    return path.suffix.lower() in MIDI_SUFFIXES
