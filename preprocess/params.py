"""Producers: where parameters come from. Each makes features of one clip, frame by frame.

In a recipe a producer is an entry of the list `annotate:`; on the command line it is a flag with
`key=value` words; the keys are the fields of its dataclass here:

    annotate:
      - ramp: {name: position, start: 0, end: 1}      --ramp name=position start=0 end=1

A user's own is a function `clip -> {name: values or {"values": ..., "units": ...}}`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from preprocess.clip import Clip, Wave
from preprocess.errors import PreprocessError, UsageError, nearest
from preprocess.features import FeatureValue
from preprocess.frames import segment_lengths
from preprocess.specs import CodecSpec
from preprocess.user_code import call, code_digest, import_function

Kind = Literal["continuous", "categorical", "circular"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
SILENCE_DB = -120.0
"""What `rms_db` says of a frame without any sound."""


class Producer:
    """What all producers share. A subclass is a frozen dataclass of its settings."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    flag: ClassVar[str]
    """The producer's key in a recipe."""

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the features of one clip, each `[T]`."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return what shapes the result, for provenance; JSON can hold it."""
        return {"producer": self.flag, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    @property
    def needs_audio(self) -> bool:
        """Whether it reads the normalized audio."""
        return False

    @property
    def needs_decoder(self) -> bool:
        """Whether it decodes tokens."""
        return False


@dataclass(frozen=True, kw_only=True)
class _Described(Producer):
    name: Name
    units: str = ""
    doc_string: str = ""
    kind: Kind = "continuous"
    min: Number | None = None
    max: Number | None = None

    def _with_text(self, values: NDArray[np.floating]) -> dict[str, FeatureValue]:
        text = {k: getattr(self, k) for k in ("units", "doc_string", "kind", "min", "max")}
        return {self.name: {"values": values, **text}}


@dataclass(frozen=True, kw_only=True)
class Constant(_Described):
    """The same value in every frame of every clip."""

    flag = "constant"
    value: Number

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the one feature."""
        return self._with_text(np.full(clip.n_frames, self.value))


@dataclass(frozen=True, kw_only=True)
class Ramp(_Described):
    """From `start` at the first frame to `end` at the latest, linear in time."""

    flag = "ramp"
    start: Number
    end: Number

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the one feature."""
        times = clip.frame_starts_s
        whole = float(times.max()) or 1.0
        return self._with_text(self.start + (self.end - self.start) * times / whole)


@dataclass(frozen=True)
class Filename(Producer):
    """What a regular expression finds in a clip's id, its path without suffix.

    Each named group is a feature: a number, or with `labels` the index of a word. A pattern with
    the groups `name` and `value` is applied again and again instead, and makes one feature of
    each pair: `_(?P<name>[A-Za-z]+)_(?P<value>-?[0-9.]+)`.
    """

    flag = "filename"
    pattern: str
    labels: dict[str, list[str]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    doc_string: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the pattern before any clip is read."""
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise UsageError(
                f"filename: {self.pattern!r} is no regular expression: {error}"
            ) from None
        if not groups:
            raise UsageError(f"filename: {self.pattern!r} has no named group (?P<name>...)")
        unknown = [key for key in self.labels if key not in groups and not self._pairs(groups)]
        if unknown:
            raise UsageError(
                f"filename: labels of {unknown[0]!r}, which is no group of the pattern"
            )

    @staticmethod
    def _pairs(groups: set[str]) -> bool:
        return groups == {"name", "value"}

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return a feature for each named group, or for each pair of name and value."""
        matches = list(re.finditer(self.pattern, clip.id))
        if not matches:
            raise PreprocessError(f"{clip.path}: {self.pattern!r} does not match {clip.id!r}")
        found = matches[0].groupdict()
        if self._pairs(set(found)):
            found = {match["name"]: match["value"] for match in matches}
        return {name: self._feature(clip, name, text) for name, text in found.items()}

    def _feature(self, clip: Clip, name: str, text: str | None) -> dict[str, Any]:
        labels = self.labels.get(name)
        if labels is not None and text not in labels:
            raise PreprocessError(f"{clip.path}: {name} is {text!r}, none of {', '.join(labels)}")
        try:
            value = float(labels.index(str(text)) if labels else str(text))
        except ValueError:
            raise PreprocessError(
                f"{clip.path}: {name} is {text!r}, which is no number; name its labels"
            ) from None
        feature: dict[str, Any] = {
            "values": np.full(clip.n_frames, value),
            "units": self.units.get(name, ""),
            "doc_string": self.doc_string.get(name, ""),
        }
        if labels:
            listed = ", ".join(f"{i} {label}" for i, label in enumerate(labels))
            feature |= {"kind": "categorical", "min": 0, "max": len(labels) - 1}
            feature["doc_string"] = f"{feature['doc_string']} ({listed})".strip()
        return feature


@dataclass(frozen=True)
class RmsDb(Producer):
    """Level of the hop that each frame covers, in dB relative to full scale."""

    flag = "rms_db"
    source: Literal["audio", "tokens"] = "audio"
    name: Name = "rms_db"
    min: Number | None = None
    max: Number | None = None

    @property
    def needs_audio(self) -> bool:
        """From the normalized audio."""
        return self.source == "audio"

    @property
    def needs_decoder(self) -> bool:
        """From the decoded tokens."""
        return self.source == "tokens"

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the one feature."""
        wav = clip.audio() if self.source == "audio" else clip.decoded()
        what = "normalized audio" if self.source == "audio" else "decoded tokens"
        rms = frame_rms(wav, clip.header.spec)
        return {
            self.name: {
                "values": 20 * np.log10(np.maximum(rms, 10 ** (SILENCE_DB / 20))),
                "units": "dB",
                "doc_string": f"RMS of the {what} over the frame's hop, re full scale",
                "min": self.min,
                "max": self.max,
            }
        }


@dataclass(frozen=True)
class Function(Producer):
    """A user's own function, `module:function` or `path.py:function`."""

    flag = "function"
    function: str

    def __post_init__(self) -> None:
        """Import the function before any clip is read."""
        import_function(self.function)

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return what the function makes of the clip."""
        try:
            features = call(self.function, clip)
        except PreprocessError as error:
            raise PreprocessError(f"{clip.path}: {error}") from error
        if not isinstance(features, Mapping):
            kind = type(features).__name__
            raise PreprocessError(f"{clip.path}: {self.function} returned {kind}, not a dict")
        return features

    def settings(self) -> dict[str, Any]:
        """Return the name of the function and the hash of the file that was named."""
        return {**super().settings(), "code": code_digest(self.function)}


PRODUCERS: dict[str, type[Producer]] = {
    producer.flag: producer for producer in (Constant, Ramp, Filename, RmsDb, Function)
}


def parse_producer(entry: Any) -> Producer:
    """Return the producer that an entry of a recipe's `annotate:` describes.

    Args:
        entry: `{name: {key: value}}`, or the name alone.

    Raises:
        UsageError: There is no such producer, or its settings are wrong.
    """
    from preprocess.flags import validate

    if isinstance(entry, Producer):
        return entry
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UsageError(f"annotate: expected one producer with its settings, got {entry!r}")
    ((name, settings),) = entry.items()
    if name not in PRODUCERS:
        known = ", ".join(PRODUCERS)
        raise UsageError(
            f"annotate: unknown producer {name!r}{nearest(str(name), PRODUCERS)}; known: {known}"
        )
    return validate(PRODUCERS[name], settings or {}, f"annotate: {name}: ")


def frame_rms(wav: Wave, spec: CodecSpec) -> NDArray[np.float64]:
    """Return the RMS `[T]` of the hop that each frame covers, channels together.

    The last frame of a clip or segment may cover less than a hop; it is averaged over what it
    covers.
    """
    power = np.mean(np.square(wav, dtype=np.float64), axis=0)
    levels = []
    for segment, length in enumerate(segment_lengths(wav.shape[1], spec)):
        start = segment * (spec.stride_samples or 0)
        edges = np.arange(0, length, spec.hop)
        sums = np.add.reduceat(power[start : start + length], edges)
        levels.append(np.sqrt(sums / np.diff(np.append(edges, length))))
    return np.concatenate(levels)
