"""Reads the notes and controllers of a MIDI file.

Needs mido, which the extra `parameters` installs. Sources: The Complete MIDI 1.0 Detailed
Specification (pedals are down from 64 on; channel mode messages 120 to 127; registered parameter 0,
the bend range), RP-015 (Response to Reset All Controllers), General MIDI System Level 1 (a bend
range of 2 semitones).
"""

from __future__ import annotations

import io
import os
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.core.errors import PreprocessError
from preprocess.core.untrusted import clipped, open_regular
from preprocess.params.points import SAME_TIME_S, Indices, Values

Changes = tuple[Values, Values]
"""Times `[N]` in seconds, ascending, and the value `[N]` from each time on."""

RESET = {"cc1": 0, "cc11": 127, "cc64": 0, "cc65": 0, "cc66": 0, "cc67": 0, "aftertouch": 0}
"""Values that Reset All Controllers sets (RP-015), besides the bend; volume and pan stay."""
MAX_MIDI_BYTES = 4 << 20
"""mido reads this much in a minute; a message in memory needs 200 times its bytes."""
_BEND_UNITS = 8192
_BEND_SEMITONES = 2.0
_PEDAL, _PEDAL_DOWN = 64, 64
_ALL_SOUND_OFF, _RESET_ALL, _ALL_NOTES_OFF = 120, 121, range(123, 128)


@dataclass(frozen=True)
class MidiSettings:
    """How a MIDI file is read.

    Attributes:
        channel: The one channel to read, 1 to 16; None for all.
        sustain: Whether the pedal (`cc64`) prolongs notes.
        bend_range: Semitones of a full bend; None for the file's own range, or 2 without one.
        scale: Factor for all times.
        offset_s: Time in the clip, in seconds, at which the file begins.
    """

    channel: int | None = None
    sustain: bool = True
    bend_range: float | None = None
    scale: float = 1.0
    offset_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Performance:
    """Notes, sorted by start and then by key, and controllers.

    Attributes:
        starts_s: Starts in seconds `[N]`.
        ends_s: Ends in seconds `[N]`, infinite for a note that nothing ends.
        keys: MIDI note numbers `[N]`, 0 to 127.
        velocities: Velocities `[N]`, 1 to 127.
        channels: Channels `[N]`, 0 to 15.
        controls: `cc1`, `pitch_bend` (-1 to 1), `aftertouch`, ... -> its changes on any channel.
        bends: Channel -> changes of its bend, in semitones.
        last_s: Time of the last event in seconds.
    """

    starts_s: Values
    ends_s: Values
    keys: Indices
    velocities: Indices
    channels: Indices
    controls: dict[str, Changes]
    bends: dict[int, Changes]
    last_s: float

    def bend_at(self, channels: Indices, at_s: Values) -> Values:
        """Return the bend in semitones `[N]` of channels `[N]` at times `[N]` in seconds."""
        found = np.zeros(len(at_s))
        for channel, (times, semitones) in self.bends.items():
            here = channels == channel
            place = np.searchsorted(times, at_s[here] + SAME_TIME_S, "right") - 1
            found[here] = np.where(place < 0, 0.0, semitones[np.maximum(place, 0)])
        return found


def read_performance(path: Path, settings: MidiSettings) -> Performance:
    """Return the performance in a MIDI file of type 0 or 1, with its tempo changes applied.

    Raises:
        PreprocessError: The file cannot be read.
    """
    player = _Player(settings)
    for time, message in _messages(path):
        channel = getattr(message, "channel", None)
        if channel is not None and settings.channel in (None, channel + 1):
            player.play(message, time * settings.scale + settings.offset_s)
    return player.performance()


class _Player:
    """Follows the messages of a file."""

    def __init__(self, settings: MidiSettings) -> None:
        self._settings = settings
        self._last_s = 0.0
        self._notes: list[list[float]] = []  # start, end, key, velocity, channel
        # By channel and key: a file of one chord would otherwise be searched again for each note.
        self._pressed: dict[int, dict[int, deque[list[float]]]] = defaultdict(dict)
        self._sustained: dict[int, dict[int, list[list[float]]]] = defaultdict(dict)
        self._released: dict[tuple[int, int], float] = {}
        self._pedals: dict[int, bool] = defaultdict(bool)
        self._controls: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._bends: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._wheels: dict[int, float] = defaultdict(float)
        self._ranges: dict[int, float] = defaultdict(lambda: _BEND_SEMITONES)
        self._parameters: dict[int, list[int]] = defaultdict(lambda: [127, 127])

    def play(self, message: Any, time: float) -> None:
        """Process one message of a channel."""
        self._last_s = time
        if message.type == "note_on" and message.velocity:
            self._press(message.channel, message.note, message.velocity, time)
        elif message.type in ("note_on", "note_off"):
            self._release(message.channel, message.note, time)
        elif message.type == "control_change":
            self._control(message.channel, message.control, message.value, time)
        elif message.type == "pitchwheel":
            self._turn(message.channel, message.pitch / _BEND_UNITS, time)
        elif message.type == "aftertouch":
            self._controls["aftertouch"].append((time, message.value))

    def performance(self) -> Performance:
        """Return the performance so far."""
        for channel, keys in self._pressed.items():
            for key, notes in keys.items():
                released = self._released.get((channel, key), -np.inf)
                for note in notes:  # after two presses and one release, the second has no end
                    if released > note[0]:
                        note[1] = released
        played = sorted(self._notes, key=lambda note: (note[0], note[2]))
        table = np.array(played).reshape(-1, 5)
        numbers, velocities, channels = table[:, 2:].T.astype(np.int64)
        return Performance(
            table[:, 0],
            table[:, 1],
            numbers,
            velocities,
            channels,
            {name: _changes(events) for name, events in self._controls.items()},
            {channel: _changes(events) for channel, events in self._bends.items()},
            self._last_s,
        )

    def _press(self, channel: int, key: int, velocity: int, time: float) -> None:
        for note in self._sustained[channel].pop(key, []):  # the same key, struck again
            note[1] = time
        note = [time, np.inf, key, velocity, channel]
        self._notes.append(note)
        self._pressed[channel].setdefault(key, deque()).append(note)

    def _release(self, channel: int, key: int, time: float) -> None:
        """End the earliest pressed note of a key, or let the pedal sustain it."""
        self._released[channel, key] = time
        pressed = self._pressed[channel].get(key)
        if not pressed:
            return
        note = pressed.popleft()
        if not pressed:
            del self._pressed[channel][key]
        if self._pedals[channel]:
            self._sustained[channel].setdefault(key, []).append(note)
        else:
            note[1] = time

    def _release_all(self, channel: int, time: float) -> None:
        for key in list(self._pressed[channel]):
            while key in self._pressed[channel]:
                self._release(channel, key, time)

    def _control(self, channel: int, number: int, value: int, time: float) -> None:
        self._controls[f"cc{number}"].append((time, value))
        if number == _PEDAL:
            self._pedal(channel, value >= _PEDAL_DOWN, time)
        elif number == _ALL_SOUND_OFF:
            down = self._pedals[channel]
            self._pedal(channel, False, time)
            self._release_all(channel, time)
            self._pedals[channel] = down
        elif number == _RESET_ALL:
            for name, reset in RESET.items():
                self._controls[name].append((time, reset))
            self._pedal(channel, False, time)
            self._turn(channel, 0.0, time)
            self._parameters[channel] = [127, 127]
        elif number in _ALL_NOTES_OFF:
            self._release_all(channel, time)
        else:
            self._bend_range(channel, number, value, time)

    def _pedal(self, channel: int, down: bool, time: float) -> None:
        if not self._settings.sustain:
            return
        self._pedals[channel] = down
        if not down:
            for notes in self._sustained.pop(channel, {}).values():
                for note in notes:
                    note[1] = time

    def _bend_range(self, channel: int, number: int, value: int, time: float) -> None:
        """Track registered parameter 0: semitones in controller 6, cents in controller 38."""
        parameter = self._parameters[channel]
        if number in (98, 99):  # selects a non-registered parameter
            parameter[:] = 127, 127
        elif number in (100, 101):
            parameter[number == 101] = value
        elif number in (6, 38) and parameter == [0, 0]:
            whole = value if number == 6 else int(self._ranges[channel])
            self._ranges[channel] = whole + (value / 100 if number == 38 else 0)
            self._turn(channel, self._wheels[channel], time, of_range=True)

    def _turn(self, channel: int, wheel: float, time: float, of_range: bool = False) -> None:
        self._wheels[channel] = wheel
        span = self._settings.bend_range
        span = self._ranges[channel] if span is None else span
        self._bends[channel].append((time, wheel * span))
        if not of_range:
            self._controls["pitch_bend"].append((time, wheel))


def _changes(events: list[tuple[float, float]]) -> Changes:
    times, values = np.array(events, np.float64).T
    return times, values


def _messages(path: Path) -> Iterator[tuple[float, Any]]:
    """Yield the time in seconds and the message for all tracks, in order.

    Each time is computed from whole numbers of ticks and microseconds, and rounded once.
    """
    try:
        import mido
    except ImportError:
        raise PreprocessError(
            f"{path}: mido is not installed; pip install 'enchf-dataset[parameters]'"
        ) from None
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_MIDI_BYTES:
            raise PreprocessError(f"{path} is larger than {MAX_MIDI_BYTES >> 20} MiB")
        data = io.BytesIO(stream.read())  # a file would allocate what a chunk claims to have
    try:
        file = mido.MidiFile(file=data)
        if file.type == 2 or file.ticks_per_beat <= 0:
            raise ValueError("asynchronous tracks and SMPTE time are not supported")
    except Exception as error:  # mido's parser may raise anything
        reason = clipped(str(error) or type(error).__name__)
        raise PreprocessError(f"{path} is not a readable MIDI file: {reason}") from None
    # `mido.merge_tracks` does the same, but copies each message.
    placed = [
        pair
        for track in file.tracks
        for pair in zip(accumulate(message.time for message in track), track, strict=True)
    ]
    placed.sort(key=itemgetter(0))
    elapsed, tempo = 0, 500_000  # microseconds times ticks per beat; microseconds per beat
    before = 0
    for ticks, message in placed:
        elapsed += (ticks - before) * tempo
        before = ticks
        if message.type == "set_tempo":
            tempo = message.tempo
        yield elapsed / (file.ticks_per_beat * 1_000_000), message
