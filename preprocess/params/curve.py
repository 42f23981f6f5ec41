"""Parameters from curves: files with values over time, one for each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import digest_file, find_files, require_folder
from preprocess.core.report import listed, plural
from preprocess.params.base import Columns, DescribedEach, Labels, Missing, Number
from preprocess.params.clip import Clip
from preprocess.params.curve_cells import words
from preprocess.params.curve_midi import MidiReader, MidiSource, midi_sources
from preprocess.params.curve_times import TimeAs
from preprocess.params.curves import (
    CURVE_SUFFIXES,
    CurveFormat,
    is_midi,
    read_columns,
    read_curves,
)
from preprocess.params.midi import describe_column
from preprocess.params.midi_file import MidiSettings
from preprocess.params.numerals import Decimal
from preprocess.params.points import Points, Values
from preprocess.params.tables import Layout
from preprocess.params.timeline import (
    Gap,
    Interpolation,
    Outside,
    Reading,
    around_circle,
    to_frames,
)
from preprocess.sidecar.parameter_info import circular_period
from preprocess.sidecar.parameters import ParameterValue
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX

_FAR_LONGER_S = 1.0
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Curve(DescribedEach):
    """Time-stamped values, from a CSV, JSON, MIDI or other file for each clip.

    The files under `root` mirror the token files and have the same names: `a/take.1.csv` for
    `a/take.1.ecdc`. `columns` lists the columns to use, or maps parameters to columns. The column
    `time` has the time of each value (seconds, h:mm:ss, ISO 8601 or Unix time: `time_as`), which is
    multiplied by `scale` and then shifted by `offset_s`; or the values are at `rate_hz`. They are
    read at the frames' centres: `linear`, `step`, `circular`, or as the `mean` within the frame;
    `auto` depends on the parameter's kind, and is `step` for MIDI. `outside` applies to frames that
    the curve does not reach, `gap` to frames in a gap longer than `max_gap_s`. A column of words
    needs `labels`.

    The columns of a MIDI file are note, velocity, pitch (with its bend), gate, onset, note_count,
    pitch_bend, aftertouch, and cc0 to cc127. `voices` makes note, velocity and pitch for that many
    notes, the highest first; `sustain: false` ignores the pedal; `bend_range` is in semitones;
    `default: {cc1: 0}` sets the value of a controller before it moves.
    """

    flag = "curve"
    root: Path
    columns: Annotated[Columns, Field(min_length=1)]
    time: str = "time"
    time_as: TimeAs = "auto"
    scale: Positive = 1.0
    offset_s: Number = 0.0
    rate_hz: Positive | None = None
    interpolation: Literal["auto", "linear", "step", "circular", "mean"] = "auto"
    outside: Outside = "error"
    gap: Gap = "error"
    max_gap_s: Positive | None = None
    labels: Labels = field(default_factory=dict)
    decimal: Decimal = "auto"
    sheet: str | None = None
    header: Annotated[int, Field(ge=1)] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    missing: Missing = "error"
    channel: Annotated[int, Field(ge=1, le=16)] | None = None
    voices: Annotated[int, Field(ge=1, le=16)] | None = None
    sustain: bool = True
    bend_range: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    default: dict[str, Number] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in self.columns:
            if not name.isidentifier():
                raise UsageError(f"{name!r} cannot name a parameter; give {{some_name: {name!r}}}")
            categorical = name in self.labels or self.kind.get(name) == "categorical"
            if categorical and self.interpolation not in ("auto", "step"):
                raise UsageError(f"{name!r} is categorical: use interpolation: step")
        self._check_described(list(self.columns))
        for name in self.default:
            if name not in (*self.columns, *self.columns.values()):
                made = ", ".join(self.columns)
                raise UsageError(f"default names {name!r}, which it does not make; it makes {made}")
        self._parameters  # noqa: B018, names are checked

    def _load(self) -> None:
        """Find the files, and read the labels in them."""
        self._files, self._labels  # noqa: B018, kept for all clips

    @cached_property
    def _parameters(self) -> dict[str, MidiSource]:
        """The source of each parameter, by name."""
        return midi_sources(self.columns, self.voices)

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The file of each clip, by its id."""
        root = require_folder(self.root, "curves' folder")
        files: dict[str, Path] = {}
        for rel in find_files(root, CURVE_SUFFIXES):
            if rel.name.endswith((ARRAY_SUFFIX, META_SUFFIX)):  # sidecars, if root has tokens too
                continue
            clip_id = rel.with_suffix("").as_posix()
            if clip_id in files:
                raise UsageError(f"{files[clip_id]} and {root / rel} both match {clip_id}")
            files[clip_id] = root / rel
        return files

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Return notes on files without a clip and, if allowed, on clips without a file.

        Raises:
            UsageError: No file belongs to a clip.
        """
        known = set(ids)
        spare = [clip_id for clip_id in self._files if clip_id not in known]
        without = [clip_id for clip_id in ids if clip_id not in self._files]
        if len(without) == len(ids):
            found = f"the first file is for {spare[0]!r}" if spare else "it has no curves"
            raise UsageError(f"{self.root} has no curve for any clip, such as {ids[0]!r}; {found}")
        notes = []
        if spare:
            files = plural("curve", len(spare))
            notes.append(f"{self.root}: {len(spare)} {files} without a clip: {listed(spare)}")
        if without and self.missing == "nan":
            clips = plural("clip", len(without))
            notes.append(f"{self.root}: no curve for {len(without)} {clips}: {listed(without)}")
        return notes

    def names(self) -> Sequence[str]:
        """Return the parameters' names."""
        return list(self.columns)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the curves at the clip's frames, each `[T]`."""
        path = self._files.get(clip.id)
        if path is None:
            if self.missing == "error":
                raise PreprocessError(f"{clip.path}: {self.root} has no curve for {clip.id!r}")
            return {name: self._nothing(name, "no curve", clip) for name in self._parameters}
        found = self._of_midi(path, clip) if is_midi(path) else self._of_file(path, clip)
        for name, parameter in self._parameters.items():
            if name not in found:
                what = f"no {parameter.column} in the curve"
                clip.note(f"{self.root}: {what}, {name!r} is NaN")
                found[name] = self._nothing(name, what, clip)
        return {name: found[name] for name in self._parameters}

    def origin(self, clip: Clip) -> str:
        """Return the hash of the clip's file."""
        path = self._files.get(clip.id)
        return digest_file(path) if path else ""

    def settings(self) -> dict[str, Any]:
        """Return the settings, with the labels found and without the path of the folder."""
        return {**super().settings(), "root": "", "found": self._labels}

    @cached_property
    def _labels(self) -> dict[str, list[str]]:
        """The labels of each column of words: as given, or else from all files, sorted."""
        wanted = [n for n in self.columns if self.kind.get(n) == "categorical"]
        wanted = [name for name in wanted if name not in self.labels]
        seen: dict[str, list[Any]] = {name: [] for name in wanted}
        for path in self._files.values() if wanted else ():
            if not is_midi(path) and path.suffix.lower() != ".npy":
                table, _ = read_columns(path, self._layout_of(path))
                for name in wanted:
                    seen[name] += table.get(self.columns[name], ())
        found = {name: sorted(words(cells)) for name, cells in seen.items()}
        return {**self.labels, **{name: labels for name, labels in found.items() if labels}}

    def _of_midi(self, path: Path, clip: Clip) -> dict[str, dict[str, Any]]:
        if self.interpolation in ("circular", "mean"):
            raise PreprocessError(f"{path}: MIDI supports interpolation: step or linear")
        reader = MidiReader(
            self.root,
            MidiSettings(self.channel, self.sustain, self.bend_range, self.scale, self.offset_s),
            {self.columns.get(name, name): value for name, value in self.default.items()},
            self.interpolation == "linear",
            self.outside,
            self.missing == "nan",
        )
        values, last_s = reader.read(path, self._parameters, clip)
        self._note_length(0.0, last_s, clip)
        found = {}
        for name, at_frames in values.items():
            base = self._parameters[name].base
            known = describe_column(self._parameters[name].column)
            parameter = self._parameter(base, at_frames)
            # The settings override what MIDI defines.
            said = [key for key in known if base in getattr(self, key, ())]
            found[name] = {**parameter, **known, **{key: parameter[key] for key in said}}
            if np.isnan(at_frames).any():
                found[name].setdefault("nan", "no value in the curve")
        return found

    def _of_file(self, path: Path, clip: Clip) -> dict[str, dict[str, Any]]:
        if self.voices:
            raise PreprocessError(f"{path}: voices requires MIDI files")
        form = CurveFormat(
            self.time,
            self.time_as,
            self.rate_hz,
            self.scale,
            self.offset_s,
            self._labels,
            self.decimal,
            self._layout_of(path),
        )
        curves = read_curves(path, self.columns, form, skip_missing=self.missing == "nan")
        found = {}
        for name, points in curves.items():
            try:
                found[name] = self._at_frames(name, points, clip)
            except PreprocessError as error:
                raise PreprocessError(f"{path}: {name}: {error}") from None
        if curves:
            points = next(iter(curves.values()))
            self._note_length(*points.ends_s(), clip)
            rows = len(points.values)
            if points.rate_hz == clip.header.spec.fps and rows > clip.n_frames + 1:
                clip.note(f"{self.root}: more rows than frames", f"{rows} for {clip.n_frames}")
        return found

    def _layout_of(self, path: Path) -> Layout | None:
        """Return the layout of a table; None for JSON and arrays."""
        if path.suffix.lower() in (".json", ".npy"):
            return None
        return Layout(
            sheet=self.sheet,
            header=self.header,
            delimiter=self.delimiter,
            encoding=self.encoding,
        )

    def _at_frames(self, name: str, points: Points, clip: Clip) -> dict[str, Any]:
        parameter = self._parameter(name, points.values, self._labels.get(name, ()))
        if points.column:
            parameter["units"] = points.column.agreed_units(parameter["units"])
            parameter["source"] = f"column {self.columns[name]!r}: {points.column.reading}"
        how = self._how(parameter["kind"])
        if how == "circular":
            parameter["kind"] = "circular"
        low, high = parameter["min"], parameter["max"]
        period, lowest = circular_period(parameter["units"], low, high), low or 0.0
        reading = Reading(how, self.outside, period, lowest, self.gap, self.max_gap_s)
        values = to_frames(points, clip.header.audio_length, clip.header.spec, reading)
        circular = parameter["kind"] == "circular"
        parameter["values"] = around_circle(values, period, lowest) if circular else values
        if np.isnan(values).any():
            parameter["nan"] = "no value in the curve"
        return parameter

    def _how(self, kind: str) -> Interpolation:
        if self.interpolation == "mean" and kind == "circular":
            return "circular_mean"
        if self.interpolation != "auto":
            return self.interpolation
        if kind == "circular":
            return "circular"
        return "step" if kind == "categorical" else "linear"

    def _nothing(self, name: str, why: str, clip: Clip) -> dict[str, Any]:
        """Return a parameter `[T]` of NaN; `why` says what NaN means."""
        base = self._parameters[name].base
        nothing: Values = np.full(clip.n_frames, np.nan)
        return {**self._parameter(base, nothing, self._labels.get(base, ())), "nan": why}

    def _note_length(self, first_s: float, last_s: float, clip: Clip) -> None:
        """Add a note if a curve extends beyond its clip by more than the clip's length."""
        clip_s = clip.header.audio_length / clip.header.spec.sample_rate
        beside_s = max(0.0, -first_s) + max(0.0, last_s - clip_s)
        if beside_s > max(clip_s, _FAR_LONGER_S):
            clip.note(
                f"{self.root}: far longer than its clip; check scale and offset_s",
                f"{last_s - first_s:.4g} s for {clip_s:.4g} s",
            )
