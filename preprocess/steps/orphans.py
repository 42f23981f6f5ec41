"""Finds sidecars whose tokens are gone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from preprocess.core.listing import list_folder
from preprocess.core.provenance import is_ours
from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.reading import read_description
from preprocess.sidecar.records import makers
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX, sidecar_paths
from preprocess.steps.outputs import Leftovers


def find_orphans(
    root: Path, besides: Sequence[Path] = (), cond_root: Path | None = None
) -> tuple[Leftovers, list[str]]:
    """Return the sidecars made by `annotate` whose clips are gone, and notes on other orphans.

    An orphan with any parameter that `annotate` did not write is the user's own work: it gets a
    note and may not be deleted.

    Args:
        root: The token folder.
        besides: Files under `root` that count as gone.
        cond_root: The sidecar folder; None if the sidecars are next to the tokens.
    """
    listing = list_folder(root, [META_SUFFIX])
    # Any other file with the clip's name may be its tokens with another suffix.
    without = {path.relative_to(root).as_posix() for path in besides}
    there = (r for r in listing.others if not r.endswith(ARRAY_SUFFIX) and r not in without)
    stems = {os.path.splitext(rel)[0] for rel in there}
    found, notes = Leftovers(), []
    where = cond_root or root
    for rel in list_folder(where, [META_SUFFIX]).files if cond_root else listing.files:
        stem = rel[: -len(META_SUFFIX)]
        if stem in stems or stem.removesuffix(".cond") in stems:
            continue
        clip = where / f"{stem}{TOKEN_SUFFIX}"
        if _is_ours(clip):
            found.gone.extend(part for part in sidecar_paths(clip) if part.exists())
        else:
            notes.append(
                f"{where / rel}: its tokens are gone; kept, as annotate did not write all of it"
            )
    return found, notes


def _is_ours(clip: Path) -> bool:
    try:
        sidecar = read_description(clip)
    except SidecarError:
        return False
    made = makers(sidecar.records)
    return all(name in made and is_ours(made[name].to_dict()) for name in sidecar.parameters)
