"""Finds recordings that are in two splits, as different crops or at different bandwidths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocess.audit.corpus_files import CorpusFiles
from preprocess.audit.findings import Finding
from preprocess.audit.fingerprints import PrintTable, Shared, find_shared, print_table
from preprocess.audit.summaries import ClipSummary

_FEWEST_RUNS = 2
_LEAST_ALIKE = 0.5
"""Least fraction of equal codes in the overlap of two crops of one recording."""
_ABOVE_CHANCE = 0.3
_SHORTEST_S = 0.5
_LEAST_PART = 0.25
"""Least overlap, as a fraction of the shorter clip, because loops and samples recur legitimately."""

Codes = NDArray[np.int16]


def check_recordings(
    root: Path,
    clips: Sequence[ClipSummary],
    files: CorpusFiles,
    tables: Iterable[PrintTable] | None = None,
) -> Iterator[Finding]:
    """Yield the clips that share a recording with a clip in another split.

    Args:
        root: The token folder, for messages.
        clips: All clips.
        files: Reads the codes of clips.
        tables: The clips' fingerprints; None takes those in `clips`.
    """
    tables = [print_table([clip.prints for clip in clips])] if tables is None else tables
    best: dict[tuple[int, int], Shared] = {}
    for shared in find_shared(tables, [clip.split for clip in clips], _FEWEST_RUNS):
        key = (shared.first, shared.second)
        if key not in best or shared.runs > best[key].runs:
            best[key] = shared
    said: set[int] = set()
    for shared in sorted(best.values(), key=lambda one: -one.runs):
        pair = sorted((shared.first, shared.second))
        first, second = clips[shared.first], clips[shared.second]
        if pair[1] in said or first.content == second.content:
            continue
        if first.header.model != second.header.model:
            continue
        finding = _compared(root, first, second, shared, files)
        if finding is not None:
            said.add(pair[1])
            yield finding


def _compared(
    root: Path, first: ClipSummary, second: ClipSummary, shared: Shared, files: CorpusFiles
) -> Finding | None:
    """Compare the codes of two clips; return a finding, or None if they do not match."""
    a, b = files.codes(first.rel), files.codes(second.rel)
    left, right, offset = first.rel, second.rel, shared.offset
    if shared.first > shared.second:
        a, b, left, right, offset = b, a, right, left, -offset
    if len(a) == len(b) and not offset and (a == b).all():
        k = sorted({first.header.bandwidth_kbps, second.header.bandwidth_kbps})
        how = f"at another bandwidth ({k[0]:g} and {k[-1]:g} kbps)"
        if len(k) == 1:
            how = "in the first codebook"
        text = f"has the same tokens as {root / left} {how}"
        return Finding("duplicate_across_splits", str(root / right), text)
    over_a, over_b = a[max(0, offset) :], b[max(0, -offset) :]
    size = min(len(over_a), len(over_b))
    spec = first.header.spec
    least = max(_SHORTEST_S * spec.fps, _LEAST_PART * min(len(a), len(b)))
    alike = float((over_a[:size] == over_b[:size]).mean()) if size else 0.0
    if size < least or alike < _LEAST_ALIKE:
        return None
    if alike < _by_chance(over_a[:size], over_b[:size]) + _ABOVE_CHANCE:
        return None
    later = f"{abs(offset) * spec.hop / spec.sample_rate:.3g} s"
    where = (
        f"starting {later} {'later' if offset > 0 else 'earlier'}" if offset else "from its start"
    )
    text = (
        f"is another crop of the recording in {root / left}, {where}: {alike:.0%} of the {size} "
        f"first-codebook codes in their overlap are equal"
    )
    return Finding("shared_recording", str(root / right), text)


def _by_chance(a: Codes, b: Codes) -> float:
    """Return the fraction of equal codes that two unrelated rows `[T]` with these codes would have."""
    most = int(max(a.max(), b.max())) + 1
    counts = np.bincount(a, minlength=most) * np.bincount(b, minlength=most)
    return float(counts.sum()) / (len(a) * len(b))
