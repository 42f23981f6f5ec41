"""Finishes what a killed migration left: originals that it had replaced but not yet removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.sidecar_files import finish_interrupted, read_meta
from preprocess.sidecar.sidecar_format import (
    SCHEMA_VERSION,
    predecessor_meta_path,
    sidecar_paths,
)

KEPT_SUFFIX = ".orig"


def finish_migration(root: Path, where: Path, tokens: Sequence[Path]) -> None:
    """Remove the originals of sidecars that are migrated, if a copy of each is kept.

    Args:
        root: The token folder, in which the migrated sidecars are.
        where: The folder of the originals.
        tokens: The token files, relative to `root`.
    """
    finish_interrupted(root)
    for rel in tokens:
        targets = sidecar_paths(root / rel)
        for original in _originals(where, rel):
            if original not in targets and _is_kept(original) and _is_migrated(targets[1]):
                original.unlink()


def _originals(where: Path, rel: Path) -> Iterator[Path]:
    """Yield where the sidecar of a clip may have been."""
    yield from sidecar_paths(where / rel)
    yield predecessor_meta_path(where / rel)
    if Path(rel.stem).suffix:
        short = where / rel.with_name(Path(rel.stem).stem + rel.suffix)
        yield from (*sidecar_paths(short), predecessor_meta_path(short))


def _is_kept(original: Path) -> bool:
    kept = original.with_name(original.name + KEPT_SUFFIX)
    return original.exists() and kept.exists() and kept.read_bytes() == original.read_bytes()


def _is_migrated(meta_path: Path) -> bool:
    try:
        return read_meta(meta_path).get("schema_version") == SCHEMA_VERSION
    except SidecarError:
        return False
