"""Parameters from the names of files and folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from preprocess.clip import Clip
from preprocess.errors import PreprocessError, UsageError
from preprocess.features import FeatureValue
from preprocess.params.base import DescribedEach


@dataclass(frozen=True)
class Filename(DescribedEach):
    """What a regular expression finds in a clip's id, its path without suffix.

    Each named group is a feature: a number, or with `labels` the index of a word. A pattern with
    the groups `name` and `value` is applied again and again instead, and makes one feature of
    each pair: `_(?P<name>[A-Za-z]+)_(?P<value>-?[0-9.]+)`.
    """

    flag = "filename"
    pattern: str
    labels: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the pattern before any clip is read."""
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise UsageError(
                f"filename: {self.pattern!r} is no regular expression: {error}"
            ) from None
        if not groups:
            raise UsageError(f"filename: {self.pattern!r} has no named group (?P<name>...)")
        if not self._pairs(groups):
            unknown = [key for key in self.labels if key not in groups]
            if unknown:
                raise UsageError(
                    f"filename: labels of {unknown[0]!r}, which is no group of the pattern"
                )
            self._check_described(list(groups))

    @staticmethod
    def _pairs(groups: set[str]) -> bool:
        return groups == {"name", "value"}

    def names(self) -> Sequence[str] | None:
        """Return the named groups; of pairs of name and value, a clip's own name tells."""
        groups = re.compile(self.pattern).groupindex
        return None if self._pairs(set(groups)) else list(groups)

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return a feature for each named group, or for each pair of name and value."""
        matches = list(re.finditer(self.pattern, clip.id))
        if not matches:
            raise PreprocessError(f"{clip.path}: {self.pattern!r} does not match {clip.id!r}")
        found = matches[0].groupdict()
        if self._pairs(set(found)):
            found = {}
            for match in matches:
                if match["name"] in found:
                    raise PreprocessError(
                        f"{clip.path}: {match['name']!r} stands twice in its name"
                    )
                found[match["name"]] = match["value"]
        return {name: self._found(clip, name, text) for name, text in found.items()}

    def _found(self, clip: Clip, name: str, text: str | None) -> dict[str, Any]:
        labels = self.labels.get(name, [])
        if labels and text not in labels:
            raise PreprocessError(f"{clip.path}: {name} is {text!r}, none of {', '.join(labels)}")
        try:
            value = float(labels.index(str(text)) if labels else str(text))
        except ValueError:
            raise PreprocessError(
                f"{clip.path}: {name} is {text!r}, which is no number; name its labels"
            ) from None
        return self._feature(name, np.full(clip.n_frames, value), labels)
