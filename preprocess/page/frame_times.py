"""The times at which a page draws the frames of a clip.

A frame is drawn from its start to the start of the next one. At 48 kHz the last frames of a segment
overlap the first of the next segment, which covers them:

    segment 0  |0 ... 147|148|149|       148 is drawn until segment 1 starts, 149 not at all
    segment 1               |0 |1 | ...

This agrees with `sample_to_frame`, which assigns such a sample to the later segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.frames import frame_ends_s, frame_starts_s
from preprocess.tokens.types import Ecdc

MOST_FRAMES = 12_000
"""Clips with more frames than this are decimated, because a screen has fewer pixels."""


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """The frames to draw, and their times.

    Attributes:
        frames: Frames to draw `[n]`, ascending; all except those that are covered.
        starts: Start of each in seconds `[n]`, ascending.
        ends: End of each in seconds `[n]`, at most the start of the next.
        segment_starts: Start of each segment in seconds.
        step: Interval between the frames to draw; 1 for all.
    """

    frames: NDArray[np.int64]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    segment_starts: NDArray[np.float64]
    step: int


def frame_times(tokens: Ecdc) -> FrameTimes:
    """Return the frames to draw of a clip, and their times."""
    spec = tokens.header.spec
    starts = frame_starts_s(tokens.audio_length, spec)
    ends = frame_ends_s(tokens.audio_length, spec)
    firsts = np.cumsum((0, *tokens.segment_frames[:-1]))
    # From the end: a frame that starts later covers those before it.
    following = np.minimum.accumulate(np.append(starts[1:], np.inf)[::-1])[::-1]
    frames = np.flatnonzero(starts < following)
    ends = np.minimum(ends, following)
    step = -(-len(starts) // MOST_FRAMES)
    return FrameTimes(frames, starts[frames], ends[frames], starts[firsts], step)
