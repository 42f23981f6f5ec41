"""Assembles a shard from the rows of parts, in the order of the plan."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from preprocess.dataset.corpus import table_stats
from preprocess.dataset.merging import merge_parameters
from preprocess.dataset.schema import Schema
from preprocess.plan.clip_table import CLIP_TABLE
from preprocess.plan.parts import RowSource
from preprocess.shards.writing import ShardWriter
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.corpus_stats import CorpusStats

_BATCH = 64
_TOOLS = {"weights": "ckpt", "encoded by": "by", "engine": "eng"}


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
    keys: Sequence[str],
    sources: Sequence[RowSource],
    rows: Mapping[str, tuple[int, int]],
    tables: Mapping[str, tuple[pa.Table, int]],
    arrow: pa.Schema,
    schema: Schema,
) -> Assembled:
    """Write a shard's file.

    Args:
        folder: Folder for the file.
        keys: The keys of its clips, in order.
        sources: Files with their rows.
        rows: Key -> source and row; row -1 if the clip failed.
        tables: Key -> table and index of the clip's entry.
        arrow: Columns of the rows.
        schema: What all rows share.
    """
    entries = [tables[key] for key in keys]
    pieces = [table.slice(index, 1) for table, index in entries]
    clips = pa.concat_tables(pieces) if pieces else CLIP_TABLE.empty_table()
    clips = clips.combine_chunks()
    result = Assembled(folder / "shard.parquet", clips)
    result.parameters = _merged_infos(clips, schema)
    tools: dict[str, set[str]] = {name: set() for name in _TOOLS}
    with ShardWriter(result.path, arrow, {}) as writer:
        for table in _batches(_in_order([rows[key] for key in keys], sources)):
            writer.write(table)
            lengths = table["audio_length"].to_numpy()
            result.samples += int(lengths.sum())
            result.stats.merge(table_stats(table, result.parameters))
            _add_tools(tools, table)
    result.rows, result.arrow_bytes = writer.rows, writer.num_bytes
    result.bytes = result.path.stat().st_size
    result.tools = {name: sorted(filter(None, values)) for name, values in tools.items()}
    return result


def _in_order(
    places: Sequence[tuple[int, int]], sources: Sequence[RowSource]
) -> Iterator[pa.Table]:
    """Yield the rows of clips in order; consecutive rows of a source are read together."""
    at, end = 0, len(places)
    while at < end:
        source, first = places[at]
        at += 1
        if first < 0:
            continue
        last = first + 1
        while at < end and places[at] == (source, last):
            at, last = at + 1, last + 1
        yield from sources[source].rows(first, last)


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


def _add_tools(tools: dict[str, set[str]], table: pa.Table) -> None:
    headers = table.column("provenance").combine_chunks().field("tokens").to_pylist()
    for text in headers:
        header = json.loads(text)
        for name, key in _TOOLS.items():
            tools[name].add(str(header.get(key, "")))
