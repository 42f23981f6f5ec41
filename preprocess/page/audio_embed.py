"""Sound inside a page: FLAC where that is small enough, else Opus.

FLAC is what the samples are, to 16 bits, and every browser plays it. A long or stereo clip would
make a page too large to send; Opus at about 100 kbps a channel does not, and Chromium, Firefox and
Safari from 18.4 on play it. MP3 would add a silence of tens of milliseconds at its start, by which
browsers differ, and a cursor must not be that late.
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
"""A sound of more bytes becomes Opus."""
LONG_S = 600.0
"""From this length on, Opus takes half of the bits."""
_OPUS_RATE = 48_000
_OPUS_KBPS = 96.0
_BLOCK = 1 << 16


@dataclass(frozen=True)
class EmbeddedSound:
    """A sound as a file.

    Attributes:
        data: The file.
        mime: Its type.
        scale: What its samples were multiplied by, so that none is above full scale.
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
    # FLAC takes about half of 16 bits a sample: what cannot fit is not tried.
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
