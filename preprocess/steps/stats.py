"""Writes the statistics of the parameters of all clips, by split, to one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from preprocess.core.errors import PreprocessError
from preprocess.core.jobs import run_items
from preprocess.core.progress import Progress
from preprocess.core.report import Report, plural
from preprocess.core.settings import CondRoot, ShardConfig
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import find_clips
from preprocess.dataset.options import RowOptions
from preprocess.dataset.splits import find_splits
from preprocess.sidecar.reading import read_sidecar
from preprocess.stats.corpus_stats import (
    CorpusStats,
    ParameterStats,
    StatsError,
    read_stats,
    write_stats,
)

_COLUMNS = ("parameter", "unit", "values", "NaN", "min", "median", "max", "mean", "std")


@dataclass(frozen=True, kw_only=True)
class StatsConfig(ShardConfig):
    """Settings of `preprocess stats`: which clips to measure together."""

    split_name: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="one split for all clips, instead of the subfolders"),
    ] = None
    cond_root: CondRoot = None


def collect_stats(root: Path, output: Path, config: StatsConfig, jobs: int) -> Report:
    """Write the statistics of all sidecars under `root` to the file `output`.

    A clip whose sidecar cannot be read, or does not match the others, is left out and reported as
    a failure.

    Raises:
        UsageError: `root` is not a folder, or has no token files; or the shard is invalid.
        DatasetError: A clip is outside the split folders that others are in.
    """
    report = Report("stats", output=str(output))
    options = RowOptions(
        split_name=config.split_name, missing_sidecar="empty", cond_root=config.cond_root
    )
    splits = find_splits(root, find_clips(root, options).tokens, options)
    where = config.cond_root or root
    stats: dict[str, CorpusStats] = {}
    for split, clips in splits.items():
        mine = [rel for rel in map(Path, clips) if config.has(rel)]
        stats[split] = CorpusStats()
        with Progress("stats", len(mine), phase=split, at_once=jobs) as progress:
            for outcome in run_items(lambda rel: read_sidecar(where / rel), mine, jobs):
                try:
                    if outcome.value is None:
                        raise StatsError(outcome.message())
                    stats[split].update(outcome.value.parameters)
                    progress.update()
                except PreprocessError as error:
                    report.fail(root / outcome.item, error)
                    progress.update(failed=True)
        report.add(progress)
    return _write(report, output, stats)


def merge_stats(parts: Sequence[Path], output: Path) -> Report:
    """Merge the statistics of several shards into the file `output`.

    Raises:
        StatsError: A file cannot be read, or does not match the others.
    """
    report = Report("stats", item="file", output=str(output))
    merged: dict[str, CorpusStats] = {}
    for part in parts:
        for split, stats in read_stats(part).items():
            try:
                merged.setdefault(split, CorpusStats()).merge(stats)
            except StatsError as error:
                raise StatsError(f"{part}: {error}") from None
        report.done += 1
    return _write(report, output, merged)


def format_stats(splits: dict[str, CorpusStats]) -> str:
    """Return statistics as a readable table."""
    rows = [
        (split, [_COLUMNS, *(_row(name, parameter) for name, parameter in stats.items())])
        for split, stats in splits.items()
    ]
    lines = []
    for split, table in rows:
        clips = splits[split].clips
        lines.append(f"{split}: {clips:,} {plural('clip', clips)}")
        widths = [max(len(line[at]) for line in table) for at in range(len(_COLUMNS))]
        for line in table:
            cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in
                     enumerate(zip(line, widths, strict=True))]  # fmt: skip
            lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _write(report: Report, output: Path, stats: dict[str, CorpusStats]) -> Report:
    remove_stale(output.absolute().parent, recursive=False)
    write_stats(output, stats)
    names = dict.fromkeys(name for corpus in stats.values() for name in corpus)
    report.detail = f"{len(names)} {plural('parameter', len(names))}"
    return report.finish()


def _row(name: str, parameter: ParameterStats) -> tuple[str, ...]:
    numbers = (
        parameter.min,
        parameter.quantiles.get("p50"),
        parameter.max,
        parameter.mean,
        parameter.std,
    )
    shown = ("" if value is None else f"{value:.5g}" for value in numbers)
    return (name, parameter.units, f"{parameter.count:,}", f"{parameter.nan_count:,}", *shown)
