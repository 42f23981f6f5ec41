"""Count the codes that differ from those of `encodec.EncodecModel.encode` with two threads.

Each codec runs at its highest bandwidth: the demo codec with its weights, those of 24, 32 and
48 kHz at full size with seeded random weights. The clips have random lengths and are real sound:
the nine shipped recordings, mixtures of two parts of them, parts played faster or slower, and
Debian's voice prompts if the package `asterisk-core-sounds-en-wav` is installed. Several clips
share each batch.

encodec's own codes depend on its number of threads, because PyTorch's ELU uses another exponential
at the end of each thread's share (its tails). So three counts are printed: all codes that differ
from encodec's; codes that differ from encodec without tails
(`preprocess.codec.reference.without_tails`); and codes that differ on clips where encodec gives the same
codes with and without tails.

Usage: python -m benchmarks.fidelity [--codes 1000000] [--threads 2] [--seed N] [--codecs NAME ...]

`--threads` is for our encoder; encodec always uses two.
"""

from __future__ import annotations

import argparse
import secrets
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch

from preprocess.audio.audio_files import read_audio
from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.reference import own_encode, seeded_model, without_tails
from preprocess.core.resources import resource
from preprocess.tokens.specs import CODECS, CodecSpec, codec_spec

VOICES = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
LONGEST_S, BATCH = 20, 8


class Sounds:
    """Draws random clips of real sound."""

    def __init__(self, rng: np.random.Generator, spec: CodecSpec) -> None:
        self.rng, self.spec = rng, spec
        recordings = sorted(resource("audio").rglob("*.flac"))
        voices = sorted(VOICES.rglob("*.wav"))
        self.counts = (len(recordings), len(voices))
        self.sources = [self._join(recordings)] + ([self._join(voices)] if voices else [])

    def _join(self, paths: list[Path]) -> np.ndarray:
        rate, channels = self.spec.sample_rate, self.spec.channels
        return np.concatenate([read_audio(path, rate, channels) for path in paths], axis=1)

    def draw(self) -> np.ndarray:
        """Return `[C, N]`, up to 20 s: part of a source, a mix of two, or part at another speed."""
        kind = self.rng.integers(3)
        length = int(self.rng.integers(1, LONGEST_S * self.spec.sample_rate))
        clip = self._part(length)
        if kind == 1:
            other = self._part(clip.shape[1])
            clip = clip[:, : other.shape[1]] + other
        elif kind == 2:
            speed = self.rng.uniform(0.5, 2)
            clip = soxr.resample(clip.T, speed, 1.0).T[:, :length]
        return np.ascontiguousarray(clip * np.float32(self.rng.uniform(0.1, 0.7)))

    def _part(self, length: int) -> np.ndarray:
        source = self.sources[self.rng.integers(len(self.sources))]
        length = min(length, source.shape[1] - 1)
        start = int(self.rng.integers(0, source.shape[1] - length))
        return source[:, start : start + length]


@dataclass
class Counts:
    """Counts of codes for one codec."""

    codes: int = 0
    clips: int = 0
    from_own: int = 0
    from_tailless: int = 0
    decided_clips: int = 0
    from_both: int = 0

    def add(self, codec: Codec, wav: np.ndarray, codes: np.ndarray, kbps: float) -> None:
        """Count one clip."""
        own, _ = own_encode(codec._model, wav, kbps)
        with without_tails(codec._model):
            tailless, _ = own_encode(codec._model, wav, kbps)
        differing = int(np.count_nonzero(codes != own))
        self.codes += own.size
        self.clips += 1
        self.from_own += differing
        self.from_tailless += int(np.count_nonzero(codes != tailless))
        if np.array_equal(own, tailless):
            self.from_both += differing
        else:
            self.decided_clips += 1

    def line(self) -> str:
        """Return the counts as one line."""
        return (
            f"{self.from_own:,} of {self.codes:,} codes of {self.clips:,} clips differ from "
            f"encodec's ({self.from_own / self.codes:.1e}); {self.from_tailless:,} from encodec "
            f"without tails; {self.from_both:,} on the {self.clips - self.decided_clips:,} clips "
            "where its tails change no code"
        )


def load(name: str) -> Codec:
    """Return the demo codec with its trained weights, any other with seeded random weights."""
    if name == "encodec_24khz_demo":
        return load_codec(name, device="cpu")
    return Codec(codec_spec(name), seeded_model(name), "", torch.device("cpu"))


def main() -> None:
    """Print a line for each codec."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--codes", type=int, default=1_000_000, help="codes to compare per codec, at least"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=list(CODECS))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in args.codecs:
        codec = load(name)
        sounds = Sounds(np.random.default_rng(args.seed), codec.spec)
        kbps, counts = max(codec.spec.codebooks), Counts()
        while counts.codes < args.codes:
            wavs = [sounds.draw() for _ in range(BATCH)]
            torch.set_num_threads(args.threads)
            encoded = codec.encode_batch(wavs, kbps)
            torch.set_num_threads(2)
            for wav, ecdc in zip(wavs, encoded, strict=True):
                counts.add(codec, wav, ecdc.codes, kbps)
        recordings, voices = sounds.counts
        setting = f"seed {args.seed}, {args.threads} threads, {recordings}+{voices} sounds"
        print(f"{name} ({setting}): {counts.line()}", flush=True)


if __name__ == "__main__":
    main()
