"""Facts about each codec: rates, geometry and bandwidths. No model code, no torch.

Sources: `encodec/model.py` of facebookresearch/encodec (24 and 48 kHz), and the configuration of
`facebook/encodec_32khz` (MusicGen's EnCodec).
"""

from __future__ import annotations

from dataclasses import dataclass

from preprocess.core.errors import UsageError, nearest
from preprocess.core.untrusted import shown


@dataclass(frozen=True)
class CodecSpec:
    """Geometry of one codec.

    Attributes:
        name: The model's name in `.ecdc` headers.
        sample_rate: Samples per second and channel.
        channels: 1 or 2.
        hop: Hop length: samples that one token frame covers.
        codebook_size: Entries per codebook.
        codebooks: Bandwidth in kbps -> number of codebooks K.
        causal: Whether a frame depends only on the audio up to its end.
        segment_samples: Length of an independently coded segment; None for a codec without them.
        stride_samples: Distance in samples between the starts of two segments; None without them.
    """

    name: str
    sample_rate: int
    channels: int
    hop: int
    codebook_size: int
    codebooks: dict[float, int]
    causal: bool
    segment_samples: int | None = None
    stride_samples: int | None = None

    @property
    def fps(self) -> int:
        """Frame rate: token frames per second, within a segment if the codec has segments."""
        return self.sample_rate // self.hop

    @property
    def bits(self) -> int:
        """Bits per code."""
        return (self.codebook_size - 1).bit_length()

    @property
    def max_codebooks(self) -> int:
        """K at the codec's highest bandwidth."""
        return max(self.codebooks.values())

    def n_codebooks(self, bandwidth_kbps: float) -> int:
        """Return K at `bandwidth_kbps`.

        Raises:
            UsageError: The codec does not have this bandwidth; the message lists those it has.
        """
        try:
            return self.codebooks[float(bandwidth_kbps)]
        except KeyError:
            have = ", ".join(f"{kbps:g}" for kbps in self.codebooks)
            raise UsageError(
                f"{self.name} has no bandwidth of {bandwidth_kbps:g} kbps; it has {have}"
            ) from None

    def bandwidth_kbps(self, n_codebooks: int) -> float:
        """Return the bandwidth in kbps of `n_codebooks` codebooks."""
        return n_codebooks * self.bits * self.fps / 1000


_CAUSAL_KBPS = {1.5: 2, 3.0: 4, 6.0: 8, 12.0: 16, 24.0: 32}

CODECS: dict[str, CodecSpec] = {
    spec.name: spec
    for spec in (
        CodecSpec("encodec_24khz", 24_000, 1, 320, 1024, _CAUSAL_KBPS, causal=True),
        CodecSpec(
            "encodec_48khz",
            48_000,
            2,
            320,
            1024,
            {3.0: 2, 6.0: 4, 12.0: 8, 24.0: 16},
            causal=False,
            segment_samples=48_000,
            stride_samples=47_520,
        ),
        CodecSpec("encodec_32khz", 32_000, 1, 640, 2048, {2.2: 4}, causal=False),
        CodecSpec("encodec_24khz_demo", 24_000, 1, 320, 1024, _CAUSAL_KBPS, causal=True),
    )
}


def codec_spec(name: str) -> CodecSpec:
    """Return the facts about the codec called `name`.

    Raises:
        UsageError: The codec is unknown; the message lists the known ones.
    """
    try:
        return CODECS[name]
    except KeyError:
        known = ", ".join(CODECS)
        raise UsageError(
            f"unknown codec {shown(name)}{nearest(name, CODECS)}; known: {known}"
        ) from None
