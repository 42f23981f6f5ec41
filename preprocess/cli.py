"""The `preprocess` command: one subcommand a step, and `run` for a recipe of all of them.

Exit status: 0 all done; 1 some item failed or an audit found an error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import yaml

from preprocess import __version__
from preprocess.config import (
    AnnotateConfig,
    AuditConfig,
    BuildConfig,
    CodecConfig,
    EncodeConfig,
    ModelConfig,
    NormalizeConfig,
)
from preprocess.errors import PreprocessError, UsageError
from preprocess.flags import OneLineParser, add_flags, from_flags
from preprocess.jobs import cpu_count
from preprocess.params import PRODUCERS, parse_producer
from preprocess.report import print_report

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments`, by default the process's, and return its exit status."""
    parsed, unknown = build_parser().parse_known_args(arguments)
    if unknown:  # reported by the step's own parser, which knows its flags
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(parsed.command(parsed))
    except UsageError as error:
        print(f"preprocess: error: {error}", file=sys.stderr)
        return 2
    except (PreprocessError, OSError) as error:
        print(f"preprocess: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("preprocess: interrupted; what is done is kept, run again to go on", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = OneLineParser(prog="preprocess", description="From a folder of sounds to a dataset.")
    parser.add_argument("--version", action="version", version=__version__)
    steps = parser.add_subparsers(title="steps", metavar="STEP [FLAGS]", required=True)
    _add_normalize(steps)
    _add_encode(steps)
    _add_annotate(steps)
    _add_audit(steps)
    _add_build(steps)
    _add_run(steps)
    _add_demo(steps)
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


def _add_normalize(steps: Any) -> None:
    def command(args: argparse.Namespace) -> int:
        from preprocess.steps.normalize import normalize

        config = from_flags(NormalizeConfig, args)
        report = normalize(args.input, args.output, args.codec, config, args.jobs)
        print_report(report)
        return 0 if report.ok else 1

    text = "bring audio to the codec's rate and channels, and all clips to one level"
    parser = _subparser(steps, "normalize", text, command)
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
    def command(args: argparse.Namespace) -> int:
        from preprocess.steps.encode import encode

        codec, config = from_flags(CodecConfig, args), from_flags(EncodeConfig, args)
        report = encode(args.input, args.output, codec, config)
        # The list of --list-missing is for other programs: the summary must not stand in it.
        print_report(report, out=sys.stderr if config.list_missing else None)
        return 0 if report.ok else 1

    parser = _subparser(steps, "encode", "encode audio to .ecdc token files", command)
    parser.add_argument("input", type=Path, help="folder with audio, normalized as a rule")
    parser.add_argument("output", type=Path, help="folder for the .ecdc files, mirroring it")
    add_flags(parser, CodecConfig)
    add_flags(parser, EncodeConfig)


def _add_annotate(steps: Any) -> None:
    def command(args: argparse.Namespace) -> int:
        from preprocess.steps.annotate import annotate

        producers = [parse_producer(entry) for entry in getattr(args, "producers", ())]
        model, config = from_flags(ModelConfig, args), from_flags(AnnotateConfig, args)
        report = annotate(args.root, producers, model, config, args.jobs)
        print_report(report)
        return 0 if report.ok else 1

    text = "write the sidecars: parameters aligned with the frames of the tokens"
    parser = _subparser(steps, "annotate", text, command)
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    group = parser.add_argument_group(
        "Producers, in order, as often as wished; each takes KEY=VALUE words"
    )
    for name, producer in PRODUCERS.items():
        first = (producer.__doc__ or "").splitlines()[0]
        fields = dataclasses.fields(producer)  # type: ignore[arg-type]
        required = [f"{f.name}=" for f in fields if _is_required(f)]
        keys = " ".join([*required, *(f"[{f.name}=]" for f in fields if not _is_required(f))])
        group.add_argument(
            "--" + name.replace("_", "-"),
            nargs="*",
            action=_ProducerAction,
            metavar="KEY=VALUE",
            help=f"{first} Keys: {keys}",
        )
    add_flags(parser, AnnotateConfig)
    add_flags(parser, ModelConfig)
    _add_jobs(parser)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


class _ProducerAction(argparse.Action):
    """Collects the producers of all flags in one list, in the order of the command line."""

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        settings = {}
        for word in values:
            key, equals, value = word.partition("=")
            if not equals:
                parser.error(f"{option_string}: expected KEY=VALUE, got {word!r}")
            settings[key] = _mapping(value) if value.startswith("{") else value
        producers = [*getattr(namespace, "producers", ()), {self.dest: settings}]
        namespace.producers = producers


def _mapping(text: str) -> Any:
    """Return a mapping written as YAML, such as `{pitch: Hz}`; the text itself if it is none."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _add_audit(steps: Any) -> None:
    def command(args: argparse.Namespace) -> int:
        from preprocess.steps.audit import audit, format_findings

        report, findings = audit(args.root, from_flags(AuditConfig, args), args.jobs)
        if args.format == "text":
            print_report(report)
        else:
            print(format_findings(findings, args.format), end="")
        return 0 if report.ok else 1

    parser = _subparser(steps, "audit", "check every sidecar against its tokens", command)
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    add_flags(parser, AuditConfig)
    parser.add_argument(
        "--format", choices=("text", "json", "csv"), default="text", help="of the findings"
    )
    _add_jobs(parser)


def _add_build(steps: Any) -> None:
    def command(args: argparse.Namespace) -> int:
        from preprocess.steps.build import build

        report = build(args.root, args.output, from_flags(BuildConfig, args))
        print_report(report)
        return 0 if report.ok else 1

    parser = _subparser(steps, "build", "save a DatasetDict of tokens and parameters", command)
    parser.add_argument("root", metavar="ECDC_DIR", type=Path, help="folder with .ecdc files")
    parser.add_argument("output", type=Path, help="folder for the saved dataset")
    add_flags(parser, BuildConfig)


def _add_run(steps: Any) -> None:
    def command(args: argparse.Namespace) -> int:
        from preprocess.recipe import read_recipe, run_recipe, with_overrides

        recipe = with_overrides(read_recipe(args.recipe), input=args.input, output=args.output)
        return run_and_print(run_recipe(recipe))

    parser = _subparser(steps, "run", "run a recipe: all steps, from audio to dataset", command)
    parser.add_argument("recipe", metavar="RECIPE.yaml", type=Path)
    parser.add_argument("--input", type=Path, help="instead of the recipe's")
    parser.add_argument("--output", type=Path, help="instead of the recipe's")


def run_and_print(reports: Any) -> int:
    """Print the reports of a run as they come, and return its exit status."""
    ok, idle = True, True
    for report in reports:
        print_report(report)
        ok &= report.ok
        idle &= report.done == 0 or report.step == "audit"
    if ok and idle:
        print("nothing to do: every output is up to date")
    return 0 if ok else 1


def _add_demo(steps: Any) -> None:
    def command(args: argparse.Namespace) -> int:
        from preprocess.demo import demo

        return demo(args.output)

    parser = _subparser(
        steps, "demo", "run the whole path on nine recordings with the demo codec", command
    )
    parser.add_argument(
        "output", type=Path, nargs="?", default=Path("demo_output"), help="folder for the results"
    )
