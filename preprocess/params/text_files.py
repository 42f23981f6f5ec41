"""Reads text files in their encoding, and gives hints if it cannot be determined."""

from __future__ import annotations

import codecs
from pathlib import Path

from preprocess.core.errors import UsageError, nearest

MAX_TEXT_BYTES = 256 << 20
# UTF-32 before UTF-16, whose mark is a prefix of it.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = ("utf-8", "cp1252", "utf-16-le", "latin-1", "mac_roman", "shift_jis", "gb18030")
_SHOWN = 24


def read_text(path: Path, what: str, encoding: str | None = None) -> str:
    """Return the text of a file, without its byte order mark.

    Args:
        path: The file.
        what: The kind of file, for messages.
        encoding: A Python encoding such as `cp1252`; None for the one that the byte order mark
            states (UTF-8, UTF-16, UTF-32), or UTF-8.

    Raises:
        UsageError: The file is too large or in another encoding; the message shows how it would
            read in the most likely one.
    """
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise UsageError(f"{what} {path} is larger than {MAX_TEXT_BYTES >> 20} MiB")
    data = path.read_bytes()
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is not None:
        _check_name(encoding, f"{what} {path}")
    try:
        text = data.decode(marked or encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} {path} {_why(data, error)}") from None
    if "\0" in text:
        raise UsageError(f"{what} {path} contains zero bytes; {_of_zero_bytes(data)}")
    if not marked and encoding and _is_rather_utf8(data, encoding):
        raise UsageError(f"{what} {path} is UTF-8, not {encoding}; omit encoding")
    return text


def _check_name(encoding: str, where: str) -> None:
    try:
        known = codecs.lookup(encoding)
        "".encode(known.name)
    except (LookupError, UnicodeError):
        hint = nearest(encoding, _COMMON) or f"; common ones are {', '.join(_COMMON)}"
        raise UsageError(f"{where}: unknown encoding {encoding!r}{hint}") from None


def _why(data: bytes, error: UnicodeDecodeError) -> str:
    """Return a message about the first invalid byte, with a suggested encoding."""
    at = error.start
    line = data.count(b"\n", 0, at) + 1
    found = f"is not {error.encoding.upper()}: line {line} has the byte 0x{data[at]:02X}"
    if data.count(b"\0") > len(data) // 4:
        return f"{found}; {_of_zero_bytes(data)}"
    if error.encoding != "utf-8":
        return f"{found}; name its encoding"
    start = max(data.rfind(b"\n", 0, at) + 1, at - _SHOWN)
    part = data[start : at + _SHOWN].split(b"\n")[0].decode("cp1252", "replace").strip()
    return (
        f"{found}; set encoding: cp1252 (Excel on Windows) if {part!r} looks right, or another "
        f"encoding"
    )


def _of_zero_bytes(data: bytes) -> str:
    """Return a hint for UTF-16 text without a byte order mark, or for binary data."""
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if data[start::2].count(b"\0") > len(data) // 4 > data[1 - start :: 2].count(b"\0"):
            return f"set encoding: {name}"
    return "it is not text"


def _is_rather_utf8(data: bytes, encoding: str) -> bool:
    """Whether the bytes beyond ASCII are valid UTF-8, which other encodings practically never are."""
    if codecs.lookup(encoding).name.startswith("utf") or data.isascii():
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
