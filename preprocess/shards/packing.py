"""Makes the rows of shards from token files, a batch at a time, in any number of processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from preprocess.dataset.clips import Clips, clip_id
from preprocess.dataset.corpus import table_stats
from preprocess.dataset.rows import BATCH_BYTES, Check
from preprocess.dataset.schema import Schema
from preprocess.shards.names import shard_of
from preprocess.shards.rows import Look, packed_row, packed_table, shard_schema
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX
from preprocess.stats.corpus_stats import CorpusStats

_MOST_ROWS = 256
_JSON_PACKED = 10
"""Sidecars' metadata takes at most this fraction in a shard: zstd sees many that are alike."""


@dataclass(frozen=True)
class Batch:
    """Clips of one shard, whose rows are made together.

    Attributes:
        clips: Each token file relative to its folder, and whether it has a sidecar.
        measured: Whether statistics of its parameters are wanted.
    """

    clips: tuple[tuple[str, bool], ...]
    measured: bool


@dataclass
class Made:
    """The rows of a batch.

    Attributes:
        table: The rows.
        stats: Statistics of their parameters, if wanted.
        losses: In what the files differ that `preprocess unpack` gives back -> number of clips.
    """

    table: pa.Table
    stats: CorpusStats = field(default_factory=CorpusStats)
    losses: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Packer:
    """Makes the rows of batches; can be sent to other processes.

    Attributes:
        root: The token folder.
        cond_root: The sidecar folder.
        schema: What all rows share.
        check: What each clip must pass; see `preprocess.dataset.rows.clip_row`.
    """

    root: Path
    cond_root: Path
    schema: Schema
    check: Check | None = None

    def __call__(self, batch: Batch, look: Look | None = None) -> Made:
        """Return the rows of a batch; see `packed_row`."""
        losses: Counter[str] = Counter()
        rows = [
            packed_row(self.root, rel, self.schema, known, self.check, self.cond_root, losses, look)
            for rel, known in batch.clips
        ]
        table = packed_table(rows, shard_schema(self.schema))
        measured = self.schema.parameters if batch.measured else {}
        return Made(table, table_stats(table, measured), losses)


def in_shards(clips: Sequence[str], count: int) -> list[list[str]]:
    """Return the clips of each shard, sorted by id."""
    shards: list[list[str]] = [[] for _ in range(count)]
    for rel in sorted(clips, key=clip_id):
        shards[shard_of(clip_id(rel), count)].append(rel)
    return shards


def batches(
    clips: Sequence[str], described: set[str], sizes: Mapping[str, int], measured: bool
) -> Iterator[Batch]:
    """Yield the clips of a shard in batches, which depend on the clips alone.

    Args:
        clips: Token files of one shard, sorted by id.
        described: The clips that have a sidecar.
        sizes: Token file -> size of its row in Arrow, about.
        measured: Whether statistics are wanted.
    """
    waiting: list[tuple[str, bool]] = []
    size = 0
    for rel in clips:
        if waiting and (size + sizes[rel] > BATCH_BYTES or len(waiting) == _MOST_ROWS):
            yield Batch(tuple(waiting), measured)
            waiting, size = [], 0
        waiting.append((rel, rel in described))
        size += sizes[rel]
    if waiting:
        yield Batch(tuple(waiting), measured)


@dataclass(frozen=True)
class Sizes:
    """Sizes of clips, estimated from their files.

    Attributes:
        rows: Token file -> size of its row in Arrow.
        packed: Token file -> size of its row in a shard.
    """

    rows: dict[str, int]
    packed: dict[str, int]


def estimate_sizes(root: Path, clips: Clips) -> Sizes:
    """Return the sizes that the clips' rows will have.

    A code takes 10 or 11 bits in its file and in a shard, and 16 in Arrow; a value at most twice the
    bytes of a float16 or float32 one.
    """
    base, cond_base = os.path.join(root, ""), os.path.join(clips.cond_root, "")
    described = set(clips.described)
    rows, packed = {}, {}
    for rel in clips.tokens:
        tokens = os.stat(base + rel).st_size
        array = meta = 0
        if rel in described:
            array, meta = (_size(cond_base + clip_id(rel) + s) for s in (ARRAY_SUFFIX, META_SUFFIX))
        rows[rel] = 2 * tokens + 2 * array + meta
        packed[rel] = tokens + array + meta // _JSON_PACKED
    return Sizes(rows, packed)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # the predecessor's name; reading the clip tells of a missing file
        return 0
