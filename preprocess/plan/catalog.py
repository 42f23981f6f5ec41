"""The audio of an input, listed once, with the estimated length of each file."""

from __future__ import annotations

import heapq
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.listing import Listing
from preprocess.dataset.clips import clip_id
from preprocess.steps.inputs import skipped_notes
from preprocess.storage.store import Store

SAMPLE = 32
"""Number of files of each extension whose headers are read to estimate the length of the others."""
_BYTES_PER_SECOND = 32_000.0
"""For an extension of which no header can be read without the whole file."""


@dataclass
class Catalog:
    """The audio of an input.

    Attributes:
        ids: Id of each clip: its path without suffix.
        paths: Path of each file, relative to the input.
        sizes: Size of each file in bytes, int64 `[N]`.
        versions: A text for each file that changes with its content; see `Entry`.
        seconds: Estimated length of each file in seconds `[N]`.
        skipped: Files that would share an id with another, each with the reason.
        notes: One line for each kind of file that was skipped.
    """

    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    versions: list[str] = field(default_factory=list)
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def list_input(
    source: Store,
    extensions: Sequence[str],
    recursive: bool = True,
    most: int | None = None,
) -> Catalog:
    """List the audio of an input and estimate its length.

    Args:
        source: The input.
        extensions: File name extensions to look for.
        recursive: Search subfolders.
        most: Largest number of files, the first in order of their paths; None for all.

    Raises:
        UsageError: There is no audio.
        StorageError: The input cannot be listed.
    """
    wanted = tuple(e.lower() if e.startswith(".") else f".{e.lower()}" for e in extensions)
    listing = Listing()
    found: list[tuple[str, int, str]] = []
    for entry in source.list():
        if not entry.path.lower().endswith(wanted):
            listing.others.append(entry.path)
        elif recursive or "/" not in entry.path:
            found.append((entry.path, entry.size, entry.version))
    catalog = Catalog(notes=skipped_notes(listing, recursive))
    if not found:
        text = "".join(f"; {note}" for note in catalog.notes)
        raise UsageError(f"no audio ({', '.join(extensions)}) under {source}{text}")
    found.sort()
    _fill(catalog, found[:most])
    catalog.seconds = _estimate(source, catalog.paths, catalog.sizes)
    return catalog


def _fill(catalog: Catalog, found: Sequence[tuple[str, int, str]]) -> None:
    """Add files whose id is theirs alone; name the others in `catalog.skipped`."""
    by_id: dict[str, list[str]] = {}
    for path, _, _ in found:
        by_id.setdefault(clip_id(path), []).append(path)
    sizes = []
    for path, size, version in found:
        same = by_id[clip_id(path)]
        if len(same) > 1:
            names = " and ".join(os.path.basename(other) for other in same)
            catalog.skipped.append((path, f"{names} would both become one clip; rename one"))
            continue
        catalog.ids.append(clip_id(path))
        catalog.paths.append(path)
        catalog.versions.append(version)
        sizes.append(size)
    catalog.sizes = np.array(sizes, np.int64)


def _estimate(source: Store, paths: Sequence[str], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the estimated length of each file in seconds `[N]`.

    A million headers would take minutes, so those of a sample are read; the bytes of a second are
    taken as the same in all files of an extension.
    """
    by_extension: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        by_extension.setdefault(os.path.splitext(path)[1].lower(), []).append(index)
    seconds = np.zeros(len(paths))
    for indices in by_extension.values():
        sample = heapq.nsmallest(SAMPLE, indices, key=lambda i: zlib.crc32(os.fsencode(paths[i])))
        lengths = [(int(sizes[i]), _seconds(source, paths[i])) for i in sample]
        known = [(size, length) for size, length in lengths if length > 0]
        rate = sum(s for s, _ in known) / sum(t for _, t in known) if known else _BYTES_PER_SECOND
        seconds[indices] = sizes[indices] / max(rate, 1.0)
    return seconds


def _seconds(source: Store, path: str) -> float:
    """Return the length of a file that its header states, in seconds; 0 if unknown."""
    local = source.local(path)
    try:
        if local is not None:
            return float(sf.info(os.fspath(local)).duration)
        with source.open(path) as file, sf.SoundFile(file) as sound:
            return float(sound.frames / sound.samplerate)
    except (sf.LibsndfileError, OSError, ValueError, TypeError, PreprocessError):
        return 0.0  # making the clip says what is wrong with it
