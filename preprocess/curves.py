"""Curves from files: parameters with times of their own, or at a rate of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.cells import cell_text
from preprocess.errors import PreprocessError, nearest
from preprocess.tables import read_table
from preprocess.timeline import Points

MIDI_SUFFIXES = (".mid", ".midi")
CURVE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet", ".npy", *MIDI_SUFFIXES)
MAX_JSON_BYTES = 64 << 20
_RATE_KEY = "rate_hz"


def read_curves(
    path: Path,
    columns: Mapping[str, str],
    time: str = "time",
    rate_hz: float | None = None,
    channel: int | None = None,
) -> dict[str, Points]:
    """Return the curves of some columns of a file.

    Args:
        path: A table (`.csv`, `.tsv`, `.xlsx`, `.jsonl`, `.parquet`), a `.json` of columns or of
            rows, an array `.npy` `[N]` or `[N, D]`, or a MIDI file.
        columns: Name of a curve -> column. Those of an `[N, D]` array are in its order.
        time: The column of times, in seconds.
        rate_hz: Values per second, of a file that has no times.
        channel: Of a MIDI file, the one channel to read, 1 to 16; None for all.

    Raises:
        PreprocessError: The file cannot be read, or lacks a column.
    """
    suffix = path.suffix.lower()
    if suffix in MIDI_SUFFIXES:
        from preprocess.midi import read_midi

        return read_midi(path, columns, channel)
    if suffix == ".npy":
        return _from_array(path, list(columns), rate_hz)
    if suffix == ".json":
        table, rate_hz = _read_json(path, rate_hz)
    else:
        table = _by_column(read_table(path))
    if rate_hz is None and time not in table:
        raise PreprocessError(
            f"{path} has no column {time!r}; name the column of times (time) or give rate_hz; it "
            f"has {', '.join(table)}"
        )
    times = None if rate_hz is not None else _numbers(table[time], path, time)
    found = {}
    for name, column in columns.items():
        if column not in table:
            hint = nearest(column, table) or f"; it has {', '.join(table)}"
            raise PreprocessError(f"{path} has no column {column!r}{hint}")
        found[name] = Points(_numbers(table[column], path, column), times, rate_hz)
    return found


def _from_array(path: Path, names: list[str], rate_hz: float | None) -> dict[str, Points]:
    if rate_hz is None:
        raise PreprocessError(f"{path} holds no times: give its rate_hz")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise PreprocessError(f"{path} is no array: {str(error).splitlines()[0]}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise PreprocessError(f"{path} must hold an array of numbers")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != len(names):
        raise PreprocessError(
            f"{path} holds {list(array.shape)}; for {', '.join(names)} expected [N, {len(names)}]"
        )
    return {
        name: Points(np.asarray(array[:, at], np.float64), None, rate_hz)
        for at, name in enumerate(names)
    }


def _read_json(path: Path, rate_hz: float | None) -> tuple[dict[str, list[Any]], float | None]:
    """Return the columns of a JSON file, with the rate that it may state."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise PreprocessError(f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB; take .npy")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise PreprocessError(f"{path} is not JSON") from None
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return _by_column(data), rate_hz
    if not isinstance(data, dict):
        raise PreprocessError(f"{path} must be an object of columns, or a list of objects")
    rate = data.pop(_RATE_KEY, rate_hz)
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
        raise PreprocessError(f"{path}: {_RATE_KEY} is {rate!r}, no number")
    columns = {str(name): cells for name, cells in data.items()}
    for name, cells in columns.items():
        if not isinstance(cells, list):
            raise PreprocessError(f"{path}: {name!r} is no list of numbers")
    return columns, rate


def _by_column(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _numbers(cells: list[Any], path: Path, column: str) -> NDArray[np.float64]:
    try:
        values = np.array(cells, np.float64)
        if values.ndim == 1:
            return values
    except (TypeError, ValueError):
        pass
    # Some cell is text, empty or a list: find out which.
    values = np.empty(len(cells))
    for at, cell in enumerate(cells):
        text = cell_text(cell) if not isinstance(cell, list | dict) else "a list"
        try:
            values[at] = float(text) if text else np.nan
        except ValueError:
            raise PreprocessError(
                f"{path}: {column} is {text[:40]!r} in row {at + 1}, which is no number"
            ) from None
    return values
