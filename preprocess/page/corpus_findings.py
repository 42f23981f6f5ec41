"""Findings of an audit as a page links them: to the clip, and to the moment in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.audit.findings import Finding
from preprocess.page.corpus_data import Corpus
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX
from preprocess.tokens.frames import frame_starts_s
from preprocess.tokens.specs import codec_spec

_SUFFIXES = (f".cond{META_SUFFIX}", META_SUFFIX, ARRAY_SUFFIX, TOKEN_SUFFIX)


@dataclass(frozen=True)
class PlacedFinding:
    """A finding, and where the page shows it.

    Attributes:
        check: Which check found it.
        name: The clip's name, or the file's where it is no clip's.
        message: What is wrong.
        row: The clip's row; None where it has none.
        seconds: Where in the clip; None where it concerns all of it.
    """

    check: str
    name: str
    message: str
    row: int | None = None
    seconds: float | None = None


def place_findings(
    findings: Sequence[Finding], corpus: Corpus, roots: Sequence[Path]
) -> list[PlacedFinding]:
    """Return findings with their rows in `corpus`.

    Args:
        findings: What an audit of the corpus found.
        corpus: The corpus.
        roots: Folders that files of the findings may lie in: of the tokens, of the sidecars.
    """
    rows = {row.id: at for at, row in enumerate(corpus.rows)}
    return [_placed(finding, corpus, rows, roots) for finding in findings]


def _placed(
    finding: Finding, corpus: Corpus, rows: Mapping[str, int], roots: Sequence[Path]
) -> PlacedFinding:
    name = _clip_name(finding.path, roots)
    row = rows.get(name)
    seconds = None
    if row is not None and finding.frame is not None:
        seconds = _frame_s(corpus, row, finding.frame)
    return PlacedFinding(finding.check, name, finding.message, row, seconds)


def _clip_name(path: str, roots: Sequence[Path]) -> str:
    for root in roots:
        if Path(path).is_relative_to(root):
            path = Path(path).relative_to(root).as_posix()
            break
    for suffix in _SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    return path


def _frame_s(corpus: Corpus, row: int, frame: int) -> float | None:
    """Return when a frame starts; None of one that the clip does not have."""
    clip = corpus.rows[row]
    spec = codec_spec(clip.model)
    starts = frame_starts_s(round(clip.seconds * spec.sample_rate), spec)
    return float(starts[frame]) if frame < len(starts) else None
