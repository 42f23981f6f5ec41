"""The outputs of a step: which it may overwrite, which have lost their source, which to delete.

An output is ours if it carries our provenance. Any other file is never overwritten or deleted.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import find_files
from preprocess.core.provenance import is_ours
from preprocess.core.report import Report
from preprocess.tokens.ecdc import MAGIC, MAX_HEADER_BYTES

_PREFIX = struct.Struct("!4xxI")


class ForeignOutputError(PreprocessError):
    """The output file exists and the step did not make it."""

    def __init__(self, path: Path, step: str) -> None:
        super().__init__(
            f"{path} was not made by {step}, which does not overwrite it; move it, or choose "
            f"another output folder"
        )


def refuse_nested(source: Path, output: Path, linked: Iterable[Path] = ()) -> None:
    """Refuse an output folder that is the input folder, is inside it, or contains it.

    Args:
        source: The input folder.
        output: The output folder.
        linked: Folders elsewhere that links in `source` lead to; they count as input.

    Raises:
        UsageError: One folder is the other or inside it, directly or through links.
    """
    target = output.resolve()
    for folder in (source.resolve(), *linked):
        real = folder.resolve()
        via = "" if real == source.resolve() else f", which {source} links to"
        name = folder if via else source
        if target == real:
            raise UsageError(f"output {output} is the input folder {name} itself{via}")
        if real in target.parents:
            raise UsageError(f"output {output} is inside the input folder {name}{via}")
        if target in real.parents:
            raise UsageError(f"output {output} contains the input folder {name}{via}")


def owns_tokens(path: Path) -> bool:
    """Whether a token file is ours, even if its codes are truncated."""
    return is_ours(_token_fields(path) or {})


def may_write_tokens(path: Path) -> bool:
    """Whether tokens may be written here: the path is free, ours, or truncated in its header.

    A power failure can leave such a truncated file; nothing can read it.
    """
    if not path.exists():
        return True
    fields = _token_fields(path)
    return fields is None or is_ours(fields)


def _token_fields(path: Path) -> dict[str, Any] | None:
    """Return the fields of a token file's header, empty if invalid, None if truncated."""
    with open(path, "rb") as file:
        start = file.read(_PREFIX.size)
        if not MAGIC.startswith(start[: len(MAGIC)]):
            return {}
        if len(start) < _PREFIX.size:
            return None
        (size,) = _PREFIX.unpack(start)
        text = file.read(min(size, MAX_HEADER_BYTES))
    if len(text) < size:
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


@dataclass(frozen=True)
class Leftovers:
    """Our outputs that are not current.

    Attributes:
        gone: Outputs whose source is gone.
        kept: Outputs whose source exists, but failed or was not selected in this run.
    """

    gone: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def find_leftovers(
    output: Path,
    suffix: str,
    current: Iterable[Path],
    sources: Iterable[str],
    owns: Callable[[Path], bool],
) -> Leftovers:
    """Return our outputs in a folder that this run of a step does not make.

    Args:
        output: The folder of the step's outputs.
        suffix: Suffix of the outputs.
        current: The current outputs, relative to the folder.
        sources: Paths without suffix of all sources, whether selected or not.
        owns: Returns whether an output is ours.
    """
    if not output.is_dir():
        return Leftovers()
    known, found = set(sources), Leftovers()
    for rel in sorted(set(find_files(output, [suffix])) - set(current)):
        if owns(output / rel):
            stem = rel.as_posix().removesuffix(suffix)
            (found.kept if stem in known else found.gone).append(output / rel)
    return found


def report_leftovers(report: Report, found: Leftovers, prune: bool, dry_run: bool) -> None:
    """Report leftovers and, with `prune`, delete the outputs whose source is gone.

    With `dry_run`, name each file that would be deleted instead.
    """
    if found.kept:
        report.note(
            f"{_first(found.kept)}: from an earlier run, since the source failed or was not "
            f"selected; fix the source or delete the output, or it stays in the dataset"
        )
    if found.gone and not prune:
        report.note(
            f"{_first(found.gone)}: the source is gone; use --prune to delete such outputs, or "
            f"they stay in the dataset"
        )
    elif dry_run:
        for path in found.gone:
            report.note(f"would delete {path}: its source is gone")
    else:
        for path in found.gone:
            path.unlink(missing_ok=True)
        report.pruned = len(found.gone)


def _first(paths: Sequence[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1:,} more" if len(paths) > 1 else str(paths[0])
