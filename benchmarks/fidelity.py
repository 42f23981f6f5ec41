"""How many codes differ from those of `encodec.EncodecModel.encode` on this machine.

At 24 kbps, the demo codec and the 24 kHz model with seeded random full-size weights, on clips of
random lengths of real sound: the nine recordings that ship, mixtures of two parts of them, parts
played faster or slower, and Debian's voice prompts where the package
`asterisk-core-sounds-en-wav` is installed. Several clips share each batch. Where a code differs,
the distances of the two entries, relative to each other, show how near a tie it was.

Usage: python -m benchmarks.fidelity [--codes 1000000] [--threads 2] [--seed N]
"""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

import numpy as np
import soxr
import torch

from preprocess.audio import read_audio
from preprocess.codec import Codec, load_codec
from preprocess.resources import resource
from preprocess.specs import codec_spec
from tests.signals import own_encode, seeded_model

VOICES = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
KBPS, RATE, LONGEST_S, BATCH = 24, 24_000, 20, 8


class Sounds:
    """Draws clips of real sound."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        recordings = sorted(resource("audio").rglob("*.flac"))
        voices = sorted(VOICES.rglob("*.wav"))
        self.counts = (len(recordings), len(voices))
        self.sources = [self._join(recordings)] + ([self._join(voices)] if voices else [])

    @staticmethod
    def _join(paths: list[Path]) -> np.ndarray:
        return np.concatenate([read_audio(path, RATE, 1) for path in paths], axis=1)

    def draw(self) -> np.ndarray:
        """Return `[1, N]`, N up to 20 s: a part of a source, of two, or at another speed."""
        kind = self.rng.integers(3)
        length = int(self.rng.integers(1, LONGEST_S * RATE))
        clip = self._part(length)
        if kind == 1:
            clip = clip + self._part(clip.shape[1])[:, : clip.shape[1]]
        elif kind == 2:
            speed = self.rng.uniform(0.5, 2)
            clip = soxr.resample(clip.T, RATE, RATE / speed).T[:, :length]
        return np.ascontiguousarray(clip * np.float32(self.rng.uniform(0.1, 0.7)))

    def _part(self, length: int) -> np.ndarray:
        source = self.sources[self.rng.integers(len(self.sources))]
        length = min(length, source.shape[1] - 1)
        start = int(self.rng.integers(0, source.shape[1] - length))
        return source[:, start : start + length]


def gaps(codec: Codec, wav: np.ndarray, ours: np.ndarray, own: np.ndarray) -> list[float]:
    """Return how far the first differing entries of each frame are from a tie, relatively."""
    with torch.inference_mode():
        embeddings = codec._model.encoder(torch.from_numpy(wav)[None])[0].double().T
    found = []
    for frame in np.flatnonzero((ours != own).any(axis=0)):
        residual = embeddings[frame]
        for layer, a, b in zip(
            codec._model.quantizer.vq.layers, ours[:, frame], own[:, frame], strict=True
        ):
            entries = layer._codebook.embed.double()
            if a != b:
                near, far = ((residual - entries[i]).square().sum() for i in (int(a), int(b)))
                found.append(float((near - far).abs() / far))
                break
            residual = residual - entries[int(a)]
    return found


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=int, default=1_000_000, help="at least so many a model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    full = codec_spec("encodec_24khz")
    codecs = (
        load_codec("encodec_24khz_demo", device="cpu"),
        Codec(full, seeded_model(full.name), "", torch.device("cpu")),
    )
    sounds = Sounds(np.random.default_rng(args.seed))
    recordings, voices = sounds.counts
    print(f"seed {args.seed}, {args.threads} threads, {recordings} recordings, {voices} prompts")
    for codec in codecs:
        differing = total = clips = 0
        ties: list[float] = []
        while total < args.codes:
            wavs = [sounds.draw() for _ in range(BATCH)]
            for wav, ecdc in zip(wavs, codec.encode_batch(wavs, KBPS), strict=True):
                own, _ = own_encode(codec._model, wav, KBPS)
                differing += int(np.count_nonzero(ecdc.codes != own))
                total += own.size
                ties += gaps(codec, wav, ecdc.codes, own)
            clips += BATCH
        print(f"{codec.spec.name}: {differing} of {total:,} codes of {clips} clips differ", end="")
        nearness = f"; distances at most {max(ties):.1e} apart" if ties else ""
        print(f" in {len(ties)} frames{nearness}", flush=True)


if __name__ == "__main__":
    main()
