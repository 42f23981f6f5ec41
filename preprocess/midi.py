"""Curves from MIDI files: notes, controllers, pitch bend. Needs mido, of the extra `features`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.errors import PreprocessError
from preprocess.timeline import Points

NOTE_COLUMNS: dict[str, dict[str, Any]] = {
    "note": {"units": "MIDI note", "doc_string": "The note that sounds", "nan": "no note"},
    "velocity": {"doc_string": "Velocity of that note, 0 without one", "min": 0, "max": 127},
    "gate": {"doc_string": "Whether a note sounds", "kind": "categorical", "min": 0, "max": 1},
}
_CONTROLS: dict[str, dict[str, Any]] = {
    "pitch_bend": {"doc_string": "Pitch wheel, of its range", "min": -1, "max": 1},
    "aftertouch": {"doc_string": "Channel pressure", "min": 0, "max": 127},
}
_CONTROLLER = re.compile(r"cc(\d{1,3})")
_BEND_RANGE = 8192


def describe_column(column: str) -> dict[str, Any]:
    """Return what is known of a column: units, text, range.

    Raises:
        PreprocessError: There is no such column.
    """
    match = _CONTROLLER.fullmatch(column)
    if match and int(match[1]) < 128:
        return {"doc_string": f"MIDI controller {int(match[1])}", "min": 0, "max": 127}
    known = {**NOTE_COLUMNS, **_CONTROLS}
    if column not in known:
        raise PreprocessError(f"MIDI has no {column!r}; it has {', '.join(known)}, cc0 to cc127")
    return known[column]


def read_midi(
    path: Path, columns: Mapping[str, str], channel: int | None = None
) -> dict[str, Points]:
    """Return notes and controllers of a MIDI file as curves that hold from event to event.

    Where several notes sound, `note` is the one that began last. The sustain pedal is `cc64`, and
    does not prolong notes. Tempo changes are followed; time 0 is the start of the file.

    Args:
        path: The file, of type 0 or 1.
        columns: Name of a curve -> `note`, `velocity`, `gate`, `pitch_bend` (-1 to 1),
            `aftertouch`, or `cc1`, `cc74`, ...
        channel: The one channel to read, 1 to 16; None for all.

    Raises:
        PreprocessError: The file cannot be read, or has no event of a controller.
    """
    for column in columns.values():
        describe_column(column)
    events: dict[str, list[tuple[float, float]]] = {
        "note": [(0.0, np.nan)],
        "velocity": [(0.0, 0.0)],
        "gate": [(0.0, 0.0)],
        "pitch_bend": [(0.0, 0.0)],
    }
    for column, time, value in _events(path, channel):
        events.setdefault(column, []).append((time, value))
    found = {}
    for name, column in columns.items():
        if column not in events:
            raise PreprocessError(f"{path} has no {column}; it has {', '.join(events)}")
        times, values = np.array(events[column]).T
        found[name] = Points(values, times)
    return found


def _events(path: Path, channel: int | None) -> Iterator[tuple[str, float, float]]:
    """Yield column, time in seconds and value of each change."""
    sounding: dict[tuple[int, int], int] = {}  # channel and note -> velocity, the latest last
    time = 0.0
    for message in _messages(path):
        time += message.time
        if message.is_meta or channel not in (None, getattr(message, "channel", -2) + 1):
            continue
        if message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            sounding.pop(key, None)
            if message.type == "note_on" and message.velocity:
                sounding[key] = message.velocity
            note, velocity = (
                (next(reversed(sounding))[1], next(reversed(sounding.values())))
                if sounding
                else (np.nan, 0)
            )
            yield "note", time, note
            yield "velocity", time, velocity
            yield "gate", time, float(bool(sounding))
        elif message.type == "control_change":
            yield f"cc{message.control}", time, message.value
        elif message.type == "pitchwheel":
            yield "pitch_bend", time, message.pitch / _BEND_RANGE
        elif message.type == "aftertouch":
            yield "aftertouch", time, message.value


def _messages(path: Path) -> list[Any]:
    """Return the messages of all tracks in order of time, each with the seconds since the last."""
    try:
        import mido
    except ImportError:
        raise PreprocessError(
            f"{path}: mido is not installed; pip install 'enchf-dataset[features]'"
        ) from None
    try:
        file = mido.MidiFile(path)
        if file.type == 2 or file.ticks_per_beat <= 0:
            raise ValueError("asynchronous tracks or SMPTE time, which is not supported")
        return list(file)
    except Exception as error:  # mido raises what its parser stumbles over
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PreprocessError(f"{path} is no readable MIDI file: {reason}") from None
