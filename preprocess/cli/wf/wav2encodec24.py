"""`wf-wav2encodec24`: `preprocess encode` with the predecessor's flags, at 24 kHz.

Like the predecessor, it encodes only .wav files. It leaves token files unchanged that `encode` did
not make, such as the predecessor's own. `--dry-run` and `--list-missing` write nothing and need no
weights.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from preprocess.codec.model_config import CodecConfig
from preprocess.core.errors import printable
from preprocess.core.files import find_files
from preprocess.core.flags import validate
from preprocess.core.parser import OneLineParser
from preprocess.core.report import Report, exit_status, print_report
from preprocess.steps.encode import encode_plan
from preprocess.steps.encode_jobs import EncodeConfig, Job, Plan, plan_jobs
from preprocess.tokens.ecdc import read_ecdc
from preprocess.tokens.types import EcdcError

_CONFIG = ("bandwidth", "recursive", "overwrite", "suffix", "dry_run", "list_missing", "verify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = _parser().parse_args(arguments)
    return exit_status("wf-wav2encodec24", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    given = {key: getattr(args, key) for key in (*_CONFIG, "verify_samples")}
    config = validate(EncodeConfig, {**given, "extensions": ("wav",)}, "--", "-")
    report = Report("encode", output=str(args.out_dir))
    codec = CodecConfig(weights=args.weights, device=_usable(args.device, report))
    plan = plan_jobs(args.in_dir, args.out_dir, codec, config, report)
    if config.overwrite:
        plan.refuse_foreign(report)
    elif plan.foreign:
        n, first = len(plan.foreign), plan.foreign[0].tokens
        report.note(f"skipped, token files not made by encode: {n:,}, such as {first}")
    jobs = sorted((*plan.jobs, *plan.foreign), key=lambda job: job.tokens)
    if config.list_missing:
        _print_missing(plan, args.out_dir, config)
    if config.dry_run:
        _print_plan(plan, jobs, args.in_dir, config, report)
    if config.dry_run or config.list_missing:
        report.detail = "nothing was written"
        print_report(report.finish())
        return 0 if report.ok else 1
    print(printable(f"Found {len(jobs)} wav files under {args.in_dir}"))
    print(f"Using device: {codec.device}", flush=True)
    encode_plan(plan, args.out_dir, codec, config, report)
    skipped = report.current + (0 if config.overwrite else len(plan.foreign))
    print(f"Wrote  : {report.done}\nSkipped: {skipped}\nFailed : {len(report.failures)}")
    print_report(report)
    return 0 if report.ok else 1


def _usable(device: str, report: Report) -> str:
    """Return the device to use; without a GPU, fall back to the CPU with a note."""
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        report.note("--device cuda: PyTorch finds no GPU, so the CPU encodes")
    return "cuda" if there and device != "cpu" else "cpu"


def _to_write(plan: Plan, config: EncodeConfig) -> set[Path]:
    return {job.tokens for job in plan.jobs if config.overwrite or not job.current}


def _print_missing(plan: Plan, out: Path, config: EncodeConfig) -> None:
    """Print the token files to make, and the token files without audio of the same name."""
    missing = sorted(map(str, _to_write(plan, config)))
    there = find_files(out, [config.suffix], config.recursive) if out.is_dir() else []
    orphans = [
        str(out / rel) for rel in there if rel.as_posix()[: -len(config.suffix)] not in plan.stems
    ]
    for title, label, paths in (
        ("Missing tokens", "MISSING", missing),
        ("Orphans", "ORPHAN", orphans),
    ):
        print(f"{title}: {len(paths)}")
        print("".join(f"  {label}: {printable(path)}\n" for path in paths), end="")
    print()


def _print_plan(
    plan: Plan, jobs: Sequence[Job], source: Path, config: EncodeConfig, report: Report
) -> None:
    """Print whether each clip's token file would be written; with --verify, read a sample."""
    print(printable(f"Found {len(jobs)} wav files under {source}"))
    writes = _to_write(plan, config)
    for job in jobs:
        print(printable(f"{'WRITE' if job.tokens in writes else 'SKIP'} -> {job.tokens}"))
    print(f"\nPlanned writes: {len(writes)}")
    if not config.verify:
        return
    there = [job.tokens for job in jobs if job.tokens.exists()]
    sample = random.Random(0).sample(there, min(config.verify_samples, len(there)))
    for path in sample:
        try:
            read_ecdc(path)
        except (EcdcError, OSError) as error:
            report.fail(path, error)
    errors = len({*map(str, sample)} & report.failed)
    print(f"Verify: checked {len(sample)}, errors {errors}")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="wf-wav2encodec24", description="Encode .wav files to .ecdc token files, at 24 kHz."
    )
    parser.add_argument("in_dir", type=Path, help="folder with .wav files")
    parser.add_argument("out_dir", type=Path, help="folder for the token files, a mirrored tree")
    parser.add_argument(
        "--bandwidth",
        default=EncodeConfig.bandwidth,
        help="bandwidth in kbps (default: %(default)s)",
    )
    parser.add_argument("--recursive", action="store_true", help="search subfolders")
    parser.add_argument("--overwrite", action="store_true", help="encode even current clips again")
    parser.add_argument("--suffix", default=EncodeConfig.suffix, help="suffix of the token files")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    parser.add_argument("--dry-run", action="store_true", help="only list WRITE or SKIP per file")
    parser.add_argument(
        "--list-missing",
        action="store_true",
        help="only list missing tokens, and tokens without audio",
    )
    parser.add_argument("--verify", action="store_true", help="check the token files")
    parser.add_argument(
        "--verify-samples",
        default=EncodeConfig.verify_samples,
        help="number of clips that --verify encodes again (default: %(default)s)",
    )
    parser.add_argument(
        "--weights", help="file or Hub repository (default: the published checkpoint)"
    )
    return parser
