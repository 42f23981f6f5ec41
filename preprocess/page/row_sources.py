"""Clips of datasets: rows with tokens and parameters, on disk or on the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from preprocess.codec.playback import row_tokens
from preprocess.core.errors import UsageError, one_line
from preprocess.dataset.quiet import quiet_datasets
from preprocess.dataset.saved import load_saved
from preprocess.dataset.schema import read_parameters
from preprocess.page.clip_data import ClipData
from preprocess.page.originals import Originals
from preprocess.shards.reading import BATCH_BYTES, ShardFolder, read_row, read_tables
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.parameters import Parameter, measure

if TYPE_CHECKING:
    import datasets


def row_clip(row: Mapping[str, Any], parameters: Mapping[str, ParameterInfo]) -> ClipData:
    """Return a row of a dataset as a clip.

    Args:
        row: The columns of the row; see `docs/dataset.md`.
        parameters: Descriptions of the parameters, from the dataset's columns.

    Raises:
        EcdcError: A column of the tokens is missing, or the tokens do not fit their codec.
    """
    clip = ClipData(str(row.get("id") or row.get("audio") or "clip"), row_tokens(row))
    given = row.get("features") or {}
    if not any(len(values) for values in given.values()):  # the clip has no sidecar
        return clip.with_note("no parameters in this row")
    described = {}
    for name, values in given.items():
        array = np.asarray(values)
        array = array if array.dtype.kind == "f" else array.astype(np.float64)
        described[name] = _measured(parameters.get(name, ParameterInfo()), array)
    return clip.with_parameters(described)


def _measured(info: ParameterInfo, values: NDArray[np.floating]) -> Parameter:
    return replace(Parameter.from_info(info, values), measured=measure(values))


class DatasetClips:
    """The rows of a dataset, or of all its splits."""

    def __init__(self, name: str, rows: Sequence[datasets.Dataset], originals: Originals) -> None:
        self.name, self._rows, self._originals = name, rows, originals

    @cached_property
    def _places(self) -> dict[str, tuple[datasets.Dataset, int]]:
        places = {}
        for rows in self._rows:
            column = "id" if "id" in rows.column_names else "audio"
            if column not in rows.column_names:
                raise UsageError(f"{self.name} has neither a column 'id' nor 'audio'")
            for index, name in enumerate(rows.with_format(None)[column]):
                places[str(name)] = (rows, index)
        return places

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all clips."""
        return list(self._places)

    def split(self, clip: str) -> str:
        """Return the split of a clip."""
        return str(self._places[clip][0].split or "train")

    def read(self, clip: str, with_original: bool = True) -> ClipData:
        """Return a clip; see `ClipSource`."""
        rows, index = self._places[clip]
        data = row_clip(rows.with_format("numpy")[index], read_parameters(rows.features))
        return self._originals.add_sound(data) if with_original else data


class SavedClips(DatasetClips):
    """The rows of a folder that `build` or `save_to_disk` wrote."""

    def __init__(self, folder: Path, originals: Originals) -> None:
        saved = load_saved(folder)
        rows = list(saved.values()) if isinstance(saved, dict) else [saved]
        super().__init__(str(folder), rows, originals)


class ShardClips:
    """The rows of a folder of shards, of which each read takes one row group."""

    def __init__(self, folder: Path, originals: Originals) -> None:
        self.name, self._folder, self._originals = str(folder), ShardFolder.at(folder), originals

    @cached_property
    def _places(self) -> dict[str, tuple[str, Path, int]]:
        places = {}
        for split, paths in self._folder.splits.items():
            for path in paths:
                at = 0
                for table in read_tables(path, self._folder.schema, ["id"], BATCH_BYTES):
                    for clip in table["id"].to_pylist():
                        places[str(clip)] = (split, path, at)
                        at += 1
        return places

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all clips."""
        return list(self._places)

    def split(self, clip: str) -> str:
        """Return the split of a clip."""
        return self._places[clip][0]

    def read(self, clip: str, with_original: bool = True) -> ClipData:
        """Return a clip; see `ClipSource`."""
        _, path, at = self._places[clip]
        (row,) = read_row(path, at).to_pylist()
        data = row_clip(row, self._folder.parameters)
        return self._originals.add_sound(data) if with_original else data


class ParquetClips(DatasetClips):
    """The rows of a dataset of Parquet files, in a folder or on the Hub.

    `datasets` downloads a dataset from the Hub once and keeps it in its cache.
    """

    def __init__(self, name: str, originals: Originals, subset: str | None = None) -> None:
        from datasets import get_dataset_config_names, load_dataset

        try:
            with quiet_datasets():
                subsets = get_dataset_config_names(name)
                chosen = subset or subsets[0]
                if chosen not in subsets:
                    raise UsageError(
                        f"{name} has no subset {chosen!r}; it has {', '.join(subsets)}"
                    )
                rows = list(load_dataset(name, chosen).values())
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"{name} cannot be loaded: {one_line(error)}") from None
        super().__init__(f"{name} ({chosen})" if len(subsets) > 1 else name, rows, originals)
