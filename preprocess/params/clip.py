"""A clip as a producer of parameters sees it: its tokens' header, its time, its audio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preprocess.audio.audio_files import AudioError, read_audio
from preprocess.core.errors import PreprocessError
from preprocess.params.points import Points
from preprocess.params.timeline import Gap, Interpolation, Outside, Reading, to_frames
from preprocess.tokens.ecdc import read_ecdc
from preprocess.tokens.frames import frame_centres_s, frame_starts_s
from preprocess.tokens.types import Ecdc, EcdcHeader

Wave = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip, as a producer sees it.

    Attributes:
        id: Path of the token file below its root, without suffix, with forward slashes.
        path: The token file.
        header: What its header says: `n_frames`, `audio_length`, `spec.fps`, ...
        audio_path: The normalized audio; None where none was given or found.
        decoder: Decodes tokens to audio.
        notes: What producers found worth attention: `(what, detail)`, as `note` adds them.
    """

    id: str
    path: Path
    header: EcdcHeader
    audio_path: Path | None = None
    decoder: Callable[[Ecdc], Wave] | None = None
    notes: list[tuple[str, str]] = field(default_factory=list, repr=False)

    def note(self, what: str, detail: str = "") -> None:
        """Say what is worth a user's attention without being an error.

        A run prints `what` once, with the clips that it holds for and the `detail` of each.
        """
        self.notes.append((what, detail))

    @property
    def n_frames(self) -> int:
        """T: how many values a parameter must have."""
        return self.header.n_frames

    @property
    def frame_centres_s(self) -> NDArray[np.float64]:
        """Middle of the hop of each frame in seconds `[T]`."""
        return frame_centres_s(self.header.audio_length, self.header.spec)

    @property
    def frame_starts_s(self) -> NDArray[np.float64]:
        """Start of each frame in seconds `[T]`."""
        return frame_starts_s(self.header.audio_length, self.header.spec)

    def at_frames(
        self,
        values: ArrayLike,
        times_s: ArrayLike | None = None,
        rate_hz: float | None = None,
        interpolation: Interpolation = "linear",
        outside: Outside = "error",
        period: float = 360.0,
        gap: Gap = "error",
        max_gap_s: float | None = None,
    ) -> NDArray[np.float64]:
        """Return values of any rate at the frames `[T]`; `preprocess.params.timeline` says more.

        Args:
            values: `[N]`.
            times_s: Time of each value in seconds, ascending; or
            rate_hz: values per second, the first of them at the clip's start; at the codec's own
                frame rate value i is that of frame i.
            interpolation: `linear`, `step`, `circular`, `mean` or `circular_mean`.
            outside: What a frame gets that the values do not reach: `hold`, `nan` or `error`.
            period: Of `circular` values, how far it is around; they come out from 0 to `period`.
            gap: What a frame gets in a hole between two values: `error`, `interpolate`, `hold` or
                `nan`.
            max_gap_s: From what length on it is a hole; None for ten median spacings.

        Raises:
            PreprocessError: Values and times do not fit, do not reach a frame, or have a hole.
        """
        times = None if times_s is None else np.asarray(times_s, np.float64)
        points = Points(np.asarray(values, np.float64), times, rate_hz)
        how = Reading(interpolation, outside, period, gap=gap, max_gap_s=max_gap_s)
        return to_frames(points, self.header.audio_length, self.header.spec, how)

    def audio(self) -> Wave:
        """Return the normalized audio, float32 `[C, N]`, read-only: all producers share it.

        Raises:
            AudioError: There is none, or its length is not that of the tokens.
        """
        return self._audio

    def decoded(self) -> Wave:
        """Return the audio decoded from the tokens, float32 `[C, N]`, read-only."""
        return self._decoded

    # Read once: several producers may ask.
    @cached_property
    def _audio(self) -> Wave:
        if self.audio_path is None:
            raise AudioError(f"{self.path}: no normalized audio was found for {self.id}")
        spec, length = self.header.spec, self.header.audio_length
        wav = read_audio(self.audio_path, spec.sample_rate, spec.channels)
        if wav.shape[1] != length:
            raise AudioError(
                f"{self.audio_path} has {wav.shape[1]} samples, but {self.path} has {length}"
            )
        wav.flags.writeable = False
        return wav

    @cached_property
    def _decoded(self) -> Wave:
        if self.decoder is None:
            raise PreprocessError(f"{self.path}: no codec was loaded to decode it")
        wav = self.decoder(read_ecdc(self.path))
        wav.flags.writeable = False
        return wav
