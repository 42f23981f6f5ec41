"""The cells of a curve's column, which are read as those of any table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.core.errors import PreprocessError
from preprocess.params.cells import classify, is_empty
from preprocess.params.columns import Column, read_column
from preprocess.params.numerals import Decimal


def read_cells(
    cells: Sequence[Any],
    path: Path,
    name: str,
    column: str,
    decimal: Decimal = "auto",
    labels: Sequence[str] = (),
) -> Column:
    """Return what a column of a curve is worth.

    Args:
        cells: As `preprocess.params.tables.read_table` returns them.
        path: The file, for messages.
        name: The parameter, for messages.
        column: The column, for messages.
        decimal: The decimal mark of its numbers.
        labels: What 0, 1, ... stand for, of a column of words.

    Raises:
        PreprocessError: A cell is not what the others are, or they are words or Booleans, and
            there are no labels.
    """
    if not labels and decimal != ",":
        try:
            values = np.array(cells, np.float64)
            if values.ndim == 1 and not any(isinstance(cell, bool) for cell in cells):
                return Column(values.tolist(), "number")
        except (TypeError, ValueError):
            pass  # some cell is text, empty or a list: find out which
    for at, cell in enumerate(cells):
        if isinstance(cell, list | dict):
            raise PreprocessError(f"{path}: {column} is 'a list' in row {at + 1}, no number")
    try:
        read = read_column(cells, name, lambda at: f"row {at + 1}", decimal, labels)
    except PreprocessError as error:
        raise PreprocessError(f"{path}: {column}: {error}") from None
    if read.form == "Boolean":  # a line between two of them would pass through one half
        raise PreprocessError(
            f"{path}: {column}: holds Booleans; to make labels of them say kind: "
            f"{{{name}: categorical}}, or labels: {{{name}: [{', '.join(words(cells))}]}}"
        )
    return read


def words(cells: Iterable[Any]) -> list[str]:
    """Return the words of a column in order of their first cells; none if any cell is a number."""
    full = [classify(cell) for cell in cells if not is_empty(cell)]
    texts = dict.fromkeys(cell.text for cell in full)
    return [] if any(cell.form == "number" for cell in full) else list(texts)
