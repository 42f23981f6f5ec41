"""How many codes differ from `encodec.EncodecModel.encode` at 24 kbps, on audio of random lengths.

Clips are cut at random from the nine recordings end to end (35 s), for the demo codec and for the
24 kHz model with seeded random full-size weights.

Usage: python -m benchmarks.fidelity [--clips 20] [--threads 2] [--seed N]
"""

from __future__ import annotations

import argparse
import secrets

import numpy as np
import torch

from preprocess.audio import read_audio
from preprocess.codec import Codec, load_codec
from preprocess.resources import resource
from preprocess.specs import codec_spec
from tests.signals import seeded_model


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(args.seed)
    paths = sorted(resource("audio").rglob("*.flac"))
    audio = np.concatenate([read_audio(path, 24_000, 1) for path in paths], axis=1)
    full = codec_spec("encodec_24khz")
    codecs = (
        load_codec("encodec_24khz_demo", device="cpu"),
        Codec(full, seeded_model(full.name), "", torch.device("cpu")),
    )
    print(f"seed {args.seed}, {args.clips} clips, {args.threads} threads")
    for codec in codecs:
        differing = total = 0
        for _ in range(args.clips):
            length = int(rng.integers(1, audio.shape[1]))
            start = int(rng.integers(0, audio.shape[1] - length + 1))
            wav = audio[:, start : start + length] * np.float32(rng.uniform(0.1, 1))
            codec._model.set_target_bandwidth(24)
            with torch.inference_mode():
                ((expected, _),) = codec._model.encode(torch.from_numpy(wav)[None])
            differing += np.count_nonzero(codec.encode(wav, 24).codes != expected[0].numpy())
            total += expected.numel()
        print(f"{codec.spec.name}: {differing} of {total:,} codes differ")


if __name__ == "__main__":
    main()
