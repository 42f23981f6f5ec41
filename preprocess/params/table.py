"""Parameters from a spreadsheet: one row per clip, one value for all its frames."""

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
    """The clip's row of a CSV, TSV, Excel, JSON lines or Parquet file.

    The column `key` identifies a row's clip: by its `id` (path without suffix), its `path`, or its
    `stem` (file name without suffix); `match: auto` uses the first of these that matches. `columns`
    lists the columns to use, or maps parameters to columns whose names are not valid parameter
    names; by default, all columns but the key are used. Numbers, percentages, durations, ISO dates
    and Booleans are recognised; `decimal` sets the decimal mark of an ambiguous column. Words become
    labels in the order of `labels`, or in alphabetical order with the kind `categorical`. An empty
    cell is NaN.
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

    def _load(self) -> None:
        """Read and check the table."""
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
        """Return notes on how columns were read, and on rows and clips without a counterpart.

        Raises:
            UsageError: A row matches two clips, two rows match one clip, or no row matches a clip.
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
                f"table {self.path}: no {self.key} matches a clip: the first row has {rows[0]!r}, "
                f"the first clip is {ids[0]!r}{self._first_hint(ids)}"
            )
        self._table.check_spare(rows, key_of, self.match)
        notes = [self._readings()]
        if rows:
            notes.append(f"{self.path}: {len(rows)} {plural('row', len(rows))} without a clip: ")
            notes[-1] += listed(rows)
        if without and self.missing == "nan":
            notes.append(f"{self.path}: no row for {len(without)} {plural('clip', len(without))}: ")
            notes[-1] += listed(without) + self._first_hint(without)
        return notes

    def names(self) -> Sequence[str]:
        """Return the parameters' names."""
        return list(self._table.column_names)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the row's values, each repeated for all frames `[T]`."""
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
        """Return the hash of the clip's row, so that an edit affects only the edited rows."""
        row = {name: repr(value) for name, value in self._row(clip).items()}
        return settings_digest(row=row)

    def settings(self) -> dict[str, Any]:
        """Return the settings, with how columns were read and without the path of the file."""
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
        way = "use the path as the key"
        if nfc(clip_id) == nfc(other):
            way = f"their names differ in {difference(clip_id, other)}"
        return f"table {self.path}: row {key!r} matches both {clip_id} and {other}; {way}"
