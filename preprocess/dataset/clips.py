"""Finds the clips of a folder that become rows, and hashes the files that the cache depends on.

`preprocess.dataset.rows` makes the rows. The builder script reads no files because `datasets`
patches `open` and `os` in its module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import require_folder, walk_files
from preprocess.core.provenance import settings_digest
from preprocess.dataset.options import RowOptions
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX


class DatasetError(PreprocessError):
    """A folder that cannot become a dataset; the message names the clip and what was expected."""


@dataclass(frozen=True)
class Clips:
    """The clips of a folder, as paths of token files relative to it, sorted.

    Attributes:
        tokens: All clips that become rows.
        described: The clips that have a sidecar.
        cond_root: The sidecar folder; its paths mirror those of the token files.
    """

    tokens: list[str]
    described: list[str]
    cond_root: Path


def find_tokens(
    root: Path, suffix: str = TOKEN_SUFFIX, recursive: bool = True, max_files: int | None = None
) -> list[Path]:
    """Return all token files under `root`, relative to it and sorted.

    Raises:
        UsageError: `root` is not a folder, or has no token files.
    """
    options = RowOptions(
        suffix=suffix, recursive=recursive, max_files=max_files, missing_sidecar="empty"
    )
    return [Path(rel) for rel in find_clips(root, options).tokens]


def find_clips(root: Path, options: RowOptions) -> Clips:
    """Return the clips under `root` that become rows.

    Raises:
        UsageError: `root` is not a folder, or has no token files.
        DatasetError: Two clips have the same id, or a clip lacks a sidecar and
            `missing_sidecar` is `"error"`.
    """
    require_folder(root, "token folder")
    cond_root = options.sidecar_root(root)
    wanted = [options.suffix, ARRAY_SUFFIX, META_SUFFIX]
    names = walk_files(root, wanted, options.recursive)
    ending = options.suffix.lower()
    tokens = [name for name in names if name.lower().endswith(ending)][: options.max_files]
    if not tokens:
        raise UsageError(f"no token files ({options.suffix}) under {root}")
    ids: dict[str, str] = {}
    for rel in tokens:
        other = ids.setdefault(clip_id(rel), rel)
        if other != rel:
            raise DatasetError(f"{root / other} and {rel} would both have the id {clip_id(rel)}")
    if cond_root != root:
        require_folder(cond_root, "sidecar folder")
        names = walk_files(cond_root, wanted[1:], options.recursive)
    known = set(names)
    described = [
        rel
        for name, rel in ids.items()
        if name + ARRAY_SUFFIX in known or name + META_SUFFIX in known
    ]
    if options.missing_sidecar == "skip":
        if not described:
            raise UsageError(
                f"no clip under {root} has a sidecar: missing_sidecar='skip' would skip them all"
            )
        return Clips(described, described, cond_root)
    if options.missing_sidecar == "error" and 0 < len(described) < len(tokens):
        bare = sorted(set(tokens) - set(described))
        raise DatasetError(
            f"{root / bare[0]} has no sidecar ({len(bare)} of {len(tokens)} clips lack one): "
            f"annotate them, or set missing_sidecar to 'skip' or 'empty'"
        )
    return Clips(tokens, described, cond_root)


def clip_id(rel: str) -> str:
    """Return the id of a clip: the path of its token file without the last suffix."""
    return rel.rpartition(".")[0]


def manifest_digest(root: Path, suffix: str = TOKEN_SUFFIX, cond_root: Path | None = None) -> str:
    """Return a hash of the path, size and modification time of each file in a token folder.

    Includes only tokens and sidecars, also the sidecars in `cond_root`. Takes 0.2 s for the 60,000
    files of 20,000 clips.

    Raises:
        UsageError: `root` is not a folder.
    """
    require_folder(root, "token folder")
    entries = []
    for folder in [root] if cond_root in (None, root) else [root, cond_root]:
        base = os.path.join(folder, "")
        for rel in walk_files(folder, [suffix, ARRAY_SUFFIX, META_SUFFIX]):
            status = os.stat(base + rel)
            entries.append((rel, status.st_size, status.st_mtime_ns))
    return settings_digest(files=entries)
