"""A clip as a producer of parameters sees it: its tokens' header, its time, its audio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocess.audio import AudioError, read_audio
from preprocess.ecdc import Ecdc, EcdcHeader, read_ecdc
from preprocess.errors import PreprocessError
from preprocess.frames import frame_starts_s

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
    """

    id: str
    path: Path
    header: EcdcHeader
    audio_path: Path | None = None
    decoder: Callable[[Ecdc], Wave] | None = None

    @property
    def n_frames(self) -> int:
        """T: how many values a feature must have."""
        return self.header.n_frames

    @property
    def frame_starts_s(self) -> NDArray[np.float64]:
        """Start of each frame in seconds `[T]`."""
        return frame_starts_s(self.header.audio_length, self.header.spec)

    def audio(self) -> Wave:
        """Return the normalized audio, float32 `[C, N]`.

        Raises:
            AudioError: There is none, or its length is not that of the tokens.
        """
        if self.audio_path is None:
            raise AudioError(f"{self.path}: no normalized audio was found for {self.id}")
        spec, length = self.header.spec, self.header.audio_length
        wav = read_audio(self.audio_path, spec.sample_rate, spec.channels)
        if wav.shape[1] != length:
            raise AudioError(
                f"{self.audio_path} has {wav.shape[1]} samples, but {self.path} has {length}"
            )
        return wav

    def decoded(self) -> Wave:
        """Return the audio decoded from the tokens, float32 `[C, N]`."""
        if self.decoder is None:
            raise PreprocessError(f"{self.path}: no codec was loaded to decode it")
        return self.decoder(read_ecdc(self.path))
