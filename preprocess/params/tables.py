"""Reads the rows of a CSV, TSV, Excel, JSON lines or Parquet file, without converting cells."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError
from preprocess.core.untrusted import shown
from preprocess.params.cells import cell_text
from preprocess.params.excel import read_sheet
from preprocess.params.parquet_rows import read_parquet
from preprocess.params.spelling import nfc
from preprocess.params.table_size import CellRoom, check_rows
from preprocess.params.text_files import read_text

_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*')  # Excel's, above the header
_TRIED = 20
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of a table in a file.

    Attributes:
        sheet: Sheet of an Excel file; None for the first.
        header: Number of the line with the column names, from 1; None for the first line that is
            not empty. Lines above it are skipped.
        delimiter: Cell delimiter of a CSV file; None to infer comma, semicolon, tab or vertical bar
            from the header.
        encoding: Encoding of a text file; None for the one its byte order mark states, or UTF-8.
    """

    sheet: str | None = None
    header: int | None = None
    delimiter: str | None = None
    encoding: str | None = None


_MEANT_FOR = {
    "sheet": ("sheets; only .xlsx has", (".xlsx",)),
    "header": ("header line; only .csv, .tsv and .xlsx have", (".csv", ".tsv", ".xlsx")),
    "delimiter": ("delimiter; only .csv and .tsv have", (".csv", ".tsv")),
    "encoding": (
        "encoding; only .csv, .tsv, .jsonl and .ndjson have",
        (".csv", ".tsv", ".jsonl", ".ndjson"),
    ),
}


def read_table(path: Path, layout: Layout | None = None) -> list[Row]:
    """Return the rows of a table as column -> cell; text cells are stripped.

    The file's suffix determines the format: `.csv`, `.tsv`, `.xlsx`, `.jsonl` or `.ndjson`,
    `.parquet`. Column names are in Unicode's composed form (NFC).

    Raises:
        UsageError: The file cannot be read or is not a valid table; the message names the line.
    """
    layout = layout or Layout()
    readers = {
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".xlsx": _read_excel,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".parquet": _read_parquet,
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise UsageError(f"table {path} must end in one of {', '.join(readers)}")
    for name, (what, suffixes) in _MEANT_FOR.items():
        if getattr(layout, name) is not None and suffix not in suffixes:
            raise UsageError(f"table {path} has no {what}")
    if not path.is_file():
        raise UsageError(f"table {path} does not exist")
    rows = readers[suffix](path, layout)
    if not rows:
        raise UsageError(f"table {path} has no rows")
    return rows


def _read_csv(path: Path, layout: Layout) -> list[Row]:
    text = read_text(path, "table", layout.encoding)
    check_rows(path, text.count("\n"))
    lines = io.StringIO(text, newline="").readlines()
    delimiter, skipped = layout.delimiter, (layout.header or 1) - 1
    stated = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if stated:
        delimiter, skipped = delimiter or stated[1], max(skipped, 1)
    lines = lines[skipped:]
    if delimiter is None:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else _find_delimiter(lines)
    try:
        return _rows(path, _csv_lines(lines, delimiter, skipped), layout)
    except csv.Error as error:
        raise UsageError(f"table {path}: {error}") from None
    except (TypeError, ValueError):  # ValueError from Python 3.13 on
        raise UsageError(
            f"table {path}: delimiter {delimiter!r} must be a single character"
        ) from None


def _csv_lines(
    lines: Sequence[str], delimiter: str, skipped: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a CSV file that are not empty, each with its number in the file."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = skipped + 1
    for line in reader:
        if any(cell.strip() for cell in line):
            yield start, line
        start = skipped + reader.line_num + 1


def _find_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits the header most, preferring equal counts in all lines."""
    best, most = ",", (False, 0)
    for delimiter in _SEPARATORS:
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            counts = [len(line) - 1 for line in islice(reader, _TRIED) if any(line)]
        except csv.Error:
            continue
        if counts and counts[0] and (len(set(counts)) == 1, counts[0]) > most:
            best, most = delimiter, (len(set(counts)) == 1, counts[0])
    return best


def _read_excel(path: Path, layout: Layout) -> list[Row]:
    lines = read_sheet(path, layout.sheet)
    first = layout.header or 1
    return _rows(path, [(n, line) for n, line in lines if n >= first], layout)


def _rows(path: Path, lines: Iterable[tuple[int, Sequence[Any]]], layout: Layout) -> list[Row]:
    """Return rows as column -> cell, with names from the first line; a missing cell is None.

    Raises:
        UsageError: The header line is empty, has a duplicate or empty name, or is shorter than
            another line; or most cells are missing.
    """
    lines = iter(lines)
    first, header = next(lines, (0, ()))
    if layout.header is not None and first != layout.header:
        raise UsageError(f"table {path}: header is line {layout.header}, which is empty")
    names = _header_names(path, first, header, layout)
    rows: list[Row] = []
    room = CellRoom(path)
    for number, line in lines:
        if any(cell not in (None, "") for cell in line[len(names) :]):
            raise UsageError(
                f"table {path}: line {number} has more cells than the header has columns; "
                f"{_header_hint(layout)}"
            )
        room.take(len(line), len(names))
        cells = [cell.strip() if type(cell) is str else cell for cell in line]
        cells += [None] * (len(names) - len(cells))
        rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _header_names(path: Path, number: int, line: Sequence[Any], layout: Layout) -> list[str]:
    names = [cell_text(cell) for cell in line]
    while names and not names[-1]:
        names.pop()
    counts = Counter(names)
    for name in names:
        if not name or counts[name] > 1:
            problem = f"two columns {shown(name)}" if name else "a column without a name"
            raise UsageError(f"table {path} has {problem} in line {number}; {_header_hint(layout)}")
    return names


def _header_hint(layout: Layout) -> str:
    return (
        "is that the header?"
        if layout.header
        else "set header: 2 if the names are in line 2, or delimiter: ';' if that separates cells"
    )


def _read_json_lines(path: Path, layout: Layout) -> list[Row]:
    rows = []
    text = read_text(path, "table", layout.encoding)
    check_rows(path, text.count("\n"))
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UsageError(f"table {path}: line {number} is not a JSON object")
        rows.append(_composed(row))
    return rows


def _read_parquet(path: Path, layout: Layout) -> list[Row]:
    return [_composed(row) for row in read_parquet(path)]


def _composed(row: Iterable[Any] | Row) -> Row:
    return {nfc(str(name)): cell for name, cell in dict(row).items()}
