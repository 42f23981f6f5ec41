"""Step 5: tokens and sidecars become a saved `DatasetDict`, beside the files it was made from."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.mixing import Makings, describe, parameter_makers, refuse_mixed, token_makings
from preprocess.core.errors import UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.interrupts import forks_ignore_interrupts
from preprocess.core.provenance import is_current, provenance, settings_digest
from preprocess.core.report import Report, plural
from preprocess.core.settings import Settings
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import (
    Clips,
    DatasetError,
    RowOptions,
    check_options,
    find_clips,
    find_splits,
    manifest_digest,
    quiet_datasets,
)
from preprocess.dataset.corpus import corpus_stats
from preprocess.dataset.rows import survey
from preprocess.sidecar.sidecar import existing_paths
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.stats.corpus_stats import STATS_NAME, STATS_VERSION, write_stats
from preprocess.steps.outputs import refuse_nested
from preprocess.steps.saved_folder import check_replaceable, read_marker, replace_folder
from preprocess.tokens.ecdc import read_ecdc

if TYPE_CHECKING:
    from datasets import DatasetDict

_ERROR_OF_WORKER = re.compile(r"OSError: \[Errno (\d+)\]")
MARKER = "enchf_build.json"
"""In a built dataset: what it was made from. Only a folder that has it is ever replaced."""
_NAMES = (STATS_NAME,)


@dataclass(frozen=True, kw_only=True)
class ClipsConfig(Settings):
    """Which clips and parameters come into a dataset, and in which splits."""

    bandwidth: Annotated[
        float | None,
        Field(gt=0, description="bandwidth in kbps to slice to; without it, all codebooks"),
    ] = None
    features: Annotated[
        tuple[str, ...],
        Field(description="parameters to take, in this order; without it, all"),
    ] = ()
    split: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="name of the one split; without it, see --split-by"),
    ] = None
    split_by: Annotated[
        Literal["folders", "group"],
        Field(
            description="folders: the subfolders train, validation and test, or all clips in "
            "train; group: clips of one group fall in one split, dealt out by --fractions"
        ),
    ] = "folders"
    fractions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\w+=\d*\.?\d+$")], ...],
        Field(
            description="for --split-by group: SPLIT=PART, which sum to 1; without it, "
            "train=0.8 validation=0.1 test=0.1"
        ),
    ] = ()
    group: Annotated[
        str | None,
        Field(
            description="regular expression searched for in a clip's path; what its first "
            "parenthesis matches is the clip's group; without it, each clip is its own"
        ),
    ] = None
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+$", description="ending of the token files")
    ] = ".ecdc"
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens, if not beside them"),
    ] = None
    recursive: Annotated[bool, Field(description="look into subfolders")] = True
    max_files: Annotated[
        int | None, Field(ge=1, description="use at most this many token files")
    ] = None
    allow_mixed: Annotated[
        bool,
        Field(
            description="take clips that other settings or code made than their neighbours; the "
            "dataset and its card say so"
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class BuildConfig(ClipsConfig):
    """How token files and sidecars become a saved dataset."""

    require_features: Annotated[
        tuple[str, ...], Field(description="parameters that every clip must have")
    ] = ()
    missing_sidecar: Annotated[
        Literal["error", "skip", "empty"],
        Field(
            description="a clip without a sidecar, where others have one, is an error, is left "
            "out, or has parameters of no frames"
        ),
    ] = "error"
    dtype: Annotated[
        Literal["float16", "float32", "float64"], Field(description="of the parameters")
    ] = "float32"
    tokens_subdir: Annotated[
        str,
        Field(
            pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$",
            description="subfolder for token files and sidecars",
        ),
    ] = "tokens"
    materialize: Annotated[
        Literal["link", "copy", "none"],
        Field(description="link, copy or leave out the token files and sidecars"),
    ] = "link"
    num_proc: Annotated[int, Field(ge=1, description="processes that make rows at once")] = 1
    verify: Annotated[
        bool, Field(description="load the saved dataset again and compare it with the files")
    ] = False


def row_options(config: ClipsConfig) -> RowOptions:
    """Return the options of the builder that the settings of a build stand for.

    Raises:
        UsageError: A split is named twice.
    """
    parts = [entry.split("=") for entry in config.fractions]
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"fractions: a split is named twice: {', '.join(names)}")
    options = RowOptions(
        bandwidth_kbps=config.bandwidth,
        features=config.features,
        split_name=config.split,
        split_by=config.split_by,
        fractions={name: float(part) for name, part in parts} or None,
        group=config.group,
        suffix=config.suffix,
        recursive=config.recursive,
        max_files=config.max_files,
        cond_root=None if config.cond_root is None else str(config.cond_root.resolve()),
    )
    if isinstance(config, BuildConfig):
        options.require_features = config.require_features
        options.missing_sidecar = config.missing_sidecar
        options.dtype = config.dtype
        options.audio_prefix = "" if config.materialize == "none" else config.tokens_subdir
    return options


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
    options = row_options(config)
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
            options=asdict(options),
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
        _materialize(root, clips, new / config.tokens_subdir, output, config)
        stored = {**origin, **tools, "tokens_subdir": config.tokens_subdir}
        stored |= {"mixed": mixed} if mixed else {}
        (new / MARKER).write_text(json.dumps(stored, indent=2))
        replace_folder(new, output, Path(scratch, "old"))
    notes = [f"mixed: {mixed}"] if mixed else []
    if ", " in tools["engine"]:
        notes.append(f"tokens of several engines, which may differ in near ties: {tools['engine']}")
    return notes


def verify(
    root: Path, output: Path, splits: Mapping[str, Sequence[str]], config: BuildConfig
) -> int:
    """Load a saved dataset and compare each row with its files; return how many.

    Args:
        root: The token folder.
        output: The saved dataset.
        splits: Split -> its token files, relative to `root`.
        config: How it was built.

    Raises:
        DatasetError: A row is missing, its codes differ, or a file that it names is not there.
    """
    from datasets import load_from_disk

    rows = 0
    codes_format: dict[str, Any] = {"type": "numpy", "columns": ["codes"], "dtype": np.int16}
    saved = load_from_disk(str(output))
    for split, clips in splits.items():
        if split not in saved or len(saved[split]) != len(clips):
            raise DatasetError(f"{output} has not the {len(clips)} clips of split {split}")
        dataset = saved[split].with_format(**codes_format, output_all_columns=True)
        for row, rel in zip(dataset, clips, strict=True):
            codes = np.stack(row["codes"])
            if not np.array_equal(codes, read_ecdc(root / rel).codes[: len(codes)]):
                raise DatasetError(
                    f"{output}: the codes of {row['id']} are not those of {root / rel}"
                )
            base = root if config.materialize == "none" else output
            if not (base / row["audio"]).exists():
                raise DatasetError(f"{output}: {row['id']} names {row['audio']}, which is missing")
            rows += 1
    return rows


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

    options = row_options(config)

    def look(rel: str, sidecar: Sidecar) -> None:
        names = [n for n in sidecar.features if not options.chosen or n in options.chosen]
        makings.add(rel, parameter_makers(sidecar.records, names))

    with quiet_datasets():
        builder = EncHFDataset(data_dir=str(root), cache_dir=str(cache), **asdict(options))
        builder.audit = audit
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
        _save(made, new)
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


def _save(made: DatasetDict, folder: Path) -> None:
    """Save a dataset as `save_to_disk` does, by moving the files that the builder wrote.

    They are of the same format. `save_to_disk` would copy them, joining up to 1,000 rows in
    memory: 1.4 GB for 40 clips of T = 300,000.
    """
    from datasets import DatasetDict

    # No rows: it writes all but the data, and says in state.json where these are.
    DatasetDict({name: rows.select(range(0)) for name, rows in made.items()}).save_to_disk(
        str(folder)
    )
    for name, rows in made.items():
        empty = sorted((folder / name).glob("*.arrow"))
        for path in empty:
            path.unlink()
        files = [Path(entry["filename"]) for entry in rows.cache_files]
        names = [f"data-{i:05d}-of-{len(files):05d}.arrow" for i in range(len(files))]
        for source, target in zip(files, names, strict=True):
            os.replace(source, folder / name / target)
        state_path = folder / name / "state.json"
        state = json.loads(state_path.read_bytes())
        state["_data_files"] = [{"filename": target} for target in names]
        state_path.write_text(json.dumps(state, indent=2))


def _materialize(root: Path, clips: Clips, folder: Path, output: Path, config: BuildConfig) -> None:
    """Copy or link token files and sidecars into `folder`, links as seen from `output`."""
    if config.materialize == "none":
        return
    seen: dict[Path, str] = {}  # resolving a path costs as much as copying a file
    for rel in map(Path, clips.tokens):
        target = folder / rel.parent
        target.mkdir(parents=True, exist_ok=True)
        for original in (root / rel, *existing_paths(clips.cond_root / rel)):
            if not original.exists():
                continue
            if config.materialize == "copy":
                shutil.copyfile(original, target / original.name)
                continue
            if original.parent not in seen:
                final = (output / config.tokens_subdir / rel.parent).resolve()
                seen[original.parent] = os.path.relpath(original.parent.resolve(), final)
            os.symlink(os.path.join(seen[original.parent], original.name), target / original.name)
