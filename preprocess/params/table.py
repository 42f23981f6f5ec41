"""Parameters from a spreadsheet: one row a clip, one value for all of its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.provenance import settings_digest
from preprocess.core.report import listed, plural
from preprocess.params.base import Columns, DescribedEach, Labels, Missing
from preprocess.params.clip import Clip
from preprocess.params.clip_table import ClipTable, Match
from preprocess.params.numerals import Decimal
from preprocess.params.spelling import difference, nfc
from preprocess.params.tables import Layout, read_table
from preprocess.sidecar.parameters import ParameterValue


@dataclass(frozen=True, kw_only=True)
class Table(DescribedEach):
    """The row of a CSV, TSV, Excel, JSON lines or Parquet file that belongs to the clip.

    `key` is the column that says which clip a row is for: its `id` (path without suffix), its
    `path`, or its `stem` (file name without suffix); `auto` takes the first of these that fits.
    `columns` lists the columns to take, or is `{parameter: column}` where a column is not named as a
    parameter can be; without it, all but the key. Numbers, percentages, durations, ISO dates and
    Booleans are recognised; `decimal` is the decimal mark where a column does not tell. A column
    of words becomes labels in the order of `labels`, or, with the kind `categorical`, of the
    alphabet. An empty cell is NaN.
    """

    flag = "table"
    path: Path
    key: str = "id"
    match: Match = "auto"
    columns: Columns = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
    missing: Missing = "error"
    decimal: Decimal = "auto"
    sheet: str | None = None
    header: Annotated[int, Field(ge=1)] | None = None
    delimiter: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        """Read and check the table before any clip is read."""
        self._check_described(list(self._table.columns))
        for name, column in self._table.columns.items():
            try:
                column.agreed_units(self.units.get(name, ""))
            except PreprocessError as error:
                raise UsageError(f"table {self.path}: {name}: {error}") from None

    @cached_property
    def _table(self) -> ClipTable:
        layout = Layout(
            sheet=self.sheet,
            header=self.header,
            delimiter=self.delimiter,
            encoding=self.encoding,
        )
        rows = read_table(self.path, layout)
        return ClipTable(
            self.path, rows, self.key, self.columns, self.labels, self.kind, self.decimal
        )

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Say how columns were read, and which rows and clips have no counterpart.

        Raises:
            UsageError: A row is for two clips, two are for one, or no row is for any.
        """
        key_of: dict[str, str] = {}
        clip_of: dict[str, str] = {}
        without = []
        for clip_id in ids:
            key = self._table.find(clip_id, self.match)
            if key is None:
                without.append(clip_id)
            elif key in clip_of:
                raise UsageError(self._one_row_for(key, clip_of[key], clip_id))
            else:
                key_of[clip_id] = key
                clip_of[key] = clip_id
        rows = [key for key in self._table.rows if key not in clip_of]
        if not clip_of:
            raise UsageError(
                f"table {self.path}: no {self.key} is that of a clip: {rows[0]!r} in the first "
                f"row, {ids[0]!r} the first clip{self._first_hint(ids)}"
            )
        self._table.check_spare(rows, key_of, self.match)
        notes = [self._readings()]
        if rows:
            notes.append(f"{self.path}: {len(rows)} {plural('row', len(rows))} of no clip: ")
            notes[-1] += listed(rows)
        if without and self.missing == "nan":
            notes.append(f"{self.path}: no row for {len(without)} {plural('clip', len(without))}: ")
            notes[-1] += listed(without) + self._first_hint(without)
        return notes

    def names(self) -> Sequence[str]:
        """Return the columns' names."""
        return list(self._table.column_names)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the row's values, each in every frame."""
        table, row = self._table, self._row(clip)
        found = {}
        for name, column in table.columns.items():
            value = row.get(name, np.nan)
            parameter = self._read_parameter(name, np.full(clip.n_frames, value), column)
            found[name] = {
                **parameter,
                "nan": "not in the table" if np.isnan(value) else "",
                "source": f"column {table.column_names[name]!r}: {column.reading}",
            }
        return found

    def origin(self, clip: Clip) -> str:
        """Return the hash of the row, so that an edited table concerns the edited rows only."""
        row = {name: repr(value) for name, value in self._row(clip).items()}
        return settings_digest(row=row)

    def settings(self) -> dict[str, Any]:
        """Return the settings with how columns were read, and without the place of the file."""
        found = {name: column.reading for name, column in self._table.columns.items()}
        return {**super().settings(), "path": "", "found": found}

    def _row(self, clip: Clip) -> Mapping[str, float]:
        key = self._table.find(clip.id, self.match)
        if key is None:
            if self.missing == "nan":
                return {}
            hint = self._table.alike(clip.id)
            raise PreprocessError(f"{clip.path}: {self.path} has no row for {clip.id!r}{hint}")
        return self._table.row(key)

    def _readings(self) -> str:
        read = [f"{name}: {column.summary()}" for name, column in self._table.columns.items()]
        return f"{self.path}: {'; '.join(read)}"

    def _first_hint(self, ids: Sequence[str]) -> str:
        return next(filter(None, map(self._table.alike, ids)), "")

    def _one_row_for(self, key: str, clip_id: str, other: str) -> str:
        way = "take the path for a key"
        if nfc(clip_id) == nfc(other):
            way = f"their names differ in {difference(clip_id, other)}"
        return f"table {self.path}: row {key!r} is for both {clip_id} and {other}; {way}"
