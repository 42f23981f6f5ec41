"""Sidecars whose tokens are gone."""

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
    """Return the sidecars of ours under `root` whose clip is gone, and notes on others.

    Files in `besides` count as gone. Sidecars in a folder of their own lie under `cond_root`.

    One that holds a parameter that was written by hand, or was not written by `annotate`, is
    somebody's own work: it is named, and not among what may be deleted.
    """
    listing = list_folder(root, [META_SUFFIX])
    # Whatever else has the clip's name may be its tokens under another ending.
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
            notes.append(f"{where / rel}: its tokens are gone; not all of it is by annotate, kept")
    return found, notes


def _is_ours(clip: Path) -> bool:
    try:
        sidecar = read_description(clip)
    except SidecarError:
        return False
    made = makers(sidecar.records)
    return all(name in made and is_ours(made[name].to_dict()) for name in sidecar.parameters)
