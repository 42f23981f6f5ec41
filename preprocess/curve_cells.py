"""The cells of a curve's column: numbers, or words that are labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.cells import cell_text
from preprocess.errors import PreprocessError

Numbers = NDArray[np.float64]
_NO_VALUES = ("", "nan", "na", "n/a", "none", "null")


def numbers(cells: Sequence[Any], path: Path, name: str, column: str) -> Numbers:
    """Return a column of numbers `[N]`, NaN where a cell is empty.

    Raises:
        PreprocessError: A cell is no number, or all are words: then the message shows three of
            them, and how to have them as labels of the parameter `name`.
    """
    try:
        values = np.array(cells, np.float64)
        if values.ndim == 1:
            return values
    except (TypeError, ValueError):
        pass
    # Some cell is text, empty or a list: find out which.
    values = np.empty(len(cells))
    for at, cell in enumerate(cells):
        text = _text(cell)
        number = _number(text) if text else np.nan
        if number is None:
            found = words(cells)
            if found and not isinstance(cell, list | dict):
                shown = ", ".join(map(repr, found[:3]))
                raise PreprocessError(
                    f"{path}: {column} holds words ({shown}), no numbers; give labels: "
                    f"{{{name}: [{', '.join(found[:3])}]}}, or kind: {{{name}: categorical}} for "
                    "those of all files in alphabetical order"
                )
            raise PreprocessError(
                f"{path}: {column} is {text[:40]!r} in row {at + 1}, which is no number"
            )
        values[at] = number
    return values


def label_indices(cells: Sequence[Any], labels: Sequence[str], path: Path, column: str) -> Numbers:
    """Return for each cell its place among the labels `[N]`, NaN where it is empty.

    Raises:
        PreprocessError: A cell is none of the labels.
    """
    places: dict[str, float] = {label: at for at, label in enumerate(labels)}
    places = {**dict.fromkeys(_NO_VALUES, np.nan), **places}
    values = np.empty(len(cells))
    for at, cell in enumerate(cells):
        text = _text(cell)
        found = places.get(text, places.get(text.lower()) if text.lower() in _NO_VALUES else None)
        if found is None:
            raise PreprocessError(
                f"{path}: {column} is {text[:40]!r} in row {at + 1}, none of {', '.join(labels)}"
            )
        values[at] = found
    return values


def words(cells: Iterable[Any]) -> list[str]:
    """Return the words of a column in order of their first cells; none if any cell is a number."""
    texts = dict.fromkeys(map(_text, cells))
    found = [text for text in texts if text.lower() not in _NO_VALUES]
    return [] if any(_number(text) is not None for text in found) else found


def _text(cell: Any) -> str:
    return "a list" if isinstance(cell, list | dict) else cell_text(cell)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
