"""Folders with a saved dataset, in which a marker file records what they were made from.

A folder is made next to its final place and moved there once complete. It replaces only a folder
that has the marker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError
from preprocess.core.locks import only_run, remove_left_lock
from preprocess.core.provenance import is_current
from preprocess.core.report import Report, plural
from preprocess.core.temporaries import remove_stale
from preprocess.core.untrusted import is_inside
from preprocess.steps.outputs import refuse_nested

_TOKENS_SUBDIR = "tokens"


@dataclass(frozen=True)
class SavedFolder:
    """A folder that a step makes and may replace.

    Attributes:
        path: Where it is.
        marker: Name of the marker file.
        names: Other files that the step writes there, besides the splits and the token folder.
        step: Name of the step.
    """

    path: Path
    marker: str
    names: tuple[str, ...]
    step: str


def read_marker(output: Path, marker: str) -> dict[str, Any]:
    """Return the content of the marker in a folder; empty if it is missing or unreadable."""
    try:
        stored = json.loads((output / marker).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def tokens_subdir(made_by: Mapping[str, Any]) -> str:
    """Return the folder of the token files that a marker names, `tokens` if it names none inside."""
    name = made_by.get("tokens_subdir")
    return name if isinstance(name, str) and name and is_inside(name) else _TOKENS_SUBDIR


def check_replaceable(folder: SavedFolder) -> None:
    """Refuse to replace a folder with content that the step did not make.

    Raises:
        UsageError: It is a file, a folder without the marker, or has other files in it.
    """
    output, marker, step = folder.path, folder.marker, folder.step
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / marker).exists():
        what = "built dataset" if step == "build" else f"dataset made by {step}"
        raise UsageError(f"output {output} exists and is not a {what}; remove it first")
    ours = {marker, *folder.names}
    index = output / "dataset_dict.json"
    if index.exists():
        splits = read_marker(output, index.name).get("splits")
        if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
            raise UsageError(f"{index} does not name the splits; remove {output}")
        ours |= {index.name, *splits}
        ours.add(tokens_subdir(read_marker(output, marker)).split("/")[0])
    for path in sorted(output.iterdir()):
        if path.name not in ours and not path.name.startswith("."):
            raise UsageError(
                f"{path} was not made by {step}, which replaces the whole folder; move it first"
            )


def update_folder(
    report: Report,
    root: Path,
    folder: SavedFolder,
    origin: Mapping[str, str],
    splits: Mapping[str, Sequence[str]],
    make: Callable[[], Iterable[str]],
) -> None:
    """Make a folder again unless it is up to date, and count its clips in the report.

    Args:
        report: The step's report; gets counts, notes and the sizes of the splits.
        root: The token folder.
        folder: The folder to make.
        origin: Provenance of the folder that `make` would make.
        splits: Split -> its token files.
        make: Makes the folder and returns notes.

    Raises:
        UsageError: The folder is inside `root` or contains it, or `check_replaceable` refuses it.
        LockError: Another run makes the folder.
    """
    clips = sum(map(len, splits.values()))
    refuse_nested(root, folder.path)
    remove_stale(folder.path.parent, recursive=False)
    lock = folder.path.with_name(f".{folder.path.name}.lock")
    if is_current(read_marker(folder.path, folder.marker), origin):
        report.current = clips
        remove_left_lock(lock)
    else:
        check_replaceable(folder)
        with only_run(lock, folder.path):
            for note in make():
                report.note(note)
        report.done = clips
    counts = ", ".join(f"{name} {len(rels)}" for name, rels in splits.items())
    report.detail = f"{plural('split', len(splits))} {counts}"


def replace_folder(new: Path, output: Path, old: Path) -> None:
    """Move `new` to `output`, and an existing `output` to `old`, on the same file system."""
    if output.exists():
        os.replace(output, old)
    os.replace(new, output)
