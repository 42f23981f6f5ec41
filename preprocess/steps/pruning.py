"""`preprocess run RECIPE --prune --dry-run`: lists the outputs that a run would delete."""

from __future__ import annotations

import os
from pathlib import Path

from preprocess.audio.audio_files import EXTENSIONS
from preprocess.core.files import walk_files
from preprocess.core.report import Report, plural
from preprocess.steps.inputs import find_audio
from preprocess.steps.normalize import SUFFIX, owns_wav
from preprocess.steps.orphans import find_orphans
from preprocess.steps.outputs import find_leftovers, owns_tokens
from preprocess.steps.recipe import Recipe


def plan_pruning(recipe: Recipe) -> Report:
    """Return a report that names every output, of any step, whose source is gone.

    An output that one step would delete does not count as a source of the next step.
    """
    normalized, ecdc = recipe.output_folder / "normalized", recipe.output_folder / "ecdc"
    audio = find_audio(recipe.input_folder, normalized, recipe.normalize.extensions)
    wavs = find_leftovers(normalized, SUFFIX, (), audio.stems, owns_wav).gone
    stems = audio.stems | _stems(normalized) - {_stem(path, normalized) for path in wavs}
    tokens = find_leftovers(ecdc, recipe.encode.suffix, (), stems, owns_tokens).gone
    sidecars = find_orphans(ecdc, besides=tokens)[0].gone if ecdc.is_dir() else []
    report = Report("prune", item="file", output=str(recipe.output_folder))
    gone = [*wavs, *tokens, *sidecars]
    for path in gone:
        report.note(f"would delete {path}: its source is gone")
    report.detail = f"dry run: {len(gone):,} {plural('file', len(gone))} to delete"
    return report.finish()


def _stems(folder: Path) -> set[str]:
    found = walk_files(folder, EXTENSIONS) if folder.is_dir() else []
    return {os.path.splitext(rel)[0] for rel in found}


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()
