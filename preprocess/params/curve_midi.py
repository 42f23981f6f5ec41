"""Parameters from the columns of a MIDI file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.params.clip import Clip
from preprocess.params.midi import (
    STANDARD_DEFAULTS,
    VOICED,
    FrameNotes,
    controller_points,
    describe_column,
    is_controller,
)
from preprocess.params.midi_file import MidiSettings, Performance, read_performance
from preprocess.params.points import Values
from preprocess.params.timeline import Outside, Reading, to_frames


@dataclass(frozen=True)
class MidiSource:
    """The source of a parameter.

    Attributes:
        base: The name in `columns`; with voices, several parameters share it.
        column: The column of the MIDI file.
        voice: The voice, where 1 is the highest; None without voices.
    """

    base: str
    column: str
    voice: int | None = None


def midi_sources(columns: Mapping[str, str], voices: int | None) -> dict[str, MidiSource]:
    """Return the source of each parameter, by name; with two voices, `note` makes two.

    Raises:
        UsageError: Two parameters have the same name, or no column has voices.
    """
    found: dict[str, MidiSource] = {}
    for base, column in columns.items():
        numbers = range(1, voices + 1) if voices and column in VOICED else (None,)
        for voice in numbers:
            name = f"{base}_{voice}" if voice else base
            if name in found:
                raise UsageError(f"two columns make the parameter {name!r}")
            found[name] = MidiSource(base, column, voice)
    if voices and all(parameter.voice is None for parameter in found.values()):
        raise UsageError(f"voices needs a column of {', '.join(VOICED)}, got {', '.join(columns)}")
    return found


@dataclass(frozen=True)
class MidiReader:
    """Reads the parameters of a clip from its MIDI file.

    Attributes:
        root: The folder of the files, for notes.
        settings: How to read a file.
        default: Column -> its value before it moves, overriding the standard's.
        linear: Whether controllers move linearly between events instead of in steps.
        outside: For frames before the first event of a controller without a default.
        skip_missing: Whether to leave out a controller that never moves and has no default.
    """

    root: Path
    settings: MidiSettings
    default: Mapping[str, float]
    linear: bool
    outside: Outside
    skip_missing: bool

    def read(
        self, path: Path, wanted: Mapping[str, MidiSource], clip: Clip
    ) -> tuple[dict[str, Values], float]:
        """Return each parameter's values `[T]`, and the time of the last event in seconds.

        Raises:
            PreprocessError: The file cannot be read, or lacks a controller without a default.
        """
        for parameter in wanted.values():
            describe_column(parameter.column)
        played = read_performance(path, self.settings)
        try:
            notes = FrameNotes(played, clip.header.audio_length, clip.header.spec)
        except PreprocessError as error:
            raise PreprocessError(f"{path}: {error}") from None
        found: dict[str, Values] = {}
        for name, parameter in wanted.items():
            if is_controller(parameter.column):
                values = self._controller(path, name, parameter.column, played, clip)
                if values is not None:
                    found[name] = values
            elif parameter.voice:
                found[name] = notes.voice(parameter.column, parameter.voice)
            else:
                found[name] = notes.column(parameter.column)
        voices = max((parameter.voice or 0 for parameter in wanted.values()), default=0)
        if voices and notes.most() > voices:
            clip.note(
                f"{self.root}: more than {voices} notes sound at once; the lowest have no voice",
                f"{notes.most()} notes",
            )
        return found, played.last_s

    def _controller(
        self, path: Path, name: str, column: str, played: Performance, clip: Clip
    ) -> Values | None:
        default = self.default.get(column, STANDARD_DEFAULTS.get(column))
        changes = played.controls.get(column)
        if changes is None and default is None:
            if self.skip_missing:
                return None
            moving = ", ".join(played.controls) or "no controller"
            raise PreprocessError(
                f"{path} has no {column}; it has {moving}; set default: {{{column}: 0}}, or "
                "missing: nan"
            )
        if changes is None and column not in self.default:
            clip.note(
                f"{self.root}: {column} never moves; {name!r} is {default:g}, the MIDI default"
            )
        header = clip.header
        if default is None and changes is not None:
            default = np.nan if self.outside == "nan" else float(changes[1][0])
            late = changes[0][0] > header.spec.hop / header.spec.sample_rate
            if self.outside == "error" and late:
                raise PreprocessError(
                    f"{path}: {name}: the first {column} is at {changes[0][0]:g} s; set outside: "
                    f"hold or nan, or default: {{{column}: 0}}"
                )
        points = controller_points(
            changes, default or 0.0, header.audio_length / header.spec.sample_rate
        )
        how = Reading("linear" if self.linear else "step", gap="interpolate")
        return to_frames(points, header.audio_length, header.spec, how)
