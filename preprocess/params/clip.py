"""The clip that producers receive: its tokens' header, frame times and audio."""

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
        id: Path of the token file relative to its folder, without suffix, with forward slashes.
        path: The token file.
        header: The token file's header: `n_frames`, `audio_length`, `spec.fps`, ...
        audio_path: The normalized audio; None if none was given or found.
        decoder: Decodes tokens to audio.
        notes: Notes for the user as `(what, detail)`; `note` adds them.
    """

    id: str
    path: Path
    header: EcdcHeader
    audio_path: Path | None = None
    decoder: Callable[[Ecdc], Wave] | None = None
    notes: list[tuple[str, str]] = field(default_factory=list, repr=False)

    def note(self, what: str, detail: str = "") -> None:
        """Add a note for the user, about something that is not an error.

        A run prints `what` once, with the clips that it applies to and the `detail` of each.
        """
        self.notes.append((what, detail))

    @property
    def n_frames(self) -> int:
        """T: the number of values that a parameter must have."""
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
        """Return values at any rate, converted to the frames `[T]`; see `preprocess.params.timeline`.

        Args:
            values: Values `[N]`.
            times_s: Time of each value in seconds `[N]`, ascending; or give `rate_hz`.
            rate_hz: Values per second, from the clip's start; at the codec's own frame rate, value
                i belongs to frame i.
            interpolation: `linear`, `step`, `circular`, `mean` or `circular_mean`.
            outside: For frames that the values do not reach: `hold`, `nan` or `error`.
            period: Period of circular values; results are from 0 to below `period`.
            gap: For frames in a gap between two values: `error`, `interpolate`, `hold` or `nan`.
            max_gap_s: Longest spacing in seconds that is not a gap; None for ten median spacings.

        Raises:
            PreprocessError: The values do not match the times, do not reach a frame, or have a gap.
        """
        times = None if times_s is None else np.asarray(times_s, np.float64)
        points = Points(np.asarray(values, np.float64), times, rate_hz)
        how = Reading(interpolation, outside, period, gap=gap, max_gap_s=max_gap_s)
        return to_frames(points, self.header.audio_length, self.header.spec, how)

    def audio(self) -> Wave:
        """Return the normalized audio, float32 `[C, N]`; read-only, as all producers share it.

        Raises:
            AudioError: The clip has no audio, or its length differs from the tokens'.
        """
        return self._audio

    def decoded(self) -> Wave:
        """Return the audio decoded from the tokens, float32 `[C, N]`, read-only.

        Raises:
            PreprocessError: The clip has no decoder, or its tokens cannot be read.
        """
        return self._decoded

    # Cached because several producers may use it.
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
