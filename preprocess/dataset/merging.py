"""Merges the descriptions of the same parameters in several clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from preprocess.dataset.clips import DatasetError
from preprocess.sidecar.parameter_info import ParameterInfo


def merge_parameters(
    known: Mapping[str, ParameterInfo], new: Mapping[str, ParameterInfo], path: Path
) -> dict[str, ParameterInfo]:
    """Return descriptions whose declared ranges cover those of `known` and `new`.

    Args:
        known: Name -> description in earlier clips.
        new: The same names -> description in the clip `path`.
        path: For messages.

    Raises:
        DatasetError: A unit or kind differs.
    """
    return {name: _merged(name, info, new[name], path) for name, info in known.items()}


def _merged(name: str, known: ParameterInfo, new: ParameterInfo, path: Path) -> ParameterInfo:
    for what in ("units", "kind"):
        a, b = getattr(known, what), getattr(new, what)
        if a != b:
            raise DatasetError(
                f"{path}: parameter {name!r} has {what} {b!r}, the clips before it {a!r}"
            )
    if known == new:
        return known
    return dataclasses.replace(
        known,
        doc_string=known.doc_string or new.doc_string,
        min=None if known.min is None or new.min is None else min(known.min, new.min),
        max=None if known.max is None or new.max is None else max(known.max, new.max),
    )
