"""Looks into finished shards for the audit of a whole corpus, in bounded memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from preprocess.audit.fingerprints import PrintTable
from preprocess.dataset.clips import clip_id
from preprocess.plan.clip_table import SUMMARY
from preprocess.plan.parts import RowSource
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlanError, PlannedShard
from preprocess.plan.shard_report import read_clip_table
from preprocess.shards.names import shard_of

_SLICE_CLIPS = 100_000
"""Clips whose fingerprints would be in memory at once; with more clips, a slice of all of them is."""

_COMPARED = [f"summary.{field.name}" for field in SUMMARY if field.name not in ("hashes", "frames")]


def read_tables(plan: PlanFolder) -> Iterator[pa.Table]:
    """Yield the table of the clips of each shard, without fingerprints."""
    for shard in plan.info.shards:
        yield read_clip_table(plan, shard, ["id", *_COMPARED])


def print_tables(plan: PlanFolder) -> Iterator[PrintTable]:
    """Yield the fingerprints of all clips, in slices that each hold all equal runs.

    Clips are numbered as `SummaryTable` numbers them: all that did not fail, in order.
    """
    slices = np.uint64(1 + plan.info.clips // _SLICE_CLIPS)
    for number in range(int(slices)):
        pieces, clips = [], 0
        for shard in plan.info.shards:
            table = read_clip_table(plan, shard, ["summary.hashes", "summary.frames"])
            summary = table["summary"].combine_chunks()
            summary = pa.concat_arrays(summary.chunks) if hasattr(summary, "chunks") else summary
            summary = summary.filter(summary.is_valid())
            pieces.append(_prints(summary, clips, np.uint64(number), slices))
            clips += len(summary)
        columns = zip(*pieces, strict=True)
        yield PrintTable(*(np.concatenate(column) for column in columns))


def _prints(
    summary: pa.StructArray, first: int, number: np.uint64, slices: np.uint64
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return hash, frame and clip of the runs of a slice, numbering clips from `first`."""
    listed = summary.field("hashes")
    hashes = listed.flatten().to_numpy(zero_copy_only=False).astype(np.uint64)
    frames = summary.field("frames").flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    sizes = np.asarray(listed.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    clips = np.repeat(np.arange(first, first + len(summary)), sizes)
    at = hashes % slices == number
    return hashes[at], frames[at], clips[at]


class ShardFiles:
    """Reads single clips of finished shards; implements `CorpusFiles`.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: PlanFolder) -> None:
        self._plan = plan
        self._ids = lru_cache(maxsize=4)(self._read_ids)

    def codes(self, rel: Path) -> NDArray[np.int16]:
        """Return the first codebook's codes `[T]` of the clip that `unpack` would write as `rel`."""
        row = self._row(rel)
        return np.asarray(row["codes"].combine_chunks().flatten()[0].values, np.int16)

    def values(self, rel: Path, name: str) -> NDArray[np.float64]:
        """Return the values `[T]` of a parameter of that clip."""
        struct = self._row(rel)["features"].combine_chunks()
        return np.asarray(struct.field(name).flatten(), np.float64)

    def _row(self, rel: Path) -> pa.Table:
        name = clip_id(rel.as_posix())
        for shard in self._plan.info.shards:
            if shard.index != shard_of(name, shard.count) or not shard.clips:
                continue
            ids = self._ids(shard)
            at = bisect_left(ids, name)
            if at < len(ids) and ids[at] == name:
                with RowSource(self._plan.dataset, shard.path, pa.table({})) as source:
                    return next(source.rows(at, at + 1))
        raise PlanError(f"{self._plan.dataset} has no clip {name!r}")

    def _read_ids(self, shard: PlannedShard) -> list[str]:
        table = read_clip_table(self._plan, shard, ["id", "error"])
        return [row["id"] for row in table.to_pylist() if not row["error"]]
