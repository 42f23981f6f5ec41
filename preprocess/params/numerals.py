"""Parses numbers with a decimal point or comma, with or without thousands separators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from preprocess.core.errors import PreprocessError

Decimal = Literal["auto", ".", ","]
"""The decimal mark of a column; `auto` infers it from the column's numbers."""

_MINUS = str.maketrans({"\N{MINUS SIGN}": "-"})
_SPACES = (
    " '\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}"
)
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"


def _pattern(mark: str, group: str) -> re.Pattern[str]:
    mark, separators = re.escape(mark), f"[{re.escape(group + _SPACES)}]"
    plain = rf"[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+"
    grouped = (
        rf"[1-9][0-9]{{0,2}}(?P<group>{separators})[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*"
        rf"(?:{mark}[0-9]+)?"
    )
    return re.compile(rf"[+-]?(?:{plain}|{grouped}){_EXPONENT}")


_PATTERNS = {".": _pattern(".", ","), ",": _pattern(",", ".")}


@dataclass(frozen=True)
class Mark:
    """The decimal mark of a column.

    Attributes:
        mark: `.` or `,`.
        used: Whether any of the numbers has it.
        unsure: If the column does not determine its mark, a number such as `1.234` that would
            differ with the other mark; else empty.
    """

    mark: str
    used: bool = False
    unsure: str = ""


def read_numeral(text: str, mark: str = ".") -> float | None:
    """Return the value of a number with the given decimal mark, or None if it is not a number.

    The other mark, spaces or apostrophes may separate thousands: `1.234,5` with `,` is 1234.5.
    """
    text = text.translate(_MINUS)
    match = _PATTERNS[mark].fullmatch(text)
    if not match:
        return None
    return float(text.replace(match["group"] or "_", "").replace(mark, "."))


def is_numeral(text: str) -> bool:
    """Whether a text is a number with either decimal mark."""
    return any(read_numeral(text, mark) is not None for mark in _PATTERNS)


def find_mark(numerals: Sequence[str]) -> Mark:
    """Return the decimal mark of all numbers of a column.

    `1,5` can only have a decimal comma, but `1,234` is ambiguous: it is an error unless other
    numbers decide. `1.234` alone has a decimal point.

    Raises:
        PreprocessError: The numbers contradict each other, or are ambiguous.
    """
    told: dict[str, str] = {}  # mark -> a number that has it
    grouped: set[str] = set()  # marks whose numbers use the other mark for thousands
    unsure = []
    for text in numerals:
        read = {mark: read_numeral(text, mark) for mark in _PATTERNS}
        if None not in read.values():
            unsure += [text] if read["."] != read[","] else []
            continue
        mark = "." if read[","] is None else ","
        told.setdefault(mark, text)
        grouped |= {mark} if _other(mark) in text else set()
    if len(told) > 1:
        raise PreprocessError(
            f"{told['.']!r} has a decimal point, but {told[',']!r} a decimal comma; use one mark "
            f"in all numbers"
        )
    mark = next(iter(told), ".")
    if mark not in grouped:
        for text in unsure:
            if _other(mark) in text:
                raise PreprocessError(
                    f"{text!r} could be {read_numeral(text, '.'):.12g} or "
                    f"{read_numeral(text, ','):.12g}: set decimal: '.' or decimal: ','"
                )
    return Mark(mark, bool(told or unsure), "" if told else next(iter(unsure), ""))


def _other(mark: str) -> str:
    return "," if mark == "." else "."
