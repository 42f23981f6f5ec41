"""`wf-audio-normalize`: `preprocess normalize` with the predecessor's flags, at 24 kHz.

Unlike the predecessor, it also converts subfolders.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from preprocess.codec.model_config import CodecConfig
from preprocess.core.errors import printable
from preprocess.core.flags import validate
from preprocess.core.jobs import cpu_count
from preprocess.core.parser import OneLineParser
from preprocess.core.report import exit_status, print_report
from preprocess.steps.normalize import NormalizeConfig, normalize

_RULE = "=" * 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = OneLineParser(
        prog="wf-audio-normalize",
        description="Convert audio to 24 kHz mono, with the loudest window of each clip at one RMS.",
    )
    parser.add_argument("input_folder", type=Path, help="folder with audio, including subfolders")
    parser.add_argument("output_folder", type=Path, help="folder for the .wav files")
    parser.add_argument(
        "--target-rms",
        default=NormalizeConfig.target_rms,
        help="RMS of the loudest window, linear (default: %(default)s)",
    )
    parser.add_argument(
        "--window-ms",
        default=NormalizeConfig.window_ms,
        help="length of the window in milliseconds (default: %(default)s)",
    )
    parser.add_argument(
        "--extensions",
        nargs="+",
        default=["wav", "WAV"],
        help="file name extensions, in upper or lower case (default: wav)",
    )
    args = parser.parse_args(arguments)
    return exit_status(parser.prog, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    given = {key: getattr(args, key) for key in ("target_rms", "window_ms", "extensions")}
    config = validate(NormalizeConfig, given, "--", "-")
    source, output = args.input_folder, args.output_folder
    report = normalize(source, output, CodecConfig.codec, config, cpu_count())
    failed = len(report.failures)
    good = report.done + report.current
    lines = (
        f"Found {good + failed} audio files",
        f"Target peak windowed RMS: {config.target_rms}",
        f"Window size: {config.window_ms:g}ms",
        f"Input: {source}",
        f"Output: {output}",
        _RULE,
        f"Successfully processed {good}/{good + failed} files",
        *([f"Failed to process {failed} files"] if failed else []),
    )
    print("".join(f"{printable(line)}\n" for line in lines), end="")
    print_report(report)
    return 0 if report.ok else 1
