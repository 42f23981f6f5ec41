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
    """Where frames are drawn.

    Attributes:
        starts: Start of each frame in seconds `[T]`.
        ends: Where the drawing of each ends `[T]`; at its start for those that are covered.
        segments: Number of frames of each segment.
        step: Every so many frames one is drawn; 1 for all.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    segments: tuple[int, ...]
    step: int


def frame_times(tokens: Ecdc) -> FrameTimes:
    """Return where the frames of a clip are drawn."""
    spec = tokens.header.spec
    starts = frame_starts_s(tokens.audio_length, spec)
    ends = frame_ends_s(tokens.audio_length, spec)
    # From the end on: what starts later covers what lies under it.
    following = np.minimum.accumulate(np.append(starts[1:], np.inf)[::-1])[::-1]
    ends = np.maximum(np.minimum(ends, following), starts)
    step = -(-len(starts) // MOST_FRAMES)
    return FrameTimes(starts, ends, tokens.segment_frames, step)
