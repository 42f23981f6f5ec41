"""Parameters from curves: files with values in time, one a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from preprocess.clip import Clip
from preprocess.curves import CURVE_SUFFIXES, MIDI_SUFFIXES, read_curves
from preprocess.errors import PreprocessError, UsageError
from preprocess.features import FeatureValue, circular_period
from preprocess.files import digest_file, find_files, require_folder
from preprocess.params.base import Columns, DescribedEach, Missing
from preprocess.report import listed, plural
from preprocess.sidecar_format import ARRAY_SUFFIX, META_SUFFIX
from preprocess.timeline import Interpolation, Outside, Points, to_frames


@dataclass(frozen=True, kw_only=True)
class Curve(DescribedEach):
    """Time-stamped values, from a CSV, JSON, MIDI or other file for each clip.

    The files lie under `root` as the tokens do under theirs, with the same names: `a/take.1.csv`
    for `a/take.1.ecdc`. `columns` lists the columns to take, or is `{feature: column}`; those of a
    MIDI file are note, velocity, gate, pitch_bend, aftertouch, and cc0 to cc127. Values have their
    time in the column `time`, in seconds, or come at `rate_hz`. They are read at the frames'
    centres: `linear`, as a `step`, or `circular`; `auto` takes the kind of a feature for that,
    and steps for MIDI. `outside` says what a frame gets that the curve does not reach.
    """

    flag = "curve"
    root: Path
    columns: Annotated[Columns, Field(min_length=1)]
    time: str = "time"
    rate_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    interpolation: Literal["auto", "linear", "step", "circular"] = "auto"
    outside: Outside = "error"
    missing: Missing = "error"
    channel: Annotated[int, Field(ge=1, le=16)] | None = None

    def __post_init__(self) -> None:
        """Check names and find the files before any clip is read."""
        for name in self.columns:
            if not name.isidentifier():
                raise UsageError(f"{name!r} cannot name a feature; give {{some_name: {name!r}}}")
            if self.kind.get(name) == "categorical" and self.interpolation in (
                "linear",
                "circular",
            ):
                raise UsageError(f"{name!r} is categorical: take interpolation: step")
        self._check_described(list(self.columns))
        self._files  # noqa: B018, found once, here

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The file of each clip, by its id."""
        root = require_folder(self.root, "curves' folder")
        files: dict[str, Path] = {}
        for rel in find_files(root, CURVE_SUFFIXES):
            if rel.name.endswith((ARRAY_SUFFIX, META_SUFFIX)):  # curves may lie beside the tokens
                continue
            clip_id = rel.with_suffix("").as_posix()
            if clip_id in files:
                raise UsageError(f"{files[clip_id]} and {root / rel} are both for {clip_id}")
            files[clip_id] = root / rel
        return files

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Say which files and, where that is no error, which clips have no counterpart.

        Raises:
            UsageError: No file is that of a clip.
        """
        known = set(ids)
        spare = [clip_id for clip_id in self._files if clip_id not in known]
        without = [clip_id for clip_id in ids if clip_id not in self._files]
        if len(without) == len(ids):
            found = f"the first file is for {spare[0]!r}" if spare else "it has none"
            raise UsageError(f"{self.root} has no curve of any clip, such as {ids[0]!r}; {found}")
        notes = []
        if spare:
            files = plural("curve", len(spare))
            notes.append(f"{self.root}: {len(spare)} {files} of no clip: {listed(spare)}")
        if without and self.missing == "nan":
            clips = plural("clip", len(without))
            notes.append(f"{self.root}: no curve for {len(without)} {clips}: {listed(without)}")
        return notes

    def names(self) -> Sequence[str]:
        """Return the columns' names."""
        return list(self.columns)

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the curves at the centres of the clip's frames."""
        path = self._files.get(clip.id)
        if path is None:
            if self.missing == "error":
                raise PreprocessError(f"{clip.path}: {self.root} has no curve of {clip.id!r}")
            nothing = np.full(clip.n_frames, np.nan)
            return {n: self._feature(n, nothing) | {"nan": "no curve"} for n in self.columns}
        curves = read_curves(path, self.columns, self.time, self.rate_hz, self.channel)
        found = {}
        for name, points in curves.items():
            try:
                found[name] = self._at_frames(name, points, path, clip)
            except PreprocessError as error:
                raise PreprocessError(f"{path}: {name}: {error}") from None
        return found

    def origin(self, clip: Clip) -> str:
        """Return the hash of the clip's file."""
        path = self._files.get(clip.id)
        return digest_file(path) if path else ""

    def settings(self) -> dict[str, Any]:
        """Return the settings without the place of the files."""
        return {**super().settings(), "root": ""}

    def _at_frames(self, name: str, points: Points, path: Path, clip: Clip) -> dict[str, Any]:
        midi = path.suffix.lower() in MIDI_SUFFIXES
        feature = self._feature(name, points.values)
        if midi:
            feature = self._of_midi(name, feature)
        how = self._how(feature["kind"], midi)
        if how == "circular":
            feature["kind"] = "circular"
        low, high = feature["min"], feature["max"]
        feature["values"] = to_frames(
            points,
            clip.header.audio_length,
            clip.header.spec,
            how,
            self.outside,
            circular_period(feature["units"], low, high),
            low or 0.0,
        )
        if np.isnan(feature["values"]).any():
            feature["nan"] = feature.get("nan") or "no value in the curve"
        return feature

    def _how(self, kind: str, midi: bool) -> Interpolation:
        if self.interpolation != "auto":
            return self.interpolation
        if kind == "circular":
            return "circular"
        return "step" if midi or kind == "categorical" else "linear"

    def _of_midi(self, name: str, feature: dict[str, Any]) -> dict[str, Any]:
        """Return a feature with what is known of MIDI, where the settings say nothing else."""
        from preprocess.midi import describe_column

        known = describe_column(self.columns[name])
        said = [key for key in known if name in getattr(self, key, ())]
        return {**feature, **known, **{key: feature[key] for key in said}}
