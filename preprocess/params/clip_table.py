"""A table with one row per clip: matches rows with clips, and converts cells to values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from preprocess.audio.audio_files import ALL_EXTENSIONS
from preprocess.core.errors import PreprocessError, UsageError, nearest
from preprocess.core.untrusted import clipped, shown
from preprocess.params.cells import Unreadable, cell_text
from preprocess.params.columns import Column, WordsError, read_column
from preprocess.params.numerals import Decimal
from preprocess.params.spelling import difference, folded, nfc
from preprocess.params.table_size import CellRoom
from preprocess.params.tables import Row
from preprocess.sidecar.sidecar_format import TOKEN_SUFFIX

Match = Literal["auto", "id", "path", "stem"]
_PARTS = re.compile(r"[,;|\t]")  # splits a line that has another delimiter than the header
_FILE_SUFFIXES = (*(f".{extension}" for extension in ALL_EXTENSIONS), TOKEN_SUFFIX)


class ClipTable:
    """The values of a table, looked up by the key of their row.

    Keys and clip ids are compared in Unicode's composed form (NFC).

    Attributes:
        columns: Parameter -> its column.
        column_names: Parameter -> name of its column.
        rows: Key -> number of its row, from 0.
    """

    def __init__(
        self,
        path: Path,
        rows: Sequence[Row],
        key: str,
        columns: Mapping[str, str],
        labels: Mapping[str, Sequence[str]],
        kinds: Mapping[str, str],
        decimal: Decimal = "auto",
    ) -> None:
        """Check and convert all cells.

        Args:
            path: The file, for messages.
            rows: Column -> cell.
            key: The column that identifies a row's clip.
            columns: Parameter -> column; if empty, all columns but the key.
            labels: Parameter -> its labels, for those that have any.
            kinds: Parameter -> its kind, for those that have one.
            decimal: The decimal mark.

        Raises:
            UsageError: A column is missing or cannot name a parameter, a key is missing or
                duplicate, or the cells of a column are inconsistent.
        """
        self._path = path
        self.column_names = _columns_of(path, rows, nfc(key), columns)
        self.rows = _rows_by_key(path, [row.get(nfc(key)) for row in rows], key)
        keys = list(self.rows)
        self.columns: dict[str, Column] = {}
        for name, column in self.column_names.items():
            try:
                self.columns[name] = read_column(
                    [row.get(column) for row in rows],
                    name,
                    lambda at: f"row {at + 1} ({clipped(keys[at])})",
                    decimal,
                    labels.get(name, ()),
                    kinds.get(name, ""),
                )
            except PreprocessError as error:
                spare = isinstance(error, WordsError) and not columns
                way = "; or list only the columns to use in columns: [...]" if spare else ""
                raise UsageError(f"table {path}: column {column!r}: {error}{way}") from None
        self._check_marks()

    def row(self, key: str) -> dict[str, float]:
        """Return the values of a row, by parameter."""
        return {name: column.values[self.rows[key]] for name, column in self.columns.items()}

    def find(self, clip_id: str, match: Match) -> str | None:
        """Return the key of a clip's row, or None if it has none.

        Raises:
            UsageError: Several rows match the clip.
        """
        found: list[str] = []
        for keys in self._ways(clip_id, match):
            found = found or keys
        if len(found) > 1:
            raise UsageError(self._both(found, clip_id))
        return found[0] if found else None

    def check_spare(self, spare: Sequence[str], key_of: Mapping[str, str], match: Match) -> None:
        """Check the rows that belong to no clip.

        Args:
            spare: Keys of these rows.
            key_of: Clip -> key of its row.
            match: How rows are matched.

        Raises:
            UsageError: Such a row also matches a clip that has another row.
        """
        unused = set(spare)
        for clip_id, key in key_of.items() if unused else ():
            for keys in self._ways(clip_id, match):
                for other in keys:
                    if other in unused:
                        raise UsageError(
                            f"{self._both([key, other], clip_id)}; set match to id, path or stem "
                            f"to use only one of these ways"
                        )

    def alike(self, clip_id: str) -> str:
        """Return a hint at the row that a clip without one probably means, or an empty string."""
        clip_id = nfc(clip_id)
        for text in (clip_id, PurePosixPath(clip_id).name):
            key = self._by_look.get(folded(text))
            if key is not None:
                plain = _without_suffix(_posix(key))
                other = plain if "/" in text else plain.rpartition("/")[2]
                if other != text:
                    return f"; row {key!r} looks similar: {difference(other, text)}"
        return ""

    def _ways(self, clip_id: str, match: Match) -> list[list[str]]:
        """Return the keys that match a clip, for each way of matching, the strictest first."""
        clip_id = nfc(clip_id)
        stem = PurePosixPath(clip_id).name
        paths = self._by_path.get(clip_id, [])
        exact = [clip_id] if clip_id in self.rows else []
        if match == "id":
            return [exact]
        same = [key for key in paths if _without_suffix(_posix(key)) == clip_id]
        same = list(dict.fromkeys(exact + same))
        if match == "path":
            return [same, paths]
        if match == "stem":
            return [self._by_stem.get(stem, [])]
        # A key with a folder is a path, so it must match as a path.
        return [same, paths, [key for key in self._by_stem.get(stem, []) if "/" not in _posix(key)]]

    def _both(self, keys: Sequence[str], clip_id: str) -> str:
        return f"table {self._path}: rows {' and '.join(map(repr, keys))} both match the clip {clip_id}"

    def _check_marks(self) -> None:
        """Raise if one column has a decimal comma and another is ambiguous."""
        commas = [n for n, c in self.columns.items() if c.mark.used and c.mark.mark == ","]
        for name, column in self.columns.items():
            if commas and column.mark.unsure:
                raise UsageError(
                    f"table {self._path}: column {self.column_names[name]!r}: "
                    f"{column.mark.unsure!r} may mean thousands, because column "
                    f"{self.column_names[commas[0]]!r} has a decimal comma; set decimal: ',' or "
                    f"write both alike"
                )

    @cached_property
    def _by_path(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in self.rows:
            parts = _without_suffix(_posix(key)).split("/")
            for at in range(len(parts)):  # a key may start at a folder further up
                found.setdefault("/".join(parts[at:]), []).append(key)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in self.rows:
            found.setdefault(_without_suffix(_posix(key)).rpartition("/")[2], []).append(key)
        return found

    @cached_property
    def _by_look(self) -> dict[str, str]:
        return {folded(path): keys[0] for path, keys in reversed(self._by_path.items())}


def _columns_of(
    path: Path, rows: Sequence[Row], key: str, columns: Mapping[str, str]
) -> dict[str, str]:
    """Return parameter -> column for the requested columns, after checking that they exist."""
    known = list(dict.fromkeys(name for row in rows for name in row))
    CellRoom(path).take(sum(map(len, rows)), len(known) * len(rows))
    wanted = {n: nfc(c) for n, c in columns.items()} or {n: n for n in known if n != key}
    for column in (key, *wanted.values()):
        if column not in known:
            hint = nearest(column, known) or f"; it has {clipped(', '.join(known))}"
            for number, row in enumerate(rows, 1):
                if any(column in _PARTS.split(cell_text(cell)) for cell in row.values()):
                    hint = f"; row {number} has it: set header to the line with the column names"
                    break
            raise UsageError(f"table {path} has no column {column!r}{hint}")
    for name, column in wanted.items():
        if not name.isidentifier():
            raise UsageError(
                f"table {path}: column {shown(column)} cannot name a parameter; "
                f"give columns: {{some_name: {shown(column)}}}"
            )
    return wanted


def _rows_by_key(path: Path, cells: Sequence[object], key: str) -> dict[str, int]:
    rows: dict[str, int] = {}
    for at, cell in enumerate(cells):
        text = cell_text(cell)
        problem = ""
        if not text:
            problem = f"has no {key}"
        elif isinstance(cell, Unreadable):
            problem = clipped(text)
        elif text in rows:
            problem = f"duplicate {key} {shown(text)}"
        if problem:
            raise UsageError(f"table {path}: row {at + 1}: {problem}")
        rows[text] = at
    return rows


def _posix(key: str) -> str:
    return key.replace("\\", "/").removeprefix("./")


def _without_suffix(path: str) -> str:
    suffix = PurePosixPath(path).suffix
    return path.removesuffix(suffix) if suffix.lower() in _FILE_SUFFIXES else path
