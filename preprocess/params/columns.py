"""Columns of tables: finds the common form of a column's cells, and converts them to numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from preprocess.core.errors import PreprocessError
from preprocess.core.report import listed
from preprocess.core.untrusted import clipped, shown
from preprocess.params.cells import Cell, Unreadable, cell_text, classify, is_empty
from preprocess.params.numerals import Decimal, Mark, find_mark, read_numeral
from preprocess.params.spelling import nfc

# Units of time as the CF conventions of netCDF write them.
UNITS = {
    "percentage": "%",
    "duration": "s",
    "date": "days since 1970-01-01",
    "date with a time": "seconds since 1970-01-01T00:00:00Z",
}
_ALSO = {
    "percentage": ("percent",),
    "duration": ("sec", "second", "seconds"),
    "date": ("d", "day", "days"),
    "date with a time": ("s", "sec", "second", "seconds"),
}
_TRUTHS = (("false", "true"), ("no", "yes"))
_EXACT_INTEGERS = 1 << 53
_DAY_S = 86_400
_SHOWN = 3


class WordsError(PreprocessError):
    """A column has words, but neither `labels` nor the kind `categorical` is set."""


Place = Callable[[int], str]
"""Index of a cell -> its place for messages, such as `row 2 (a/take)`."""


@dataclass(frozen=True)
class Column:
    """A column as numbers.

    Attributes:
        values: A number for each cell, NaN for an empty one.
        form: The form of its cells: `number`, `label`, ...; `empty` if all are empty.
        units: The unit of its numbers, if the cells imply one.
        labels: For labels and Booleans, the texts of the values 0, 1, ...
        mark: The decimal mark of its numbers.
        empty: Number of empty cells.
        empty_words: Words such as NA in empty cells.
        naive: Whether it has dates with times but without a UTC offset.
    """

    values: list[float]
    form: str
    units: str = ""
    labels: tuple[str, ...] = ()
    mark: Mark = field(default_factory=lambda: Mark("."))
    empty: int = 0
    empty_words: tuple[str, ...] = ()
    naive: bool = False

    @property
    def reading(self) -> str:
        """A text that says how the cells were read; it changes only if their form does."""
        if self.form == "empty":
            return "no values"
        text = "dates with times" if self.form == "date with a time" else f"{self.form}s"
        if self.mark.used and self.mark.mark == ",":
            text += " with a decimal comma"
        if self.labels:
            text += f" {listed([f'{i} {label}' for i, label in enumerate(self.labels)])}"
        if self.naive:
            text += " taken as UTC"
        return f"{text} in {self.units}" if self.units else text

    def summary(self) -> str:
        """Return a text that says how the cells were read, and how many are empty."""
        if not self.empty or self.form == "empty":
            return self.reading
        words = f", {', '.join(self.empty_words)} among them" if self.empty_words else ""
        return f"{self.reading} ({self.empty} empty{words})"

    def agreed_units(self, units: str) -> str:
        """Return the unit of the column.

        Args:
            units: The unit that the user states, or an empty string.

        Raises:
            PreprocessError: It contradicts the cells.
        """
        if units and self.units and units not in (self.units, *_ALSO[self.form]):
            raise PreprocessError(f"units is {units!r}, but its cells are {self.reading}")
        return units or self.units


def read_column(
    cells: Sequence[Any],
    name: str,
    place: Place,
    decimal: Decimal = "auto",
    labels: Sequence[str] = (),
    kind: str = "",
) -> Column:
    """Convert the cells of one column to numbers.

    Numbers stay as they are; `12 %` becomes 12. Durations such as 00:01:30 become seconds, ISO
    dates become days since 1970, and dates with a time become seconds since 1970 (UTC). Booleans
    become 0 and 1. Words become labels if `labels` or the kind `categorical` is set.

    Args:
        cells: Cells as `preprocess.params.tables.read_table` returns them.
        name: The parameter, for messages.
        place: Returns the place of a cell, for messages.
        decimal: The decimal mark of its numbers.
        labels: Labels of the values 0, 1, ... A cell that equals a label never counts as empty.
        kind: The kind that the user states; only `categorical` has an effect.

    Raises:
        WordsError: The column has words, but neither `labels` nor the kind `categorical` is set.
        PreprocessError: A cell has another form than the others, or a number is ambiguous.
    """
    for at, cell in enumerate(cells):
        if isinstance(cell, Unreadable):
            raise PreprocessError(f"{place(at)}: {cell}")
    if labels:
        return _read_labels(cells, place, [nfc(label) for label in labels])
    full = {at: classify(cell) for at, cell in enumerate(cells) if not is_empty(cell)}
    form = _common_form(full, name, place, kind) if full else "empty"
    if form == "label":
        words = sorted({cell.text for cell in full.values()})
        column = _read_labels(["" if is_empty(cell) else cell for cell in cells], place, words)
    else:
        column = _read_numbers(full, len(cells), form, place, decimal, kind)
    empty_words = {cell_text(cell) for at, cell in enumerate(cells) if at not in full} - {""}
    return replace(column, empty=len(cells) - len(full), empty_words=tuple(sorted(empty_words)))


def _read_numbers(
    full: Mapping[int, Cell], count: int, form: str, place: Place, decimal: Decimal, kind: str
) -> Column:
    mark = _mark([cell.numeral for cell in full.values() if cell.numeral], decimal)
    values = [math.nan] * count
    for at, cell in full.items():
        values[at] = _value(cell, mark, kind, place(at))
        if form != cell.form:  # a date among dates with times means midnight
            values[at] *= _DAY_S
    zoned = {cell.zoned for cell in full.values()} if form == "date with a time" else set()
    if len(zoned) > 1:
        raise PreprocessError("only some of its times state a UTC offset")
    truths: tuple[str, ...] = ()
    if form == "Boolean":
        texts = {cell.text.lower() for cell in full.values()}
        truths = next((pair for pair in _TRUTHS if texts <= set(pair)), _TRUTHS[0])
    return Column(values, form, UNITS.get(form, ""), truths, mark, naive=False in zoned)


def _read_labels(cells: Sequence[Any], place: Place, labels: Sequence[str]) -> Column:
    if len(set(labels)) < len(labels):
        twice = Counter(labels).most_common(1)[0][0]
        raise PreprocessError(f"the label {shown(twice)} appears twice")
    index: dict[str, int] = {label: at for at, label in enumerate(labels)}
    values, empty = [], 0
    for at, cell in enumerate(cells):
        text = cell_text(cell)
        if isinstance(cell, bool) and text not in index:  # a spreadsheet's TRUE is not text
            text = next((label for label in labels if label.lower() == text.lower()), text)
        if text not in index and not is_empty(cell):
            raise PreprocessError(
                f"{place(at)}: {shown(text)} is not one of {clipped(', '.join(labels))}"
            )
        empty += text not in index
        values.append(float(index.get(text, math.nan)))
    return Column(values, "label", labels=tuple(labels), empty=empty)


def _common_form(full: Mapping[int, Cell], name: str, place: Place, kind: str) -> str:
    """Return the form that all cells of a column have, `label` for words."""
    counts = Counter(cell.form for cell in full.values())
    if set(counts) == {"date", "date with a time"}:
        return "date with a time"
    if kind == "categorical" and not set(counts) & {"number", "Boolean"}:
        return "label"
    if counts.keys() == {"word"}:
        words = list(dict.fromkeys(cell.text[:40] for cell in full.values()))
        shown = ", ".join(map(repr, words[:_SHOWN]))
        listing = clipped(", ".join(sorted(words)[:_SHOWN])) + (
            ", ..." if len(words) > _SHOWN else ""
        )
        raise WordsError(
            f"has words such as {shown}; to make them labels, set kind: {{{name}: categorical}}, "
            f"or labels: {{{name}: [{listing}]}} to choose their order"
        )
    counts.pop("word", None)
    form = counts.most_common(1)[0][0]
    alike = next(at for at, cell in full.items() if cell.form == form)
    for at, cell in full.items():
        if cell.form != form:
            way = "; to mix them, list them all in labels" if kind == "categorical" else ""
            raise PreprocessError(
                f"{place(at)}: {cell.text[:40]!r} is not a {form}, but {place(alike)} has "
                f"{full[alike].text[:40]!r}{way}"
            )
    if form == "time":
        raise PreprocessError(
            f"{place(alike)}: {full[alike].text!r} could be minutes and seconds, or hours and "
            f"minutes; write it like 00:01:30"
        )
    return form


def _mark(numerals: Sequence[str], decimal: Decimal) -> Mark:
    if decimal == "auto":
        return find_mark(numerals)
    return Mark(decimal, any(decimal in text for text in numerals))


def _value(cell: Cell, mark: Mark, kind: str, place: str) -> float:
    value = cell.value
    if value is None:
        value = read_numeral(cell.numeral, mark.mark)
        if value is None:
            raise PreprocessError(
                f"{place}: {shown(cell.text)} is not a number with decimal: {mark.mark}"
            )
    if math.isinf(value):
        raise PreprocessError(f"{place}: {shown(cell.text)} is infinite")
    whole = abs(value) >= _EXACT_INTEGERS and cell.text.lstrip("+-").isdigit()
    if whole and int(cell.text.lstrip("+-").lstrip("0")) != abs(int(value)):
        raise PreprocessError(f"{place}: {clipped(cell.text)} is too large to store exactly")
    if kind == "categorical" and not value.is_integer():
        raise PreprocessError(
            f"{place}: {shown(cell.text)} is categorical but not an integer; list all values in labels"
        )
    return value
