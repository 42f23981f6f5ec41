"""Reads a column of times, in any supported format, as seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.core.untrusted import clipped
from preprocess.params.cells import cell_text
from preprocess.params.numerals import Decimal, find_mark, is_numeral, read_numeral

TimeAs = Literal["auto", "seconds", "unix_s", "unix_ms", "iso"]
Seconds = NDArray[np.float64]

_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<part>\d{1,9})\d*)?"
    r"\s?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?"
)
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?)")
# Numbers this large cannot be seconds of a recording (three years), so they are Unix time. These
# bounds tell its units apart for any date from 1973 to 5138.
_UNIX_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (1e8, 1.0))


def read_times(
    cells: Sequence[Any],
    path: Path,
    column: str,
    time_as: TimeAs = "auto",
    decimal: Decimal = "auto",
) -> Seconds:
    """Return a column of times as seconds `[N]`.

    Dates and Unix times count from the first row.

    Args:
        cells: Seconds, `h:mm:ss`, ISO 8601 dates with times, or Unix time.
        path: The file, for messages.
        column: The column, for messages.
        time_as: The format. `auto` infers it: numbers from 1e8 on are Unix time in seconds, from
            1e11 on in milliseconds, from 1e14 on in microseconds, from 1e17 on in nanoseconds.
        decimal: The decimal mark of numbers.

    Raises:
        PreprocessError: A cell has another format; the message names its row.
    """
    kinds = _KINDS[time_as]
    if _number in kinds:
        numbers = _numbers(cells, path, column, decimal)
        if numbers is not None:
            return _from_numbers(numbers, time_as)
    wrong = 0
    for kind in kinds:
        parsed = [kind(cell) for cell in cells]
        if None not in parsed:
            return _from_stamps(parsed, path, column) if kind is _iso else np.array(parsed)
        wrong = max(wrong, parsed.index(None))  # blame the row that breaks the longest match
    text = clipped(cell_text(cells[wrong])[:40])
    expected = ", ".join(_SHAPES[kind] for kind in kinds)
    raise PreprocessError(
        f"{path}: {column} is {text!r} in row {wrong + 1}; expected {expected}, the same in all "
        "rows"
    )


def _from_numbers(numbers: Seconds, time_as: TimeAs) -> Seconds:
    unit = {"unix_s": 1.0, "unix_ms": 1e-3}.get(time_as)
    if time_as == "auto" and len(numbers):
        unit = next((unit for least, unit in _UNIX_UNITS if numbers[0] >= least), None)
    # Subtract first: the difference is small enough to be exact.
    with np.errstate(invalid="ignore", over="ignore"):  # infinite times are refused later
        return numbers if unit is None else (numbers - numbers[0]) * unit


def _iso(cell: Any) -> tuple[np.datetime64, bool] | None:
    """Return a date with a time, in UTC if it states a zone, and whether it states one."""
    text = cell.isoformat() if hasattr(cell, "isoformat") else cell_text(cell)
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    try:
        stamp = np.datetime64(f"{match['date']}T{match['time']}", "ns")
    except ValueError:  # such as a month 13
        return None
    stamp += np.timedelta64(int((match["part"] or "0").ljust(9, "0")), "ns")
    zone = match["zone"]
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:] if len(zone) > 3 else 0)
        stamp -= np.timedelta64(minutes if zone[0] == "+" else -minutes, "m")
    return stamp, bool(zone)


def _from_stamps(stamps: list[tuple[np.datetime64, bool]], path: Path, column: str) -> Seconds:
    if len({zoned for _, zoned in stamps}) > 1:
        raise PreprocessError(f"{path}: only some rows of {column} have a time zone")
    times = np.array([stamp for stamp, _ in stamps])
    since: Seconds = (times - times[0]).astype(np.int64) / 1e9
    return since


def _clock(cell: Any) -> float | None:
    if hasattr(cell, "total_seconds"):
        return float(cell.total_seconds())
    text = cell.isoformat() if hasattr(cell, "isoformat") else cell_text(cell)
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    try:
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3])
    except (ValueError, OverflowError):  # of hundreds of digits
        return None


def _numbers(cells: Sequence[Any], path: Path, column: str, decimal: Decimal) -> Seconds | None:
    """Return a column of numbers, or None if any cell is not a number."""
    try:
        numbers = np.array(cells, np.float64)
        if numbers.ndim == 1:  # no cell is a list
            return numbers
    except (TypeError, ValueError, OverflowError):
        pass
    texts = [cell_text(cell) for cell in cells]
    if not all(map(is_numeral, texts)):
        return None
    try:
        mark = find_mark(texts).mark if decimal == "auto" else decimal
    except PreprocessError as error:
        raise PreprocessError(f"{path}: {column}: {error}") from None
    return np.array([read_numeral(text, mark) for text in texts], np.float64)


def _number(cell: Any) -> float | None:
    return read_numeral(cell_text(cell))


_SHAPES: dict[Callable[[Any], Any], str] = {
    _number: "a number",
    _iso: "ISO 8601 (2024-05-01T12:00:00.250Z)",
    _clock: "h:mm:ss",
}
_KINDS: dict[TimeAs, tuple[Callable[[Any], Any], ...]] = {
    "auto": (_number, _iso, _clock),
    "seconds": (_number, _clock),
    "unix_s": (_number,),
    "unix_ms": (_number,),
    "iso": (_iso,),
}
