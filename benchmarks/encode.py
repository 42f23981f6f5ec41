"""Encode file to file, compared to the two common ways.

All use the full-size 24 kHz model with the same seeded random weights, the same audio (the shipped
recordings, cut to length) and the same number of threads, in turns in one process:

- ours: `preprocess encode`
- encodec: read, `convert_audio` to resample and mix, `encodec.compress`, file by file; if
  torchaudio, which `convert_audio` needs, cannot be imported, soxr resamples, and the table says so
- the predecessor's: librosa, `transformers.EncodecModel`, `torch.save`

A large float32 matrix product runs in the same turns. Its rate, divided by the operations that a
second of audio needs at least, bounds the speed of any float32 engine on this machine. The share
of that bound is printed.

Our time includes loading the model; the others' models are already loaded. `--minutes` times our
command on one long file and prints its speed relative to the short files and its peak memory.
encodec's peak memory is printed for `--peer-minutes` (it needs 1 GB per minute).

Needs librosa and transformers (extras `parameters` and `dev`).

Usage: python -m benchmarks.encode [--files 10] [--seconds 10] [--rounds 3] [--threads 2]
                                   [--minutes 0] [--peer-minutes 3]
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import soundfile as sf
import soxr
import torch

from benchmarks.memory import PEAK_KILOBYTES, SAMPLE_RATE, make_long_file, measure
from benchmarks.timing import alternate, print_ratios
from preprocess.codec.encodec_package import import_encodec
from preprocess.codec.model_config import CodecConfig
from preprocess.codec.models import build_model
from preprocess.steps.encode import encode
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.tokens.specs import codec_spec

KBPS = 6.0
SPEC = codec_spec("encodec_24khz")
SIZE, PRODUCTS = 2048, 40


def make_files(folder: Path, count: int, seconds: float) -> None:
    """Write `count` clips of `seconds` at 44.1 kHz stereo, each a different part of the recordings."""
    long = folder.parent / "long.wav"
    make_long_file(long, (count + seconds) / 60)
    audio, _ = sf.read(long, dtype="float32")
    for index in range(count):
        part = audio[index * SAMPLE_RATE :][: round(seconds * SAMPLE_RATE)]
        sf.write(folder / f"{index:04}.wav", part, SAMPLE_RATE)


def ours(source: Path, output: Path, weights: Path) -> Callable[[], object]:
    """Return a function that runs our step."""
    codec = CodecConfig(codec=SPEC.name, weights=str(weights), device="cpu")
    config = EncodeConfig(bandwidth=KBPS, overwrite=True)
    return lambda: encode(source, output, codec, config)


def matrix_products() -> Callable[[], object]:
    """Return a function that computes `PRODUCTS` products of square matrices on all threads."""
    a, b = torch.randn(2, SIZE, SIZE)
    return lambda: [a @ b for _ in range(PRODUCTS)]


def operations_a_second(model: Any) -> float:
    """Return the number of floating-point operations per second of audio at `KBPS`."""
    rate = SPEC.sample_rate
    total = 0.0
    for layer in model.encoder.modules():
        if isinstance(layer, torch.nn.Conv1d):
            outputs = layer.out_channels * layer.in_channels * layer.kernel_size[0]
            rate //= layer.stride[0]
            total += 2 * outputs * rate
        elif isinstance(layer, torch.nn.LSTM):
            total += (
                2
                * sum(p.numel() for name, p in layer.named_parameters() if "weight" in name)
                * rate
            )
    codebooks = SPEC.n_codebooks(KBPS)
    return total + 2 * codebooks * model.quantizer.bins * model.quantizer.dimension * rate


def encodec_way(source: Path, output: Path, model: Any) -> Callable[[], object]:
    """Return a function that runs encodec's own compression, file by file."""
    encodec = import_encodec()
    convert = encodec.utils.convert_audio if torchaudio_works() else convert_by_soxr
    model.set_target_bandwidth(KBPS)

    def call() -> None:
        output.mkdir(exist_ok=True)
        for path in sorted(source.iterdir()):
            audio, rate = sf.read(path, dtype="float32", always_2d=True)
            wav = convert(torch.from_numpy(audio.T.copy()), rate, SPEC.sample_rate, 1)
            (output / f"{path.stem}.ecdc").write_bytes(encodec.compress(model, wav))

    return call


@cache
def torchaudio_works() -> bool:
    """Whether torchaudio can be imported with this torch."""
    try:
        importlib.import_module("torchaudio")
    except Exception:  # its compiled modules also raise OSError and RuntimeError
        return False
    return True


def convert_by_soxr(wav: torch.Tensor, rate: int, target: int, channels: int) -> torch.Tensor:
    """Mix and resample audio `[C, N]`, as `convert_audio` does with torchaudio."""
    mixed = wav.mean(0, keepdim=True).expand(channels, -1)
    return torch.from_numpy(soxr.resample(mixed.T.numpy(), rate, target).T.copy())


def predecessors_way(source: Path, output: Path, model: Any) -> Callable[[], object]:
    """Return a function that runs librosa, `transformers` and `torch.save`, file by file."""
    import librosa

    def call() -> None:
        output.mkdir(exist_ok=True)
        for path in sorted(source.iterdir()):
            audio, _ = librosa.load(path, sr=SPEC.sample_rate, mono=True)
            with torch.no_grad():
                encoded = model.encode(torch.from_numpy(audio)[None, None], bandwidth=KBPS)
            saved = {"audio_codes": encoded.audio_codes, "audio_length": len(audio)}
            torch.save(saved, output / f"{path.stem}.ecdc")

    return call


def make_models(folder: Path) -> tuple[Path, Any, Any]:
    """Return a checkpoint with random weights, and the models of encodec and transformers."""
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(0)
    model = build_model(SPEC).eval()
    model.name = SPEC.name  # encodec does not set it without pretrained weights
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.data.normal_()
        layer._codebook.inited.data.fill_(1)
    weights = folder / "random.th"
    torch.save(model.state_dict(), weights)
    return weights, model, EncodecModel(EncodecConfig()).eval()


def time_long_file(folder: Path, weights: Path, minutes: float, speed: float) -> None:
    """Print speed and peak memory of our command on one file of `minutes`."""
    source = folder / "long"
    source.mkdir()
    make_long_file(source / "long.wav", minutes)
    codec = ("--codec", SPEC.name, "--weights", str(weights), "--device", "cpu")
    seconds, megabytes = measure("encode", str(source), str(folder / "long_ecdc"), *codec)
    own = 60 * minutes / seconds
    print(
        f"one file of {minutes:g} min: {own:.1f}x real time, {own / speed:.0%} of the speed above, "
        f"{megabytes:.0f} MB in total"
    )


def peer_memory(weights: Path, minutes: float) -> None:
    """Print the peak memory of encodec's own encoding of `minutes` of noise."""
    command = [sys.executable, "-W", "ignore", "-c", PEER, str(weights), str(minutes)]
    run = subprocess.run(command, capture_output=True, text=True)
    result = run.stdout.strip() or f"failed (exit status {run.returncode})"
    print(f"encodec on {minutes:g} min: {result}")


PEER = (
    PEAK_KILOBYTES
    + """
import sys, torch
from preprocess.codec.encodec_package import import_encodec
model = import_encodec().EncodecModel.encodec_model_24khz(pretrained=False)
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
model.eval().set_target_bandwidth(6)
with torch.no_grad():
    model.encode(0.1 * torch.randn(1, 1, int(float(sys.argv[2]) * 60 * 24000)))
print(int(peak()) // 1000, "MB in total")
"""
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--peer-minutes", type=float, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        source, first, second, third = (Path(scratch, n) for n in ("in", "ours", "own", "old"))
        source.mkdir()
        make_files(source, args.files, args.seconds)
        weights, own, transformers_model = make_models(Path(scratch))
        resampler = "file by file" if torchaudio_works() else "resampled by soxr"
        calls = {
            "ours": ours(source, first, weights),
            f"encodec, {resampler}": encodec_way(source, second, own),
            "librosa, transformers, torch.save": predecessors_way(
                source, third, transformers_model
            ),
            f"{PRODUCTS} products of {SIZE} x {SIZE}": matrix_products(),
        }
        print(f"{args.files} files of {args.seconds:g} s at {KBPS:g} kbps, {args.threads} threads")
        seconds = alternate(calls, args.rounds)
        print_ratios(seconds, "ours")
        total = args.files * args.seconds
        speed = total / seconds["ours"]
        reached = 2 * SIZE**3 * PRODUCTS / list(seconds.values())[-1]
        needed = operations_a_second(own)
        bound = reached / needed
        print(
            f"ours: {speed:.1f}x real time, {speed / bound:.0%} of the bound: {reached / 1e9:.0f} "
            f"GFLOP/s over {needed / 1e9:.2f} GFLOP per second of audio are {bound:.1f}x"
        )
        if args.minutes:
            time_long_file(Path(scratch), weights, args.minutes, speed)
            peer_memory(weights, args.peer_minutes)


if __name__ == "__main__":
    main()
