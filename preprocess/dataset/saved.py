"""Loads a saved dataset that somebody else may have written: it may name no file outside its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.core.errors import UsageError
from preprocess.core.untrusted import clipped, is_inside, shown
from preprocess.dataset.quiet import quiet_datasets

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_SPLIT = re.compile(r"\w[\w.-]*")


def load_saved(folder: Path) -> Dataset | DatasetDict:
    """Return the dataset that `save_to_disk` or `build` wrote to `folder`.

    Raises:
        UsageError: It is no saved dataset, or names a file or a split outside `folder`.
    """
    from datasets import load_from_disk

    splits = _json(folder / "dataset_dict.json").get("splits", [])
    for name in splits if isinstance(splits, list) else [splits]:
        if not isinstance(name, str) or not _SPLIT.fullmatch(name):
            raise UsageError(f"{folder} has a split {shown(name)}, which is not a name")
    for place in (folder, *(folder / name for name in splits)):
        for name in _data_files(place / "state.json"):
            if not isinstance(name, str) or not is_inside(name):
                raise UsageError(f"{place / 'state.json'} names a file outside: {shown(name)}")
    try:
        with quiet_datasets():
            return load_from_disk(str(folder))
    except Exception as error:  # of `datasets`, Arrow, or a key or type that they miss
        raise UsageError(
            f"{folder} is not a saved dataset; make one with preprocess build ({clipped(error)})"
        ) from None


def _data_files(path: Path) -> Iterator[Any]:
    files = _json(path).get("_data_files")
    for entry in files if isinstance(files, list) else []:
        yield entry.get("filename") if isinstance(entry, dict) else entry


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object; empty if there is none, which `datasets` then reports."""
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}
