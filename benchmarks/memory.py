"""Peak memory and speed of normalizing and encoding one long file, each in its own process.

The file repeats the nine shipped recordings until it is long enough, at 44.1 kHz stereo. Encoding
uses the demo codec.

Usage: python -m benchmarks.memory [--minutes 60]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from preprocess.core.resources import resource

# Not `ru_maxrss`, which also includes the size of the parent process at the start.
PEAK_KILOBYTES = """
def peak():
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith("VmHWM"))
"""
MEASURE = (
    PEAK_KILOBYTES
    + """
import sys, time
from preprocess.cli.main import main
start = time.perf_counter()
status = main(sys.argv[1:])
print(status, time.perf_counter() - start, peak())
"""
)
SAMPLE_RATE = 44_100


def make_long_file(path: Path, minutes: float) -> None:
    """Write the shipped recordings to `path` as stereo, repeated to fill `minutes`."""
    clips = [sf.read(f, dtype="float32", always_2d=True) for f in resource("audio").rglob("*.flac")]
    stereo = [np.repeat(x, 2, axis=1) if x.shape[1] == 1 else x for x, _ in clips]
    left = round(minutes * 60 * SAMPLE_RATE)
    with sf.SoundFile(path, "w", SAMPLE_RATE, 2, subtype="PCM_16") as file:
        while left:
            for clip in stereo:
                part = clip[:left]
                file.write(part)
                left -= len(part)


def measure(*arguments: str) -> tuple[float, float]:
    """Run `preprocess` with `arguments`; return its seconds and its peak memory in MB."""
    command = [sys.executable, "-c", MEASURE, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    status, seconds, kilobytes = run.stdout.split()[-3:]
    if status != "0":
        raise SystemExit(run.stderr)
    return float(seconds), int(kilobytes) / 1000


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as scratch:
        source, normalized, ecdc = (Path(scratch, n) for n in ("source", "normalized", "ecdc"))
        source.mkdir()
        make_long_file(source / "long.wav", minutes)
        codec = ("--codec", "encodec_24khz_demo")
        for name, arguments in (
            ("normalize", ("normalize", str(source), str(normalized), *codec)),
            ("encode", ("encode", str(normalized), str(ecdc), *codec, "--device", "cpu")),
        ):
            seconds, megabytes = measure(*arguments)
            rate = minutes * 60 / seconds
            print(
                f"{name:<10} {minutes:g} min in {seconds:.1f} s ({rate:.0f}x), {megabytes:.0f} MB"
            )


if __name__ == "__main__":
    main()
