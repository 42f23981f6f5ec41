"""`wf-sidecar-audit`: `preprocess audit` with the predecessor's flags, names and CSV columns."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.findings import Finding
from preprocess.cli.step_flags import number_or_all
from preprocess.cli.wf.common import add_place_flags
from preprocess.core.errors import printable
from preprocess.core.files import write_bytes
from preprocess.core.flags import validate
from preprocess.core.jobs import cpu_count
from preprocess.core.parser import OneLineParser
from preprocess.core.report import exit_status, print_report
from preprocess.sidecar.precision import FLOATS
from preprocess.sidecar.sidecar_format import META_SUFFIX, TOKEN_SUFFIX, sidecar_paths
from preprocess.steps.audit import audit

ISSUES: dict[str, tuple[str, ...]] = {
    "bad_ecdc": ("unreadable_tokens", "token_values"),
    "bad_sidecar": ("unreadable_sidecar",),
    "bad_shape": ("unreadable_sidecar",),
    "frame_mismatch": ("misaligned",),
    "dtype_mismatch": ("dtype",),
    "fps_mismatch": ("fps",),
    "duplicate_names": ("unreadable_sidecar",),
    "names_length_mismatch": ("unreadable_sidecar",),
    "missing_features": ("missing_parameter",),
    "missing_names": ("missing_parameter",),
    "norm_invalid": ("unreadable_sidecar",),
    "norm_length_mismatch": ("unreadable_sidecar",),
    "norm_inverted": ("out_of_range",),
    "range_below_min": ("out_of_range",),
    "range_above_max": ("out_of_range",),
    "range_unverifiable": (),
    "auditor_error": ("unreadable_tokens",),
}
"""The predecessor's name for an issue -> the checks that find it."""
_FAIL_ON = "bad_ecdc,bad_sidecar,frame_mismatch,missing_sidecar"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = OneLineParser(prog="wf-sidecar-audit", description="Check sidecars against tokens.")
    add_place_flags(parser)
    parser.add_argument("--expect-fps", help="expected frame rate (default: the codec's)")
    parser.add_argument("--expect-dtype", choices=FLOATS)
    parser.add_argument("--require", default="", help="required parameters, separated by commas")
    parser.add_argument("--verify-ranges", action="store_true", help="check values against ranges")
    parser.add_argument("--range-tol", default="1e-3", help="tolerance, as a fraction of the range")
    parser.add_argument(
        "--list", type=number_or_all, default=50, metavar="N", help="number of lines, or all"
    )
    parser.add_argument(
        "--export-csv", type=Path, help="write a file with columns type,rel_ecdc,rel_cond,detail"
    )
    parser.add_argument(
        "--fail-on", default=_FAIL_ON, help="issues that count as errors, separated by commas"
    )
    args = parser.parse_args(arguments)

    def run() -> int:
        report, findings = audit(args.audio_root, _config(args), cpu_count())
        if args.export_csv is not None:
            write_bytes(args.export_csv, _csv(findings, args).encode())
        print_report(report, most=args.list)
        return 0 if report.ok else 1

    return exit_status(parser.prog, run)


def _config(args: argparse.Namespace) -> AuditConfig:
    issues = [name for name in args.fail_on.split(",") if name]
    fail_on = [check for name in issues for check in ISSUES.get(name, (name,))]
    keys = ("expect_dtype", "require", "verify_ranges", "range_tol", "cond_root", "suffix")
    given = {key: getattr(args, key) for key in (*keys, "shard_index", "shard_count")}
    settings = {**given, "expect_fps": args.expect_fps, "fail_on": tuple(dict.fromkeys(fail_on))}
    return validate(AuditConfig, settings, "--", "-")


def _csv(findings: Sequence[Finding], args: argparse.Namespace) -> str:
    """Return findings in the predecessor's columns, with its names for the issues it knew."""
    names = {check: name for name in reversed(ISSUES) for check in ISSUES[name]}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("type", "rel_ecdc", "rel_cond", "detail"))
    for finding in findings:
        path = Path(finding.path)
        tokens = cond = ""
        if path.name.endswith(TOKEN_SUFFIX):
            rel = path.relative_to(args.audio_root)
            tokens, cond = rel.as_posix(), sidecar_paths(rel, args.suffix)[0].as_posix()
        elif path.name.endswith((args.suffix, META_SUFFIX)):
            rel = path.relative_to(args.cond_root or args.audio_root)
            stem = rel.name.removesuffix(args.suffix).removesuffix(META_SUFFIX)
            tokens, cond = rel.with_name(stem + TOKEN_SUFFIX).as_posix(), rel.as_posix()
        row = (names.get(finding.check, finding.check), tokens, cond, finding.message)
        writer.writerow(map(printable, row))
    return out.getvalue()
