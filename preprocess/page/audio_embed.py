"""Sound inside a page: FLAC if it is small enough, else Opus.

FLAC keeps the samples exact to 16 bits, and every browser plays it. For a long or stereo clip it
makes a page too large to send, so that clip uses Opus at about 100 kbps per channel, which Chromium,
Firefox and Safari 18.4 or later play. MP3 adds tens of milliseconds of silence at the start, and the
amount differs between browsers, which would make the cursor late.
"""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import dataclass

import numpy as np
import soundfile as sf
import soxr

from preprocess.page.clip_data import Wave

MOST_FLAC_BYTES = 1_100_000
"""Sounds that need more bytes than this use Opus."""
LONG_S = 600.0
"""Sounds longer than this get half the Opus bit rate."""
_OPUS_RATE = 48_000
_OPUS_KBPS = 96.0
_BLOCK = 1 << 16


@dataclass(frozen=True)
class EmbeddedSound:
    """A sound as a file.

    Attributes:
        data: The bytes of the file.
        mime: Its media type.
        scale: Factor applied to the samples so that none exceeds full scale.
    """

    data: bytes
    mime: str
    scale: float

    @property
    def base64(self) -> str:
        """The file as text."""
        return b64encode(self.data).decode("ascii")


def embed_sound(wave: Wave, sample_rate: int) -> EmbeddedSound:
    """Return a sound `[C, N]` as a small file."""
    peak = float(np.abs(wave).max(initial=0.0))
    scale = 1.0 if peak <= 1 else 0.999 / peak
    samples = np.ascontiguousarray(wave.T) * np.float32(scale)
    # FLAC needs about half of 16 bits per sample; skip it for sounds that cannot fit.
    if samples.size <= 2 * MOST_FLAC_BYTES:
        data = _write(samples, sample_rate, "FLAC", "PCM_16")
        if len(data) <= MOST_FLAC_BYTES:
            return EmbeddedSound(data, "audio/flac", scale)
    kbps = _OPUS_KBPS / 2 if len(samples) > LONG_S * sample_rate else _OPUS_KBPS
    if sample_rate not in (24_000, _OPUS_RATE):
        samples = soxr.resample(samples, sample_rate, _OPUS_RATE)
        sample_rate = _OPUS_RATE
    return EmbeddedSound(_write(samples, sample_rate, "OGG", "OPUS", kbps), "audio/ogg", scale)


def _write(samples: Wave, rate: int, form: str, subtype: str, kbps: float | None = None) -> bytes:
    # libsndfile's scale for Opus: 0 is 256 kbps a channel, 1 is 6.
    level = None if kbps is None else 1 - (kbps - 6) / 250
    file = io.BytesIO()
    with sf.SoundFile(
        file, "w", rate, samples.shape[1], subtype, format=form, compression_level=level
    ) as sound:
        for first in range(0, len(samples), _BLOCK):
            sound.write(samples[first : first + _BLOCK])
    return file.getvalue()
