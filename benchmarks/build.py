"""Speed and peak memory of making and opening a dataset, compared to a raw read of its files.

The clips are random codes at 6 kbps with three parameters. Each measurement runs in its own
process, after one that warms the file cache. `--long` clips have T = 300,000 frames at 24 kbps.

`--pack` compares the build step, alone and followed by `Dataset.to_parquet`, with the pack step
instead, in alternation, and the sizes of what they make.

Usage: python -m benchmarks.build [--clips 20000] [--long 40] [--pack] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

import numpy as np

from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import write_ecdc
from preprocess.tokens.types import Ecdc

START = """
import os, resource, sys, time
folder, scratch, num_proc = sys.argv[1], sys.argv[2], int(sys.argv[3])
"""
END = """
both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
cpu = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in both)
peak = max(resource.getrusage(who).ru_maxrss for who in both)
print(seconds, peak / 1000, cpu)
"""
RAW = """
start = time.perf_counter()
for base, _, names in os.walk(folder):
    for name in names:
        with open(os.path.join(base, name), "rb") as file:
            file.read()
seconds = time.perf_counter() - start
"""
PREPARE = """
import datasets
from enchf_dataset import EncHFDataset
datasets.disable_progress_bars()
start = time.perf_counter()
builder = EncHFDataset(data_dir=folder, cache_dir=scratch)
builder.download_and_prepare(num_proc=num_proc)
seconds = time.perf_counter() - start
"""
OPEN = """
from enchf_dataset import EncHFDataset
start = time.perf_counter()
builder = EncHFDataset(data_dir=folder, cache_dir=scratch)
builder.download_and_prepare()
rows = builder.as_dataset(split="train")
row = rows[len(rows) - 1]
seconds = time.perf_counter() - start
"""
BUILD = """
from pathlib import Path
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.build import build
start = time.perf_counter()
build(Path(folder), Path(scratch, "dataset"), BuildConfig(num_proc=num_proc))
seconds = time.perf_counter() - start
"""

PARQUET = (
    BUILD
    + """
from datasets import load_from_disk
for name, rows in load_from_disk(str(Path(scratch, "dataset"))).items():
    rows.to_parquet(str(Path(scratch, f"{name}.parquet")))
seconds = time.perf_counter() - start
"""
)
PACK = """
if __name__ == "__main__":  # processes that it starts read this again
    from pathlib import Path
    from preprocess.steps.pack import pack
    from preprocess.steps.pack_config import PackConfig
    start = time.perf_counter()
    pack(Path(folder), Path(scratch, "shards"), PackConfig(), jobs=num_proc)
    seconds = time.perf_counter() - start
"""
RUNS = 3


class Run(NamedTuple):
    """Seconds of one way, peak memory in MB, and seconds of all processors with all imports."""

    seconds: float
    megabytes: float
    cpu: float


def make_clips(folder: Path, count: int, frames: int, k: int) -> None:
    """Write `count` clips of `frames` frames."""
    rng = np.random.default_rng(0)
    scene = {"values": np.full(frames, 3.0), "kind": "categorical"}
    for index in range(count):
        path = folder / f"{index // 1000:03d}" / f"clip_{index:06d}.ecdc"
        codes = rng.integers(0, 1024, (k, frames)).astype(np.int16)
        write_ecdc(path, Ecdc("encodec_24khz", codes, frames * 320, (frames,)))
        pitch = {"values": 500 * rng.random(frames), "units": "Hz", "min": 0, "max": 500}
        write_sidecar(path, {"pitch": pitch, "level": rng.random(frames), "scene": scene})


def measure(code: str, folder: Path, scratch: Path, num_proc: int = 1) -> Run:
    """Run `code` in its own process."""
    end = END if "__main__" not in code else indent(END, "    ")
    command = [sys.executable, "-c", START + code + end, str(folder), str(scratch), str(num_proc)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    return Run(*map(float, run.stdout.split()[-3:]))


def report(folder: Path, clips: int) -> None:
    """Print a line for each way to make the dataset, and one for opening it."""
    measure(RAW, folder, folder)
    raw = min(measure(RAW, folder, folder)[0] for _ in range(3))
    print(f"  raw read of all files     {raw:8.2f} s {clips / raw:12,.0f} clips/s")
    ways = [
        ("builder, 1 process", PREPARE, 1),
        ("builder, 2 processes", PREPARE, 2),
        ("build step, 1 process", BUILD, 1),
        ("build step, 2 processes", BUILD, 2),
    ]
    for name, code, processes in ways:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            seconds, memory, _ = measure(code, folder, Path(scratch), processes)
            print(
                f"  {name:<24}  {seconds:8.2f} s {clips / seconds:12,.0f} clips/s"
                f" {memory:8,.0f} MB {seconds / raw:6.1f}x the raw read"
            )
            if name.startswith("builder") and processes == 1:
                seconds, memory, _ = measure(OPEN, folder, Path(scratch))
                opened = (
                    f"  opening it again        {'':>2}{seconds:8.2f} s {'':>20} {memory:8,.0f} MB"
                )
    print(opened)


def compare(folder: Path, clips: int) -> None:
    """Print the times of the build and the pack step, in alternation, and the sizes of both."""
    measure(RAW, folder, folder)
    ways = {
        "build step, 1 process": (BUILD, 1),
        "build step, 2 processes": (BUILD, 2),
        "build, then Parquet, 1": (PARQUET, 1),
        "build, then Parquet, 2": (PARQUET, 2),
        "pack step, 1 process": (PACK, 1),
        "pack step, 2 processes": (PACK, 2),
    }
    found: dict[str, list[Run]] = {name: [] for name in ways}
    packed = 0
    for _ in range(RUNS):
        for name, (code, processes) in ways.items():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                found[name].append(measure(code, folder, Path(scratch), processes))
                packed = _size(Path(scratch, "shards")) if code is PACK else packed
    best = {name: min(run.seconds for run in runs) for name, runs in found.items()}
    for name, runs in found.items():
        ratio = best["build step, 1 process"] / best[name]
        print(
            f"  {name:<24}  {best[name]:8.2f} s {clips / best[name]:12,.0f} clips/s"
            f" {max(run.megabytes for run in runs):8,.0f} MB"
            f" {min(run.cpu for run in runs):8.2f} s of CPU {ratio:6.2f}x the build step, 1 process"
        )
    single = _size(folder)
    print(f"  bytes a clip: {single / clips:,.0f} as files, {packed / clips:,.0f} in shards")
    print(f"  files: {_count(folder):,}")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _count(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--long", type=int, default=40)
    parser.add_argument("--pack", action="store_true", help="compare with the pack step")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        for name, count, frames, k in (
            ("10 s", args.clips, 750, 8),
            ("T = 300,000", args.long, 300_000, 32),
        ):
            folder = Path(scratch, "clips")
            if count:
                make_clips(folder, count, frames, k)
                print(f"{count:,} clips of {name}, K = {k}")
                (compare if args.pack else report)(folder, count)
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
