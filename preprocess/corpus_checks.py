"""What an audit sees only in all clips together: duplicates, outliers, what differs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from preprocess.clip_checks import ClipSummary
from preprocess.config import AuditConfig
from preprocess.dataset import SPLIT_FOLDERS
from preprocess.findings import Finding

_FEWEST_FOR_OUTLIERS = 5
_RARELY_CONSTANT = 0.1
"""A feature that is constant in less than this part of the clips should not be in those."""


def check_corpus(
    root: Path, clips: Sequence[ClipSummary], config: AuditConfig
) -> Iterator[Finding]:
    """Yield what is wrong with clips among the others."""
    yield from _duplicates(root, clips)
    yield from _lengths(root, clips, config.length_factor)
    yield from _provenance(root, clips)
    yield from _engines(root, clips)
    annotated = [clip for clip in clips if clip.features is not None]
    names = Counter(name for clip in annotated for name in clip.features or {})
    for name, count in names.items():
        yield from _constant(root, name, annotated)
        yield from _description(root, name, annotated)
        if name not in config.require and 2 * count > len(annotated):
            for clip in annotated:
                if name not in (clip.features or {}):
                    text = f"has no {name!r}, which {count} of {len(annotated)} clips have"
                    yield Finding("missing_feature", str(root / clip.rel), text)


def _duplicates(root: Path, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    same: dict[str, list[Path]] = {}
    for clip in clips:
        same.setdefault(clip.content, []).append(clip.rel)
    for first, *others in same.values():
        for rel in others:
            leak = _split(first) != _split(rel)
            check = "duplicate_across_splits" if leak else "duplicate"
            yield Finding(check, str(root / rel), f"has the same tokens as {root / first}")


def _split(rel: Path) -> str | None:
    return SPLIT_FOLDERS.get(rel.parts[0]) if len(rel.parts) > 1 else None


def _lengths(root: Path, clips: Sequence[ClipSummary], factor: float) -> Iterator[Finding]:
    if len(clips) < _FEWEST_FOR_OUTLIERS:
        return
    median = statistics.median(clip.duration_s for clip in clips)
    for clip in clips:
        if not median / factor <= clip.duration_s <= median * factor:
            text = f"lasts {clip.duration_s:.3g} s, the median clip {median:.3g} s"
            yield Finding("length_outlier", str(root / clip.rel), text)


def _provenance(root: Path, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    """Yield the clips that were made by other settings than most, of those that tell."""
    for what, rec in (
        ("its tokens were made by another codec, bandwidth or weights", _tokens_rec),
        ("its parameters were made by other producers or settings", _sidecar_rec),
    ):
        for clip in _minority(clips, rec):
            yield Finding("provenance", str(root / clip.rel), f"{what} than most")


def _engines(root: Path, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    counts = Counter(clip.engine for clip in clips if clip.engine)
    if len(counts) > 1:
        named = ", ".join(f"{engine} ({n:,})" for engine, n in counts.most_common())
        text = f"holds tokens of {len(counts)} engines, which may differ in near ties: {named}"
        yield Finding("engines", str(root), text)


def _tokens_rec(clip: ClipSummary) -> str:
    return clip.tokens_rec


def _sidecar_rec(clip: ClipSummary) -> str:
    return clip.sidecar_rec


def _minority(
    clips: Sequence[ClipSummary], key: Callable[[ClipSummary], str]
) -> Iterator[ClipSummary]:
    counts = Counter(key(clip) for clip in clips if key(clip))
    if len(counts) > 1:
        most = max(counts, key=lambda value: counts[value])
        yield from (clip for clip in clips if key(clip) and key(clip) != most)


def _constant(root: Path, name: str, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    having = [clip for clip in clips if clip.features and name in clip.features]
    still = [clip for clip in having if (clip.features or {})[name].constant is not None]
    values = {(clip.features or {})[name].constant for clip in still}
    if len(having) > 1 and len(still) == len(having) and len(values) == 1:
        text = f"{name!r} is {next(iter(values)):g} in every frame of all {len(having)} clips"
        yield Finding("constant", str(root), text)
    elif len(still) < _RARELY_CONSTANT * len(having):
        for clip in still:
            value = (clip.features or {})[name].constant
            text = f"{name!r} is {value:g} in all of its frames, and varies in other clips"
            yield Finding("constant", str(root / clip.rel), text)


def _description(root: Path, name: str, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    having = [clip for clip in clips if clip.features and name in clip.features]
    for key in ("units", "kind"):
        counts = Counter(getattr((clip.features or {})[name], key) for clip in having)
        if len(counts) < 2:
            continue
        most = max(counts, key=lambda value: counts[value])
        for clip in having:
            value = getattr((clip.features or {})[name], key)
            if value != most:
                text = f"{key} of {name!r}: {value!r}, in most clips {most!r}"
                yield Finding("description", str(root / clip.rel), text)
