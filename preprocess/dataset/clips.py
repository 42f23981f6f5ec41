"""Which clips of a folder become rows, and in which splits; what the cache of them depends on.

The rows themselves are made in `preprocess.dataset.rows`. The builder script reads no file: `datasets`
patches `open` and `os` in it.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.errors import PreprocessError, UsageError, nearest
from preprocess.core.files import require_folder, walk_files
from preprocess.core.provenance import settings_digest
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Name of a subfolder -> the split that it is."""

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""What `split_by="group"` deals out where nothing else is said."""

CHOICES = {
    "split_by": ("folders", "group"),
    "missing_sidecar": ("error", "skip", "empty"),
    "dtype": ("float16", "float32", "float64"),
}


class DatasetError(PreprocessError):
    """A folder does not make a dataset; the message names the clip and what was expected."""


@dataclass
class RowOptions:
    """What to make of a folder of tokens.

    Attributes:
        codec: The codec that the tokens must be of; None for whichever they are.
        bandwidth_kbps: Bandwidth to slice to; None for that of the files, which must be one.
        features: Parameters to take, in this order, as a list or a text with commas; None or
            nothing for all, in the order of the sidecars.
        require_features: Parameters that every clip must have, likewise.
        missing_sidecar: A clip without a sidecar, where others have one, is an `error`, is left
            out (`skip`), or has parameters of no frames (`empty`).
        dtype: Of the parameters: float16, float32 or float64.
        split_by: `folders`: the subfolders train, validation and test; `group`: by `fractions`.
        fractions: Split -> its part of the groups; they sum to 1. Default: `FRACTIONS`.
        group: Regular expression searched for in the clip's id; what its first parenthesis (or
            the one called `group`) matches is the group, and no group falls in two splits.
            Without it, each clip is its own group.
        split_name: One split for all clips, instead of `split_by`.
        suffix: Ending of the token files.
        recursive: Whether to look into subfolders.
        max_files: Use at most this many token files.
        audio_prefix: Folder that stands before the paths in the column `audio`.
        cond_root: Folder with the sidecars, mirroring that of the tokens; None where they lie
            beside these.
    """

    # Not frozen: `datasets` sets attributes of the config that inherits these fields.
    codec: str | None = None
    bandwidth_kbps: float | None = None
    features: Sequence[str] | str | None = None
    require_features: Sequence[str] | str = ()
    missing_sidecar: str = "error"
    dtype: str = "float32"
    split_by: str = "folders"
    fractions: Mapping[str, float] | None = None
    group: str | None = None
    split_name: str | None = None
    suffix: str = TOKEN_SUFFIX
    recursive: bool = True
    max_files: int | None = None
    audio_prefix: str = ""
    cond_root: str | os.PathLike[str] | None = None

    @property
    def chosen(self) -> list[str]:
        """The names in `features`."""
        return _names("features", self.features)

    @property
    def required(self) -> list[str]:
        """The names in `require_features`."""
        return _names("require_features", self.require_features)

    def sidecar_root(self, root: Path) -> Path:
        """Return the folder of the sidecars for tokens under `root`."""
        return root if self.cond_root is None else resolved(self.cond_root)


@dataclass(frozen=True)
class Clips:
    """The clips of a folder, as paths of token files relative to it, sorted.

    Attributes:
        tokens: All that become rows.
        described: Those of them that have a sidecar.
        cond_root: The folder of the sidecars, whose paths are those of the token files.
    """

    tokens: list[str]
    described: list[str]
    cond_root: Path


def resolved(data_dir: str | os.PathLike[str]) -> Path:
    """Return the token folder as an absolute path.

    `datasets` puts a path class of its own into a builder's module, which is several times slower.
    """
    return Path(data_dir).expanduser().resolve()


def check_options(options: RowOptions) -> None:
    """Check what can be checked without a folder.

    Raises:
        UsageError: An option has a value that it cannot have.
    """
    for name, choices in CHOICES.items():
        value = getattr(options, name)
        if value not in choices:
            hint = nearest(str(value), choices)
            raise UsageError(f"{name} {value!r} must be one of {', '.join(choices)}{hint}")
    for names in (options.chosen, options.required):
        if len(set(names)) < len(names):
            raise UsageError(f"a feature is named twice: {', '.join(names)}")
    if options.split_by != "group" and (options.group or options.fractions):
        raise UsageError("fractions and group need split_by='group'")
    if options.split_by == "group" and options.split_name:
        raise UsageError("split_by='group' and one split for all clips exclude each other")
    fractions = options.fractions or FRACTIONS
    for name, part in fractions.items():
        if not re.fullmatch(r"\w+(\.\w+)*", name) or not 0 <= part <= 1:
            raise UsageError(f"fractions: {name}={part} must be a split's name and 0 to 1")
    if not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        raise UsageError(f"fractions must sum to 1, got {sum(fractions.values()):g}")
    _pattern(options.group)


def find_tokens(
    root: Path, suffix: str = TOKEN_SUFFIX, recursive: bool = True, max_files: int | None = None
) -> list[Path]:
    """Return all token files under `root`, relative to it and sorted.

    Raises:
        UsageError: `root` is no folder, or holds none.
    """
    options = RowOptions(
        suffix=suffix, recursive=recursive, max_files=max_files, missing_sidecar="empty"
    )
    return [Path(rel) for rel in find_clips(root, options).tokens]


def find_clips(root: Path, options: RowOptions) -> Clips:
    """Return the clips under `root` that become rows.

    Raises:
        UsageError: `root` is no folder, or holds no tokens.
        DatasetError: Two clips have one id, or one has no sidecar and that is an error.
    """
    require_folder(root, "token folder")
    cond_root = options.sidecar_root(root)
    wanted = [options.suffix, ARRAY_SUFFIX, META_SUFFIX]
    names = walk_files(root, wanted, options.recursive)
    ending = options.suffix.lower()
    tokens = [name for name in names if name.lower().endswith(ending)][: options.max_files]
    if not tokens:
        raise UsageError(f"no tokens ({options.suffix}) under {root}")
    ids: dict[str, str] = {}
    for rel in tokens:
        other = ids.setdefault(clip_id(rel), rel)
        if other != rel:
            raise DatasetError(f"{root / other} and {rel} would both be the clip {clip_id(rel)}")
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
                f"no clip under {root} has a sidecar: missing_sidecar='skip' skips all"
            )
        return Clips(described, described, cond_root)
    if options.missing_sidecar == "error" and 0 < len(described) < len(tokens):
        bare = sorted(set(tokens) - set(described))
        raise DatasetError(
            f"{root / bare[0]} has no sidecar, and {len(bare)} of {len(tokens)} clips have none: "
            f"annotate them, or choose missing_sidecar 'skip' or 'empty'"
        )
    return Clips(tokens, described, cond_root)


def clip_id(rel: str) -> str:
    """Return the id of a clip: the path of its token file without the last suffix."""
    return rel.rpartition(".")[0]


def find_splits(root: Path, tokens: Sequence[str], options: RowOptions) -> dict[str, list[str]]:
    """Return the token files of each split, in order; a split that has none is left out.

    Args:
        root: The token folder, for messages.
        tokens: Its token files, relative to it.
        options: `split_name`, `split_by`, `fractions` and `group` are looked at.

    Raises:
        DatasetError: A clip is in no split folder though others are, or has no group.
    """
    if options.split_name is not None:
        return {options.split_name: list(tokens)}
    if options.split_by == "group":
        return _by_group(root, tokens, options.fractions or FRACTIONS, options.group)
    splits, outside = by_folder(tokens)
    if not splits:
        return {"train": list(tokens)}
    if outside:
        raise DatasetError(
            f"{root / outside[0]} is in none of the split folders beside it "
            f"({', '.join(splits)}); {len(outside)} such"
        )
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def by_folder(tokens: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the token files of each split folder, and those that are in none."""
    splits: dict[str, list[str]] = {}
    outside = []
    for rel in tokens:
        folder, slash, _ = rel.partition("/")
        name = SPLIT_FOLDERS.get(folder) if slash else None
        if name is None:
            outside.append(rel)
        else:
            splits.setdefault(name, []).append(rel)
    return splits, outside


def _by_group(
    root: Path, tokens: Sequence[str], fractions: Mapping[str, float], group: str | None
) -> dict[str, list[str]]:
    pattern = _pattern(group)
    splits: dict[str, list[str]] = {name: [] for name in fractions}
    for rel in tokens:
        name = clip_id(rel)
        match = pattern.search(name) if pattern else None
        key: str | None = name
        if pattern:
            which = "group" if "group" in pattern.groupindex else 1
            key = match[which] if match else None
        if key is None:
            raise DatasetError(f"{root / rel}: the group {group!r} is not found in {name!r}")
        splits[_split_of(key, fractions)].append(rel)
    return {name: clips for name, clips in splits.items() if clips}


def _split_of(key: str, fractions: Mapping[str, float]) -> str:
    """Return the split of a group: a hash, so that it stays where it is as others come and go."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    at, total = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name, part in fractions.items():
        total += part
        if at < total:
            return name
    return [name for name, part in fractions.items() if part][-1]


def _names(option: str, value: Sequence[str] | str | None) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    if not isinstance(value, (list, tuple, type(None))) or any(
        type(n) is not str for n in value or ()
    ):
        # load_dataset of datasets 4 takes a list there for a schema, and keeps its first entry.
        raise UsageError(
            f"{option} must be names, as a list or as one text with commas, which load_dataset of "
            f"datasets 4 and newer needs; got {value!r}"
        )
    return list(value or ())


def _pattern(group: str | None) -> re.Pattern[str] | None:
    if group is None:
        return None
    try:
        pattern = re.compile(group)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"group {group!r} is no regular expression: {error}") from None
    if not pattern.groups:
        raise UsageError(f"group {group!r} has no parenthesis, which says what the group is")
    return pattern


def manifest_digest(root: Path, suffix: str = TOKEN_SUFFIX, cond_root: Path | None = None) -> str:
    """Return a hash of what lies in a token folder: path, size and time of change of each file.

    Tokens and sidecars only, also those in a folder `cond_root`; 0.2 s for the 60,000 files of
    20,000 clips.

    Raises:
        UsageError: `root` is no folder.
    """
    require_folder(root, "token folder")
    entries = []
    for folder in [root] if cond_root in (None, root) else [root, cond_root]:
        base = os.path.join(folder, "")
        for rel in walk_files(folder, [suffix, ARRAY_SUFFIX, META_SUFFIX]):
            status = os.stat(base + rel)
            entries.append((rel, status.st_size, status.st_mtime_ns))
    return settings_digest(files=entries)


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the progress bars of `datasets`, and its warning of a README that is not needed."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    datasets.disable_progress_bars()
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if shown:
            datasets.enable_progress_bars()
