"""The outputs of a step: which may be written, which nothing stands behind any more, which go.

An output is ours if it carries our provenance. What is not is never overwritten and never deleted.
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
    """Where a step would write there is a file that it has not made."""

    def __init__(self, path: Path, step: str) -> None:
        super().__init__(
            f"{path} was not made by {step} and is not overwritten; move it, or choose another "
            f"output folder"
        )


def refuse_nested(source: Path, output: Path, linked: Iterable[Path] = ()) -> None:
    """Refuse an output folder that is the input folder, lies in it, or holds it.

    Args:
        source: The input folder.
        output: The output folder.
        linked: Folders elsewhere that links in `source` lead to; they are input too.

    Raises:
        UsageError: One lies in the other, by whatever path or link.
    """
    target = output.resolve()
    for folder in (source.resolve(), *linked):
        real = folder.resolve()
        via = "" if real == source.resolve() else f", which {source} links to"
        name = folder if via else source
        if target == real:
            raise UsageError(f"output {output} is the input folder {name} itself{via}")
        if real in target.parents:
            raise UsageError(f"output {output} lies in the input folder {name}{via}")
        if target in real.parents:
            raise UsageError(f"output {output} holds the input folder {name}{via}")


def owns_tokens(path: Path) -> bool:
    """Whether a token file is ours, even if its codes are cut short."""
    return is_ours(_token_fields(path) or {})


def may_write_tokens(path: Path) -> bool:
    """Whether tokens may be written here: nothing is, or ours, or what breaks off in its header.

    The last is what a computer that lost power leaves; nobody can read it.
    """
    if not path.exists():
        return True
    fields = _token_fields(path)
    return fields is None or is_ours(fields)


def _token_fields(path: Path) -> dict[str, Any] | None:
    """Return the header of a token file, empty if it is none; None if it breaks off in there."""
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
    """Outputs of ours that are not current.

    Attributes:
        gone: Those whose source is not there any more.
        kept: Those whose source is there, but failed or was not chosen now.
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
    """Return the outputs of ours that a step has not made and would not make now.

    Args:
        output: The folder of the step's outputs.
        suffix: What its outputs end in.
        current: The outputs, relative to it, that are current.
        sources: All sources there are, chosen or not, by their paths without suffix.
        owns: Whether an output is ours.
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
    """Delete the outputs whose source is gone if `prune`, and say what there is.

    With `dry_run`, each that would be deleted is named instead.
    """
    if found.kept:
        report.note(
            f"{_first(found.kept)}: of an earlier run, as the source failed now or was not "
            f"chosen; mend that or delete this, or it stays in the dataset"
        )
    if found.gone and not prune:
        report.note(
            f"{_first(found.gone)}: the source is gone; --prune deletes such outputs, else they "
            f"stay in the dataset"
        )
    elif dry_run:
        for path in found.gone:
            report.note(f"would delete {path}, as its source is gone")
    else:
        for path in found.gone:
            path.unlink(missing_ok=True)
        report.pruned = len(found.gone)


def _first(paths: Sequence[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1:,} more" if len(paths) > 1 else str(paths[0])
