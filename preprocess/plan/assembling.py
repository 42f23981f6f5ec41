"""Assembles a shard from the rows of parts, in the order of the plan."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from preprocess.audit.mixing import add_tools
from preprocess.dataset.corpus import table_stats
from preprocess.dataset.merging import merge_parameters
from preprocess.dataset.schema import Schema
from preprocess.plan.clip_table import CLIP_TABLE
from preprocess.plan.parts import RowSource
from preprocess.shards.writing import ShardWriter
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.corpus_stats import CorpusStats

_BATCH = 64


class Place(NamedTuple):
    """Where a clip is that is already made.

    Attributes:
        source: Index of its file.
        entry: Index of its entry in the file's table of clips.
        row: Its row in the file; None if the clip failed.
    """

    source: int
    entry: int
    row: int | None


@dataclass
class Assembled:
    """A shard on this machine's disk.

    Attributes:
        path: Its file.
        clips: The table of its clips, in order.
        rows: Number of its rows.
        samples: Length of its audio in samples per channel.
        bytes: Size of its file.
        arrow_bytes: Size of its rows in Arrow.
        parameters: Description of each parameter, with the range that covers all clips.
        stats: Statistics of its parameters.
        tools: Weights, programs and engines that made its tokens.
    """

    path: Path
    clips: pa.Table
    rows: int = 0
    samples: int = 0
    bytes: int = 0
    arrow_bytes: int = 0
    parameters: dict[str, ParameterInfo] = field(default_factory=dict)
    stats: CorpusStats = field(default_factory=CorpusStats)
    tools: dict[str, list[str]] = field(default_factory=dict)


def assemble(
    folder: Path,
    places: Sequence[Place],
    sources: Sequence[RowSource],
    arrow: pa.Schema,
    schema: Schema,
) -> Assembled:
    """Write a shard's file.

    Args:
        folder: Folder for the file.
        places: Where its clips are, in order.
        sources: Files with their rows.
        arrow: Columns of the rows.
        schema: What all rows share.
    """
    entries = _runs([(place.source, place.entry) for place in places])
    pieces = [sources[n].clips.slice(first, last - first) for n, first, last in entries]
    clips = pa.concat_tables(pieces) if pieces else CLIP_TABLE.empty_table()
    clips = clips.combine_chunks()
    result = Assembled(folder / "shard.parquet", clips)
    result.parameters = _merged_infos(clips, schema)
    tools: dict[str, set[str]] = {}
    with ShardWriter(result.path, arrow, {}) as writer:
        for table in _batches(_rows(places, sources)):
            writer.write(table)
            lengths = table["audio_length"].to_numpy()
            result.samples += int(lengths.sum())
            result.stats.merge(table_stats(table, result.parameters))
            for header in table["provenance"].chunk(0).field("tokens").to_pylist():
                add_tools(tools, json.loads(header))
    result.rows, result.arrow_bytes = writer.rows, writer.num_bytes
    result.bytes = result.path.stat().st_size
    result.tools = {name: sorted(filter(None, values)) for name, values in tools.items()}
    return result


def _rows(places: Sequence[Place], sources: Sequence[RowSource]) -> Iterator[pa.Table]:
    """Yield the rows of clips in order; consecutive rows of a source are read together."""
    made = [(place.source, place.row) for place in places if place.row is not None]
    for number, first, last in _runs(made):
        yield from sources[number].rows(first, last)


def _runs(indices: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield a source, its first index and the one after its last, for consecutive indices."""
    start = 0
    for at in range(1, len(indices) + 1):
        source, first = indices[start]
        if at == len(indices) or indices[at] != (source, first + at - start):
            yield source, first, first + at - start
            start = at


def _batches(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows, always `_BATCH` at once: sums must not depend on the parts."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(map(len, waiting)) >= _BATCH:
            together = pa.concat_tables(waiting)
            yield together.slice(0, _BATCH).combine_chunks()
            waiting = [together.slice(_BATCH)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting).combine_chunks()


def _merged_infos(clips: pa.Table, schema: Schema) -> dict[str, ParameterInfo]:
    """Return the description of each parameter, merged over the clips in order."""
    texts, errors = clips["parameters"].to_pylist(), clips["error"].to_pylist()
    made = [text for text, error in zip(texts, errors, strict=True) if not error]
    merged: dict[str, ParameterInfo] = {}
    for text in dict.fromkeys(made):  # most clips have the same
        stored = json.loads(text)
        new = {name: ParameterInfo(**stored[name]) for name in schema.parameters}
        merged = merge_parameters(merged, new, Path("a clip")) if merged else new
    return merged or dict(schema.parameters)
