"""Which parts of which clips make crop `i` of an epoch: by clip, by frame, or by tile."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from preprocess.train.geometry import (
    Pieces,
    count_places,
    count_tiles,
    place_spans,
    tile_spans,
)
from preprocess.train.permutation import KeyedPermutation, derive_keys, draw
from preprocess.train.settings import CropSettings, TrainError
from preprocess.train.source import Source

Counts = NDArray[np.int64]
Found = tuple[Counts, Counts, Counts]


@lru_cache(maxsize=16)
def _permutation(size: int, *key: int | str) -> KeyedPermutation:
    return KeyedPermutation(size, *key)


class Drawing:
    """Crops by clip: each pass shows every clip once, at a place that is drawn.

    Attributes:
        size: Crops in an epoch.
        total: What is drawn from: clips, frames or tiles.
    """

    def __init__(self, source: Source, settings: CropSettings) -> None:
        self._source, self._settings = source, settings
        self._parts = settings.clips_per_crop
        self._width = (settings.frames or 0) // self._parts
        self._clips = _eligible(source, settings, self._width)
        self.total = self._count()
        self.size = settings.epoch_size or max(1, -(-self._crops() // self._parts))

    def spans(self, epoch: int, numbers: Counts) -> Found:
        """Return clip, first frame and length of each part of crops.

        Args:
            epoch: The epoch.
            numbers: Of the crops `[B]`.

        Returns:
            Three arrays `[B * clips_per_crop]`.
        """
        parts = (numbers[:, None] * self._parts + np.arange(self._parts)).ravel()
        return self._find(epoch, parts)

    def _count(self) -> int:
        return len(self._clips) if self._clips is not None else len(self._source)

    def _crops(self) -> int:
        """Return how many parts of crops an epoch has, where the settings do not say."""
        return self.total

    def _find(self, epoch: int, parts: Counts) -> Found:
        clips = self._permuted(epoch, parts)
        if self._clips is not None:
            clips = self._clips[clips]
        if not self._width:
            return clips, np.zeros_like(clips), self._source.frames[clips]
        pieces = self._source.pieces(clips)
        key = derive_keys(1, "start", self._settings.seed, epoch)[0]
        places = draw(parts, np.maximum(count_places(pieces, self._width), 1), key)
        return (clips, *place_spans(pieces, self._width, places))

    def _permuted(self, epoch: int, parts: Counts) -> Counts:
        """Return which of `total` each part is: a permutation for each pass through all."""
        passes, at = parts // self.total, parts % self.total
        found = np.empty_like(parts)
        for index in np.unique(passes).tolist():
            key = (self._settings.seed, epoch, index)
            mine = passes == index
            found[mine] = _permutation(self.total, *key)(at[mine])
        return found


class FrameDrawing(Drawing):
    """Crops by frame: a clip is drawn as often as it is long, at a place that is even in it."""

    def _count(self) -> int:
        frames = self._source.frames
        self._ends = np.cumsum(frames if self._clips is None else frames[self._clips])
        return int(self._ends[-1])

    def _crops(self) -> int:
        return -(-self.total // self._width)

    def _find(self, epoch: int, parts: Counts) -> Found:
        clips, frames = _locate(self._ends, self._permuted(epoch, parts))
        if self._clips is not None:
            clips = self._clips[clips]
        pieces = self._source.pieces(clips)
        places = np.maximum(count_places(pieces, self._width), 1)
        at = frames * places // np.maximum(self._source.frames[clips], 1)
        return (clips, *place_spans(pieces, self._width, at))


class TileDrawing(Drawing):
    """Crops by tile: those of all clips, each once an epoch."""

    def _count(self) -> int:
        self._skip = self._settings.short == "skip"
        counts = count_tiles(self._source.pieces(None), self._width, self._skip)
        self._ends = np.cumsum(counts)
        return int(self._ends[-1])

    def _find(self, epoch: int, parts: Counts) -> Found:
        beyond = parts >= self.total  # the last crop may have fewer parts than the others
        permuted = _permutation(self.total, self._settings.seed, epoch, 0)
        clips, tiles = _locate(self._ends, permuted(np.where(beyond, 0, parts)))
        starts, lengths = tile_spans(self._source.pieces(clips), self._width, tiles, self._skip)
        return clips, starts, np.where(beyond, 0, lengths)


def make_drawing(source: Source, settings: CropSettings) -> Drawing:
    """Return what draws the crops of a dataset.

    Raises:
        TrainError: A crop is longer than every clip.
    """
    kinds = {"clips": Drawing, "frames": FrameDrawing, "tiles": TileDrawing}
    return kinds[settings.sample](source, settings)


def _eligible(source: Source, settings: CropSettings, width: int) -> Counts | None:
    """Return the clips that crops come from; None for all of them."""
    longest = int(np.argmax(source.frames))
    if width > source.frames[longest]:
        share = f" (1 of {settings.clips_per_crop} parts)" if settings.clips_per_crop > 1 else ""
        raise TrainError(
            f"a crop of {width} frames{share} is longer than every clip: the longest, "
            f"{source.name(longest)!r}, has {source.frames[longest]}"
        )
    if settings.short != "skip" or not width:
        return None
    pieces: Pieces = source.pieces(None)
    has = (
        count_places(pieces, width)
        if settings.sample != "tiles"
        else count_tiles(pieces, width, skip=True)
    )
    clips = np.flatnonzero(has)
    if not len(clips):
        raise TrainError(
            f"no clip has {width} frames in one place, and short='skip' leaves out all"
        )
    return None if len(clips) == len(source) else clips


def _locate(ends: Counts, numbers: Counts) -> tuple[Counts, Counts]:
    """Return which clip each number falls in, given where the clips end, and how far in it."""
    clips = np.searchsorted(ends, numbers, side="right")
    before = np.where(clips > 0, ends[np.maximum(clips, 1) - 1], 0)
    return clips, numbers - before
