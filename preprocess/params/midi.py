"""Converts MIDI to token frames: a frame has every note that sounds in it, however short.

frames   |--- 0 ---|--- 1 ---|--- 2 ---|--- 3 ---|
notes        [60]       [64============]
gate          1         1         1         0       a note sounds anywhere in the hop
onset         1         1         0         0       a note begins in the hop
cc1                ^         ^         ^            read at the hop's centre, like any curve
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np

from preprocess.core.errors import PreprocessError
from preprocess.params.midi_file import RESET, Changes, Performance
from preprocess.params.points import SAME_TIME_S, Indices, Points, Values
from preprocess.tokens.frames import frame_centres_s, frame_ends_s, frame_starts_s
from preprocess.tokens.specs import CodecSpec

VOICED = ("note", "velocity", "pitch")
"""The columns that each voice of a chord has."""
_NOTES: dict[str, dict[str, Any]] = {
    "note": {"units": "MIDI note", "doc_string": "The note that sounds", "nan": "no note"},
    "velocity": {"doc_string": "Velocity of that note, 0 without one", "min": 0, "max": 127},
    "pitch": {"units": "MIDI note", "doc_string": "That note with its bend", "nan": "no note"},
    "gate": {"doc_string": "Whether a note sounds", "kind": "categorical", "min": 0, "max": 1},
    "onset": {"doc_string": "Whether a note begins", "kind": "categorical", "min": 0, "max": 1},
    "note_count": {"doc_string": "How many notes sound"},
}
_CONTROLS: dict[str, dict[str, Any]] = {
    "pitch_bend": {"doc_string": "Pitch wheel, of its range", "min": -1, "max": 1},
    "aftertouch": {"doc_string": "Channel pressure", "min": 0, "max": 127},
}
MAX_PAIRS = 1 << 23
"""31 notes at once for an hour, at 75 frames a second."""
_CONTROLLER = re.compile(r"cc(\d{1,3})")
# Volume and pan are from General MIDI System Level 1 (the same in Level 2), the others from Reset
# All Controllers (RP-015). MIDI defines no default for any other controller.
STANDARD_DEFAULTS: dict[str, float] = {"cc7": 100, "cc10": 64, "pitch_bend": 0, **RESET}


def is_controller(column: str) -> bool:
    """Whether a column is a controller, which holds its value between events, rather than notes."""
    return column not in _NOTES


def describe_column(column: str) -> dict[str, Any]:
    """Return a column's unit, doc string, kind and range, as far as MIDI defines them.

    Raises:
        PreprocessError: The column does not exist.
    """
    match = _CONTROLLER.fullmatch(column)
    if match and int(match[1]) < 128:
        return {"doc_string": f"MIDI controller {int(match[1])}", "min": 0, "max": 127}
    known = {**_NOTES, **_CONTROLS}
    if column not in known:
        raise PreprocessError(f"MIDI has no {column!r}; it has {', '.join(known)}, cc0 to cc127")
    return known[column]


def controller_points(changes: Changes | None, default: float, clip_s: float) -> Points:
    """Return a controller's curve, from its default at the start to its last value at the end.

    Args:
        changes: Times in seconds and values of its events; None if it never moves.
        default: Its value before it moves.
        clip_s: Length of the clip in seconds.
    """
    times, values = changes or (np.empty(0), np.empty(0))
    if not len(times) or times[0] > 0:
        # Hold the default until the first event instead of moving towards its value.
        before = np.array([0.0, *times[:1]])
        times = np.concatenate([before, times])
        values = np.concatenate([np.full(len(before), default), values])
    if times[-1] < clip_s:
        times, values = np.append(times, clip_s), np.append(values, values[-1])
    return Points(values, times)


class FrameNotes:
    """The notes that sound in each frame of a clip.

    If several sound, columns of a single note use the one that began last, and among notes that
    began together the highest.
    """

    def __init__(self, performance: Performance, audio_length: int, spec: CodecSpec) -> None:
        """Find the notes of each frame.

        Args:
            performance: The notes.
            audio_length: Length of the clip in samples.
            spec: The clip's codec.

        Raises:
            PreprocessError: More notes sound at once, for longer, than fit in memory.
        """
        self._performance = performance
        starts, ends = frame_starts_s(audio_length, spec), frame_ends_s(audio_length, spec)
        self._centres = frame_centres_s(audio_length, spec)
        # Sort the frames by time: at 48 kHz, frames of two segments overlap.
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], ends[order]
        began = performance.starts_s + SAME_TIME_S
        # A note without length sounds where it begins.
        ended = np.maximum(performance.ends_s - SAME_TIME_S, began + SAME_TIME_S)
        first = np.searchsorted(ends, began, "right")
        self.onset = np.zeros(len(starts))
        self.onset[order[_ranges(first, np.searchsorted(starts, began, "right"))[1]]] = 1
        # Pairs of a frame and a note that sounds in it, sorted by note.
        after = _until_struck_again(performance, first, np.searchsorted(starts, ended, "left"))
        pairs = int(np.maximum(after - first, 0).sum())
        if pairs > MAX_PAIRS:
            raise PreprocessError(
                f"its notes sound in {pairs:,} frames in all, each counted for itself; at most "
                f"{MAX_PAIRS:,} are read"
            )
        self._notes, at = _ranges(first, after)
        self._frames = order[at]
        self._latest = np.full(len(starts), -1)
        self._latest[self._frames] = self._notes  # a frame's last assignment wins

    def column(self, column: str) -> Values:
        """Return a column of notes at the frames `[T]`."""
        if column == "onset":
            return self.onset
        if column == "gate":
            return (self._latest >= 0).astype(np.float64)
        if column == "note_count":
            frames, _, _ = self._voices
            return np.bincount(frames, minlength=len(self._latest)).astype(np.float64)
        sounding = np.flatnonzero(self._latest >= 0)
        return self._spread(column, sounding, self._latest[sounding])

    def voice(self, column: str, voice: int) -> Values:
        """Return `note`, `velocity` or `pitch` of a voice at the frames `[T]`; 1 is the highest."""
        frames, notes, ranks = self._voices
        here = ranks == voice - 1
        return self._spread(column, frames[here], notes[here])

    def most(self) -> int:
        """Return the largest number of notes that sound at once."""
        return int(self.column("note_count").max())

    def _spread(self, column: str, frames: Indices, notes: Indices) -> Values:
        """Return a column `[T]` with the values of notes in their frames."""
        played = self._performance
        values = np.full(len(self._latest), 0.0 if column == "velocity" else np.nan)
        if column == "velocity":
            values[frames] = played.velocities[notes]
            return values
        values[frames] = played.keys[notes]
        if column == "pitch":
            # Read the bend at the frame's centre, or at the nearest time at which the note sounds.
            starts, ends = played.starts_s[notes], played.ends_s[notes]
            last = np.maximum(starts, ends - 2 * SAME_TIME_S)
            at_s = np.clip(self._centres[frames], starts, last)
            values[frames] += played.bend_at(played.channels[notes], at_s)
        return values

    @cached_property
    def _voices(self) -> tuple[Indices, Indices, Indices]:
        """Frames, notes and ranks `[P]`: each key once per frame, the highest note first."""
        played = self._performance
        frames, notes = self._frames[::-1], self._notes[::-1]  # per key, the latest first
        place = ((127 - played.keys[notes]) << 4) | played.channels[notes]
        order = np.argsort((frames << 11) | place, kind="stable")
        frames, notes, place = frames[order], notes[order], place[order]
        new = np.ones(len(frames), bool)
        new[1:] = (np.diff(frames) != 0) | (np.diff(place) != 0)
        frames, notes = frames[new], notes[new]
        starts = np.searchsorted(frames, frames, "left")
        return frames, notes, np.arange(len(frames)) - starts


def _until_struck_again(played: Performance, first: Indices, after: Indices) -> Indices:
    """Return the frame after the last that each note is needed for, `[N]`.

    From where its key sounds again on the same channel, the later note replaces it. So a key needs
    no more than every frame, however often it is struck.
    """
    order = np.lexsort((np.arange(len(first)), played.keys << 4 | played.channels))
    place = (played.keys << 4 | played.channels)[order]
    this, later = order[:-1], order[1:]
    replaced = (place[:-1] == place[1:]) & (after[this] <= after[later])
    cut = after.copy()
    cut[this] = np.where(replaced, np.minimum(after[this], first[later]), after[this])
    return cut


def _ranges(first: Indices, after: Indices) -> tuple[Indices, Indices]:
    """Return, for each index in the ranges `[first, after)`, its range's number and the index."""
    counts = np.maximum(after - first, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + within
