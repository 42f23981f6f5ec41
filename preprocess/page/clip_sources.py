"""Sources of clips: a folder of tokens, a saved dataset, or a dataset of Parquet files.

Each source lists its ids and reads one clip at a time, so a page reads only the clips that it shows,
even from a large dataset.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from preprocess.core.errors import UsageError, nearest
from preprocess.core.files import walk_files
from preprocess.page.clip_data import ClipData
from preprocess.page.folder_clips import FolderClips
from preprocess.page.originals import Originals, beside
from preprocess.shards.reading import is_shards_folder

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class ClipSource(Protocol):
    """Clips that can be listed and read."""

    name: str

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all clips."""

    def split(self, clip: str) -> str:
        """Return the split of a clip."""

    def read(self, clip: str, with_original: bool = True) -> ClipData:
        """Return a clip without its decoded sound.

        Args:
            clip: Its id.
            with_original: Whether to also read the audio that it was encoded from, if available.

        Raises:
            PreprocessError: It cannot be read; the message names it.
        """


def open_source(
    source: str | Path,
    audio_root: Path | None = None,
    cond_root: Path | None = None,
    subset: str | None = None,
) -> ClipSource:
    """Return the clips of a folder of tokens, a saved dataset, or a dataset on the Hub.

    Args:
        source: A folder with `.ecdc` files, one that `build`, `pack` or `save_to_disk` wrote,
            one with Parquet files, or `NAMESPACE/NAME` on the Hub.
        audio_root: Folder of the original audio; None for the folder `normalized` next to `source`.
        cond_root: Folder of the sidecars, if they are not next to the tokens.
        subset: Subset to read, if the dataset has several; None for the first.

    Raises:
        UsageError: `source` is something else.
    """
    from preprocess.page.row_sources import ParquetClips, SavedClips, ShardClips

    path = Path(source)
    originals = Originals(audio_root or beside(path))
    if not path.exists():
        if not _HUB_ID.fullmatch(str(source)):
            raise UsageError(f"{source} does not exist and is not a NAMESPACE/NAME on the Hub")
        return ParquetClips(str(source), originals, subset)
    if not path.is_dir():
        raise UsageError(f"{source} is a file, not a folder")
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        return SavedClips(path, originals)
    if subset is None and is_shards_folder(path):
        return ShardClips(path, originals)
    if walk_files(path, [".ecdc"]):
        return FolderClips(path, originals, cond_root)
    if walk_files(path, [".parquet"]):
        return ParquetClips(str(path), originals, subset)
    raise UsageError(f"{source} has no tokens (.ecdc), saved dataset or Parquet files")


def check_ids(source: ClipSource, ids: Sequence[str]) -> None:
    """Raise a `UsageError` that names the first of `ids` that the source does not have."""
    known = set(source.ids)
    for clip in ids:
        if clip not in known:
            raise UsageError(f"{source.name} has no clip {clip!r}{nearest(clip, known)}")
