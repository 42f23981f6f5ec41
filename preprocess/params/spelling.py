"""Compares names that look the same to people but differ in their characters."""

from __future__ import annotations

import re
import unicodedata
from itertools import zip_longest


def nfc(text: str) -> str:
    """Return a text in composed form; macOS stores file names with decomposed accents."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return a text without case, invisible characters and leading zeros.

    Two texts with the same result are probably meant to be the same.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    visible = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return _without_zeros(" ".join(visible.split()))


def difference(text: str, other: str) -> str:
    """Return the first difference, such as `'T' (U+0054) where the other has 't' (U+0074)`."""
    if text != other and _without_zeros(text) == _without_zeros(other):
        return "they differ in leading zeros, which a text column keeps but a number column loses"
    for ours, theirs in zip_longest(text, other):
        if ours != theirs:
            return f"{_character(ours)} where the other has {_character(theirs)}"
    return "nothing"


def _without_zeros(text: str) -> str:
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)


def _character(character: str | None) -> str:
    if character is None:
        return "its end"
    name = unicodedata.name(character, "")
    shown = repr(character) if character.isascii() and character.isprintable() else name
    return f"{shown or 'a character'} (U+{ord(character):04X})"
