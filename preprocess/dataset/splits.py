"""Assigns clips to splits, by subfolder or by group."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from preprocess.dataset.clips import DatasetError, clip_id
from preprocess.dataset.options import FRACTIONS, RowOptions, group_pattern

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Name of a subfolder -> its split."""


def find_splits(root: Path, tokens: Sequence[str], options: RowOptions) -> dict[str, list[str]]:
    """Return the token files of each split, in order; an empty split is left out.

    Args:
        root: The token folder, for messages.
        tokens: Its token files, relative to it.
        options: Uses `split_name`, `split_by`, `fractions` and `group`.

    Raises:
        DatasetError: A clip is outside the split folders that others are in, or has no group.
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
            f"{root / outside[0]} is outside the split folders ({', '.join(splits)}), as are "
            f"{len(outside)} clips in all"
        )
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def by_folder(tokens: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the token files of each split folder, and the token files outside them."""
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
    pattern = group_pattern(group)
    splits: dict[str, list[str]] = {name: [] for name in fractions}
    for rel in tokens:
        name = clip_id(rel)
        match = pattern.search(name) if pattern else None
        key: str | None = name
        if pattern:
            which = "group" if "group" in pattern.groupindex else 1
            key = match[which] if match else None
        if key is None:
            raise DatasetError(f"{root / rel}: the group {group!r} does not match {name!r}")
        splits[_split_of(key, fractions)].append(rel)
    return {name: clips for name, clips in splits.items() if clips}


def _split_of(key: str, fractions: Mapping[str, float]) -> str:
    """Return the split of a group, chosen by hash so that other groups do not move it."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    at, total = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name, part in fractions.items():
        total += part
        if at < total:
            return name
    return [name for name, part in fractions.items() if part][-1]
