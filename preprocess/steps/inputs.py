"""Finds the audio in a step's input folder, and reports the files that it skips."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.audio.audio_files import ALL_EXTENSIONS
from preprocess.audio.ffmpeg_audio import FFMPEG_EXTENSIONS, can_read
from preprocess.core.errors import UsageError
from preprocess.core.files import require_folder
from preprocess.core.listing import Listing, list_folder
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX
from preprocess.steps.outputs import refuse_nested

_OURS = (TOKEN_SUFFIX, ARRAY_SUFFIX, META_SUFFIX)


@dataclass(frozen=True)
class AudioInput:
    """The audio of a folder.

    Attributes:
        files: The selected audio files, relative to the folder and sorted.
        stems: Paths without suffix of all audio in the folder, whether selected or not.
        notes: One line for each kind of skipped file.
    """

    files: list[Path]
    stems: set[str]
    notes: list[str]


def find_audio(
    source: Path, output: Path, extensions: Sequence[str], recursive: bool = True
) -> AudioInput:
    """Return the audio under `source`.

    Raises:
        UsageError: `source` is not a folder or has no audio, or `output` is inside `source` or
            contains it.
        PreprocessError: A subfolder of `source` cannot be read.
    """
    require_folder(source, "input folder")
    refuse_nested(source, output)
    listing = list_folder(source, extensions)
    refuse_nested(source, output, listing.linked)
    endings = tuple(f".{extension}" for extension in ALL_EXTENSIONS)
    audio = [*listing.files, *(rel for rel in listing.others if rel.lower().endswith(endings))]
    files = [Path(rel) for rel in listing.files if recursive or "/" not in rel]
    notes = skipped_notes(listing, recursive)
    if not files:
        text = "".join(f"; {note}" for note in notes)
        raise UsageError(f"no audio ({', '.join(extensions)}) under {source}{text}")
    return AudioInput(files, {os.path.splitext(rel)[0] for rel in audio}, notes)


def skipped_notes(listing: Listing, recursive: bool) -> list[str]:
    """Return a line for each kind of file in a listing that a step skips."""
    others = [
        rel
        for rel in listing.others
        if not rel.lower().endswith(_OURS) and (recursive or "/" not in rel)
    ]
    endings = Counter(os.path.splitext(rel)[1].lower() for rel in others)
    readable = {f".{extension}" for extension in ALL_EXTENSIONS}
    if not can_read():
        readable -= {f".{extension}" for extension in FFMPEG_EXTENSIONS}
    unknown = {ending: n for ending, n in endings.items() if ending not in readable}
    unchosen = {ending: n for ending, n in endings.items() if ending in readable}
    notes = []
    if unknown:
        notes.append(f"skipped, unknown suffix: {_counts(unknown)}{_advice(unknown)}")
    if unchosen:
        notes.append(f"skipped, suffix not selected: {_counts(unchosen)}")
    if listing.loops:
        notes.append(f"skipped, links to a parent folder: {', '.join(listing.loops)}")
    return notes


def _counts(endings: dict[str, int]) -> str:
    most_first = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {ending or 'without suffix'}" for ending, count in most_first)


def _advice(endings: dict[str, int]) -> str:
    wanting = [ending for ending in endings if ending.lstrip(".") in FFMPEG_EXTENSIONS]
    return f" (to read {' '.join(sorted(wanting))}: pip install av)" if wanting else ""
