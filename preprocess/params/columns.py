"""Columns of cells: what all cells of one are together, and the number that each becomes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from preprocess.core.errors import PreprocessError
from preprocess.core.report import listed
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
    """A column holds words, and nothing asks for labels."""


Place = Callable[[int], str]
"""Where the cell of a number is, for messages: `row 2 (a/take)`."""


@dataclass(frozen=True)
class Column:
    """What a column is worth.

    Attributes:
        values: A number for each cell, NaN for an empty one.
        form: What its cells are: `number`, `label`, ... ; `empty` where all are empty.
        units: What its numbers are in, where its cells say so.
        labels: Of labels and Booleans, what 0, 1, ... stand for.
        mark: The decimal mark of its numbers.
        empty: How many cells are empty.
        empty_words: The words among those, such as NA.
        naive: Whether it has dates with times that do not say their distance from UTC.
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
        """How the cells were read, in words; the same as long as no cell of another form comes."""
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
        """Return how the cells were read, and how many were empty."""
        if not self.empty or self.form == "empty":
            return self.reading
        words = f", {', '.join(self.empty_words)} among them" if self.empty_words else ""
        return f"{self.reading} ({self.empty} empty{words})"

    def agreed_units(self, units: str) -> str:
        """Return the units of the column where a user says `units` of it, or nothing.

        Raises:
            PreprocessError: They contradict its cells.
        """
        if units and self.units and units not in (self.units, *_ALSO[self.form]):
            raise PreprocessError(f"units says {units!r}, but its cells are {self.reading}")
        return units or self.units


def read_column(
    cells: Sequence[Any],
    name: str,
    place: Place,
    decimal: Decimal = "auto",
    labels: Sequence[str] = (),
    kind: str = "",
) -> Column:
    """Return what the cells of one column are worth.

    Numbers are taken as they are, percentages by their number, durations such as 00:01:30 in
    seconds, ISO dates in days and those with a time in seconds since 1970 (UTC), Booleans as 0
    and 1. Words are labels where `labels` or the kind `categorical` asks for that.

    Args:
        cells: As `preprocess.params.tables.read_table` returns them.
        name: The parameter, for messages.
        place: Where the cell of a number is, for messages.
        decimal: The decimal mark of its numbers.
        labels: What 0, 1, ... stand for. A cell that is one of them is never an empty one.
        kind: What the user says it is; only `categorical` matters here.

    Raises:
        WordsError: It holds words, and nothing asks for labels.
        PreprocessError: A cell is not what the others are, or a number is ambiguous.
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
        if form != cell.form:  # a date among dates with times is its midnight
            values[at] *= _DAY_S
    zoned = {cell.zoned for cell in full.values()} if form == "date with a time" else set()
    if len(zoned) > 1:
        raise PreprocessError("some of its times say their distance from UTC and some do not")
    truths: tuple[str, ...] = ()
    if form == "Boolean":
        texts = {cell.text.lower() for cell in full.values()}
        truths = next((pair for pair in _TRUTHS if texts <= set(pair)), _TRUTHS[0])
    return Column(values, form, UNITS.get(form, ""), truths, mark, naive=False in zoned)


def _read_labels(cells: Sequence[Any], place: Place, labels: Sequence[str]) -> Column:
    if len(set(labels)) < len(labels):
        raise PreprocessError(f"labels has {Counter(labels).most_common(1)[0][0]!r} twice")
    index: dict[str, int] = {label: at for at, label in enumerate(labels)}
    values, empty = [], 0
    for at, cell in enumerate(cells):
        text = cell_text(cell)
        if isinstance(cell, bool) and text not in index:  # a spreadsheet's TRUE is no text
            text = next((label for label in labels if label.lower() == text.lower()), text)
        if text not in index and not is_empty(cell):
            raise PreprocessError(f"{place(at)}: {text!r} is none of {', '.join(labels)}")
        empty += text not in index
        values.append(float(index.get(text, math.nan)))
    return Column(values, "label", labels=tuple(labels), empty=empty)


def _common_form(full: Mapping[int, Cell], name: str, place: Place, kind: str) -> str:
    """Return what the cells of a column are: a form that all have, `label` for words."""
    counts = Counter(cell.form for cell in full.values())
    if set(counts) == {"date", "date with a time"}:
        return "date with a time"
    if kind == "categorical" and not set(counts) & {"number", "Boolean"}:
        return "label"
    if counts.keys() == {"word"}:
        words = list(dict.fromkeys(cell.text[:40] for cell in full.values()))
        shown = ", ".join(map(repr, words[:_SHOWN]))
        listing = ", ".join(sorted(words)[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")
        raise WordsError(
            f"holds words such as {shown}; to make labels of them say kind: "
            f"{{{name}: categorical}}, or labels: {{{name}: [{listing}]}} for an order of your own"
        )
    counts.pop("word", None)
    form = counts.most_common(1)[0][0]
    alike = next(at for at, cell in full.items() if cell.form == form)
    for at, cell in full.items():
        if cell.form != form:
            way = "; to mix them, list all in labels" if kind == "categorical" else ""
            raise PreprocessError(
                f"{place(at)}: {cell.text[:40]!r} is no {form}, but {place(alike)} has "
                f"{full[alike].text[:40]!r}{way}"
            )
    if form == "time":
        raise PreprocessError(
            f"{place(alike)}: {full[alike].text!r} could be minutes and seconds or hours and "
            f"minutes; write such as 00:01:30"
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
            raise PreprocessError(f"{place}: {cell.text!r} is no number with decimal: {mark.mark}")
    if math.isinf(value):
        raise PreprocessError(f"{place}: {cell.text!r} is infinite")
    whole = abs(value) >= _EXACT_INTEGERS and cell.text.lstrip("+-").isdigit()
    if whole and int(cell.text) != int(value):
        raise PreprocessError(f"{place}: {cell.text} is too large to be kept exactly")
    if kind == "categorical" and not value.is_integer():
        raise PreprocessError(
            f"{place}: {cell.text!r} is categorical, and no integer; list all such values in labels"
        )
    return value
