"""Parameters from a spreadsheet: one row a clip, one value for all of its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.clip import Clip
from preprocess.clip_table import ClipTable, Match
from preprocess.errors import PreprocessError, UsageError
from preprocess.features import FeatureValue
from preprocess.params.base import Columns, DescribedEach, Missing
from preprocess.provenance import settings_digest
from preprocess.report import listed, plural
from preprocess.tables import read_table


@dataclass(frozen=True, kw_only=True)
class Table(DescribedEach):
    """The row of a CSV, TSV, Excel, JSON lines or Parquet file that belongs to the clip.

    `key` is the column that says which clip a row is for: its `id` (path without suffix), its
    `path`, or its `stem` (file name without suffix); `auto` takes the first of these that fits.
    `columns` lists the columns to take, or is `{feature: column}` where a column is not named as a
    feature can be; without it, all but the key. A column of words becomes labels, in alphabetical
    order where `labels` gives none. An empty cell is NaN.
    """

    flag = "table"
    path: Path
    key: str = "id"
    match: Match = "auto"
    columns: Columns = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    missing: Missing = "error"
    sheet: str | None = None

    def __post_init__(self) -> None:
        """Read and check the table before any clip is read."""
        self._check_described(list(self._table.labels))

    @cached_property
    def _table(self) -> ClipTable:
        rows = read_table(self.path, self.sheet)
        return ClipTable(self.path, rows, self.key, self.columns, self.labels)

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Say which rows and, where that is no error, which clips have no counterpart.

        Raises:
            UsageError: A row is for two clips, or no row is for any.
        """
        clip_of: dict[str, str] = {}
        without = []
        for clip_id in ids:
            key = self._table.find(clip_id, self.match)
            if key is None:
                without.append(clip_id)
            elif key in clip_of:
                raise UsageError(
                    f"table {self.path}: row {key!r} is for both {clip_of[key]} and {clip_id}; "
                    f"take the path for a key"
                )
            else:
                clip_of[key] = clip_id
        rows = [key for key in self._table.values if key not in clip_of]
        if not clip_of:
            raise UsageError(
                f"table {self.path}: no {self.key} is that of a clip: {rows[0]!r} in the first "
                f"row, {ids[0]!r} the first clip"
            )
        notes = []
        if rows:
            notes.append(f"{self.path}: {len(rows)} {plural('row', len(rows))} of no clip: ")
            notes[-1] += listed(rows)
        if without and self.missing == "nan":
            notes.append(f"{self.path}: no row for {len(without)} {plural('clip', len(without))}: ")
            notes[-1] += listed(without)
        return notes

    def names(self) -> Sequence[str]:
        """Return the columns' names."""
        return list(self._table.labels)

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the row's values, each in every frame."""
        table, row = self._table, self._row(clip)
        found = {}
        for name, labels in table.labels.items():
            value = row.get(name, np.nan)
            feature = self._feature(name, np.full(clip.n_frames, value), labels)
            found[name] = {**feature, "nan": "not in the table" if np.isnan(value) else ""}
        return found

    def origin(self, clip: Clip) -> str:
        """Return the hash of the row, so that an edited table concerns the edited rows only."""
        row = {name: repr(value) for name, value in self._row(clip).items()}
        return settings_digest(row=row)

    def settings(self) -> dict[str, Any]:
        """Return the settings with the labels found, and without the place of the file."""
        return {**super().settings(), "path": "", "found": self._table.labels}

    def _row(self, clip: Clip) -> Mapping[str, float]:
        key = self._table.find(clip.id, self.match)
        if key is None:
            if self.missing == "nan":
                return {}
            raise PreprocessError(f"{clip.path}: {self.path} has no row for {clip.id!r}")
        return self._table.values[key]
