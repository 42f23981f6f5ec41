"""The flags of each step's command."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig, ChecksConfig
from preprocess.audit.findings import FORMATS
from preprocess.cli import commands, plan_commands
from preprocess.codec.model_config import CodecConfig, ModelConfig
from preprocess.core.flags import add_flags, add_producer_flags
from preprocess.core.jobs import cpu_count
from preprocess.params import PRODUCERS
from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.launch_config import LaunchConfig
from preprocess.steps.annotate_clip import AnnotateConfig
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.export_config import EXPORT_TARGETS, ExportConfig
from preprocess.steps.inspect import InspectConfig
from preprocess.steps.migrate import MigrateConfig
from preprocess.steps.normalize import NormalizeConfig
from preprocess.steps.pack_config import PackConfig
from preprocess.steps.plot import PlotConfig
from preprocess.steps.push import PushConfig
from preprocess.steps.stats import StatsConfig


def _add_root(parser: ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "root", metavar="ECDC_DIR", type=Path, nargs=nargs, help="folder with .ecdc files"
    )


def _add_jobs(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=cpu_count(),
        help="number of threads or processes (default: number of cores)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number, at least 1, got {text!r}")
    return int(text)


def number_or_all(text: str) -> int | None:
    """Return the number of lines to print, or None for `all` or -1."""
    if text.lower() in ("all", "-1"):
        return None
    if not text.isdecimal():
        raise ArgumentTypeError(f"must be a whole number or all, got {text!r}")
    return int(text)


def normalize_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess normalize`."""
    parser.set_defaults(command=commands.normalize_command)
    parser.add_argument("input", type=Path, help="folder with audio, including subfolders")
    parser.add_argument("output", type=Path, help="folder for the .wav files, a mirrored tree")
    parser.add_argument(
        "--codec",
        default=CodecConfig.codec,
        help="codec whose sample rate and channels to use (default: %(default)s)",
    )
    add_flags(parser, NormalizeConfig)
    _add_jobs(parser)


def encode_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess encode`."""
    parser.set_defaults(command=commands.encode_command)
    parser.add_argument("input", type=Path, help="folder with audio, usually normalized")
    parser.add_argument("output", type=Path, help="folder for the .ecdc files, a mirrored tree")
    add_flags(parser, CodecConfig)
    add_flags(parser, EncodeConfig)


def annotate_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess annotate`."""
    parser.set_defaults(command=commands.annotate_command)
    _add_root(parser)
    add_producer_flags(parser, PRODUCERS)
    add_flags(parser, AnnotateConfig)
    add_flags(parser, ModelConfig)
    _add_jobs(parser)


def audit_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess audit`."""
    parser.set_defaults(command=commands.audit_command)
    _add_root(parser, nargs="?")
    parser.add_argument(
        "--audio-root", metavar="ECDC_DIR", type=Path, help="the same folder, as a flag"
    )
    add_flags(parser, AuditConfig)
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="output format (default: %(default)s)"
    )
    parser.add_argument(
        "--list",
        type=number_or_all,
        default=50,
        metavar="N",
        help="number of errors and warnings to print as text, or all (default: 50)",
    )
    parser.add_argument(
        "--export-csv", type=Path, metavar="FILE", help="write all findings to FILE"
    )
    _add_jobs(parser)


def stats_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess stats`."""
    parser.set_defaults(command=commands.stats_command)
    _add_root(parser, nargs="?")
    parser.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="merge the statistics of several shards",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="output file (default: ECDC_DIR/stats.json)"
    )
    add_flags(parser, StatsConfig)
    _add_jobs(parser)


def build_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess build`."""
    parser.set_defaults(command=commands.build_command)
    _add_root(parser)
    parser.add_argument("output", type=Path, help="folder for the saved dataset")
    add_flags(parser, BuildConfig)
    add_flags(parser, ChecksConfig)


def pack_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess pack`."""
    parser.set_defaults(command=commands.pack_command)
    _add_root(parser)
    parser.add_argument("output", type=Path, help="folder for the shards")
    add_flags(parser, PackConfig)
    add_flags(parser, ChecksConfig)
    _add_jobs(parser)


def unpack_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess unpack`."""
    parser.set_defaults(command=commands.unpack_command)
    parser.add_argument("source", metavar="SHARDS", type=Path, help="folder of shards")
    parser.add_argument("output", type=Path, help="folder for the .ecdc files and sidecars")
    _add_jobs(parser)


def migrate_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess migrate`."""
    parser.set_defaults(command=commands.migrate_command)
    _add_root(parser)
    add_flags(parser, MigrateConfig)


def export_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess export`."""
    parser.set_defaults(command=commands.export_command)
    _add_root(parser)
    parser.add_argument("output", type=Path, help="folder for the export")
    parser.add_argument(
        "--for",
        dest="target",
        choices=EXPORT_TARGETS,
        required=True,
        help="project whose trainers read the export: rnencodec is smilo7/RNeNcodec",
    )
    add_flags(parser, ExportConfig)
    add_flags(parser, ChecksConfig)


def inspect_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess inspect`."""
    parser.set_defaults(command=commands.inspect_command)
    _add_source(parser)
    add_flags(parser, InspectConfig)


def plot_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess plot`."""
    parser.set_defaults(command=commands.plot_command)
    _add_source(parser)
    parser.add_argument("id", metavar="ID", help="id of the clip")
    parser.add_argument("output", type=Path, help=".png, .svg or .pdf file to write")
    add_flags(parser, PlotConfig)


def _add_source(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="ECDC_DIR|DATASET|HUB_ID",
        help="folder with .ecdc files, a saved dataset, or NAMESPACE/NAME on the Hub",
    )


def push_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess push`."""
    parser.set_defaults(command=commands.push_command)
    parser.add_argument("dataset", type=Path, help="folder of a saved dataset")
    parser.add_argument("repo_id", metavar="REPO_ID", help="NAMESPACE/NAME on the Hub")
    add_flags(parser, PushConfig)
    add_flags(parser, ModelConfig)


def run_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess run`."""
    parser.set_defaults(command=plan_commands.run_command)
    parser.add_argument("recipe", metavar="RECIPE.yaml", type=Path, nargs="?")
    parser.add_argument(
        "--plan", metavar="PLAN", help="make the shards of this plan, not of a recipe"
    )
    _add_places(parser)
    parser.add_argument(
        "--prune", action="store_true", help="delete the outputs of all steps whose source is gone"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --prune: only list the outputs to delete"
    )
    add_flags(parser, LaunchConfig)


def plan_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess plan`."""
    parser.set_defaults(command=plan_commands.plan_command)
    parser.add_argument("recipe", metavar="RECIPE.yaml", type=Path)
    parser.add_argument(
        "--plan", metavar="PLAN", help="folder or URL for the plan (default: OUTPUT/plan)"
    )
    _add_places(parser)


def status_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess status`."""
    parser.set_defaults(command=plan_commands.status_command)
    _add_plan(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def finish_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess finish`."""
    parser.set_defaults(command=plan_commands.finish_command)
    _add_plan(parser)
    add_flags(parser, FinishConfig)


def _add_plan(parser: ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="folder or URL of a plan")


def _add_places(parser: ArgumentParser) -> None:
    parser.add_argument("--input", help="folder or URL of the audio, instead of the recipe's")
    parser.add_argument("--output", help="folder or URL of the output, instead of the recipe's")


def demo_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess demo`."""
    parser.set_defaults(command=commands.demo_command)
    parser.add_argument(
        "output", type=Path, nargs="?", default=Path("demo_output"), help="folder for the results"
    )


def doctor_flags(parser: ArgumentParser) -> None:
    """Add the flags of `preprocess doctor`."""
    parser.set_defaults(command=commands.doctor_command)
