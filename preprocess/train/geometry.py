"""Where in a clip a crop may lie.

Without segments, a crop of F frames begins at any of T - F + 1 places. At 48 kHz, frames of one
segment are evenly spaced in time and those of two are not, so a crop either lies within a segment,
or begins where one begins:

    frames     |0        149|150       299|300   |
    F = 100     [----------]  [----------]           within one
    F = 200    [----------------]                    from the first frame of one
               |            [----------------]

Tiles lie side by side: of F frames in each segment, or, where a segment is shorter than a crop, of
as many whole segments as go into F.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.specs import CodecSpec

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Clips as runs of pieces that a crop does not leave.

    Each clip is `full` pieces of `size` frames, then one of `tail` and one of `rest` frames. All
    arrays are `[N]`.
    """

    size: Counts
    full: Counts
    tail: Counts
    rest: Counts

    def frames(self) -> Counts:
        """Return T of each clip."""
        return self.full * self.size + self.tail + self.rest


def clip_pieces(frames: Counts, audio_lengths: Counts, spec: CodecSpec) -> Pieces:
    """Return the segments of clips; without segments, each clip is one piece.

    Args:
        frames: T of each clip `[N]`.
        audio_lengths: In samples `[N]`; read only where there are segments.
        spec: The codec.
    """
    none = np.zeros_like(frames)
    if spec.segment_samples is None or spec.stride_samples is None:
        return Pieces(frames, np.ones_like(frames), none, none)
    stride, hop = spec.stride_samples, spec.hop
    full = np.maximum(0, (audio_lengths - spec.segment_samples) // stride + 1)
    left = np.maximum(audio_lengths - full * stride, 0)
    size = np.full_like(frames, spec.segment_samples // hop)
    return Pieces(size, full, -(-left // hop), -(-np.maximum(left - stride, 0) // hop))


def count_places(pieces: Pieces, frames: int) -> Counts:
    """Return at how many places `[N]` of each clip a whole crop can lie."""
    within = _within(pieces.full, pieces.size, frames)
    within += _within(1, pieces.tail, frames) + _within(1, pieces.rest, frames)
    long = np.maximum(0, (pieces.frames() - frames) // np.maximum(pieces.size, 1) + 1)
    return np.where(_is_long(pieces, frames), long, within)


def place_spans(pieces: Pieces, frames: int, places: Counts) -> tuple[Counts, Counts]:
    """Return the first frame of the crop at each of `places`, one a clip, and how many it has.

    A clip with no place for a whole crop gives its first piece, or all of it where a crop is longer
    than a segment.
    """
    width = np.maximum(pieces.size - frames + 1, 1)
    segment, offset = places // width, places % width
    start = segment * pieces.size + offset
    beyond = places - pieces.full * width
    tails = np.maximum(pieces.tail - frames + 1, 0)
    at_tail = np.where(beyond < tails, beyond, pieces.tail + beyond - tails)
    start = np.where(beyond >= 0, pieces.full * pieces.size + at_tail, start)
    is_long, whole = _is_long(pieces, frames), count_places(pieces, frames) > 0
    start = np.where(is_long, places * pieces.size, start)
    first = np.where(pieces.full > 0, pieces.size, pieces.tail)
    short = np.where(is_long, pieces.frames(), first)
    return np.where(whole, start, 0), np.where(whole, frames, short)


def count_tiles(pieces: Pieces, frames: int, skip: bool) -> Counts:
    """Return how many tiles each clip has `[N]`.

    Args:
        pieces: The clips.
        frames: Of a tile.
        skip: Whether tiles that are not full are left out.
    """
    up = 0 if skip else frames - 1
    within = pieces.full * ((pieces.size + up) // frames)
    within += (pieces.tail + up) // frames + (pieces.rest + up) // frames
    step = _long_step(pieces, frames)
    long = (pieces.frames() + (0 if skip else step - 1)) // step
    return np.where(_is_long(pieces, frames), long, within)


def tile_spans(pieces: Pieces, frames: int, tiles: Counts, skip: bool) -> tuple[Counts, Counts]:
    """Return the first frame of each of `tiles`, one a clip, and how many frames it has."""
    up = 0 if skip else frames - 1
    per, in_tail = np.maximum((pieces.size + up) // frames, 1), (pieces.tail + up) // frames
    segment, tile = tiles // per, tiles % per
    piece_at, piece = segment * pieces.size, pieces.size
    beyond = tiles - pieces.full * ((pieces.size + up) // frames)
    tail_at = pieces.full * pieces.size
    for first, at, length in (
        (np.zeros_like(tiles), tail_at, pieces.tail),
        (in_tail, tail_at + pieces.tail, pieces.rest),
    ):
        inside = beyond >= first
        tile = np.where(inside, beyond - first, tile)
        piece_at, piece = np.where(inside, at, piece_at), np.where(inside, length, piece)
    start, length = piece_at + tile * frames, np.minimum(frames, piece - tile * frames)
    step, is_long = _long_step(pieces, frames), _is_long(pieces, frames)
    long_start = tiles * step
    long_length = np.minimum(step, pieces.frames() - long_start)
    return np.where(is_long, long_start, start), np.where(is_long, long_length, length)


def select(pieces: Pieces, clips: Counts) -> Pieces:
    """Return the pieces of some clips."""
    return Pieces(*(each[clips] for each in (pieces.size, pieces.full, pieces.tail, pieces.rest)))


def _within(count: Counts | int, length: Counts, frames: int) -> Counts:
    return count * np.maximum(0, length - frames + 1)


def _is_long(pieces: Pieces, frames: int) -> NDArray[np.bool_]:
    """Return whether a crop is longer than a segment of the clip; never where it has none."""
    is_long: NDArray[np.bool_] = (pieces.size < frames) & ((pieces.full != 1) | (pieces.tail > 0))
    return is_long


def _long_step(pieces: Pieces, frames: int) -> Counts:
    size = np.maximum(pieces.size, 1)
    step: Counts = np.maximum(frames // size, 1) * size
    return step


def frame_times(pieces: Pieces, frames: Counts, spec: CodecSpec) -> NDArray[np.float64]:
    """Return the start in seconds of frames `[N, n]` of clips, as `frame_starts_s` has it.

    Constant time a frame: nothing of the clip before it is walked.
    """
    if spec.stride_samples is None:
        seconds: NDArray[np.float64] = frames * spec.hop / spec.sample_rate
        return seconds
    size, full, tail = (each[:, None] for each in (pieces.size, pieces.full, pieces.tail))
    segment = np.minimum(frames // size, full)
    segment += frames >= full * size + tail
    begins = segment * size - np.where(segment > full, size - tail, 0)
    samples = segment * spec.stride_samples + (frames - begins) * spec.hop
    return np.asarray(samples / spec.sample_rate, np.float64)
