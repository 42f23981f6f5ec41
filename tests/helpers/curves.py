"""Curves and MIDI files, made for tests, and what a producer makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mido
import numpy as np
from numpy.typing import NDArray

from preprocess.params.base import Producer
from tests.helpers.clips import clip_of, prepared


def curve(root: Path, **settings: Any) -> Producer:
    """Return the producer `curve` with these settings."""
    return prepared({"curve": {"root": root, **settings}})


def parameters(
    root: Path,
    name: str = "c",
    samples: int = 24_000,
    model: str = "encodec_24khz",
    notes: list[tuple[str, str]] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Return the parameters of a clip; what is worth attention is added to `notes`."""
    clip = clip_of(samples, model, name)
    found = dict(curve(root, **settings).parameters(clip))
    if notes is not None:
        notes += clip.notes
    return found


def write_midi(
    path: Path, events: list[tuple[float, Any]], tempo: int = 500_000, ticks: int = 480
) -> Path:
    """Write `(seconds, message)` events at a tempo that the file states."""
    file = mido.MidiFile(ticks_per_beat=ticks)
    tempo_track, track = mido.MidiTrack(), mido.MidiTrack()
    tempo_track.append(mido.MetaMessage("set_tempo", tempo=tempo))
    at = 0
    for seconds, message in events:
        tick = round(mido.second2tick(seconds, ticks, tempo))
        track.append(message.copy(time=tick - at))
        at = tick
    file.tracks += [tempo_track, track]
    file.save(path)
    return path


def on(note: int, velocity: int = 64, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, channel=channel)


def off(note: int, channel: int = 0) -> mido.Message:
    return mido.Message("note_off", note=note, channel=channel)


def control(number: int, value: int, channel: int = 0) -> mido.Message:
    return mido.Message("control_change", control=number, value=value, channel=channel)


def wheel(value: float, channel: int = 0) -> mido.Message:
    """Return the pitch wheel at a part of its range, from -1 to below 1."""
    return mido.Message("pitchwheel", pitch=round(value * 8192), channel=channel)


def values_of(root: Path, *columns: str, **settings: Any) -> list[NDArray[np.float64]]:
    """Return the values of columns, one array each."""
    found = parameters(root, columns=list(columns), **settings)
    return [found[name]["values"] for name in columns]
