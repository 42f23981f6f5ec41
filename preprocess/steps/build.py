"""Step 5: saves tokens and sidecars as a `DatasetDict`, together with the files themselves."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.mixing import Makings, describe, parameter_makers, refuse_mixed, token_makings
from preprocess.audit.row_check import RowCheck
from preprocess.core.errors import PreprocessError
from preprocess.core.files import temporary_folder
from preprocess.core.interrupts import forks_ignore_interrupts
from preprocess.core.progress import Progress
from preprocess.core.provenance import provenance, settings_digest
from preprocess.core.report import Report
from preprocess.dataset.clips import Clips, find_clips, manifest_digest
from preprocess.dataset.corpus import corpus_stats
from preprocess.dataset.options import RowOptions, check_options
from preprocess.dataset.quiet import quiet_datasets
from preprocess.dataset.splits import find_splits
from preprocess.dataset.survey import survey
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.stats.corpus_stats import STATS_NAME, STATS_VERSION, write_stats
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.built_dataset import MARKER, materialize, save_moved, verify
from preprocess.steps.saved_folder import SavedFolder, replace_folder, update_folder

if TYPE_CHECKING:
    from datasets import DatasetDict

_ERROR_OF_WORKER = re.compile(r"OSError: \[Errno (\d+)\]")
_NAMES = (STATS_NAME,)


def build(
    root: Path, output: Path, config: BuildConfig, audit: AuditConfig | None = None
) -> Report:
    """Build a dataset from the tokens under `root` and save it as `output`.

    The dataset is built next to `output` and moved there once it is complete. Its `stats.json`
    holds the statistics of each parameter over the split train.

    Args:
        root: The token folder.
        output: Folder for the dataset.
        config: Settings of the build.
        audit: The checks that each clip must pass; default: those of an audit.

    Raises:
        UsageError: `root` has no token files; `output` is inside `root` or contains it; or
            `output` exists and has files that `build` did not make.
        DatasetError: A clip does not match the others, fails a check, or was made by other
            settings or code than most; nothing is written.
    """
    report = Report("build", item="row", output=str(output))
    audit = audit or AuditConfig()
    options = config.rows
    check_options(options)
    clips = find_clips(root, options)
    splits = find_splits(root, clips.tokens, options)
    origin = _origin(root, clips, config, options, audit)
    folder = SavedFolder(output, MARKER, _NAMES, "build")
    make = partial(_make, root, output, clips, config, audit, origin)
    update_folder(report, root, folder, origin, splits, make)
    if config.verify:
        report.detail += f", {verify(root, output, splits, config)} rows verified"
    return report.finish()


def _origin(
    root: Path, clips: Clips, config: BuildConfig, options: RowOptions, audit: AuditConfig
) -> dict[str, str]:
    """Return the provenance of a dataset: its files and the settings of the build."""
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
    """Make the dataset and move it into place; return notes on clips that were made differently."""
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
        notes.append(f"tokens from several engines may differ in near ties: {tools['engine']}")
    return notes


def _build(
    root: Path,
    new: Path,
    cache: Path,
    config: BuildConfig,
    audit: AuditConfig,
    makings: Makings,
) -> str:
    """Make the dataset in `new`; return a text on its mixtures, empty if there are none."""
    from enchf_dataset import EncHFDataset

    options = config.rows

    def look(rel: str, sidecar: Sidecar) -> None:
        names = [n for n in sidecar.parameters if not options.parameters or n in options.parameters]
        makings.add(rel, parameter_makers(sidecar.records, names))

    with quiet_datasets():
        builder = EncHFDataset(data_dir=str(root), cache_dir=str(cache), **asdict(options))
        builder.check = RowCheck(audit)
        # The builder would survey all sidecars again, without looking at their records.
        builder.surveyed = survey(root, builder._clips, builder._schema, options, look)
        mixed = describe(makings.mixtures())
        if audit.fails("mixed") and not config.allow_mixed:
            refuse_mixed(root, mixed)
        rows = len(builder._clips.tokens)
        with Progress("build", rows, item="row") as progress, forks_ignore_interrupts():
            _prepare(builder, config.num_proc, progress)
        made: DatasetDict = builder.as_dataset()
        # Statistics used in training must not include the clips of other splits.
        splits = {name: corpus_stats(rows) for name, rows in made.items() if name == "train"}
        save_moved(made, new)
    write_stats(new / STATS_NAME, splits)
    return mixed


def _prepare(builder: Any, num_proc: int, progress: Progress) -> None:
    """Make the rows; raise an `OSError` itself, not the error that `datasets` wraps it in."""
    from datasets.exceptions import DatasetGenerationError

    from preprocess.dataset.datasets_private import rows_written

    try:
        with rows_written(progress.update):
            builder.download_and_prepare(num_proc=num_proc)
    except RuntimeError as error:
        if "abruptly died" not in str(error):
            raise
        raise PreprocessError(
            "a process that makes rows was killed, perhaps because memory ran out; use a smaller "
            "--num-proc"
        ) from None
    except DatasetGenerationError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):
            raise cause from None
        stated = _ERROR_OF_WORKER.findall(str(cause))  # a worker's error arrives as text
        if stated:
            raise OSError(int(stated[-1]), os.strerror(int(stated[-1]))) from None
        raise
