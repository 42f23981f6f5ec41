"""Fingerprints of tokens, which find crops of the same recording.

The first codebook's codes are the same at every bandwidth, but another crop of a recording starts
with other codes because the encoder has heard other sound before. If the crop starts on a hop, most
codes match again after a few frames, so runs of equal codes survive:

    codes     17 400 23 881 17 5 902 ...
    runs      |---- 6 codes ----|            each run is hashed; the hash's value decides which
                 |---- 6 codes ----|         one in eight is kept, so both crops keep the same

A fingerprint takes half a byte to one byte per frame; the tokens themselves take several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.bits import packed_size
from preprocess.tokens.frames import segment_runs
from preprocess.tokens.types import EcdcHeader

RUN = 6
"""Codes in a run: 60 bits of 24 kHz tokens."""
_FEWEST_DIFFERENT = 4
"""Runs with fewer distinct codes come from silence or steady tones, and occur in many clips."""
_KEPT_BITS = 3
_MOST_CLIPS = 32
"""A run that occurs more often than this does not identify a recording."""
_SCALE_BYTES = 4
_PLACES = np.arange(RUN)[:, None]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Codes = NDArray[np.int64]


class Fingerprint(NamedTuple):
    """The kept runs of one clip.

    Attributes:
        hashes: Hash of each run, uint64 `[N]`.
        frames: Frame at which each run starts, int32 `[N]`.
    """

    hashes: NDArray[np.uint64]
    frames: NDArray[np.int32]


class Shared(NamedTuple):
    """Two clips with runs in common.

    Attributes:
        first: Index of one clip.
        second: Index of the other clip.
        offset: How many frames later the second clip starts in the recording.
        runs: Number of kept runs they share at that offset.
    """

    first: int
    second: int
    offset: int
    runs: int


def first_codebook(payload: bytes | memoryview, header: EcdcHeader) -> Codes:
    """Return the first codebook's codes `[T]` without unpacking the others.

    Args:
        payload: The bytes after the header of an `.ecdc` file.
        header: The header.
    """
    spec, k = header.spec, header.n_codebooks
    data = np.frombuffer(payload, np.uint8)
    scale = _SCALE_BYTES if spec.segment_samples is not None else 0
    found, start = [], 0
    for run in segment_runs(header.audio_length, spec):
        first, last, shift = _places(run.frames, k, spec.bits)
        size = packed_size(run.frames * k, spec.bits)
        for _ in range(run.repeats):
            part = data[start + scale : start + scale + size]
            word = part[first] | (part[last].astype(np.int64) << 8)
            found.append((word >> shift) & ((1 << spec.bits) - 1))
            start += scale + size
    return np.concatenate(found)


@lru_cache(maxsize=16)  # clips often have the same length, and their segments nearly always do
def _places(frames: int, k: int, bits: int) -> tuple[Codes, Codes, Codes]:
    """Return the first byte, last byte and bit shift `[T]` of each frame's first code."""
    at = np.arange(frames, dtype=np.int64) * (k * bits)
    return at >> 3, (at + bits - 1) >> 3, at & 7


def fingerprint(codes: Codes) -> Fingerprint:
    """Return the runs to keep of a clip's first codebook `[T]`."""
    empty = Fingerprint(np.empty(0, np.uint64), np.empty(0, np.int32))
    if len(codes) < RUN:
        return empty
    ones = codes.astype(np.uint64, copy=False)
    twos = ones[:-1] | (ones[1:] << np.uint64(10))  # pack two, then four, then six codes
    fours = twos[:-2] | (twos[2:] << np.uint64(20))
    hashes = (fours[:-2] | (twos[4:] << np.uint64(40))) * _FACTOR
    hashes ^= hashes >> np.uint64(29)
    kept = np.flatnonzero(hashes < np.uint64(1 << (64 - _KEPT_BITS)))
    ordered = np.sort(codes[kept + _PLACES], axis=0)
    different = 1 + np.count_nonzero(ordered[1:] != ordered[:-1], axis=0)
    kept = kept[different >= _FEWEST_DIFFERENT]
    return Fingerprint(hashes[kept], kept.astype(np.int32))


class PrintTable(NamedTuple):
    """The kept runs of many clips.

    Attributes:
        hashes: Hash of each run, uint64 `[N]`.
        frames: Frame at which each run starts `[N]`.
        clips: Index of the clip of each run, int64 `[N]`.
    """

    hashes: NDArray[np.uint64]
    frames: NDArray[np.int64]
    clips: NDArray[np.int64]


def print_table(prints: Sequence[Fingerprint | None]) -> PrintTable:
    """Return the runs of all clips that have a fingerprint."""
    having = [(index, one) for index, one in enumerate(prints) if one is not None]
    if not having:
        return PrintTable(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
    sizes = [len(one.hashes) for _, one in having]
    return PrintTable(
        np.concatenate([one.hashes for _, one in having]),
        np.concatenate([one.frames for _, one in having]).astype(np.int64),
        np.repeat(np.array([index for index, _ in having], np.int64), sizes),
    )


def find_shared(
    tables: Iterable[PrintTable], splits: Sequence[str | None], fewest: int
) -> Iterator[Shared]:
    """Yield pairs of clips from different splits that share at least `fewest` runs at one offset.

    Args:
        tables: The runs of all clips. Equal runs must be in the same table, so that a corpus can
            be compared a slice at a time.
        splits: Split of each clip; clips of the same split are not compared.
        fewest: Minimum number of shared runs.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(splits))}
    split_of_clip = np.array([numbers[name] for name in splits], np.int64)
    rows = [pairs for table in tables for pairs in _pairs(table, split_of_clip)]
    if not rows:
        return
    found, many = np.unique(np.concatenate(rows), axis=0, return_counts=True)
    for (first, second, offset), count in zip(found.tolist(), many.tolist(), strict=True):
        if count >= fewest:
            yield Shared(first, second, offset, count)


def _pairs(table: PrintTable, split_of_clip: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield clip, clip and offset `[N, 3]` of equal runs in different splits."""
    hashes, frames, clips = table
    if not len(hashes):
        return
    split = split_of_clip[clips]
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    edges = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    counts = np.diff(np.append(edges, len(hashes)))
    # Pair entry i of each group of equal hashes with entry i + step, for every step.
    several = edges[(counts > 1) & (counts <= _MOST_CLIPS)]
    lengths = counts[(counts > 1) & (counts <= _MOST_CLIPS)]
    for step in range(1, int(lengths.max(initial=1))):
        starts, most = several[lengths > step], lengths[lengths > step] - step
        at = (
            np.repeat(starts, most)
            + np.arange(most.sum())
            - np.repeat(np.cumsum(most) - most, most)
        )
        left, right = order[at], order[at + step]
        apart = split[left] != split[right]
        left, right = left[apart], right[apart]
        yield np.stack([clips[left], clips[right], frames[left] - frames[right]], axis=1)
