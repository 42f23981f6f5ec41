"""`wf-build-dataset`: `preprocess build` with the predecessor's flags.

The result has everything the predecessor's had: one named split, a column `audio` with paths to
tokens that are linked, copied or omitted, and `load_from_disk`. In addition it holds the tokens and
parameters themselves. With `--materialize none`, paths are relative to TOKENS_DIR; the predecessor
named files that it had not made.
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
    if args.max_files == "0":  # the predecessor's value for no limit
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
        "--split", dest="split_name", default="train", help="name of the split (default: train)"
    )
    parser.add_argument("--suffix", default=BuildConfig.suffix, help="suffix of the token files")
    parser.add_argument("--recursive", action="store_true", help="search subfolders")
    parser.add_argument(
        "--tokens-subdir",
        default=BuildConfig.tokens_subdir,
        help="subfolder of OUT_DIR for the token files",
    )
    parser.add_argument(
        "--materialize",
        choices=("link", "copy", "none"),
        default=BuildConfig.materialize,
        help="link, copy or omit the token files and sidecars",
    )
    parser.add_argument(
        "--verify", action="store_true", help="reload the dataset and compare it with the files"
    )
    parser.add_argument(
        "--allow-mixed",
        action="store_true",
        help="accept clips made by different settings or code",
    )
    parser.add_argument("--max-files", help="use at most this many token files; 0 for all")
    return parser
