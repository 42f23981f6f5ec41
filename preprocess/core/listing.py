"""The contents of a folder: the files that a step wants, and the files that it skips.

Nothing is skipped silently: linked folders are followed, a folder that cannot be read is an
error, and files with other extensions are counted.
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
    """The files under a folder, without hidden ones (`.name`).

    Attributes:
        files: The files with a wanted extension, relative to the folder, sorted, with forward
            slashes.
        others: All other files, relative, with forward slashes.
        linked: The targets of the linked folders that were followed.
        loops: Linked folders, relative, that point to the folder itself or above it. They are
            not followed.
    """

    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)


def list_folder(root: Path, suffixes: Iterable[str], recursive: bool = True) -> Listing:
    """List the files under `root`.

    A folder is visited once: by its own path if it is under `root`, else by the first link to it.
    Hidden files and folders are skipped: they are temporary files, or the resource forks that
    macOS leaves next to audio files.

    Args:
        root: The folder.
        suffixes: Extensions to look for, with or without a dot, in any case.
        recursive: Search subfolders.

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
    while links:  # last, so that each folder under `root` is found by its own path
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
    """Yield the path and file names of each folder from `rel` on; add links to the heap `links`."""
    base = os.path.join(start, rel) if rel else start
    real_base = os.path.realpath(base)
    for folder, folders, names in os.walk(base, onerror=_refuse):
        below = os.path.relpath(folder, base)
        real = real_base if below == "." else os.path.join(real_base, below)
        if real in seen:  # already reached by a link
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
