"""Encode on a GPU: how busy it is, how fast it is, and whether the codes are the processor's.

    python -m benchmarks.gpu [--clips 64] [--seconds 10] [--batch 16] [--rounds 3] [--device cuda]

Prints the clips that are encoded in a second by our codec and by `transformers.EncodecModel` in
batches (both the 24 kHz network at full size with seeded random weights, audio in memory, 6 kbps);
the share of our time in which the GPU runs kernels (torch.profiler); and the share of codes that
equal those of the processor, by codebook. Without a GPU it says so. `--device cpu` runs the same
code, except for the share of kernels.

Needs transformers (extra `dev`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.timing import alternate
from preprocess.audio.audio_files import read_audio
from preprocess.codec.codec import Codec
from preprocess.codec.reference import seeded_model
from preprocess.core.resources import resource
from preprocess.tokens.specs import codec_spec

SPEC = codec_spec("encodec_24khz")
KBPS = 6.0
COMPARED = 4
"""Clips whose codes are compared with the processor's."""
Wave = NDArray[np.float32]


def make_clips(count: int, seconds: float) -> list[Wave]:
    """Return clips `[1, N]` of equal length from random places of the shipped recordings."""
    paths = sorted(resource("audio").rglob("*.flac"))
    sound = np.concatenate([read_audio(path, SPEC.sample_rate, 1) for path in paths], axis=1)
    samples, rng = int(seconds * SPEC.sample_rate), np.random.default_rng(0)
    sound = np.tile(sound, (1, 1 + samples // sound.shape[1]))
    starts = rng.integers(0, sound.shape[1] - samples + 1, count)
    return [sound[:, start : start + samples].copy() for start in starts]


class Theirs:
    """`transformers.EncodecModel` in batches."""

    def __init__(self, device: torch.device, batch: int) -> None:
        from transformers import EncodecConfig, EncodecModel

        torch.manual_seed(0)
        self._model = EncodecModel(EncodecConfig()).eval().to(device)
        self._device, self._batch = device, batch

    def encode(self, clips: Sequence[Wave]) -> None:
        """Encode clips of equal length and wait for their codes in the processor's memory."""
        with torch.inference_mode():
            for start in range(0, len(clips), self._batch):
                some = torch.from_numpy(np.stack(clips[start : start + self._batch]))
                mask = torch.ones(some.shape[0], some.shape[2], dtype=torch.bool)
                some, mask = some.to(self._device), mask.to(self._device)
                self._model.encode(some, mask, bandwidth=KBPS).audio_codes.cpu()


def kernel_share(codec: Codec, clips: Sequence[Wave]) -> float:
    """Return the share of encoding time in which the GPU runs kernels or copies."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        start.record()
        codec.encode_batch(clips, KBPS)
        end.record()
        torch.cuda.synchronize()
    busy_us = sum(event.self_device_time_total for event in profiler.key_averages())
    return busy_us / 1000 / start.elapsed_time(end)


def agreement(codec: Codec, clips: Sequence[Wave]) -> NDArray[np.float64]:
    """Return the share of codes that equal those of the processor, for each codebook."""
    processor = Codec(SPEC, seeded_model(SPEC.name), "", torch.device("cpu"))
    pairs = [(codec.encode(clip, KBPS).codes, processor.encode(clip, KBPS).codes) for clip in clips]
    return np.concatenate([own == other for own, other in pairs], axis=1).mean(axis=1)


def main(words: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batch", type=int, default=16, help="of transformers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args(words)
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU here, nothing is measured; --device cpu runs the same code")
        return 0
    clips = make_clips(arguments.clips, arguments.seconds)
    codec = Codec(SPEC, seeded_model(SPEC.name).to(device), "", device)
    theirs = Theirs(device, arguments.batch)
    calls = {
        "ours": lambda: codec.encode_batch(clips, KBPS),
        "transformers": lambda: theirs.encode(clips),
    }
    for name, seconds in alternate(calls, arguments.rounds).items():
        print(f"{name:<14}{len(clips) / seconds:>10.1f} clips of {arguments.seconds:g} s a second")
    if device.type == "cuda":
        print(f"kernels run in {100 * kernel_share(codec, clips):.0f} % of our time")
    shares = " ".join(f"{100 * s:.2f}" for s in agreement(codec, clips[:COMPARED]))
    print(f"codes equal the processor's in {shares} % (by codebook)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
