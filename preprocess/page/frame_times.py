"""Where the frames of a clip are drawn.

A frame is drawn from its start to the start of the next one. At 48 kHz the last frames of a segment
lie under the first of the next one, which is drawn over them:

    segment 0  |0 ... 147|148|149|       148 is drawn as far as segment 1 starts, 149 not at all
    segment 1               |0 |1 | ...

That is `sample_to_frame`: the later segment has the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.frames import frame_ends_s, frame_starts_s
from preprocess.tokens.types import Ecdc

MOST_FRAMES = 12_000
"""Clips of more frames are decimated: a screen has fewer pixels."""


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """Which frames are drawn, and where.

    Attributes:
        frames: The frames that are drawn `[n]`, ascending; all but those that are covered.
        starts: Start of each in seconds `[n]`, ascending.
        ends: Where the drawing of each ends `[n]`: at most where the next one starts.
        segment_starts: Start of each segment in seconds.
        step: One frame in so many is drawn; 1 for all.
    """

    frames: NDArray[np.int64]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    segment_starts: NDArray[np.float64]
    step: int


def frame_times(tokens: Ecdc) -> FrameTimes:
    """Return where the frames of a clip are drawn."""
    spec = tokens.header.spec
    starts = frame_starts_s(tokens.audio_length, spec)
    ends = frame_ends_s(tokens.audio_length, spec)
    firsts = np.cumsum((0, *tokens.segment_frames[:-1]))
    # From the end on: what starts later covers what lies under it.
    following = np.minimum.accumulate(np.append(starts[1:], np.inf)[::-1])[::-1]
    frames = np.flatnonzero(starts < following)
    ends = np.minimum(ends, following)
    step = -(-len(starts) // MOST_FRAMES)
    return FrameTimes(frames, starts[frames], ends[frames], starts[firsts], step)
