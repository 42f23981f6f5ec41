"""The report on a finished shard: what `status` counts and `finish` merges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.plan.clip_table import CLIP_TABLE
from preprocess.plan.plan_file import PlanError, PlanFolder, PlannedShard
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.corpus_stats import CorpusStats

_VERSION = 1


@dataclass(frozen=True)
class ShardReport:
    """A finished shard.

    Attributes:
        name: Its name.
        state: The `state` of the plan that it was made for.
        rows: Number of its rows.
        failed: Number of its clips that failed.
        samples: Length of its audio in samples per channel.
        audio_s: The same in seconds.
        made_s: Length of the audio in seconds that its last worker made, not counting what others
            had stored.
        wall_s: Seconds that its last worker took.
        bytes: Size of its file.
        arrow_bytes: Size of its rows in Arrow.
        parameters: Description of each parameter in its clips.
        stats: Statistics of its parameters; see `CorpusStats.to_dict`.
        tools: Weights, programs and engines that made its tokens.
        worker: Who made it.
        version: Version of the format.
    """

    name: str
    state: str
    rows: int
    failed: int
    samples: int
    audio_s: float
    made_s: float
    wall_s: float
    bytes: int
    arrow_bytes: int
    parameters: Mapping[str, ParameterInfo] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, list[str]] = field(default_factory=dict)
    worker: str = ""
    version: int = _VERSION

    @property
    def corpus_stats(self) -> CorpusStats:
        """Statistics of its parameters."""
        return CorpusStats.from_dict(self.stats)


def _paths(shard: PlannedShard) -> tuple[str, str]:
    return f"shards/{shard.name}.json", f"shards/{shard.name}.parquet"


def read_report(plan: PlanFolder, shard: PlannedShard) -> ShardReport | None:
    """Return the report on a shard; None if it has not been made, or its report is unreadable."""
    path, _ = _paths(shard)
    if not plan.store.exists(path):
        return None
    try:
        stored = json.loads(plan.store.read(path))
        if stored["version"] != _VERSION:
            return None
        stored["parameters"] = {n: ParameterInfo(**e) for n, e in stored["parameters"].items()}
        return ShardReport(**stored)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def write_report(
    plan: PlanFolder, shard: PlannedShard, report: ShardReport, clips: pa.Table
) -> None:
    """Write the report on a shard, after the table of its clips.

    Args:
        plan: The plan.
        shard: The shard.
        report: The report.
        clips: The table of its clips; see `clip_table`.
    """
    path, table_path = _paths(shard)
    sink = pa.BufferOutputStream()
    pq.write_table(clips, sink, compression="zstd")
    plan.store.write(table_path, sink.getvalue().to_pybytes())
    plan.store.write(path, json.dumps(asdict(report), allow_nan=False).encode())


def read_clip_table(
    plan: PlanFolder, shard: PlannedShard, columns: list[str] | None = None
) -> pa.Table:
    """Return the table of the clips of a finished shard.

    Raises:
        PlanError: It cannot be read.
    """
    _, path = _paths(shard)
    try:
        with plan.store.open(path) as file:
            table = pq.read_table(file, columns=columns)
        wanted = [f for f in CLIP_TABLE if columns is None or f.name in columns]
        return table.cast(pa.schema(wanted))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise PlanError(f"{plan}/{path} cannot be read: {error}") from None
