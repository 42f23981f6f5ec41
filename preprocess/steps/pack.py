"""Packs tokens and sidecars into shards, a folder that loads and publishes as it is."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow.compute as pc

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.mixing import (
    describe,
    parameter_makers,
    refuse_mixed,
    token_makings,
    tool_texts,
)
from preprocess.audit.row_check import RowCheck
from preprocess.core.errors import UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.process_pool import Processes
from preprocess.core.progress import Progress
from preprocess.core.provenance import provenance, settings_digest
from preprocess.core.report import Report, plural
from preprocess.dataset.clips import Clips, find_clips, manifest_digest
from preprocess.dataset.options import RowOptions, check_options, row_options
from preprocess.dataset.schema import Schema
from preprocess.dataset.splits import find_splits
from preprocess.dataset.survey import read_schema, survey
from preprocess.publish.finishing import CARD_NAME, FINISHED, MARKER, SplitFacts, finish_folder
from preprocess.shards.names import FOLDER, parse_name, shard_count, shard_name
from preprocess.shards.packing import Batch, Made, Packer, Sizes, batches, estimate_sizes, in_shards
from preprocess.shards.rows import shard_schema
from preprocess.shards.writing import ShardWriter
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.stats.corpus_stats import STATS_VERSION, CorpusStats
from preprocess.steps.pack_config import PackConfig
from preprocess.steps.pack_rows import RowMaker, Seen, WiderError
from preprocess.steps.saved_folder import SavedFolder, replace_folder, update_folder

LEAST_CLIPS = 500
"""Number of clips for each process; starting one takes as long as packing these."""
_VERSION = 1


def pack(
    root: Path,
    output: Path,
    config: PackConfig,
    audit: AuditConfig | None = None,
    jobs: int = 1,
) -> Report:
    """Pack the clips under `root` into a folder of shards.

    The folder is made next to `output` and moved there once it is complete.

    Args:
        root: The token folder.
        output: The shards folder.
        config: Settings of the step.
        audit: The checks that each clip must pass; default: those of an audit.
        jobs: Number of processes; the shards are the same for any number.

    Raises:
        UsageError: `root` has no token files; `output` is inside `root` or contains it; or
            `output` exists and has files that `pack` did not make.
        DatasetError: A clip does not match the others, fails a check, or was made by other
            settings or code than most; nothing is written.
    """
    report = Report("pack", item="row", output=str(output))
    audit = audit or AuditConfig()
    options = _options(config)
    clips = find_clips(root, options)
    splits = find_splits(root, clips.tokens, options)
    origin = _origin(root, clips, config, audit)
    _check_shards(output)
    folder = SavedFolder(output, MARKER, (FOLDER, *FINISHED), "pack")
    made = _Run(root, clips, splits, config, audit, jobs)
    update_folder(report, root, folder, origin, splits, partial(_make, made, output, origin))
    if report.done:
        report.detail += (
            f", {made.shards:,} {plural('shard', made.shards)}, {made.file_bytes / 1e6:.1f} MB"
        )
    return report.finish()


@dataclass
class _Run:
    """What a run of the step works on, and the sums of what it made."""

    root: Path
    clips: Clips
    splits: Mapping[str, Sequence[str]]
    config: PackConfig
    audit: AuditConfig
    jobs: int
    facts: dict[str, SplitFacts] = field(default_factory=dict)
    stats: dict[str, CorpusStats] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    shards: int = 0

    @property
    def file_bytes(self) -> int:
        """Size of all shards."""
        return sum(facts.file_bytes for facts in self.facts.values())


def _options(config: PackConfig) -> RowOptions:
    dtype = "float64" if config.dtype == "auto" else config.dtype
    options = row_options(config, dtype=dtype)
    check_options(options)
    return options


def _origin(root: Path, clips: Clips, config: PackConfig, audit: AuditConfig) -> dict[str, str]:
    """Return the provenance of a folder: its files and the settings of the step."""
    return provenance(
        manifest_digest(root, config.suffix, clips.cond_root),
        settings_digest(
            step="pack",
            version=_VERSION,
            root=str(root.resolve()),
            options={**dataclasses.asdict(config), "cond_root": str(clips.cond_root)},
            stats=STATS_VERSION,
            audit=repr(audit),
        ),
    )


def _check_shards(output: Path) -> None:
    """Refuse to replace a folder `data` that has other files than shards."""
    folder = output / FOLDER
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if not name.startswith(".") and not parse_name(f"{FOLDER}/{name}"):
            raise UsageError(
                f"{folder / name} was not made by pack, which replaces the whole folder; move it "
                f"first"
            )


def _make(run: _Run, output: Path, origin: Mapping[str, str]) -> list[str]:
    """Make the folder and move it into place; return notes on it."""
    count = max(1, min(run.jobs, len(run.clips.tokens) // LEAST_CLIPS))
    with Processes(count, "packs clips") as processes:
        return _make_in(processes, run, output, origin)


def _make_in(processes: Processes, run: _Run, output: Path, origin: Mapping[str, str]) -> list[str]:
    old = output / CARD_NAME
    card = old.read_text(encoding="utf-8", errors="replace") if old.exists() else None
    with temporary_folder(output) as scratch:
        new = Path(scratch, "shards")
        schema, seen = _write(processes, run, new)
        mixed = describe(seen.makings.mixtures())
        stored = {**origin, **tool_texts(seen.tools)} | ({"mixed": mixed} if mixed else {})
        finish_folder(new, schema, run.facts, run.stats, stored, output.resolve().name, card)
        replace_folder(new, output, Path(scratch, "old"))
    notes = [f"mixed: {mixed}"] if mixed else []
    return notes + [
        f"unpack will not give all files back as they are: {what} ({count:,} {plural('clip', count)})"
        for what, count in run.losses.items()
    ]


def _write(processes: Processes, run: _Run, folder: Path) -> tuple[Schema, Seen]:
    """Write all shards; return what their rows share.

    The declared ranges of all clips are known only at the end. Columns do not depend on them, but
    the dtype of a later clip, or the period of an angle, may make it necessary to start again.
    """
    auto = run.config.dtype == "auto"
    schema = read_schema(run.root, run.clips, _options(run.config))
    schema = dataclasses.replace(schema, dtype="float32") if auto else schema
    while True:
        try:
            seen = _write_once(processes, run, schema, folder)
        except WiderError:
            schema = dataclasses.replace(schema, dtype="float64")
            continue
        whole = dataclasses.replace(schema, parameters=seen.parameters)
        if all(p.period == whole.parameters[n].period for n, p in schema.parameters.items()):
            break
        schema = whole
    for stats in run.stats.values():
        stats.declare(whole.parameters)
    return whole, seen


def _write_once(processes: Processes, run: _Run, schema: Schema, folder: Path) -> Seen:
    """Write the shards of all splits, and add up what is in them."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / FOLDER).mkdir(parents=True)
    run.facts, run.stats, run.losses, run.shards = {}, {}, Counter(), 0
    shards = list(_shards(run, estimate_sizes(run.root, run.clips)))
    packer = Packer(run.root, run.clips.cond_root, schema, RowCheck(run.audit))
    maker = RowMaker(packer, _options(run.config), run.config.dtype == "auto")
    made = processes.run(maker, [batch for _, _, own in shards for batch in own])
    seen = Seen(schema.parameters)
    with Progress("pack", len(run.clips.tokens)) as progress:
        for split, name, own in shards:
            rows = _looked_at(run, own, made, seen, progress)
            facts = _write_shard(run, folder / name, schema, split, rows)
            run.facts[split] = run.facts.get(split, SplitFacts()) + facts
            run.shards += 1
    return seen


def _looked_at(
    run: _Run,
    own: Sequence[Batch],
    made: Iterator[tuple[Made, Seen]],
    seen: Seen,
    progress: Progress,
) -> Iterator[tuple[Batch, Made]]:
    """Yield the next batches with their rows, after adding what was seen of them to `seen`."""
    refuse = run.audit.fails("mixed") and not run.config.allow_mixed
    for batch in own:
        rows, looked = next(made)
        seen.merge(looked, run.root / batch.clips[0][0])
        if refuse and seen.makings.differ:
            _refuse_mixed(run)
        yield batch, rows
        progress.update(len(batch.clips))


def _refuse_mixed(run: _Run) -> None:
    """Look at all clips, to say how many differ, and refuse them."""
    makings, _ = token_makings(run.root, run.clips.tokens)
    options = _options(run.config)
    schema = read_schema(run.root, run.clips, options)

    def look(rel: str, sidecar: Sidecar) -> None:
        names = [name for name in sidecar.parameters if name in schema.parameters]
        makings.add(rel, parameter_makers(sidecar.records, names))

    survey(run.root, run.clips, schema, options, look)
    refuse_mixed(run.root, describe(makings.mixtures()))


def _shards(run: _Run, sizes: Sizes) -> Iterator[tuple[str, str, list[Batch]]]:
    """Yield split, name and batches of each shard."""
    described = set(run.clips.described)
    for split, rels in run.splits.items():
        count = run.config.count or shard_count(sum(sizes.packed[rel] for rel in rels))
        for index, own in enumerate(in_shards(rels, count)):
            name = shard_name(split, index, count)
            yield split, name, list(batches(own, described, sizes.rows, split == "train"))


def _write_shard(
    run: _Run, path: Path, schema: Schema, split: str, rows: Iterator[tuple[Batch, Made]]
) -> SplitFacts:
    """Write one shard; return the sums of its rows."""
    samples = 0
    with ShardWriter(path, shard_schema(schema)) as writer:
        for batch, made in rows:
            writer.write(made.table)
            samples += int(pc.sum(made.table["audio_length"]).as_py())
            run.losses.update(made.losses)
            if batch.measured:
                run.stats.setdefault(split, CorpusStats()).merge(made.stats)
    return SplitFacts(writer.rows, samples, writer.num_bytes, path.stat().st_size)
