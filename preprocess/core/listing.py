"""What lies in a folder: the files that a step wants, and those that it would pass over.

Nothing is passed over in silence: linked folders are followed, a folder that cannot be read is an
error, and files of other endings are counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path

from preprocess.core.errors import PreprocessError


@dataclass(frozen=True)
class Listing:
    """What lies under a folder, without what is hidden (`.name`).

    Attributes:
        files: The files of the endings that were asked for, relative to the folder and sorted,
            with forward slashes.
        others: All other files, likewise.
        linked: Where the linked folders lead that were followed.
        loops: Linked folders, relative, that lead to the folder itself or above it. They are not
            followed.
    """

    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)


def list_folder(root: Path, suffixes: Iterable[str], recursive: bool = True) -> Listing:
    """Return what lies under `root`.

    A folder is visited once, by its own path where it has one under `root`, else by the first of
    the links to it. Hidden files and folders are temporary files, or the resource forks that macOS
    leaves beside audio files.

    Args:
        root: The folder.
        suffixes: The endings to look for, with or without a dot; their case does not matter.
        recursive: Whether to look into subfolders.

    Raises:
        PreprocessError: A folder cannot be read; the message names it.
    """
    wanted = tuple(s.lower() if s.startswith(".") else f".{s.lower()}" for s in suffixes)
    found = Listing()
    start = os.fspath(root)
    links: list[str] = []
    seen: set[str] = set()
    for prefix, names in _walk(start, "", recursive, links, seen):
        _sort_in(found, prefix, names, wanted)
    above = {str(p) for p in (root.resolve(), *root.resolve().parents)}
    while links:  # after the folders themselves, so that each is found by its own path
        link = heappop(links)
        target = os.path.realpath(os.path.join(start, link))
        if target in above:
            found.loops.append(link)
        elif target not in seen:
            found.linked.append(Path(target))
            for prefix, names in _walk(start, link, recursive, links, seen):
                _sort_in(found, prefix, names, wanted)
    found.files.sort()
    return found


def _walk(
    start: str, rel: str, recursive: bool, links: list[str], seen: set[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield path and file names of each folder from `rel` on; linked ones go into the heap `links`."""
    base = os.path.join(start, rel) if rel else start
    real_base = os.path.realpath(base)
    for folder, folders, names in os.walk(base, onerror=_refuse):
        below = os.path.relpath(folder, base)
        real = real_base if below == "." else os.path.join(real_base, below)
        if real in seen:  # a link led to a part of it before
            folders[:] = []
            continue
        seen.add(real)
        path = os.path.relpath(folder, start).replace(os.sep, "/")
        prefix = "" if path == "." else f"{path}/"
        visible = [name for name in folders if recursive and not name.startswith(".")]
        linked = {name for name in visible if os.path.islink(os.path.join(folder, name))}
        for name in linked:
            heappush(links, prefix + name)
        folders[:] = [name for name in visible if name not in linked]
        yield prefix, names


def _sort_in(found: Listing, prefix: str, names: list[str], wanted: tuple[str, ...]) -> None:
    for name in names:
        if not name.startswith("."):
            chosen = found.files if name.lower().endswith(wanted) else found.others
            chosen.append(prefix + name)


def _refuse(error: OSError) -> None:
    raise PreprocessError(f"folder {error.filename} cannot be read: {error.strerror}") from error
