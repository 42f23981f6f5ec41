"""The `preprocess` command: one subcommand a step, and `run` for a recipe of all of them.

Exit status: 0 all done; 1 some item failed or an audit found an error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from preprocess import __version__
from preprocess.audit.audit_config import AuditConfig, ChecksConfig
from preprocess.audit.findings import FORMATS
from preprocess.cli import commands
from preprocess.codec.model_config import CodecConfig, ModelConfig
from preprocess.core.flags import OneLineParser, add_flags, add_producer_flags
from preprocess.core.jobs import cpu_count
from preprocess.core.report import exit_status
from preprocess.params import PRODUCERS
from preprocess.steps.annotate_clip import AnnotateConfig
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.export_config import EXPORT_TARGETS, ExportConfig
from preprocess.steps.migrate import MigrateConfig
from preprocess.steps.normalize import NormalizeConfig
from preprocess.steps.push import PushConfig
from preprocess.steps.stats import StatsConfig

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments`, by default the process's, and return its exit status."""
    parsed, unknown = build_parser().parse_known_args(arguments)
    if unknown:  # reported by the step's own parser, which knows its flags
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return exit_status("preprocess", lambda: int(parsed.command(parsed)))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = OneLineParser(prog="preprocess", description="From a folder of sounds to a dataset.")
    parser.add_argument("--version", action="version", version=__version__)
    steps = parser.add_subparsers(title="steps", metavar="STEP [FLAGS]", required=True)
    _add_normalize(steps)
    _add_encode(steps)
    _add_annotate(steps)
    _add_audit(steps)
    _add_stats(steps)
    _add_build(steps)
    _add_export(steps)
    _add_migrate(steps)
    _add_push(steps)
    _add_run(steps)
    _add_demo(steps)
    _add_doctor(steps)
    return parser


def _subparser(steps: Any, name: str, help_text: str, command: Command) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = steps.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(command=command, parser=parser)
    return parser


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=cpu_count(),
        help="threads that work on files at once (default: the machine's cores)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def number_or_all(text: str) -> int | None:
    """Return a count of lines to print, None for `all` or -1."""
    if text.lower() in ("all", "-1"):
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number or all, got {text!r}")
    return int(text)


def _add_normalize(steps: Any) -> None:
    text = "bring audio to the codec's rate and channels, and all clips to one level"
    parser = _subparser(steps, "normalize", text, commands.normalize_command)
    parser.add_argument("input", type=Path, help="folder with audio, nested as you like")
    parser.add_argument("output", type=Path, help="folder for the .wav files, mirroring it")
    parser.add_argument(
        "--codec",
        default=CodecConfig.codec,
        help="codec whose rate and channels to take (default: %(default)s)",
    )
    add_flags(parser, NormalizeConfig)
    _add_jobs(parser)


def _add_encode(steps: Any) -> None:
    parser = _subparser(
        steps, "encode", "encode audio to .ecdc token files", commands.encode_command
    )
    parser.add_argument("input", type=Path, help="folder with audio, normalized as a rule")
    parser.add_argument("output", type=Path, help="folder for the .ecdc files, mirroring it")
    add_flags(parser, CodecConfig)
    add_flags(parser, EncodeConfig)


def _add_annotate(steps: Any) -> None:
    text = "write the sidecars: parameters aligned with the frames of the tokens"
    parser = _subparser(steps, "annotate", text, commands.annotate_command)
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    add_producer_flags(parser, PRODUCERS)
    add_flags(parser, AnnotateConfig)
    add_flags(parser, ModelConfig)
    _add_jobs(parser)


def _add_audit(steps: Any) -> None:
    parser = _subparser(
        steps, "audit", "check every sidecar against its tokens", commands.audit_command
    )
    parser.add_argument(
        "root", metavar="ECDC_DIR", type=Path, nargs="?", help="folder with .ecdc files"
    )
    parser.add_argument("--audio-root", metavar="ECDC_DIR", type=Path, help="the same")
    add_flags(parser, AuditConfig)
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the findings")
    parser.add_argument(
        "--list",
        type=number_or_all,
        default=50,
        metavar="N",
        help="how many errors and notes to print as text, or all (default: 50)",
    )
    parser.add_argument("--export-csv", type=Path, metavar="FILE", help="write all findings there")
    _add_jobs(parser)


def _add_stats(steps: Any) -> None:
    parser = _subparser(
        steps, "stats", "measure the parameters of all clips together", commands.stats_command
    )
    parser.add_argument(
        "root", metavar="ECDC_DIR", type=Path, nargs="?", help="folder with .ecdc files"
    )
    parser.add_argument(
        "--merge", nargs="+", type=Path, metavar="FILE", help="instead: merge such files of shards"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where to (default: stats.json in ECDC_DIR)"
    )
    add_flags(parser, StatsConfig)
    _add_jobs(parser)


def _add_build(steps: Any) -> None:
    parser = _subparser(
        steps, "build", "save a DatasetDict of tokens and parameters", commands.build_command
    )
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    parser.add_argument("output", type=Path, help="folder for the saved dataset")
    add_flags(parser, BuildConfig)
    add_flags(parser, ChecksConfig)


def _add_export(steps: Any) -> None:
    text = "write tokens and parameters as the trainers of another project read them"
    parser = _subparser(steps, "export", text, commands.export_command)
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    parser.add_argument("output", type=Path, help="folder for the export")
    parser.add_argument(
        "--for",
        dest="target",
        choices=EXPORT_TARGETS,
        required=True,
        help="whose trainers are to read it: rnencodec is smilo7/RNeNcodec",
    )
    add_flags(parser, ExportConfig)
    add_flags(parser, ChecksConfig)


def _add_migrate(steps: Any) -> None:
    text = "bring old token files and sidecars to the current formats; a dry run at first"
    parser = _subparser(steps, "migrate", text, commands.migrate_command)
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    add_flags(parser, MigrateConfig)


def _add_push(steps: Any) -> None:
    text = "publish a saved dataset on the Hub, as Parquet with a card"
    parser = _subparser(steps, "push", text, commands.push_command)
    parser.add_argument("dataset", type=Path, help="folder that build saved")
    parser.add_argument("repo_id", metavar="REPO_ID", help="NAMESPACE/NAME on the Hub")
    add_flags(parser, PushConfig)


def _add_run(steps: Any) -> None:
    parser = _subparser(
        steps, "run", "run a recipe: all steps, from audio to dataset", commands.run_command
    )
    parser.add_argument("recipe", metavar="RECIPE.yaml", type=Path)
    parser.add_argument("--input", type=Path, help="instead of the recipe's")
    parser.add_argument("--output", type=Path, help="instead of the recipe's")
    parser.add_argument(
        "--prune", action="store_true", help="delete outputs of all steps whose source is gone"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --prune: name them, and do nothing"
    )


def _add_demo(steps: Any) -> None:
    parser = _subparser(
        steps,
        "demo",
        "run the whole path on nine recordings with the demo codec",
        commands.demo_command,
    )
    parser.add_argument(
        "output", type=Path, nargs="?", default=Path("demo_output"), help="folder for the results"
    )


def _add_doctor(steps: Any) -> None:
    text = "check that the installed packages fit, and say what to type where they do not"
    _subparser(steps, "doctor", text, commands.doctor_command)
