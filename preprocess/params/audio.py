"""Parameters measured in the sound: the normalized audio, or the decoded tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from preprocess.audio.measures import SILENCE_DB, frame_rms, missing_library, pitch, spectral
from preprocess.core.errors import UsageError
from preprocess.params.base import Name, Number, Producer
from preprocess.params.clip import Clip, Wave
from preprocess.sidecar.parameters import ParameterValue
from preprocess.tokens.specs import CodecSpec

AudioMeasure = Literal[
    "rms_db", "f0_hz", "spectral_centroid_hz", "spectral_flatness", "onset_strength"
]
Source = Literal["audio", "tokens"]
_SPECTRAL = {
    "spectral_centroid_hz": ("Hz", "Centre of gravity of the magnitude spectrum"),
    "spectral_flatness": ("", "Geometric over arithmetic mean of the power spectrum, 0 to 1"),
    "onset_strength": ("dB", "Mean rise of the mel spectrum over the hop before"),
}


def _listed(value: Any) -> Any:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class _FromSound(Producer):
    source: Source = "audio"

    @property
    def needs_audio(self) -> bool:
        """Whether it measures the normalized audio."""
        return self.source == "audio"

    @property
    def needs_decoder(self) -> bool:
        """Whether it measures the decoded tokens."""
        return self.source == "tokens"

    def _wave(self, clip: Clip) -> tuple[Wave, str]:
        """Return the audio `[C, N]` and its name for doc strings."""
        if self.source == "audio":
            return clip.audio(), "normalized audio"
        return clip.decoded(), "decoded tokens"


@dataclass(frozen=True, kw_only=True)
class RmsDb(_FromSound):
    """Level of the hop that each frame covers, in dB relative to full scale."""

    flag = "rms_db"
    name: Name = "rms_db"
    min: Number | None = None
    max: Number | None = None

    def names(self) -> Sequence[str]:
        """Return the parameter's name."""
        return (self.name,)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the level of the clip `[T]`."""
        wav, what = self._wave(clip)
        level = _level(wav, clip.header.spec, what)
        return {self.name: {**level, "min": self.min, "max": self.max}}


@dataclass(frozen=True, kw_only=True)
class Audio(_FromSound):
    """Level, pitch with voicing, spectral centroid, flatness and onset strength of the sound.

    `f0_hz` also makes the parameter `voiced` (0 or 1), and is NaN where `voiced` is 0. The spectral
    centroid and flatness are NaN in silence. All but `rms_db` need the extra `parameters`.
    """

    flag = "audio"
    measure: Annotated[tuple[AudioMeasure, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "rms_db",
    )
    f0_min_hz: Annotated[float, Field(gt=20, lt=2000)] = 65.0
    f0_max_hz: Annotated[float, Field(gt=40, lt=8000)] = 2093.0
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z_]\w*)?$")] = ""

    def __post_init__(self) -> None:
        """Check the settings."""
        if len(set(self.measure)) < len(self.measure):
            raise UsageError("a parameter appears twice in measure")
        if self.f0_min_hz >= self.f0_max_hz:
            raise UsageError(
                f"f0_min_hz must be below f0_max_hz {self.f0_max_hz:g}, got {self.f0_min_hz:g}"
            )

    def _load(self) -> None:
        """Check that the required packages are installed."""
        missing = missing_library(self.measure)
        if missing:
            raise UsageError(f"{missing} is not installed; pip install 'enchf-dataset[parameters]'")

    def names(self) -> Sequence[str]:
        """Return the names in `measure`, with `voiced` after `f0_hz`."""
        found = [n for name in self.measure for n in (name, "voiced")[: 1 + (name == "f0_hz")]]
        return [self.prefix + name for name in found]

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the parameters in `measure`, and `voiced` with `f0_hz`."""
        wav, what = self._wave(clip)
        found: dict[str, dict[str, Any]] = {}
        for name in self.measure:
            found |= self._measured(name, wav, clip.header.spec, what)
        return {self.prefix + name: parameter for name, parameter in found.items()}

    def _measured(
        self, name: AudioMeasure, wav: Wave, spec: CodecSpec, what: str
    ) -> dict[str, dict[str, Any]]:
        if name == "rms_db":
            return {name: _level(wav, spec, what)}
        if name == "f0_hz":
            values = pitch(wav, spec, self.f0_min_hz, self.f0_max_hz)
            f0 = _described(values, "Hz", f"Pitch of the {what}", "unvoiced")
            voiced = _described(~np.isnan(values), "", f"Whether the {what} has a pitch")
            return {name: f0, "voiced": {**voiced, "kind": "categorical", "min": 0, "max": 1}}
        units, text = _SPECTRAL[name]
        nan = "" if name == "onset_strength" else "silence"
        values = spectral(wav, spec, name)
        return {name: _described(values, units, f"{text}, of the {what}", nan)}


def _level(wav: Wave, spec: CodecSpec, what: str) -> dict[str, Any]:
    rms = frame_rms(wav, spec)
    values = 20 * np.log10(np.maximum(rms, 10 ** (SILENCE_DB / 20)))
    return _described(values, "dB", f"RMS of the {what} over the frame's hop, re full scale")


def _described(values: NDArray[Any], units: str, doc_string: str, nan: str = "") -> dict[str, Any]:
    return {"values": values, "units": units, "doc_string": doc_string, "nan": nan}
