"""Step 5: tokens and sidecars become a saved `DatasetDict`, beside the files it was made from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.config import BuildConfig
from preprocess.corpus import corpus_stats
from preprocess.dataset import (
    DatasetError,
    RowOptions,
    check_options,
    find_clips,
    find_splits,
    manifest_digest,
    quiet_datasets,
)
from preprocess.ecdc import read_ecdc, read_header
from preprocess.entry import forks_ignore_interrupts
from preprocess.errors import UsageError
from preprocess.files import temporary_folder
from preprocess.provenance import is_current, provenance, settings_digest
from preprocess.report import Report, plural
from preprocess.sidecar_format import sidecar_paths
from preprocess.stats import STATS_NAME, write_stats
from preprocess.temporaries import remove_stale

if TYPE_CHECKING:
    from datasets import DatasetDict

MARKER = "enchf_build.json"
"""In a built dataset: what it was made from. Only a folder that has it is ever replaced."""


def row_options(config: BuildConfig) -> RowOptions:
    """Return the options of the builder that the settings of a build stand for.

    Raises:
        UsageError: A split is named twice.
    """
    parts = [entry.split("=") for entry in config.fractions]
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"fractions: a split is named twice: {', '.join(names)}")
    return RowOptions(
        bandwidth_kbps=config.bandwidth,
        features=config.features,
        require_features=config.require_features,
        missing_sidecar=config.missing_sidecar,
        dtype=config.dtype,
        split_name=config.split,
        split_by=config.split_by,
        fractions={name: float(part) for name, part in parts} or None,
        group=config.group,
        suffix=config.suffix,
        recursive=config.recursive,
        max_files=config.max_files,
        audio_prefix="" if config.materialize == "none" else config.tokens_subdir,
    )


def build(root: Path, output: Path, config: BuildConfig) -> Report:
    """Build a dataset from the tokens under `root` and save it as `output`.

    It is made beside `output` and moved there when it is whole; `stats.json` in it holds the
    statistics of each parameter over the split train.

    Raises:
        UsageError: `root` holds no tokens, or `output` exists and is no built dataset.
        DatasetError: A clip does not fit the others; nothing is written.
    """
    report = Report("build", item="row", output=str(output))
    options = row_options(config)
    check_options(options)
    clips = find_clips(root, options)
    splits = find_splits(root, clips.tokens, options)
    origin = provenance(
        manifest_digest(root, config.suffix),
        settings_digest(
            step="build",
            root=str(root.resolve()),
            options=asdict(options),
            tokens_subdir=config.tokens_subdir,
            materialize=config.materialize,
        ),
    )
    if is_current(_stored(output), origin):
        report.current = len(clips.tokens)
    else:
        _check_output(root, output)
        remove_stale(output.parent, recursive=False)
        with temporary_folder(output) as scratch:
            new = Path(scratch, "dataset")
            _build(root, new, Path(scratch, "cache"), options, config.num_proc)
            _materialize(root, clips.tokens, new / config.tokens_subdir, output, config)
            stored = {**origin, **_makers(root, clips.tokens)}
            (new / MARKER).write_text(json.dumps(stored, indent=2))
            _replace(new, output, Path(scratch, "old"))
        report.done = len(clips.tokens)
    counts = ", ".join(f"{name} {len(rels)}" for name, rels in splits.items())
    report.detail = f"{plural('split', len(splits))} {counts}"
    if config.verify:
        report.detail += f", {verify(root, output, splits, config)} rows verified"
    return report.finish()


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


def _build(root: Path, new: Path, cache: Path, options: RowOptions, num_proc: int) -> None:
    from enchf_dataset import EncHFDataset

    with quiet_datasets():
        builder = EncHFDataset(data_dir=str(root), cache_dir=str(cache), **asdict(options))
        with forks_ignore_interrupts():
            builder.download_and_prepare(num_proc=num_proc)
        made: DatasetDict = builder.as_dataset()
        # What a model is trained with must not know of the clips that it is tested with.
        splits = {name: corpus_stats(rows) for name, rows in made.items() if name == "train"}
        _save(made, new)
    write_stats(new / STATS_NAME, splits)


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


def _makers(root: Path, tokens: Sequence[str]) -> dict[str, str]:
    """Return what the tokens' headers say of the weights and programs that made them."""
    extras = [read_header(root / rel).extra for rel in tokens]
    found = {
        "weights": {str(extra.get("ckpt", "")) for extra in extras},
        "encoded by": {str(extra.get("by", "")) for extra in extras},
    }
    return {key: ", ".join(sorted(filter(None, values))[:10]) for key, values in found.items()}


def _materialize(
    root: Path, tokens: Sequence[str], folder: Path, output: Path, config: BuildConfig
) -> None:
    """Copy or link token files and sidecars into `folder`, links as seen from `output`."""
    if config.materialize == "none":
        return
    made: dict[Path, tuple[Path, str]] = {}  # resolving a path costs as much as copying a file
    for rel in map(Path, tokens):
        if rel.parent not in made:
            (folder / rel.parent).mkdir(parents=True, exist_ok=True)
            source = (root / rel.parent).resolve()
            final = (output / config.tokens_subdir / rel.parent).resolve()
            made[rel.parent] = folder / rel.parent, os.path.relpath(source, final)
        target, source_seen = made[rel.parent]
        for name in (rel.name, *(part.name for part in sidecar_paths(rel))):
            original = root / rel.parent / name
            if not original.exists():
                continue
            if config.materialize == "copy":
                shutil.copyfile(original, target / name)
            else:
                os.symlink(os.path.join(source_seen, name), target / name)


def _stored(output: Path) -> dict[str, Any]:
    try:
        stored = json.loads((output / MARKER).read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _check_output(root: Path, output: Path) -> None:
    if output.resolve() == root.resolve() or output.resolve() in root.resolve().parents:
        raise UsageError(f"output {output} is or holds the token folder {root}")
    if (
        output.exists()
        and not (output / MARKER).exists()
        and (not output.is_dir() or any(output.iterdir()))
    ):
        raise UsageError(f"output {output} exists and is no built dataset; remove it first")


def _replace(new: Path, output: Path, old: Path) -> None:
    """Move `new` to `output`; what was there goes to `old`, on the same file system."""
    if output.exists():
        os.replace(output, old)
    os.replace(new, output)
