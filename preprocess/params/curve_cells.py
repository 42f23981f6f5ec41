"""Reads the cells of a curve's column, like those of any table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.core.errors import PreprocessError
from preprocess.core.untrusted import clipped
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
    """Convert a column of a curve to numbers.

    Args:
        cells: Cells as `preprocess.params.tables.read_table` returns them.
        path: The file, for messages.
        name: The parameter, for messages.
        column: The column, for messages.
        decimal: The decimal mark of its numbers.
        labels: Labels of the values 0, 1, ..., for a column of words.

    Raises:
        PreprocessError: A cell has another form than the others, or the column has words or
            Booleans but no labels.
    """
    if not labels and decimal != ",":
        try:
            values = np.array(cells, np.float64)
            if values.ndim == 1 and not any(isinstance(cell, bool) for cell in cells):
                return Column(values.tolist(), "number")
        except (TypeError, ValueError, OverflowError):
            pass  # some cell is text, empty or a list: find out which
    for at, cell in enumerate(cells):
        if isinstance(cell, list | dict):
            raise PreprocessError(
                f"{path}: {column} must be a number, got a list or an object in row {at + 1}"
            )
    try:
        read = read_column(cells, name, lambda at: f"row {at + 1}", decimal, labels)
    except PreprocessError as error:
        raise PreprocessError(f"{path}: {column}: {error}") from None
    if read.form == "Boolean":  # interpolation between two of them would give 0.5
        raise PreprocessError(
            f"{path}: {column}: has Booleans; to make them labels, set kind: "
            f"{{{name}: categorical}}, or labels: {{{name}: [{clipped(', '.join(words(cells)))}]}}"
        )
    return read


def words(cells: Iterable[Any]) -> list[str]:
    """Return the distinct words of a column in order; none if any cell is a number."""
    full = [classify(cell) for cell in cells if not is_empty(cell)]
    texts = dict.fromkeys(cell.text for cell in full)
    return [] if any(cell.form == "number" for cell in full) else list(texts)
