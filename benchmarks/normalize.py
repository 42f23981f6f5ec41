"""Normalize, compared to the predecessor, which runs sox twice per file.

Requires sox (Debian package `sox`). Both write 24 kHz mono WAV at a peak RMS of 0.1.

Usage: python -m benchmarks.normalize [--files 20] [--seconds 10] [--rounds 5]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from benchmarks.timing import alternate, print_ratios
from preprocess.audio.peak_rms import PeakRms
from preprocess.core.jobs import cpu_count
from preprocess.steps.normalize import NormalizeConfig, normalize

SAMPLE_RATE = 24_000


def make_files(folder: Path, count: int, seconds: int) -> None:
    """Write stereo 44.1 kHz clips of noise that swells."""
    rng = np.random.default_rng(0)
    swell = np.linspace(0.01, 0.3, seconds * 44_100, dtype=np.float32)[:, None]
    for index in range(count):
        noise = rng.standard_normal((seconds * 44_100, 2), np.float32)
        sf.write(folder / f"{index:03}.wav", swell * noise * 0.3, 44_100)


def sox_twice(source: Path, output: Path) -> None:
    """Convert with sox, measure, and convert again with the gain, file by file."""
    output.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        target = str(output / path.name)
        convert = ["sox", str(path), "-r", str(SAMPLE_RATE), "-c", "1", target]
        subprocess.run(convert, check=True, capture_output=True)
        audio, _ = sf.read(target, dtype="float32", always_2d=True)
        meter = PeakRms(SAMPLE_RATE // 4)
        meter.add(audio)
        gain_db = 20 * np.log10(0.1 / meter.value)
        subprocess.run([*convert, "gain", f"{gain_db:.2f}"], check=True, capture_output=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if shutil.which("sox") is None:
        raise SystemExit("sox is not installed (Debian package sox)")
    config = NormalizeConfig(overwrite=True)
    with tempfile.TemporaryDirectory() as scratch:
        source, ours, theirs = (Path(scratch, name) for name in ("source", "ours", "sox"))
        source.mkdir()
        make_files(source, args.files, args.seconds)
        calls = {
            f"ours, --jobs {cpu_count()}": lambda: normalize(
                source, ours, "encodec_24khz", config, cpu_count()
            ),
            "ours, --jobs 1": lambda: normalize(source, ours, "encodec_24khz", config, 1),
            "sox twice per file": lambda: sox_twice(source, theirs),
        }
        print(f"{args.files} files of {args.seconds} s, 44.1 kHz stereo to 24 kHz mono")
        print_ratios(alternate(calls, args.rounds), next(iter(calls)))


if __name__ == "__main__":
    main()
