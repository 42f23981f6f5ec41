"""A plan on disk or in object storage: which clips go into which shard, and how they are made.

    PLAN/plan.json          the recipe, the input, the shards, and a hash of what decides each
    PLAN/clips.parquet      the clips: one row group for each shard
    PLAN/shards/NAME.json   the report on a finished shard; NAME.parquet has a row for each clip
    PLAN/parts/NAME/        parts of a shard that is being made
    PLAN/leases/            who is making what

A worker reads `plan.json` and the row groups of its own shards, so that its memory does not grow
with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.core.errors import UsageError
from preprocess.core.row_batches import row_batches
from preprocess.core.untrusted import clipped
from preprocess.plan.plan_info import (
    CLIPS_SCHEMA,
    PlanError,
    PlanInfo,
    PlannedClip,
    PlannedShard,
    check_clips,
    shard_state,
)
from preprocess.storage.store import StorageError, Store

PLAN_NAME, CLIPS_NAME = "plan.json", "clips.parquet"


class PlanFolder:
    """A plan in a folder or in object storage.

    Args:
        url: The folder, or its URL.
    """

    def __init__(self, url: str | Path) -> None:
        self.store = Store.at(url)

    def __str__(self) -> str:
        return str(self.store)

    @cached_property
    def info(self) -> PlanInfo:
        """The plan.

        Raises:
            PlanError: It is invalid.
            UsageError: There is none.
        """
        if not self.store.exists(PLAN_NAME):
            raise UsageError(f"{self.store} has no {PLAN_NAME}; make a plan with preprocess plan")
        return PlanInfo.from_json(self.store.read(PLAN_NAME), f"{self.store}/{PLAN_NAME}")

    @cached_property
    def source(self) -> Store:
        """The input."""
        return Store.at(self.info.input)

    @cached_property
    def dataset(self) -> Store:
        """The folder of the dataset."""
        return Store.at(self.info.output)

    def clips(self, shard: PlannedShard) -> list[PlannedClip]:
        """Return the clips of a shard, sorted by id.

        Raises:
            PlanError: The table of clips does not match the plan.
        """
        if shard.group is None:
            return []
        with self.store.open(CLIPS_NAME) as file:
            try:
                batches = row_batches(pq.ParquetFile(file), [shard.group])
                rows = pa.Table.from_batches(batches).cast(CLIPS_SCHEMA).to_pydict()
                clips = [*map(PlannedClip, *rows.values())]
                check_clips(clips)
            except StorageError:
                raise
            except Exception as error:  # Arrow's own, ValueError of text that is not UTF-8, ...
                text = f"{self.store}/{CLIPS_NAME} cannot be read: {clipped(error)}"
                raise PlanError(text) from None
        state = shard_state([clip.key(self.info.settings) for clip in clips])
        if state != shard.state:
            raise PlanError(
                f"{self.store}/{CLIPS_NAME} does not match {PLAN_NAME}; run preprocess plan again"
            )
        return clips

    def write(self, info: PlanInfo, groups: Iterator[pa.Table], scratch: Path) -> None:
        """Write a plan, its clips first.

        Args:
            info: The plan.
            groups: The clips of each shard that has some, in the order of their row groups.
            scratch: Folder for temporary files.
        """
        local = scratch / CLIPS_NAME
        with pq.ParquetWriter(local, CLIPS_SCHEMA, compression="zstd") as writer:
            for table in groups:
                writer.write_table(table, row_group_size=max(1, len(table)))
        self.store.put(local, CLIPS_NAME)
        self.store.write(PLAN_NAME, info.to_json())
        vars(self)["info"] = info
