"""Where clips come from: a folder of tokens, a saved dataset, or a dataset of Parquet files.

Each source lists its ids, and reads one clip at a time: a page of a few clips of a large dataset
reads no more than those.
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

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class ClipSource(Protocol):
    """Clips that can be listed and read."""

    name: str

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all clips."""

    def split(self, clip: str) -> str:
        """Return the split that a clip is in."""

    def read(self, clip: str, with_original: bool = True) -> ClipData:
        """Return a clip without its decoded sound.

        Args:
            clip: Its id.
            with_original: Also read the audio that it was encoded from, where that is at hand.

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
        source: A folder with `.ecdc` files, one that `build` or `save_to_disk` wrote, one with
            Parquet files, or `NAMESPACE/NAME` on the Hub.
        audio_root: Folder of the original audio; None for the folder `normalized` beside it.
        cond_root: Folder of the sidecars, if not beside the tokens.
        subset: Of a dataset of several, which.

    Raises:
        UsageError: It is none of these.
    """
    from preprocess.page.row_sources import ParquetClips, SavedClips

    path = Path(source)
    originals = Originals(audio_root or beside(path))
    if not path.exists():
        if not _HUB_ID.fullmatch(str(source)):
            raise UsageError(f"{source} does not exist, and is no NAMESPACE/NAME on the Hub")
        return ParquetClips(str(source), originals, subset)
    if not path.is_dir():
        raise UsageError(f"{source} is a file, not a folder")
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        return SavedClips(path, originals)
    if walk_files(path, [".ecdc"]):
        return FolderClips(path, originals, cond_root)
    if walk_files(path, [".parquet"]):
        return ParquetClips(str(path), originals, subset)
    raise UsageError(f"{source} holds no tokens (.ecdc), no saved dataset and no Parquet files")


def check_ids(source: ClipSource, ids: Sequence[str]) -> None:
    """Raise a `UsageError` that names the first of `ids` that the source does not have."""
    known = set(source.ids)
    for clip in ids:
        if clip not in known:
            raise UsageError(f"{source.name} has no clip {clip!r}{nearest(clip, known)}")
