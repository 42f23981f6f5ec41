"""Reads the cells of an Excel sheet as people see them; openpyxl comes with `parameters`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError
from preprocess.params.cells import Percentage, Unreadable

_ZEROS = re.compile(r"0{2,}")
_QUOTED = re.compile(r'"[^"]*"|\\.')
Line = tuple[int, Sequence[Any]]


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
    book = _open(path, data_only=True)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise UsageError(f"table {path} has no sheet {sheet!r}; {', '.join(book.sheetnames)}")
        name = sheet or book.sheetnames[0]
        lines, blank = [], False
        for number, cells in enumerate(_rows(book[name]), 1):
            lines.append((number, [_shown(cell) for cell in cells]))
            # A cell without a value is blank but styled, or a formula that was never computed.
            blank = blank or any(_may_be_formula(cell) for cell in cells)
    finally:
        book.close()
    if blank:
        _mark_formulas(path, name, lines)
    return [(number, line) for number, line in lines if any(cell is not None for cell in line)]


def _open(path: Path, data_only: bool) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise UsageError(
            f"table {path}: openpyxl is not installed; pip install 'enchf-dataset[parameters]'"
        ) from None
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=data_only)
    except Exception as error:  # from zipfile, xml or openpyxl
        raise UsageError(f"table {path} is not an Excel file: {type(error).__name__}") from None


def _rows(sheet: Any) -> Any:
    sheet.reset_dimensions()  # the stated dimensions may be too small, which would lose rows
    return sheet.iter_rows()


def _may_be_formula(cell: Any) -> bool:
    from openpyxl.cell.read_only import EMPTY_CELL

    return cell is not EMPTY_CELL and cell.value is None and cell.data_type == "n"


def _mark_formulas(path: Path, name: str, lines: list[tuple[int, list[Any]]]) -> None:
    """Replace formulas without a stored value by `Unreadable`."""
    book = _open(path, data_only=False)
    try:
        for (_, line), cells in zip(lines, _rows(book[name]), strict=True):
            for at, cell in enumerate(cells):
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
