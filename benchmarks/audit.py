"""Audit 100,000 clips of 10 s with three parameters each, and print the clips per second.

The tokens are random bytes after a valid header; an audit does not decode them. Run `python -m
benchmarks.audit`, with `--clips 1000` for a quick look. The files need about 1.4 GB in the
temporary folder and are removed afterwards, or stay in `--folder` for further runs.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from preprocess.audit.audit_config import AuditConfig
from preprocess.core.files import digest_bytes
from preprocess.core.jobs import cpu_count
from preprocess.sidecar.sidecar_format import sidecar_paths
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.audit import audit
from preprocess.tokens.ecdc import payload_size
from preprocess.tokens.types import EcdcHeader

SAMPLES, CODEBOOKS = 240_000, 8


def main() -> None:
    """Make the clips, audit them `--runs` times, and print the rate of each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=cpu_count())
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument(
        "--splits", action="store_true", help="put every tenth clip in test, the rest in train"
    )
    parser.add_argument("--folder", type=Path, help="keep the clips here and reuse existing ones")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = args.folder or Path(scratch)
        if not any(root.rglob("*.ecdc")):
            started = time.perf_counter()
            size = make_clips(root, args.clips, args.splits)
            seconds = time.perf_counter() - started
            print(f"{args.clips:,} clips, {size / 1e6:,.0f} MB, made in {seconds:.0f} s")
        for _ in range(args.runs):
            report, findings = audit(root, AuditConfig(), args.jobs)
            assert not findings, findings[:3]
            rate = report.done / report.seconds
            print(f"{report.done:,} clips in {report.seconds:.1f} s, {rate:,.0f} clips per second")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{args.jobs} processes, {peak:.0f} MB of memory in the first")


def make_clips(root: Path, clips: int, splits: bool = False) -> int:
    """Write clips with sidecars in folders of 1,000; return their size in bytes."""
    header = EcdcHeader("encodec_24khz", SAMPLES, CODEBOOKS)
    text = b'{"m": "encodec_24khz", "al": 240000, "nc": 8, "lm": false}'
    head = b"ECDC\x00" + len(text).to_bytes(4, "big") + text
    frames = np.arange(header.n_frames)
    sidecar: list[tuple[str, bytes]] = []
    tie = b""
    total = 0
    for number in range(clips):
        folder = ("train", "test")[number % 10 == 0] if splits else ""
        path = root / folder / f"{number // 1000:03d}" / f"{number:06d}.ecdc"
        path.parent.mkdir(parents=True, exist_ok=True)
        tokens = head + os.urandom(payload_size(header))
        path.write_bytes(tokens)
        if not sidecar:
            write_sidecar(
                path,
                {
                    "level": {"values": -frames / 20, "units": "dB", "min": -60, "max": 0},
                    "pitch": {"values": 40 + frames % 50, "units": "MIDI note"},
                    "phase": {"values": frames % 360, "units": "deg", "kind": "circular"},
                },
            )
            tie = digest_bytes(tokens).encode()
            sidecar = [
                (part.name.removeprefix(path.stem), part.read_bytes())
                for part in sidecar_paths(path)
            ]
        for suffix, data in sidecar:
            tied = data.replace(tie, digest_bytes(tokens).encode())
            path.with_name(path.stem + suffix).write_bytes(tied)
        total += path.stat().st_size + sum(len(data) for _, data in sidecar)
    return total


if __name__ == "__main__":
    main()
