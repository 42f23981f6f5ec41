"""The tokens of one clip, and their header."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.tokens.frames import n_frames
from preprocess.tokens.specs import CODECS, CodecSpec


class EcdcError(PreprocessError, ValueError):
    """A file is not a readable `.ecdc`, or tokens cannot be written as one."""


@dataclass(frozen=True)
class EcdcHeader:
    """The header of a token file.

    Attributes:
        model: Name of the codec, a key of `preprocess.tokens.specs.CODECS`.
        audio_length: Length of the clip in samples per channel.
        n_codebooks: K.
        extra: Further keys of the header (provenance).
    """

    model: str
    audio_length: int
    n_codebooks: int
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> CodecSpec:
        """Facts about the codec."""
        return CODECS[self.model]

    @property
    def n_frames(self) -> int:
        """T, the number of frames in all segments."""
        return n_frames(self.audio_length, self.spec)

    @property
    def bandwidth_kbps(self) -> float:
        """Bandwidth of K codebooks in kbps."""
        return self.spec.bandwidth_kbps(self.n_codebooks)

    @property
    def duration_s(self) -> float:
        """Length of the clip in seconds."""
        return self.audio_length / self.spec.sample_rate


@dataclass(frozen=True, eq=False)
class Ecdc:
    """The tokens of one clip.

    Attributes:
        model: Name of the codec, a key of `preprocess.tokens.specs.CODECS`.
        codes: int16 `[K, T]`, segment after segment.
        audio_length: Length of the clip in samples per channel.
        segment_frames: Frames in each segment, T in total; one entry for a codec without segments.
        scales: float32 `[S]`, one per segment (48 kHz), or None.
        extra: Further keys of the header (provenance).
    """

    model: str
    codes: NDArray[np.int16]
    audio_length: int
    segment_frames: tuple[int, ...]
    scales: NDArray[np.float32] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> EcdcHeader:
        """The header that goes with these tokens."""
        return EcdcHeader(self.model, self.audio_length, int(self.codes.shape[0]), self.extra)

    def at(self, n_codebooks: int) -> Ecdc:
        """Return the clip at a lower bandwidth: the first `n_codebooks` rows of the codes.

        Residual quantization is greedy, so this is the encoding at that bandwidth.

        Raises:
            EcdcError: The clip has fewer codebooks, or `n_codebooks` is less than 1.
        """
        have = self.codes.shape[0]
        if not 1 <= n_codebooks <= have:
            raise EcdcError(f"cannot use {n_codebooks} codebooks of a clip that has {have}")
        return replace(self, codes=self.codes[:n_codebooks])


@dataclass(frozen=True, eq=False)
class StoredEcdc:
    """The tokens of a file, with the text of its header.

    Attributes:
        ecdc: The tokens.
        text: The JSON of the header; for a `torch.save` file, that of the `.ecdc` it would become.
        exact: Whether `pack_ecdc(ecdc, text)` gives the bytes of the file.
        digest: Hash of the file, as in the sidecars that were made for it.
    """

    ecdc: Ecdc
    text: str
    exact: bool
    digest: str
