"""Step 5: tokens and sidecars become a saved `DatasetDict`, beside the files it was made from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.mixing import Makings, describe, parameter_makers, refuse_mixed, token_makings
from preprocess.audit.row_check import RowCheck
from preprocess.core.files import temporary_folder
from preprocess.core.interrupts import forks_ignore_interrupts
from preprocess.core.provenance import is_current, provenance, settings_digest
from preprocess.core.report import Report, plural
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import Clips, find_clips, manifest_digest
from preprocess.dataset.corpus import corpus_stats
from preprocess.dataset.options import RowOptions, check_options
from preprocess.dataset.quiet import quiet_datasets
from preprocess.dataset.rows import survey
from preprocess.dataset.splits import find_splits
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.stats.corpus_stats import STATS_NAME, STATS_VERSION, write_stats
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.built_dataset import MARKER, materialize, save_moved, verify
from preprocess.steps.outputs import refuse_nested
from preprocess.steps.saved_folder import check_replaceable, read_marker, replace_folder

if TYPE_CHECKING:
    from datasets import DatasetDict

_ERROR_OF_WORKER = re.compile(r"OSError: \[Errno (\d+)\]")
_NAMES = (STATS_NAME,)


def build(
    root: Path, output: Path, config: BuildConfig, audit: AuditConfig | None = None
) -> Report:
    """Build a dataset from the tokens under `root` and save it as `output`.

    It is made beside `output` and moved there when it is whole; `stats.json` in it holds the
    statistics of each parameter over the split train.

    Args:
        root: The token folder.
        output: Where the dataset goes.
        config: What to build.
        audit: What each clip must pass, as in an audit; without it, an audit's defaults.

    Raises:
        UsageError: `root` holds no tokens, `output` lies in it or around it, or exists and holds
            what `build` has not made.
        DatasetError: A clip does not fit the others, would fail the audit, or was made by other
            settings or code than its neighbours; nothing is written.
    """
    report = Report("build", item="row", output=str(output))
    audit = audit or AuditConfig()
    options = config.rows
    check_options(options)
    clips = find_clips(root, options)
    splits = find_splits(root, clips.tokens, options)
    origin = _origin(root, clips, config, options, audit)
    refuse_nested(root, output)
    if is_current(read_marker(output, MARKER), origin):
        report.current = len(clips.tokens)
    else:
        check_replaceable(output, MARKER, _NAMES, "build")
        remove_stale(output.parent, recursive=False)
        for note in _make(root, output, clips, config, audit, origin):
            report.note(note)
        report.done = len(clips.tokens)
    counts = ", ".join(f"{name} {len(rels)}" for name, rels in splits.items())
    report.detail = f"{plural('split', len(splits))} {counts}"
    if config.verify:
        report.detail += f", {verify(root, output, splits, config)} rows verified"
    return report.finish()


def _origin(
    root: Path, clips: Clips, config: BuildConfig, options: RowOptions, audit: AuditConfig
) -> dict[str, str]:
    """Return what a dataset is built from, and by which settings."""
    return provenance(
        manifest_digest(root, config.suffix, clips.cond_root),
        settings_digest(
            step="build",
            root=str(root.resolve()),
            options={**asdict(options), "cond_root": str(clips.cond_root)},
            tokens_subdir=config.tokens_subdir,
            materialize=config.materialize,
            stats=STATS_VERSION,
            allow_mixed=config.allow_mixed,
            audit=repr(audit),
        ),
    )


def _make(
    root: Path,
    output: Path,
    clips: Clips,
    config: BuildConfig,
    audit: AuditConfig,
    origin: Mapping[str, str],
) -> list[str]:
    """Make the dataset and move it into place; return lines on what of it differs in its making."""
    makings, tools = token_makings(root, clips.tokens)
    with temporary_folder(output) as scratch:
        new = Path(scratch, "dataset")
        mixed = _build(root, new, Path(scratch, "cache"), config, audit, makings)
        materialize(root, clips, new / config.tokens_subdir, output, config)
        stored = {**origin, **tools, "tokens_subdir": config.tokens_subdir}
        stored |= {"mixed": mixed} if mixed else {}
        (new / MARKER).write_text(json.dumps(stored, indent=2))
        replace_folder(new, output, Path(scratch, "old"))
    notes = [f"mixed: {mixed}"] if mixed else []
    if ", " in tools["engine"]:
        notes.append(f"tokens of several engines, which may differ in near ties: {tools['engine']}")
    return notes


def _build(
    root: Path,
    new: Path,
    cache: Path,
    config: BuildConfig,
    audit: AuditConfig,
    makings: Makings,
) -> str:
    """Make the dataset in `new`; return what of it is a mixture."""
    from enchf_dataset import EncHFDataset

    options = config.rows

    def look(rel: str, sidecar: Sidecar) -> None:
        names = [n for n in sidecar.parameters if not options.parameters or n in options.parameters]
        makings.add(rel, parameter_makers(sidecar.records, names))

    with quiet_datasets():
        builder = EncHFDataset(data_dir=str(root), cache_dir=str(cache), **asdict(options))
        builder.check = RowCheck(audit)
        # As the builder would do later by itself, which would read all sidecars once more.
        builder.surveyed = survey(root, builder._clips, builder._schema, options, look)
        mixed = describe(makings.mixtures())
        if audit.fails("mixed") and not config.allow_mixed:
            refuse_mixed(root, mixed)
        with forks_ignore_interrupts():
            _prepare(builder, config.num_proc)
        made: DatasetDict = builder.as_dataset()
        # What a model is trained with must not know of the clips that it is tested with.
        splits = {name: corpus_stats(rows) for name, rows in made.items() if name == "train"}
        save_moved(made, new)
    write_stats(new / STATS_NAME, splits)
    return mixed


def _prepare(builder: Any, num_proc: int) -> None:
    """Make the rows; an error of the system is raised as itself, not wrapped by `datasets`."""
    from datasets.exceptions import DatasetGenerationError

    try:
        builder.download_and_prepare(num_proc=num_proc)
    except DatasetGenerationError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):
            raise cause from None
        stated = _ERROR_OF_WORKER.findall(str(cause))  # what a worker raised comes as text
        if stated:
            raise OSError(int(stated[-1]), os.strerror(int(stated[-1]))) from None
        raise
