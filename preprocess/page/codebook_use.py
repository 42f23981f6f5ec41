"""How evenly a corpus uses the codec's codebooks: counts of each code, mergeable between parts.

A codebook of which few entries are used holds less than its bits. The perplexity says how many
entries, used equally often, would carry as much: 1 where one entry takes all, the codebook's size
where all are used alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class CodebookUse:
    """The use of one codebook.

    Attributes:
        size: Entries that it has.
        used: Entries that occur at all.
        perplexity: `2^H`, H being the entropy of the codes in bits.
        top: The entry that occurs most often, and its share of all codes, from 0 to 1.
    """

    size: int
    used: int
    perplexity: float
    top: tuple[int, float]


class CodeCounts:
    """How often each entry of each codebook occurs.

    Attributes:
        counts: int64 `[K, size]`; K is that of the clip with the most codebooks.
    """

    def __init__(self, size: int) -> None:
        self.counts: Counts = np.zeros((0, size), np.int64)

    def update(self, codes: Iterable[NDArray[np.integer]]) -> None:
        """Add the codes of several clips, each `[K, T]`, every code below `size`."""
        by_k: dict[int, list[NDArray[np.integer]]] = {}
        for each in codes:
            by_k.setdefault(len(each), []).append(each)
        for k, alike in by_k.items():
            self._grow(k)
            for row in range(k):
                line = np.concatenate([each[row] for each in alike])
                self.counts[row] += np.bincount(line, minlength=self.counts.shape[1])

    def merge(self, other: CodeCounts) -> None:
        """Add all that `other` has seen."""
        self._grow(len(other.counts))
        self.counts[: len(other.counts)] += other.counts

    def use(self) -> list[CodebookUse]:
        """Return the use of each codebook, in order."""
        return [_use(line) for line in self.counts]

    def _grow(self, k: int) -> None:
        missing = k - len(self.counts)
        if missing > 0:
            self.counts = np.pad(self.counts, ((0, missing), (0, 0)))


def _use(counts: Counts) -> CodebookUse:
    total = int(counts.sum())
    if not total:
        return CodebookUse(len(counts), 0, 0.0, (0, 0.0))
    share = counts[counts > 0] / total
    entropy = -float(np.sum(share * np.log2(share)))
    top = int(np.argmax(counts))
    return CodebookUse(len(counts), len(share), 2.0**entropy, (top, int(counts[top]) / total))
