"""Reads the cells of an Excel sheet as people see them; openpyxl comes with `parameters`."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError, one_line
from preprocess.core.untrusted import clipped
from preprocess.params.cells import Percentage, Unreadable
from preprocess.params.table_size import CellRoom

_ZEROS = re.compile(r"0{2,}")
_QUOTED = re.compile(r'"[^"]*"|\\.')
Line = tuple[int, Sequence[Any]]
MAX_SHEET_ROWS = 1 << 20
MAX_XML_BYTES = 256 << 20
MAX_GROWTH = 200
_FEW_BYTES = 8 << 20


def read_sheet(path: Path, sheet: str | None = None) -> list[Line]:
    """Return the rows of a sheet that are not empty, each with its number in the file.

    A number shown as a percentage becomes a `Percentage`, a number shown with leading zeros becomes
    a string, and a formula without a stored value becomes `Unreadable`.

    Args:
        path: The file.
        sheet: Name of the sheet; None for the first.

    Raises:
        UsageError: The file cannot be read, or has no such sheet.
    """
    _check_archive(path)
    try:
        return _read_sheet(path, sheet)
    except UsageError:
        raise
    except Exception as error:  # from zipfile, xml or openpyxl, at any cell
        raise UsageError(f"table {path} is not an Excel file: {clipped(one_line(error))}") from None


def _check_archive(path: Path) -> None:
    """Refuse an archive whose content is far larger than itself, as its list of files states it.

    zipfile reads no more of a file than that list states.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UsageError(f"table {path} is not an Excel file: {clipped(error)}") from None
    size = sum(info.file_size for info in infos)
    if size > min(MAX_XML_BYTES, _FEW_BYTES + MAX_GROWTH * path.stat().st_size):
        raise UsageError(
            f"table {path} unpacks to {size:,} bytes; at most {MAX_XML_BYTES >> 20} MiB and "
            f"{MAX_GROWTH} times the file are read"
        )


def _read_sheet(path: Path, sheet: str | None) -> list[Line]:
    book = _open(path, data_only=True)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise UsageError(f"table {path} has no sheet {sheet!r}; {', '.join(book.sheetnames)}")
        if not book.sheetnames:
            raise UsageError(f"table {path} has no sheet")
        name = sheet or book.sheetnames[0]
        lines: dict[int, list[Any]] = {}
        blank, room = False, CellRoom(path)
        for number, cells in _rows(path, book[name]):
            line = [_shown(cell) for cell in cells]
            # A cell without a value is blank but styled, or a formula that was never computed.
            unsure = any(_may_be_formula(cell) for cell in cells)
            filled = len(line) - line.count(None)
            if filled or unsure:
                room.take(filled + 1, len(line))
                lines[number] = line
                blank = blank or unsure
    finally:
        book.close()
    if blank:
        _mark_formulas(path, name, lines)
    return [(n, line) for n, line in lines.items() if any(cell is not None for cell in line)]


def _open(path: Path, data_only: bool) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise UsageError(
            f"table {path}: openpyxl is not installed; pip install 'enchf-dataset[parameters]'"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that it does not know
        return openpyxl.load_workbook(path, read_only=True, data_only=data_only, keep_links=False)


def _rows(path: Path, sheet: Any) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the rows of a sheet with their numbers; openpyxl fills gaps with empty rows."""
    sheet.reset_dimensions()  # the stated dimensions may be too small, which would lose rows
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number > MAX_SHEET_ROWS:
            raise UsageError(f"table {path} has a row beyond {MAX_SHEET_ROWS:,}, the last of Excel")
        yield number, cells


def _may_be_formula(cell: Any) -> bool:
    from openpyxl.cell.read_only import EMPTY_CELL

    return cell is not EMPTY_CELL and cell.value is None and cell.data_type == "n"


def _mark_formulas(path: Path, name: str, lines: dict[int, list[Any]]) -> None:
    """Replace formulas without a stored value by `Unreadable`."""
    book = _open(path, data_only=False)
    try:
        for number, cells in _rows(path, book[name]):
            line = lines.get(number, [])
            for at, cell in enumerate(cells[: len(line)]):
                if cell.data_type == "f" and line[at] is None:
                    line[at] = Unreadable(
                        f"sheet {name}, {cell.coordinate} has a formula without a stored value; "
                        f"open the file in a spreadsheet program and save it"
                    )
    finally:
        book.close()


def _shown(cell: Any) -> Any:
    value = cell.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    number_format = cell.number_format
    if "%" in _QUOTED.sub("", number_format):
        return Percentage(value)
    if _ZEROS.fullmatch(number_format) and value >= 0 and float(value).is_integer():
        return str(int(value)).zfill(len(number_format))
    return value
