"""Unpacks shards into token files and sidecars."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from preprocess.core.errors import UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.process_pool import Processes
from preprocess.core.progress import Progress
from preprocess.core.provenance import is_current, provenance, settings_digest
from preprocess.core.report import Report, plural
from preprocess.core.temporaries import remove_stale
from preprocess.shards.reading import ShardFolder
from preprocess.shards.unpacking import Unpacker, check_ids
from preprocess.steps.outputs import refuse_nested
from preprocess.steps.saved_folder import read_marker, replace_folder

MARKER = "enchf_unpack.json"
"""File that records what a token folder was unpacked from. Only a folder with it is replaced."""
LEAST_CLIPS = 500
"""Number of clips for each process; starting one takes as long as unpacking these."""
_VERSION = 1


def unpack(source: Path, output: Path, jobs: int = 1) -> Report:
    """Unpack a folder of shards into `.ecdc` files and sidecars.

    The folder is made next to `output` and moved there once it is complete.

    Args:
        source: The shards folder.
        output: The token folder.
        jobs: Number of processes.

    Raises:
        UsageError: `source` does not exist; `output` is inside it or contains it; or `output` has
            files that `unpack` did not make.
        DatasetError: `source` lacks shards or provenance, or an id could lead out of `output`.
        PreprocessError: A shard is damaged; nothing is written.
    """
    report = Report("unpack", output=str(output))
    folder = ShardFolder.at(source)
    refuse_nested(source, output)
    origin = provenance(folder.digest(), settings_digest(step="unpack", version=_VERSION))
    stored = read_marker(output, MARKER)
    if is_current(stored, origin):
        report.current = int(stored.get("clips", 0))
        return report.finish()
    _check_replaceable(output, stored)
    remove_stale(output.absolute().parent, recursive=False)
    clips = check_ids(folder)
    for what, count in _make(folder, output, origin, clips, jobs).items():
        report.note(
            f"not all files are as they were packed: {what} ({count:,} {plural('clip', count)})"
        )
    report.done = clips
    shards = sum(map(len, folder.splits.values()))
    report.detail = f"from {shards:,} {plural('shard', shards)}"
    return report.finish()


def _make(
    folder: ShardFolder, output: Path, origin: Mapping[str, str], clips: int, jobs: int
) -> Counter[str]:
    """Write the files, and move them into place; return in what they differ."""
    shards = [path for paths in folder.splits.values() for path in paths]
    count = max(1, min(jobs, len(shards), clips // LEAST_CLIPS))
    losses: Counter[str] = Counter()
    with temporary_folder(output) as scratch, Processes(count, "unpacks clips") as processes:
        new = Path(scratch, "tokens")
        new.mkdir()
        with Progress("unpack", len(shards), item="shard", at_once=count) as progress:
            for found in processes.run(Unpacker(new, folder.schema), shards):
                losses.update(found)
                progress.update()
        marker = {**origin, "clips": clips, "files": _listing(new)}
        (new / MARKER).write_text(json.dumps(marker, indent=2))
        replace_folder(new, output, Path(scratch, "old"))
    return losses


def _check_replaceable(output: Path, stored: Mapping[str, object]) -> None:
    """Refuse to replace a folder with anything that unpack did not write, or that was changed.

    Raises:
        UsageError: It is a file, a folder that unpack did not make, or was changed since.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not stored:
        raise UsageError(f"output {output} exists and was not made by unpack; remove it first")
    if stored.get("files") != _listing(output):
        raise UsageError(
            f"output {output} was changed since unpack made it, and would be replaced; move it first"
        )


def _listing(folder: Path) -> str:
    """Return a hash of path, size and modification time of all files but the marker."""
    found = []
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            status = os.lstat(path)
            rel = os.path.relpath(path, folder)
            if rel != MARKER:
                found.append((rel, status.st_size, status.st_mtime_ns))
    return settings_digest(files=sorted(found))
