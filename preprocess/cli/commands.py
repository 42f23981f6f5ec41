"""The subcommands: functions that take parsed arguments and return the exit status.

Each imports its step's module only when it runs, so that `preprocess --help` stays fast.
"""

from __future__ import annotations

import dataclasses
import sys
from argparse import Namespace
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig, ChecksConfig
from preprocess.codec.model_config import CodecConfig, ModelConfig
from preprocess.core.errors import UsageError, printable
from preprocess.core.flags import from_flags
from preprocess.core.report import Report, log_report, print_report
from preprocess.params import parse_producer
from preprocess.steps.annotate_clip import AnnotateConfig
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.export_config import ExportConfig
from preprocess.steps.inspect import InspectConfig
from preprocess.steps.migrate import MigrateConfig
from preprocess.steps.normalize import NormalizeConfig
from preprocess.steps.pack_config import PackConfig
from preprocess.steps.plot import PlotConfig
from preprocess.steps.push import PushConfig
from preprocess.steps.stats import StatsConfig


def normalize_command(args: Namespace) -> int:
    """Run `preprocess normalize`."""
    from preprocess.steps.normalize import normalize

    config = from_flags(NormalizeConfig, args)
    report = normalize(args.input, args.output, args.codec, config, args.jobs)
    return finish(report)


def encode_command(args: Namespace) -> int:
    """Run `preprocess encode`."""
    from preprocess.steps.encode import encode

    codec, config = from_flags(CodecConfig, args), from_flags(EncodeConfig, args)
    report = encode(args.input, args.output, codec, config)
    # Other programs read the output of --list-missing, so the summary goes to stderr.
    print_report(report, out=sys.stderr if config.list_missing else None)
    return 0 if report.ok else 1


def annotate_command(args: Namespace) -> int:
    """Run `preprocess annotate`."""
    from preprocess.steps.annotate import annotate

    producers = [parse_producer(entry) for entry in getattr(args, "producers", ())]
    model, config = from_flags(ModelConfig, args), from_flags(AnnotateConfig, args)
    report = annotate(args.root, producers, model, config, args.jobs)
    return finish(report)


def audit_command(args: Namespace) -> int:
    """Run `preprocess audit`; with --format json or csv, print only the findings."""
    from preprocess.audit.findings import format_findings
    from preprocess.core.files import write_bytes
    from preprocess.core.temporaries import remove_stale
    from preprocess.steps.audit import audit

    if (args.root is None) == (args.audio_root is None):
        raise UsageError("audit: name the folder with .ecdc files exactly once")
    report, findings = audit(args.root or args.audio_root, from_flags(AuditConfig, args), args.jobs)
    if args.export_csv is not None:
        remove_stale(args.export_csv.absolute().parent, recursive=False)
        write_bytes(args.export_csv, format_findings(findings, "csv").encode())
    if args.format == "text":
        print_report(report, most=args.list)
    else:
        print(format_findings(findings, args.format), end="")
        log_report(report)
    return 0 if report.ok else 1


def stats_command(args: Namespace) -> int:
    """Run `preprocess stats`."""
    from preprocess.stats.corpus_stats import STATS_NAME, read_stats
    from preprocess.steps.stats import collect_stats, format_stats, merge_stats

    if (args.root is None) == (args.merge is None):
        raise UsageError("stats: give either ECDC_DIR or --merge FILE ...")
    if args.root is None:
        if args.output is None:
            raise UsageError("stats: --merge needs --output")
        report = merge_stats(args.merge, args.output)
    else:
        output = args.output or args.root / STATS_NAME
        report = collect_stats(args.root, output, from_flags(StatsConfig, args), args.jobs)
    lines = format_stats(read_stats(Path(report.output))).splitlines()
    print("".join(f"{printable(line)}\n" for line in lines), end="")
    return finish(report)


def build_command(args: Namespace) -> int:
    """Run `preprocess build`."""
    from preprocess.steps.build import build

    checks = from_flags(ChecksConfig, args)
    audit = AuditConfig(**dataclasses.asdict(checks))
    report = build(args.root, args.output, from_flags(BuildConfig, args), audit)
    return finish(report)


def pack_command(args: Namespace) -> int:
    """Run `preprocess pack`."""
    from preprocess.steps.pack import pack

    checks = from_flags(ChecksConfig, args)
    audit = AuditConfig(**dataclasses.asdict(checks))
    return finish(pack(args.root, args.output, from_flags(PackConfig, args), audit, args.jobs))


def unpack_command(args: Namespace) -> int:
    """Run `preprocess unpack`."""
    from preprocess.steps.unpack import unpack

    return finish(unpack(args.source, args.output, args.jobs))


def export_command(args: Namespace) -> int:
    """Run `preprocess export`; the parser has checked the target, the only one so far."""
    from preprocess.steps.export import export

    checks = from_flags(ChecksConfig, args)
    audit = AuditConfig(**dataclasses.asdict(checks))
    return finish(export(args.root, args.output, from_flags(ExportConfig, args), audit))


def migrate_command(args: Namespace) -> int:
    """Run `preprocess migrate`."""
    from preprocess.steps.migrate import migrate

    report, lines = migrate(args.root, from_flags(MigrateConfig, args))
    print("".join(f"{printable(line)}\n" for line in lines), end="")
    return finish(report)


def inspect_command(args: Namespace) -> int:
    """Run `preprocess inspect`."""
    from preprocess.steps.inspect import inspect, look_at

    config = from_flags(InspectConfig, args)
    if not (config.text or config.json):
        return finish(inspect(args.source, config))
    text, ok = look_at(args.source, config)
    print(text, end="")
    return 0 if ok else 1


def plot_command(args: Namespace) -> int:
    """Run `preprocess plot`."""
    from preprocess.steps.plot import plot

    return finish(plot(args.source, args.id, args.output, from_flags(PlotConfig, args)))


def push_command(args: Namespace) -> int:
    """Run `preprocess push`."""
    from preprocess.steps.push import push

    config, model = from_flags(PushConfig, args), from_flags(ModelConfig, args)
    return finish(push(args.dataset, args.repo_id, config, model))


def demo_command(args: Namespace) -> int:
    """Run `preprocess demo`."""
    from preprocess.cli.demo import demo

    return demo(args.output)


def doctor_command(_: Namespace) -> int:
    """Run `preprocess doctor`."""
    from preprocess.cli.doctor import doctor

    return doctor()


def finish(report: Report) -> int:
    """Print the report of a step and return the exit status."""
    print_report(report)
    return 0 if report.ok else 1
