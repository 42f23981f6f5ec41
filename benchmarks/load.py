"""How fast crops come to a training: ours against other ways, over the same synthetic clips.

Each way runs in a process of its own, so that start-up and memory are its own. Crops have 256 frames
of 8 codebooks and 3 parameters, in batches of 32. Memory is that of the process and its workers, by
which it grew since before the dataset was opened; pages of files are the system's. Ways whose package
is not installed (`pip install webdataset litdata`) are left out.

Usage: python -m benchmarks.load [--clips 2000] [--workers 0 2] [--seconds 3] [--cold]
       python -m benchmarks.load --clips 1000000 --frames 300 --warm 500 --ways ours
       python -m benchmarks.load --misaligned 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import load_data, load_ways


def private_bytes() -> int:
    """Return the memory of this process and its children that is no file's."""
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    total = 0
    for process in (me, *children):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                total += 1024 * int(line.split()[1])
    return total


def measure(way: str, folder: Path, workers: int, seconds: float, warm: int) -> dict[str, float]:
    """Return what one way took, in this process; `warm` batches come before the clock."""
    torch.set_num_threads(1)
    for name in ("datasets", "preprocess.train.elastic"):  # imports are no part of a start-up
        import_module(name)
    before, start, start_cpu = private_bytes(), time.perf_counter(), time.process_time()
    batches = load_ways.WAYS[way][0](folder, workers)
    codes, values = next(batches)
    started, started_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    shape = (load_ways.BATCH, load_data.CODEBOOKS, load_ways.FRAMES)
    assert tuple(codes.shape) == shape and codes.dtype == torch.int64
    assert tuple(values.shape) == (shape[0], 3, shape[2]) and values.dtype == torch.float32
    opened = private_bytes() - before
    for _ in range(warm):
        next(batches)
    crops, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        crops += len(next(batches)[0])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "started": started,
        "started_cpu": started_cpu,
        "opened": opened,
        "private": private_bytes() - before,
        "rate": crops / wall,
        "cpu_rate": crops / cpu,
    }


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each way and number of workers."""
    print(
        f"{arguments.clips:,} clips of about {arguments.frames} frames, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"{'':<18}{'workers':>8}{'start-up s':>12}{'CPU s':>8}{'memory MB':>11}{'crops/s':>10}"
        f"{'a CPU s':>10}{'Mtokens/s':>11}"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for way in arguments.ways:
            _, name, write = load_ways.WAYS[way]
            if way in ("WebDataset", "LitData") and find_spec(way.lower()) is None:
                print(f"{way:<18}not installed")
                continue
            folder = Path(scratch, name)
            if not folder.exists():
                write(folder, arguments.clips, arguments.frames)
            for workers in arguments.workers:
                if arguments.cold:
                    load_data.forget(folder)
                one = json.dumps([way, str(folder), workers, arguments.seconds, arguments.warm])
                words = [sys.executable, "-m", "benchmarks.load", "--one", one]
                done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
                got = json.loads(done.stdout.splitlines()[-1])
                tokens = got["rate"] * load_data.CODEBOOKS * load_ways.FRAMES / 1e6
                own = f"{got['cpu_rate']:>10,.0f}" if not workers else f"{'':>10}"
                print(
                    f"{way:<18}{workers:>8}{got['started']:>12.2f}{got['started_cpu']:>8.2f}"
                    f"{got['private'] / 1e6:>11.0f}"
                    f"{got['rate']:>10,.0f}{own}{tokens:>11.1f}",
                    flush=True,
                )


def misaligned(count: int) -> None:
    """Count crops that a slow reference, lists of Python, has other values for."""
    from preprocess.train import AlignedCrops
    from tests.helpers.crops import count_misaligned
    from tests.helpers.rows import PARAMETERS, make_dataset, make_rows

    models = {"encodec_24khz": 24_000, "encodec_32khz": 32_000, "encodec_48khz": 48_000}
    for model, rate in models.items():
        rows = make_rows([rate // 10 + rate * i // 25 for i in range(200)], model)
        wrong = counted = 0
        with tempfile.TemporaryDirectory() as scratch:
            dataset = make_dataset(rows, Path(scratch, "rows.arrow"), batch=32)
            for sample in ("clips", "frames", "tiles"):
                for frames in (16, 40):
                    crops = AlignedCrops(dataset, frames=frames, sample=sample)
                    found = count_misaligned(crops, rows, -(-count // 18), PARAMETERS)
                    wrong, counted = wrong + found[0], counted + found[1]
        print(f"{model}: {wrong:,} of {counted:,} crops misaligned", flush=True)


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--frames", type=int, default=750, help="of a clip, about")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm", type=int, default=10, help="batches before the clock")
    parser.add_argument("--ways", nargs="+", choices=load_ways.WAYS, default=list(load_ways.WAYS))
    parser.add_argument(
        "--folder", help="where to write the clips; the system's for temporary files"
    )
    parser.add_argument("--cold", action="store_true", help="drop the files from the cache before")
    parser.add_argument("--misaligned", type=int, metavar="CROPS", help="count that many instead")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, folder, *numbers = json.loads(arguments.one)
        print(json.dumps(measure(way, Path(folder), *numbers)))
        sys.stdout.flush()
        os._exit(0)  # without waiting for workers
    if arguments.misaligned:
        misaligned(arguments.misaligned)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
