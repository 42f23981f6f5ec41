"""Tables: rows of a CSV, TSV, Excel, JSON lines or Parquet file, every cell as it was written."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from preprocess.errors import UsageError

MAX_TEXT_BYTES = 256 << 20
_SEPARATORS = (",", ";", "\t")
Row = dict[str, Any]


def read_table(path: Path, sheet: str | None = None) -> list[Row]:
    """Return the rows of a table as column -> cell; text cells are stripped.

    The format follows from the file's ending: `.csv` (separated by comma, semicolon or tab,
    whichever the first line has most of), `.tsv`, `.xlsx`, `.jsonl` or `.ndjson`, `.parquet`.

    Args:
        path: The file.
        sheet: Of an Excel file; without it, the first.

    Raises:
        UsageError: The file cannot be read, or is no such table; the message names the line.
    """
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
    if sheet is not None and suffix != ".xlsx":
        raise UsageError(f"table {path} has no sheets; only .xlsx has")
    if not path.is_file():
        raise UsageError(f"table {path} does not exist")
    rows = _read_excel(path, sheet) if suffix == ".xlsx" else readers[suffix](path)
    if not rows:
        raise UsageError(f"table {path} has no rows")
    return rows


def cell_text(cell: Any) -> str:
    """Return a cell as the text of a key: Excel's 7.0 is 7; empty is an empty string."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def read_text(path: Path, what: str) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises:
        UsageError: It is too large or no UTF-8.
    """
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise UsageError(f"{what} {path} is larger than {MAX_TEXT_BYTES >> 20} MiB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{what} {path} is not UTF-8; save it as such") from None


def _read_csv(path: Path) -> list[Row]:
    text = read_text(path, "table")
    first = text.split("\n", 1)[0]
    separator = "\t" if path.suffix.lower() == ".tsv" else max(_SEPARATORS, key=first.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        numbered = [(lines.line_num, line) for line in lines if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise UsageError(f"table {path}: {error}") from None
    if not numbered:
        return []
    return _rows(path, numbered[0][1], numbered[1:])


def _read_excel(path: Path, sheet: str | None = None) -> list[Row]:
    try:
        import openpyxl
    except ImportError:
        raise UsageError(
            f"table {path}: openpyxl is not installed; pip install 'enchf-dataset[features]'"
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # zipfile's, xml's and openpyxl's own
        raise UsageError(f"table {path} is no Excel file: {type(error).__name__}") from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise UsageError(f"table {path} has no sheet {sheet!r}; {', '.join(book.sheetnames)}")
        lines = list(book[sheet or book.sheetnames[0]].iter_rows(values_only=True))
    finally:
        book.close()
    numbered = [(n, line) for n, line in enumerate(lines, 1) if any(c is not None for c in line)]
    return _rows(path, numbered[0][1], numbered[1:]) if numbered else []


def _rows(path: Path, head: Sequence[Any], lines: Iterable[tuple[int, Sequence[Any]]]) -> list[Row]:
    """Return rows by the names in the head; a cell beyond them is an error, a missing one empty."""
    names = [cell_text(cell) for cell in head]
    while names and not names[-1]:
        names.pop()
    for name in names:
        if not name or names.count(name) > 1:
            raise UsageError(
                f"table {path} has a column without a name"
                if not name
                else f"table {path} has two columns {name!r}"
            )
    rows = []
    for number, line in lines:
        if any(cell not in (None, "") for cell in line[len(names) :]):
            raise UsageError(f"table {path}: line {number} has more cells than there are columns")
        cells = [cell.strip() if isinstance(cell, str) else cell for cell in line]
        cells += [None] * (len(names) - len(cells))
        rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _read_json_lines(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(read_text(path, "table").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UsageError(f"table {path}: line {number} is no JSON object")
        rows.append({str(name): cell for name, cell in row.items()})
    return rows


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_table(path).to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"table {path} is no Parquet file: {str(error).splitlines()[0]}") from None
