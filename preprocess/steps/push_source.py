"""What a push publishes: a saved dataset, or a folder of shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow.parquet as pq

from preprocess.core.errors import PreprocessError
from preprocess.core.files import require_folder
from preprocess.dataset.clips import DatasetError
from preprocess.dataset.quiet import quiet_datasets
from preprocess.dataset.saved import load_saved
from preprocess.publish.card_yaml import parse_card
from preprocess.publish.finishing import CARD_NAME
from preprocess.publish.finishing import MARKER as SHARDS_MARKER
from preprocess.publish.parquet import Shards, sliced, write_shards
from preprocess.publish.subset import Subset, describe_saved
from preprocess.shards.names import FOLDER
from preprocess.shards.reading import (
    BATCH_BYTES,
    INFO_NAME,
    ShardFolder,
    is_shards_folder,
    read_tables,
    readable,
)
from preprocess.shards.writing import ShardWriter
from preprocess.steps.built_dataset import MARKER
from preprocess.steps.saved_folder import read_marker

if TYPE_CHECKING:
    from datasets import DatasetDict, Features


class PushSource(Protocol):
    """A dataset that can be published.

    Attributes:
        whole: Its description at its own bandwidth.
        features: Its columns.
    """

    whole: Subset
    features: Features

    def write(self, name: str, subset: Subset, scratch: Path) -> dict[str, Shards]:
        """Return the files of each split of a subset, written to `scratch` where needed."""

    def rows(self, scratch: Path) -> DatasetDict:
        """Return the rows; `scratch` has room for a copy."""

    def card(self, repo_name: str) -> str | None:
        """Return the card to start from in a repository without one."""


def open_push_source(folder: Path) -> PushSource:
    """Return the dataset in a folder.

    Raises:
        UsageError: The folder does not exist or has no dataset.
        DatasetError: The dataset mixes codecs or bandwidths, has no rows, or lacks shards.
    """
    require_folder(folder, "dataset")
    return ShardsSource(folder) if is_shards_folder(folder) else SavedSource(folder)


class SavedSource:
    """A folder that `preprocess build` or `save_to_disk` wrote."""

    def __init__(self, folder: Path) -> None:
        self._saved = _load(folder)
        origin = read_marker(folder, MARKER)
        origin.pop("tokens_subdir", None)
        self.whole = describe_saved(folder, self._saved, origin)
        self.features = next(iter(self._saved.values())).features

    def write(self, name: str, subset: Subset, scratch: Path) -> dict[str, Shards]:
        """Write the files of a subset; see `PushSource`."""
        return {
            split: write_shards(rows, scratch / name, split, subset)
            for split, rows in self._saved.items()
        }

    def rows(self, scratch: Path) -> DatasetDict:
        """Return the rows; see `PushSource`."""
        return self._saved

    def card(self, repo_name: str) -> str | None:
        """Return None: such a folder has no card."""
        return None


class ShardsSource:
    """A finished folder of shards."""

    def __init__(self, folder: Path) -> None:
        self._folder = ShardFolder.at(folder)
        if not self._folder.info:
            raise DatasetError(f"{folder} has no {INFO_NAME}: its shards are not finished")
        try:
            self.whole = Subset(**self._folder.info)
        except TypeError as error:
            raise PreprocessError(f"{folder / INFO_NAME} cannot be read: {error}") from None
        self.features = self._folder.features
        self._told = read_marker(folder, SHARDS_MARKER).get("splits", {})

    def write(self, name: str, subset: Subset, scratch: Path) -> dict[str, Shards]:
        """Return the folder's own files, or write those of a lower bandwidth."""
        if subset.n_codebooks == self.whole.n_codebooks:
            return {split: self._own(split, paths) for split, paths in self._folder.splits.items()}
        return {
            split: self._sliced(paths, subset, scratch / name)
            for split, paths in self._folder.splits.items()
        }

    def rows(self, scratch: Path) -> DatasetDict:
        """Return the rows; see `PushSource`."""
        from datasets import load_dataset

        files = {split: list(map(str, paths)) for split, paths in self._folder.splits.items()}
        with quiet_datasets():
            return load_dataset(
                "parquet", data_files=files, features=self.features, cache_dir=str(scratch)
            )

    def card(self, repo_name: str) -> str | None:
        """Return the folder's card without what describes its files."""
        path = self._folder.path / CARD_NAME
        if not path.exists():
            return None
        card = parse_card(path.read_text(encoding="utf-8", errors="replace"))
        for key in ("configs", "dataset_info"):
            card.data.pop(key, None)
        title = f"# {self._folder.path.resolve().name}\n"
        card.text = card.text.replace(title, f"# {repo_name.rpartition('/')[2]}\n", 1)
        return str(card)

    def _own(self, split: str, paths: Sequence[Path]) -> Shards:
        rows = size = 0
        for path in paths:
            with readable(path):
                told = pq.read_metadata(path)
            rows += told.num_rows
            size += sum(told.row_group(i).total_byte_size for i in range(told.num_row_groups))
        clips = self.whole.splits.get(split, {}).get("clips")
        if clips != rows:
            raise DatasetError(
                f"{self._folder.path}: split {split} has {rows} rows, but {INFO_NAME} states {clips}"
            )
        size = int(self._told.get(split, {}).get("num_bytes", size))
        return Shards(list(paths), rows, size, FOLDER)

    def _sliced(self, paths: Sequence[Path], subset: Subset, folder: Path) -> Shards:
        """Write each shard again with fewer codebooks."""
        folder.mkdir(parents=True, exist_ok=True)
        made = Shards([], 0, 0)
        for path in paths:
            target = folder / path.name
            schema = self._folder.schema
            with ShardWriter(target, schema, {"enchf": json.dumps(asdict(subset))}) as writer:
                for table in read_tables(path, schema, None, BATCH_BYTES):
                    writer.write(sliced(table, subset))
            rows, size = made.num_examples + writer.rows, made.num_bytes + writer.num_bytes
            made = Shards([*made.paths, target], rows, size)
        return made


def _load(folder: Path) -> DatasetDict:
    from datasets import DatasetDict

    saved = load_saved(folder)
    return saved if isinstance(saved, DatasetDict) else DatasetDict({"train": saved})
