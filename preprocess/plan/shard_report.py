"""The report on a finished shard: what `status` counts and `finish` merges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.core.errors import PreprocessError
from preprocess.core.row_batches import row_batches
from preprocess.core.untrusted import clipped
from preprocess.plan.clip_table import CLIP_TABLE
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlanError, PlannedShard
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.corpus_stats import CorpusStats
from preprocess.storage.store import StorageError

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
    try:
        stored = json.loads(plan.store.read(path))
        if stored["version"] != _VERSION:
            return None
        stored["parameters"] = {n: ParameterInfo(**e) for n, e in stored["parameters"].items()}
        report = ShardReport(**stored)
        _check_types(report)
        return report
    except FileNotFoundError:
        return None
    except StorageError:
        raise
    except PreprocessError:  # of the statistics
        return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _check_types(report: ShardReport) -> None:
    """Raise an error if a value that later code relies on has another type."""
    counts = (report.rows, report.failed, report.samples, report.bytes, report.arrow_bytes)
    times = (report.audio_s, report.made_s, report.wall_s)
    if not all(type(n) is int and 0 <= n < 1 << 60 for n in counts):
        raise ValueError("counts are whole numbers")
    if not all(type(s) in (int, float) and 0 <= s < 1e12 for s in times):
        raise ValueError("times are numbers")
    if not all(isinstance(text, str) for text in (report.name, report.state, report.worker)):
        raise TypeError("names are texts")
    for info in report.parameters.values():
        ParameterInfo.from_json(json.dumps(asdict(info)))
    for values in report.tools.values():
        if not all(isinstance(value, str) for value in values):
            raise TypeError("tools are texts")
    _ = report.corpus_stats


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

    Args:
        plan: The plan.
        shard: The shard.
        columns: The columns to read, of a struct also single fields (`summary.hashes`); None for
            all.

    Raises:
        PlanError: It cannot be read.
    """
    _, path = _paths(shard)
    try:
        with plan.store.open(path) as file:
            parquet = pq.ParquetFile(file)
            batches = list(row_batches(parquet, range(parquet.num_row_groups), columns, False))
            table = pa.Table.from_batches(batches) if batches else parquet.read(columns)
        return table.cast(CLIP_TABLE if columns is None else _selected(columns))
    except StorageError:
        raise
    except Exception as error:  # Arrow's own, ValueError of text that is not UTF-8, ...
        raise PlanError(f"{plan}/{path} cannot be read: {clipped(error)}") from None


def _selected(columns: list[str]) -> pa.Schema:
    """Return the schema of some columns, or fields of columns, of a table of clips."""
    fields = []
    for column in CLIP_TABLE:
        if column.name in columns:
            fields.append(column)
            continue
        kind = column.type if pa.types.is_struct(column.type) else ()
        parts = [part for part in kind if f"{column.name}.{part.name}" in columns]
        fields += [pa.field(column.name, pa.struct(parts))] if parts else []
    return pa.schema(fields)
