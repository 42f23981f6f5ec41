"""The names of shards, and which clip belongs to which.

    data/train-00003-of-00020.parquet

A clip's shard follows from its id and the number of shards in its split, so a new clip changes its own
shard alone.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import PureWindowsPath

from preprocess.core.errors import UsageError

FOLDER = "data"
"""The folder of the shards within a shards folder."""
AIM_BYTES = 300_000_000
LEAST_BYTES = 100_000_000
LEAST_SHARDS = 20
"""Shards of a split for which loaders find enough to share out, if it is large enough."""
_NAME = re.compile(rf"{FOLDER}/(\w+(?:\.\w+)*)-(\d{{5,9}})-of-(\d{{5,9}})\.parquet")


def shard_name(split: str, index: int, count: int) -> str:
    """Return the path of a shard in its folder.

    Raises:
        UsageError: `split` is not a valid name, or `index` is not below `count`.
    """
    name = f"{FOLDER}/{split}-{index:05d}-of-{count:05d}.parquet"
    if parse_name(name) != (split, index, count):
        raise UsageError(
            f"{name} is not the name of a shard: expected SPLIT, and INDEX below COUNT"
        )
    return name


def parse_name(path: str) -> tuple[str, int, int] | None:
    """Return split, index and count of a shard's path in its folder; None for any other file."""
    match = _NAME.fullmatch(path)
    if match is None:
        return None
    index, count = int(match[2]), int(match[3])
    return (match[1], index, count) if index < count else None


def shard_of(clip_id: str, count: int) -> int:
    """Return the shard of a clip among `count` of its split; its id alone decides."""
    digest = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count


def shard_count(total_bytes: int) -> int:
    """Return the number of shards for a split whose files take `total_bytes` together.

    Shards have about 300 MB. A split that would have fewer than 20 gets 20, or as many as leave
    100 MB each.
    """
    return max(1, math.ceil(total_bytes / AIM_BYTES), min(LEAST_SHARDS, total_bytes // LEAST_BYTES))


def unsafe(clip_id: str) -> str:
    """Return why no file may be named after a clip's id, or an empty text.

    An id is a path in a folder, with forward slashes. The rules are the same on every system.
    """
    parts = clip_id.split("/")
    if not clip_id.isprintable() and any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in clip_id):
        return "it has a control character or is not Unicode"
    if "" in parts or "." in parts or ".." in parts:
        return "it is empty, absolute, or has an empty part, '.' or '..'"
    if "\\" in clip_id or PureWindowsPath(clip_id).drive:
        return "it has a backslash or starts with a drive"
    return ""
