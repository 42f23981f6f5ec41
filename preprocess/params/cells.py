"""Cells of tables: classifies each by itself; `preprocess.params.columns` interprets columns."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from preprocess.params.numerals import is_numeral
from preprocess.params.spelling import nfc

Form = Literal[
    "number", "percentage", "duration", "time", "date", "date with a time", "Boolean", "word"
]
"""The form of a cell; a `time` such as 1:30 is ambiguous, minutes or hours."""

EMPTY_WORDS = ("", "nan", "na", "n/a", "#n/a", "none", "null")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_BOOLEANS = {"false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0}
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_MAX_HOUR_DIGITS = 300
_FRACTION = r"(?:[.,]([0-9]+))?"
_DURATION = re.compile(rf"(-?)([0-9]+):([0-5][0-9]):([0-5][0-9]){_FRACTION}")
_MINUTES = re.compile(r"(-?)([0-9]+):([0-5][0-9])[.,]([0-9]+)")
_TIME = re.compile(r"-?[0-9]+:[0-5][0-9]")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    rf"(?:[T ]([0-9]{{2}}):([0-9]{{2}})(?::([0-9]{{2}}){_FRACTION})?"
    r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


class Percentage(float):
    """A number that a spreadsheet shows as a percentage: 0.12 for 12 %."""


class Unreadable(str):
    """Replaces a cell without a value; its text says where and why."""

    __slots__ = ()


@dataclass(frozen=True)
class Cell:
    """A classified cell.

    Attributes:
        text: The cell's text as people see it.
        form: The cell's form.
        value: A number, seconds, days since 1970, 0 or 1; None for a word, and for a number whose
            decimal mark depends on the column.
        numeral: The text of such a number; else empty.
        zoned: For a date with a time, whether it states its UTC offset.
    """

    text: str
    form: Form
    value: float | None = None
    numeral: str = ""
    zoned: bool = False


def cell_text(cell: Any) -> str:
    """Return a cell as text: 7.0 becomes 7, a date at midnight only the date, None is empty."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell == dt.datetime.combine(cell, dt.time()):
        return str(cell.date())
    return nfc(str(cell).strip())


def is_empty(cell: Any) -> bool:
    """Whether a cell is empty, or has a word such as NA that means so."""
    return cell_text(cell).lower() in EMPTY_WORDS


def classify(cell: Any) -> Cell:
    """Return the form and value of a cell that is not empty."""
    text = cell_text(cell)
    if isinstance(cell, bool):
        return Cell(text, "Boolean", float(cell))
    if isinstance(cell, Percentage):
        shown = float(decimal.Decimal(repr(float(cell))) * 100)  # 0.07 * 100 is not 7
        return Cell(f"{shown:g} %", "percentage", shown)
    if isinstance(cell, int | float | decimal.Decimal):
        return Cell(text, "number", _float(cell))
    if isinstance(cell, dt.time):
        cell = dt.datetime.combine(dt.date.min, cell) - dt.datetime.min
    if isinstance(cell, dt.timedelta):
        return Cell(text, "duration", cell.total_seconds())
    if isinstance(cell, dt.datetime) and text.count(":"):
        return _moment(text, cell)
    if isinstance(cell, dt.date):
        return Cell(text, "date", float(cell.toordinal() - EPOCH.toordinal()))
    if not isinstance(cell, str) or isinstance(cell, Unreadable):
        return Cell(text, "word")
    return _classify_text(text)


def _float(number: float | decimal.Decimal) -> float:
    try:
        return float(number)
    except OverflowError:  # of a whole number above 1.8e308
        return math.inf if number > 0 else -math.inf


def _classify_text(text: str) -> Cell:
    if is_numeral(text):
        return Cell(text, "number", numeral=text)
    if text.endswith("%") and is_numeral(text[:-1].strip()):
        return Cell(text, "percentage", numeral=text[:-1].strip())
    if text.lower() in _BOOLEANS:
        return Cell(text, "Boolean", _BOOLEANS[text.lower()])
    if _INFINITE.fullmatch(text):
        return Cell(text, "number", math.inf)
    if match := _DURATION.fullmatch(text):
        return Cell(text, "duration", _seconds(*match.groups()))
    if match := _MINUTES.fullmatch(text):
        sign, *rest = match.groups()
        return Cell(text, "duration", _seconds(sign, "0", *rest))
    if _TIME.fullmatch(text):
        return Cell(text, "time")
    return _classify_date(text) or Cell(text, "word")


def _seconds(sign: str, hours: str, minutes: str, seconds: str, fraction: str | None) -> float:
    if len(hours) > _MAX_HOUR_DIGITS:
        return math.inf
    whole = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
    return float(f"{sign}{whole}.{fraction or 0}")


def _classify_date(text: str) -> Cell | None:
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        date = dt.date(int(year), int(month), int(day))
        if hour is None:
            return classify(date)
        micro = int((fraction or "0").ljust(6, "0")[:6])
        time = dt.time(int(hour), int(minute), int(second or 0), micro, _zone(zone))
    except ValueError:  # 2024-02-30
        return None
    return _moment(text, dt.datetime.combine(date, time))


def _zone(text: str | None) -> dt.timezone | None:
    if text is None:
        return None
    if text == "Z":
        return dt.timezone.utc
    minutes = 60 * int(text[1:3]) + int(text[-2:])
    return dt.timezone(dt.timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _moment(text: str, moment: dt.datetime) -> Cell:
    zoned = moment.tzinfo is not None
    since = (moment if zoned else moment.replace(tzinfo=dt.timezone.utc)) - EPOCH
    return Cell(text, "date with a time", since.total_seconds(), zoned=zoned)
