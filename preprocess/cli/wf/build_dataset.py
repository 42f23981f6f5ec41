"""`wf-build-dataset`: `preprocess build` by the predecessor's flags.

It gives what the predecessor gave (one split of a given name, a column `audio` of paths to tokens
that are linked, copied or not, `load_from_disk`), and the tokens and parameters themselves beside.
With `--materialize none` the paths are those below TOKENS_DIR; the predecessor's named files that
it had not made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from preprocess.core.flags import validate
from preprocess.core.parser import OneLineParser
from preprocess.core.report import exit_status, print_report
from preprocess.steps.build import build
from preprocess.steps.build_config import BuildConfig

_CONFIG = (
    "split_name",
    "suffix",
    "recursive",
    "tokens_subdir",
    "materialize",
    "max_files",
    "verify",
    "allow_mixed",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.max_files == "0":  # its word for all of them
        args.max_files = None

    def run() -> int:
        given = {key: getattr(args, key) for key in _CONFIG}
        report = build(args.tokens_dir, args.out_dir, validate(BuildConfig, given, "--", "-"))
        print_report(report)
        return 0 if report.ok else 1

    return exit_status(parser.prog, run)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="wf-build-dataset", description="Build a dataset from a folder of token files."
    )
    parser.add_argument("tokens_dir", type=Path, help="folder with token files")
    parser.add_argument("out_dir", type=Path, help="folder for the saved dataset")
    parser.add_argument(
        "--split", dest="split_name", default="train", help="name of the one split (default: train)"
    )
    parser.add_argument("--suffix", default=BuildConfig.suffix, help="ending of the token files")
    parser.add_argument("--recursive", action="store_true", help="look into subfolders")
    parser.add_argument(
        "--tokens-subdir", default=BuildConfig.tokens_subdir, help="subfolder of OUT_DIR for them"
    )
    parser.add_argument(
        "--materialize",
        choices=("link", "copy", "none"),
        default=BuildConfig.materialize,
        help="link, copy or leave out token files and sidecars",
    )
    parser.add_argument("--verify", action="store_true", help="load it again and compare")
    parser.add_argument(
        "--allow-mixed", action="store_true", help="take clips that were not all made alike"
    )
    parser.add_argument("--max-files", help="use at most this many files; 0 for all")
    return parser
