"""The audit's checks across all clips: duplicates, outliers, differences."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.corpus_files import CorpusFiles, FolderFiles
from preprocess.audit.findings import Finding
from preprocess.audit.fingerprints import PrintTable
from preprocess.audit.mixing import Makings, token_group
from preprocess.audit.recording_checks import check_recordings
from preprocess.audit.summaries import ClipSummary, ParameterSummary, split_of
from preprocess.audit.unit_checks import find_units
from preprocess.audit.value_checks import Values, collect_column, declared_ranges, find_swapped

_FEWEST_FOR_OUTLIERS = 5
_RARELY_CONSTANT = 0.1
"""A parameter that is constant in less than this fraction of the clips is reported in those."""


def check_corpus(
    root: Path,
    clips: Sequence[ClipSummary],
    config: AuditConfig,
    files: CorpusFiles | None = None,
    tables: Iterable[PrintTable] | None = None,
) -> Iterator[Finding]:
    """Yield the findings that come from comparing clips.

    Args:
        root: The token folder.
        clips: Summaries of its clips.
        config: Settings of the checks.
        files: Reads single clips; None reads those under `root`.
        tables: The clips' fingerprints; None takes those in `clips`.
    """
    files = files or FolderFiles(root, config.cond_root, config.suffix)
    yield from _duplicates(root, clips, config)
    yield from _codecs(root, clips, config.bandwidth)
    yield from _lengths(root, clips, config)
    yield from _mixed(root, clips)
    yield from _engines(root, clips)
    yield from check_recordings(root, clips, files, tables)
    annotated = [clip for clip in clips if clip.parameters is not None]
    yield from _untied(root, annotated)
    names = [
        name
        for name in dict.fromkeys(name for clip in annotated for name in clip.parameters or {})
        if not config.parameters or name in config.parameters
    ]
    yield from _values(root, names, annotated, files)
    for name in names:
        if name not in config.constant:
            yield from _constant(root, name, annotated)
        yield from _description(root, name, annotated)
        if name not in config.require:
            yield from _uneven(root, name, annotated)


def _codecs(root: Path, clips: Sequence[ClipSummary], bandwidth: float | None) -> Iterator[Finding]:
    """Yield the clips whose codec or bandwidth does not fit the dataset."""
    odd = {clip.rel: clip for clip in _minority(clips, lambda clip: clip.header.model)}
    for rel, clip in odd.items():
        text = f"was encoded by {clip.header.model}, unlike most clips"
        yield Finding("codec", str(root / rel), text)
    same = [clip for clip in clips if clip.rel not in odd]
    if bandwidth is None:
        for clip in _minority(same, lambda clip: f"{clip.header.bandwidth_kbps:g}"):
            text = (
                f"is at {clip.header.bandwidth_kbps:g} kbps, unlike most clips; name the lowest "
                f"bandwidth to slice all to it"
            )
            yield Finding("codec", str(root / clip.rel), text)
        return
    for clip in same:
        if clip.header.n_codebooks < clip.header.spec.n_codebooks(bandwidth):
            text = f"is at {clip.header.bandwidth_kbps:g} kbps, below {bandwidth:g} kbps"
            yield Finding("codec", str(root / clip.rel), text)


def _uneven(root: Path, name: str, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    """Yield the clips that lack a parameter that most have, or have one that most lack."""
    count = sum(name in (clip.parameters or {}) for clip in clips)
    expected = 2 * count > len(clips)
    for clip in clips:
        if (name in (clip.parameters or {})) == expected:
            continue
        if expected:
            text = f"has no {name!r}, which {count} of {len(clips)} clips have"
            yield Finding("missing_parameter", str(root / clip.rel), text)
        else:
            text = f"has {name!r}, which {len(clips) - count} of {len(clips)} clips lack"
            yield Finding("extra_parameter", str(root / clip.rel), text)


def _untied(root: Path, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    count = sum(not clip.is_tied for clip in clips)
    if count:
        text = (
            f"{count} of {len(clips)} sidecars do not name the tokens they were written for, so "
            f"swapped files go unnoticed; migrate --write adds the name"
        )
        yield Finding("untied", str(root), text)


def _duplicates(root: Path, clips: Sequence[ClipSummary], config: AuditConfig) -> Iterator[Finding]:
    same: dict[str, list[Path]] = {}
    for clip in clips:
        same.setdefault(clip.content, []).append(clip.rel)
    for first, *others in same.values():
        for rel in others:
            leak = config.split_name is None and split_of(first) != split_of(rel)
            check = "duplicate_across_splits" if leak else "duplicate"
            yield Finding(check, str(root / rel), f"has the same tokens as {root / first}")


def _lengths(root: Path, clips: Sequence[ClipSummary], config: AuditConfig) -> Iterator[Finding]:
    """Yield the clips outside the declared lengths, or far from the median length."""
    if not clips:
        return
    median = statistics.median(clip.header.duration_s for clip in clips)
    low, high = median / config.length_factor, median * config.length_factor
    if len(clips) < _FEWEST_FOR_OUTLIERS:
        low, high = 0.0, math.inf
    low = low if config.min_length_s is None else config.min_length_s
    high = high if config.max_length_s is None else config.max_length_s
    for clip in clips:
        seconds = clip.header.duration_s
        if not low <= seconds <= high:
            text = f"is {seconds:.3g} s long; the median clip is {median:.3g} s"
            yield Finding("length_outlier", str(root / clip.rel), text)


def _engines(root: Path, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    counts = Counter(clip.engine for clip in clips if clip.engine)
    if len(counts) > 1:
        named = ", ".join(f"{engine} ({n:,})" for engine, n in counts.most_common())
        text = f"has tokens from {len(counts)} engines, which may differ in near ties: {named}"
        yield Finding("engines", str(root), text)


def _minority(
    clips: Sequence[ClipSummary], key: Callable[[ClipSummary], str]
) -> Iterator[ClipSummary]:
    counts = Counter(key(clip) for clip in clips if key(clip))
    if len(counts) > 1:
        most = max(counts, key=lambda value: counts[value])
        yield from (clip for clip in clips if key(clip) and key(clip) != most)


def _mixed(root: Path, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    makings = Makings()
    for clip in clips:
        makings.add(str(clip.rel), clip.token_makers, token_group(clip.header))
        makings.add(str(clip.rel), clip.parameter_makers)
    for mixture in makings.mixtures():
        for rel in mixture.clips:
            why = ", or some have no provenance" if mixture.unknown else ""
            yield Finding("mixed", str(root / rel), f"{mixture.what} than in most clips{why}")


def _constant(root: Path, name: str, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    having = [clip for clip in clips if clip.parameters and name in clip.parameters]
    still = [clip for clip in having if _is_still((clip.parameters or {})[name])]
    values = {(clip.parameters or {})[name].constant for clip in still}
    if len(having) > 1 and len(still) == len(having) and len(values) == 1:
        text = f"{name!r} is {next(iter(values)):g} in every frame of all {len(having)} clips"
        yield Finding("constant", str(root), text)
    elif len(still) < _RARELY_CONSTANT * len(having):
        for clip in still:
            value = (clip.parameters or {})[name].constant
            text = f"{name!r} is {value:g} in every frame, but varies in other clips"
            yield Finding("constant", str(root / clip.rel), text)


def _is_still(parameter: ParameterSummary) -> bool:
    """Whether a parameter is constant in a clip but not meant to be."""
    return parameter.constant is not None and not parameter.is_meant


def _description(root: Path, name: str, clips: Sequence[ClipSummary]) -> Iterator[Finding]:
    having = [clip for clip in clips if clip.parameters and name in clip.parameters]
    for key in ("units", "kind"):
        counts = Counter(getattr((clip.parameters or {})[name], key) for clip in having)
        if len(counts) < 2:
            continue
        most = max(counts, key=lambda value: counts[value])
        for clip in having:
            value = getattr((clip.parameters or {})[name], key)
            if value != most:
                text = f"{key} of {name!r}: {value!r}, in most clips {most!r}"
                yield Finding("description", str(root / clip.rel), text)


def _values(
    root: Path, names: Sequence[str], clips: Sequence[ClipSummary], files: CorpusFiles
) -> Iterator[Finding]:
    """Yield the clips whose values match other clips only in another column or unit."""

    def read(name: str, index: int) -> Values:
        values = files.values(clips[index].rel, name)
        return values[np.isfinite(values)]

    columns = [c for name in names if (c := collect_column(name, clips)) is not None]
    swapped: set[tuple[int, str]] = set()
    for index, first, second in find_swapped(columns):
        swapped |= {(index, first), (index, second)}
        text = (
            f"{first!r} has values typical of {second!r}, and vice versa: are the two columns "
            f"swapped?"
        )
        yield Finding("swapped", str(root / clips[index].rel), text)
    for column in columns:
        for index, text in find_units(column, partial(read, column.name)):
            if (index, column.name) not in swapped:
                yield Finding("other_unit", str(root / clips[index].rel), text)
    for name in names:
        odd, whole = declared_ranges(name, clips)
        if whole:
            yield Finding("declared_range", str(root), whole)
        for index, text in odd:
            yield Finding("declared_range", str(root / clips[index].rel), text)
