"""Time and memory of plans over a million clips: listed, planned, made, resumed, audited, finished.

The input is a folder of hard links to a few short recordings; codes are random, so that the time is
that of the plan, not of the codec. Each phase runs in a process of its own, which states its peak
memory. With several values of --clips, the time a clip is compared between them.

Usage: python -m benchmarks.scale [--clips 10000,1000000] [--workers 2] [--splits] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.audit.fingerprints import fingerprint
from preprocess.audit.summaries import ClipSummary, ParameterSummary, split_of
from preprocess.core.resources import resource as shipped
from preprocess.plan.clip_maker import MadeClip
from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.finishing import finish_plan
from preprocess.plan.making import row_schema
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedClip
from preprocess.plan.planning import make_plan
from preprocess.plan.shard_maker import ShardMaker
from preprocess.plan.shares import share_of
from preprocess.plan.status import plan_status
from preprocess.plan.worker import planned_recipe
from preprocess.steps.recipe import parse_recipe
from preprocess.tokens.types import EcdcHeader

FRAMES, K = 75, 8
RECIPE = """
input: {folder}/sounds
output: {folder}/out
codec: encodec_24khz_demo
device: cpu
format: shards
audit: {{max_length_s: 60}}
annotate:
  - rms_db:
  - ramp: {{name: position, start: 0, end: 1}}
"""


class RandomMaker:
    """Makes rows of random codes and parameters, in place of `ClipMaker`."""

    def make(self, clips: Sequence[PlannedClip], scratch: Path, schema: Any) -> Iterator[MadeClip]:
        """Yield a row of one second for each clip."""
        for clip in clips:
            rng = np.random.default_rng(abs(hash(clip.id)))
            codes = rng.integers(0, 1024, (K, FRAMES)).astype(np.int16)
            values = rng.normal(-20, 3, FRAMES).astype(np.float32)
            ramp = np.linspace(0, 1, FRAMES, dtype=np.float32)
            yield MadeClip(
                clip,
                _row(clip, codes, values, ramp),
                "",
                1.0,
                dict(schema.parameters),
                _summary(clip, codes, values),
            )


def _row(clip: PlannedClip, codes: Any, values: Any, ramp: Any) -> dict[str, Any]:
    header = f'{{"m": "encodec_24khz_demo", "al": 24000, "nc": {K}, "lm": false, "eng": "none"}}'
    return {
        "id": clip.id,
        "audio": f"{clip.id}.ecdc",
        "codes": codes,
        "features": {"rms_db": values, "position": ramp},
        "model": "encodec_24khz_demo",
        "bandwidth_kbps": 6.0,
        "fps": 75,
        "sample_rate": 24_000,
        "audio_length": 24_000,
        "n_frames": FRAMES,
        "scales": [],
        "segment_frames": [],
        "provenance": {"tokens": header, "sidecar": '{"schema_version": 3}', "dtype": "float32"},
    }


def _summary(clip: PlannedClip, codes: Any, values: Any) -> ClipSummary:
    numbers = (float(values.min()), float(values.max()), float(values.mean()), float(values.std()))
    rel = Path(f"{clip.id}.ecdc")
    return ClipSummary(
        rel,
        f"{abs(hash(clip.id)):016x}"[:16],
        EcdcHeader("encodec_24khz_demo", 24_000, K),
        {"tokens by other settings": "a"},
        {"parameter 'rms_db' by other settings or code": "b"},
        True,
        {
            "rms_db": ParameterSummary("dB", "continuous", None, False, numbers),
            "position": ParameterSummary("", "continuous", None, False, (0.0, 1.0, 0.5, 0.29)),
        },
        "none",
        fingerprint(codes[0].astype(np.int64)) if split_of(rel) else None,
    )


def lay_out(folder: Path, clips: int, splits: bool) -> None:
    """Fill `folder/sounds` with `clips` hard links."""
    audio = (".flac", ".ogg", ".wav")
    sources = sorted(path for path in shipped("audio").rglob("*") if path.suffix in audio)
    copies = []
    for number in range(1 + clips // 20_000):  # file systems bound the links of a file
        copy = folder / f"source-{number}{sources[0].suffix}"
        shutil.copyfile(sources[number % len(sources)], copy)
        copies.append(copy)
    for index in range(clips):
        split = ("train", "validation", "test")[index % 3] + "/" if splits else ""
        group = folder / "sounds" / f"{split}{index // 1000:06d}"
        if index % 1000 < 3:
            group.mkdir(parents=True, exist_ok=True)
        os.link(
            copies[index % len(copies)], group / f"{index:08d}{copies[index % len(copies)].suffix}"
        )


def plan(folder: Path) -> None:
    """Make the plan."""
    text = RECIPE.format(folder=folder)
    make_plan(parse_recipe(text, "scale"), text, "scale.yaml")


class StoppedError(BaseException):
    """Ends a worker in the middle of a part, as a kill would."""


def make(folder: Path, index: int, count: int, share: float = 1.0) -> int:
    """Make a share of the shards; stop after a part of its clips. Return the number made."""
    plan = PlanFolder(folder / "out/plan")
    schema = row_schema(planned_recipe(plan), plan.info.parameters)
    maker: Any = RandomMaker()
    shards = ShardMaker(plan, maker, schema)
    own = share_of(plan.info.shards, index, count)[0]
    most, made = share * sum(shard.clips for shard in own), 0

    def done(_: MadeClip) -> None:
        nonlocal made
        made += 1
        if share < 1 and made > most:
            raise StoppedError

    try:
        for shard in own:
            if shards.current(shard) is None:
                shards.make(shard, done)
    except StoppedError:
        pass
    return made


def finish(folder: Path) -> None:
    """Audit and finish."""
    report = finish_plan(PlanFolder(folder / "out/plan"), FinishConfig())
    assert report.ok, report.failures[:3]


def look(folder: Path) -> None:
    """Ask for the status."""
    assert plan_status(PlanFolder(folder / "out/plan")).is_complete


def _measured(call: Callable[..., Any], arguments: tuple[Any, ...], answer: Any) -> None:
    value = call(*arguments)
    answer.put((value or 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))


def measure(call: Callable[..., Any], *several: tuple[Any, ...]) -> tuple[float, float, int]:
    """Run a call for each of the arguments at once; return seconds, peak MB and the sum."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    start = time.perf_counter()
    processes = [context.Process(target=_measured, args=(call, a, answers)) for a in several]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    return seconds, max(peak for _, peak in found), sum(value for value, _ in found)


def run(folder: Path, clips: int, workers: int, splits: bool) -> dict[str, float]:
    """Measure all phases at one number of clips; return seconds by phase."""
    lay_out(folder, clips, splits)
    shares = [(folder, index, workers) for index in range(workers)]
    stopped = [(*share, 0.99) for share in shares]
    phases: dict[str, Callable[[], tuple[float, float, int]]] = {
        "plan": lambda: measure(plan, (folder,)),
        "make 99 %": lambda: measure(make, *stopped),
        "resume": lambda: measure(make, *shares),
        "make again": lambda: measure(make, *shares),
        "status": lambda: measure(look, (folder,)),
        "audit and finish": lambda: measure(finish, (folder,)),
        "plan again": lambda: measure(plan, (folder,)),
    }
    found, made = {}, 0
    for name, phase in phases.items():
        seconds, peak, count = phase()
        found[name], made = seconds, made + count
        print(
            f"{clips:>9,} clips  {name:<17}{seconds:>9.1f} s{1e6 * seconds / clips:>9.1f} us a clip"
            f"{peak:>9.0f} MB",
            flush=True,
        )
    print(f"{clips:>9,} clips  {made / clips - 1:.2%} of the input was read twice")
    size = sum(path.stat().st_size for path in (folder / "out/plan").glob("*"))
    shards = list((folder / "out/dataset/data").glob("*.parquet"))
    print(
        f"{clips:>9,} clips  plan of {size / 1e6:.1f} MB, {len(shards):,} shards, "
        f"{sum(p.stat().st_size for p in shards) / clips:,.0f} bytes a clip"
    )
    return found


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clips", default="10000,1000000")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--splits", action="store_true", help="with fingerprints across splits")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    counts = [int(word) for word in args.clips.split(",")]
    found = {}
    for clips in counts:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            found[clips] = run(Path(folder), clips, args.workers, args.splits)
    for name in found[counts[0]]:
        each = [found[clips][name] / clips for clips in counts]
        print(
            f"{name:<17} time a clip at {counts[-1]:,} clips: "
            f"{each[-1] / each[0]:.2f} of that at {counts[0]:,}"
        )


if __name__ == "__main__":
    main()
