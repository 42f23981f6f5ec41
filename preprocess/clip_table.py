"""A table with a row a clip: which row is whose, and what its cells are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from preprocess.audio import ALL_EXTENSIONS
from preprocess.errors import UsageError, nearest
from preprocess.sidecar_format import TOKEN_SUFFIX
from preprocess.tables import Row, cell_text

Match = Literal["auto", "id", "path", "stem"]
_FILE_SUFFIXES = (*(f".{extension}" for extension in ALL_EXTENSIONS), TOKEN_SUFFIX)
_NO_VALUES = ("", "nan", "na", "n/a", "none", "null")


class ClipTable:
    """The values of a table, by the key of their row.

    Attributes:
        values: Key -> feature -> value, NaN for an empty cell.
        labels: Feature -> its labels in order; empty for a number.
    """

    def __init__(
        self,
        path: Path,
        rows: Sequence[Row],
        key: str,
        columns: Mapping[str, str],
        labels: Mapping[str, Sequence[str]],
    ) -> None:
        """Check and convert all cells.

        Args:
            path: The file, for messages.
            rows: Column -> cell.
            key: The column that says which clip a row is for.
            columns: Feature -> column; empty for all but the key.
            labels: Feature -> labels, where they are given.

        Raises:
            UsageError: A column is missing or cannot name a feature, a key is missing or stands
                twice, or a cell is neither a number nor a label.
        """
        known = list(dict.fromkeys(name for row in rows for name in row))
        columns = columns or {name: name for name in known if name != key}
        for column in (key, *columns.values()):
            if column not in known:
                hint = nearest(column, known) or f"; it has {', '.join(known)}"
                raise UsageError(f"table {path} has no column {column!r}{hint}")
        for name, column in columns.items():
            if not name.isidentifier():
                raise UsageError(
                    f"table {path}: column {column!r} cannot name a feature; "
                    f"give columns: {{some_name: {column!r}}}"
                )
        self._path = path
        self.labels = {
            name: list(labels.get(name) or _words([row.get(column) for row in rows]))
            for name, column in columns.items()
        }
        self.values: dict[str, dict[str, float]] = {}
        for number, row in enumerate(rows, 1):
            text = cell_text(row.get(key))
            if not text or text in self.values:
                what = f"a second row with {key} {text!r}" if text else f"has no {key}"
                raise UsageError(f"table {path}: row {number}: {what}")
            try:
                self.values[text] = {
                    name: _value(row.get(column), self.labels[name])
                    for name, column in columns.items()
                }
            except ValueError as error:
                raise UsageError(f"table {path}: row {number} ({text}): {error}") from None
        self._index()

    def find(self, clip_id: str, match: Match) -> str | None:
        """Return the key of the row that is for a clip, None where there is none.

        Raises:
            UsageError: Several are.
        """
        stem = PurePosixPath(clip_id).name
        ways: dict[str, list[str]] = {
            "id": [clip_id] if clip_id in self.values else [],
            "path": self._by_path.get(clip_id, []),
            "stem": self._by_stem.get(stem, []),
        }
        if match == "auto":  # a stem with a folder is a path that does not fit
            ways["stem"] = [key for key in ways["stem"] if "/" not in _posix(key)]
            found = ways["id"] or ways["path"] or ways["stem"]
        else:
            found = ways[match]
        if len(found) > 1:
            rows = " and ".join(map(repr, found))
            raise UsageError(f"table {self._path}: rows {rows} are both for the clip {clip_id}")
        return found[0] if found else None

    def _index(self) -> None:
        self._by_path: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for key in self.values:
            parts = _without_suffix(_posix(key)).split("/")
            for at in range(len(parts)):  # the table may know the path from further up
                self._by_path.setdefault("/".join(parts[at:]), []).append(key)
            self._by_stem.setdefault(parts[-1], []).append(key)


def _posix(key: str) -> str:
    return key.replace("\\", "/").removeprefix("./")


def _without_suffix(path: str) -> str:
    suffix = PurePosixPath(path).suffix
    return path.removesuffix(suffix) if suffix.lower() in _FILE_SUFFIXES else path


def _words(cells: Sequence[Any]) -> list[str]:
    """Return the sorted words of a column that holds no number, nothing for any other."""
    words = {cell_text(cell) for cell in cells if not _is_empty(cell)}
    return [] if any(_is_number(word) for word in words) else sorted(words)


def _value(cell: Any, labels: Sequence[str]) -> float:
    if _is_empty(cell):
        return math.nan
    text = cell_text(cell)
    if labels:
        if text not in labels:
            raise ValueError(f"{text!r} is none of {', '.join(labels)}")
        return float(labels.index(text))
    if isinstance(cell, bool):
        return float(cell)
    if not _is_number(text):
        raise ValueError(f"{text!r} is no number; a column of words has no numbers in it")
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text!r} is infinite")
    return value


def _is_empty(cell: Any) -> bool:
    return cell_text(cell).lower() in _NO_VALUES


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
