"""Parameters from file and folder names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.params.base import DescribedEach, Labels
from preprocess.params.clip import Clip
from preprocess.params.columns import Column, read_column
from preprocess.params.numerals import Decimal
from preprocess.params.spelling import nfc
from preprocess.sidecar.parameters import ParameterValue


@dataclass(frozen=True)
class Filename(DescribedEach):
    """Values that a regular expression finds in a clip's id, its path without suffix.

    Each named group is a parameter. A pattern with the groups `name` and `value` instead matches
    repeatedly, and each pair makes a parameter: `_(?P<name>[A-Za-z]+)_(?P<value>-?[0-9.]+)`. The
    texts found in all clips' names are read like the cells of a table's column: numbers,
    percentages, ISO dates, and words as labels if `labels` or the kind `categorical` is set.
    """

    flag = "filename"
    pattern: str
    labels: Labels = field(default_factory=dict)
    decimal: Decimal = "auto"

    def __post_init__(self) -> None:
        """Check the settings."""
        try:
            groups = set(self._pattern.groupindex)
        except re.error as error:
            raise UsageError(
                f"filename: {self.pattern!r} is not a regular expression: {error}"
            ) from None
        if not groups:
            raise UsageError(f"filename: {self.pattern!r} has no named group (?P<name>...)")
        if not self._pairs:
            unknown = [key for key in self.labels if key not in groups]
            if unknown:
                raise UsageError(
                    f"filename: labels names {unknown[0]!r}, which is not a group of the pattern"
                )
            self._check_described(list(groups))

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(nfc(self.pattern))  # the re module caches compiled patterns

    @property
    def _pairs(self) -> bool:
        return set(self._pattern.groupindex) == {"name", "value"}

    @cached_property
    def _columns(self) -> dict[str, tuple[Column, dict[str, float]]]:
        """Parameter -> its column and the value of each text; filled by `check_clips`."""
        return {}

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Read the parameters in all clips' names, and return a note that says how.

        Raises:
            UsageError: The texts for a parameter are inconsistent.
        """
        texts: dict[str, dict[str, str]] = {}  # parameter -> text -> the first clip with it
        labels = {name: set(map(nfc, labels)) for name, labels in self.labels.items()}
        for clip_id in ids:
            try:
                found = self._find(clip_id)
            except PreprocessError:  # reported when that clip is annotated
                continue
            for name, text in found.items():
                if text in labels.get(name, {text}):  # an unknown label fails only its own clip
                    texts.setdefault(name, {}).setdefault(text, clip_id)
        try:
            self._columns.update({name: self._read(name, clips) for name, clips in texts.items()})
        except PreprocessError as error:
            raise UsageError(f"filename: {error}") from None
        read = [f"{name}: {column.summary()}" for name, (column, _) in self._columns.items()]
        return [f"file names: {'; '.join(read)}"] if read else []

    def names(self) -> Sequence[str] | None:
        """Return the named groups; None for pairs of name and value, which depend on the clip."""
        return None if self._pairs else list(self._pattern.groupindex)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return a parameter `[T]` for each named group, or for each pair of name and value."""
        try:
            return {
                name: self._made(clip, name, text) for name, text in self._find(clip.id).items()
            }
        except PreprocessError as error:
            raise PreprocessError(f"{clip.path}: {error}") from None

    def settings(self) -> dict[str, Any]:
        """Return the settings, and how the names were read."""
        found = {name: column.reading for name, (column, _) in self._columns.items()}
        return {**super().settings(), "found": found}

    def _find(self, clip_id: str) -> dict[str, str]:
        """Return the text for each parameter in a clip's id."""
        clip_id = nfc(clip_id)
        matches = list(self._pattern.finditer(clip_id))
        if not matches:
            raise PreprocessError(f"{self.pattern!r} does not match {clip_id!r}")
        found: dict[str, str | None] = matches[0].groupdict()
        if self._pairs:
            found = {}
            for match in matches:
                if match["name"] in found:
                    raise PreprocessError(f"{match['name']!r} appears twice in its name")
                found[match["name"]] = match["value"]
        for name, text in found.items():
            if text is None:
                raise PreprocessError(f"{self.pattern!r} finds no {name} in {clip_id!r}")
        return {name: str(text) for name, text in found.items()}

    def _read(self, name: str, clips: Mapping[str, str]) -> tuple[Column, dict[str, float]]:
        """Return the column and the values of a parameter's texts; `clips` maps texts to clips."""
        texts = list(clips)
        try:
            column = read_column(
                texts,
                name,
                lambda at: clips[texts[at]],
                self.decimal,
                self.labels.get(name, ()),
                self.kind.get(name, ""),
            )
            column.agreed_units(self.units.get(name, ""))
        except PreprocessError as error:
            raise PreprocessError(f"{name}: {error}") from None
        return column, dict(zip(texts, column.values, strict=True))

    def _made(self, clip: Clip, name: str, text: str) -> dict[str, Any]:
        known = self._columns.get(name)
        if known is None or text not in known[1]:  # check_clips did not see this clip
            known = self._read(name, {text: clip.id})
            if known[0].form == "label" and not self.labels.get(name):
                raise PreprocessError(f"{name}: one name does not have all words; list its labels")
        column, values = known
        parameter = self._read_parameter(name, np.full(clip.n_frames, values[text]), column)
        return {
            **parameter,
            "nan": "not in the file name" if np.isnan(values[text]) else "",
            "source": f"file name: {column.reading}",
        }
