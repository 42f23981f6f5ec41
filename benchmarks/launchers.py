"""What the launchers of plans cost: two workers started by hand, by `--workers 2`, and by Ray.

Each makes the same plan from the start, with the demo codec, a thread for each worker. "By hand" is
two commands `run --plan --shards I/2` at once, as a SLURM array starts them. The ways alternate; the
figure is the time of the fastest run of each. Ray starts a cluster on this machine in that time.

Usage: python -m benchmarks.launchers [--clips 1200] [--runs 2] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from preprocess.core.resources import resource
from preprocess.plan.planning import make_plan
from preprocess.steps.recipe import parse_recipe

RECIPE = """
input: {folder}/sounds
output: {folder}/{name}
codec: encodec_24khz_demo
device: cpu
format: shards
encode: {{bandwidth: 6}}
shards: {{count: 16, lease_s: 60}}
annotate:
  - rms_db:
  - ramp: {{name: position, start: 0, end: 1}}
"""
COMMON = ("--jobs", "1")
WAYS = {
    "two commands by hand": [("--shards", "0/2"), ("--shards", "1/2")],
    "--workers 2": [("--workers", "2")],
    "--engine ray --workers 2": [("--engine", "ray", "--workers", "2")],
}


def make_sounds(folder: Path, count: int) -> float:
    """Link `count` sounds to the shipped recordings; return their seconds."""
    import soundfile as sf

    recordings = sorted(resource("audio").rglob("*.flac"))
    lengths = [sf.info(path).duration for path in recordings]
    folder.mkdir()
    for index in range(count):
        source = recordings[index % len(recordings)]
        target = folder / f"{index:06d}{source.suffix}"
        try:
            os.link(source, target)
        except OSError:  # another file system
            target.symlink_to(source.resolve())
    return sum(lengths[index % len(lengths)] for index in range(count))


def run(folder: Path, name: str, commands: list[tuple[str, ...]]) -> tuple[float, str]:
    """Make a plan and run `commands` on it at once; return the seconds and a hash of the shards."""
    text = RECIPE.format(folder=folder, name=name)
    plan = make_plan(parse_recipe(text, name), text, f"{name}.yaml")[1]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    start = time.perf_counter()
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "preprocess", "run", "--plan", str(plan), *COMMON, *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for words in commands
    ]
    said = [process.communicate()[0] for process in started]
    seconds = time.perf_counter() - start
    if any(process.returncode for process in started):
        raise SystemExit("\n".join(said))
    state = hashlib.sha256()
    for path in sorted((folder / name / "data").rglob("*.parquet")):
        state.update(path.read_bytes())
    return seconds, state.hexdigest()


def main() -> None:
    """Print a line for each launcher."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1200)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        folder = Path(scratch)
        audio = make_sounds(folder / "sounds", args.clips)
        print(f"{args.clips:,} clips, {audio / 3600:.2f} hours of audio, 16 shards")
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        hashes = set()
        for number in range(args.runs):
            for index, (way, commands) in enumerate(WAYS.items()):
                seconds, digest = run(folder, f"out{number}{index}", commands)
                found[way].append(seconds)
                hashes.add(digest)
        first = min(next(iter(found.values())))
        for way, times in found.items():
            best = min(times)
            print(
                f"  {way:<26}{best:7.1f} s, {100 * (best / first - 1):+5.1f} % of the first; all: "
                f"{', '.join(f'{each:.1f}' for each in times)}"
            )
        print(f"  different shards: {len(hashes) - 1}")


if __name__ == "__main__":
    main()
