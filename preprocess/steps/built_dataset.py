"""A built dataset on disk: saves its files, and verifies them against their sources."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.dataset.clips import Clips, DatasetError
from preprocess.sidecar.reading import existing_paths
from preprocess.steps.build_config import BuildConfig
from preprocess.tokens.ecdc import read_ecdc

if TYPE_CHECKING:
    from datasets import DatasetDict


MARKER = "enchf_build.json"
"""File that records what a dataset was built from. Only a folder with this file is replaced."""


def verify(
    root: Path, output: Path, splits: Mapping[str, Sequence[str]], config: BuildConfig
) -> int:
    """Load a saved dataset and compare each row with its files; return the number of rows.

    Args:
        root: The token folder.
        output: The saved dataset.
        splits: Split -> its token files, relative to `root`.
        config: Settings of the build.

    Raises:
        DatasetError: A row is missing, its codes differ, or a file that it names is missing.
    """
    from datasets import load_from_disk

    rows = 0
    codes_format: dict[str, Any] = {"type": "numpy", "columns": ["codes"], "dtype": np.int16}
    saved = load_from_disk(str(output))
    for split, clips in splits.items():
        if split not in saved or len(saved[split]) != len(clips):
            raise DatasetError(f"{output} lacks some of the {len(clips)} clips of split {split}")
        dataset = saved[split].with_format(**codes_format, output_all_columns=True)
        for row, rel in zip(dataset, clips, strict=True):
            codes = np.stack(row["codes"])
            if not np.array_equal(codes, read_ecdc(root / rel).codes[: len(codes)]):
                raise DatasetError(
                    f"{output}: the codes of {row['id']} differ from those of {root / rel}"
                )
            base = root if config.materialize == "none" else output
            if not (base / row["audio"]).exists():
                raise DatasetError(f"{output}: {row['id']} names {row['audio']}, which is missing")
            rows += 1
    return rows


def save_moved(made: DatasetDict, folder: Path) -> None:
    """Save a dataset like `save_to_disk`, but move the files that the builder wrote.

    The format is the same. `save_to_disk` would copy the files and join up to 1,000 rows in memory:
    1.4 GB for 40 clips of T = 300,000.
    """
    from datasets import DatasetDict

    # Without rows, it writes everything but the data; state.json then gets the data's file names.
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


def materialize(root: Path, clips: Clips, folder: Path, output: Path, config: BuildConfig) -> None:
    """Copy or link token files and sidecars into `folder`; links are relative to `output`."""
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
