"""`wf-sidecar-add`: adds parameters from producers to the sidecars of all clips.

To see the flags of a plug-in, name it: `wf-sidecar-add --producers-dir DIR --producer NAME --help`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from preprocess.cli.wf.common import Place, add_place_flags, for_each, places
from preprocess.cli.wf.producers import BUILT_IN, BuiltIn, PlugIn, find_producer
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.parser import OneLineParser
from preprocess.core.report import Report, exit_status, print_report
from preprocess.sidecar.parameters import ParameterValue
from preprocess.sidecar.precision import FLOATS
from preprocess.sidecar.reading import existing_paths
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import read_header

_PROG = "wf-sidecar-add"
Producers = list[BuiltIn | PlugIn]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_status(_PROG, lambda: _run(words))


def _run(words: list[str]) -> int:
    first = OneLineParser(prog=_PROG, add_help=False)
    _add_flags(first)
    named, _ = first.parse_known_args([word for word in words if word not in ("-h", "--help")])
    if named.list_producers:
        return _list(named.producers_dir)
    chosen: Producers = [find_producer(n, named.producers_dir) for n in named.producer]
    for name in named.show_producer:
        _show(find_producer(name, named.producers_dir))
    if named.show_producer:
        return 0
    # A plug-in's flag replaces a built-in's flag of the same name.
    parser = OneLineParser(
        prog=_PROG, description=__doc__.split("\n")[0], conflict_handler="resolve"
    )
    _add_flags(parser)
    plug_ins = [producer for producer in chosen if isinstance(producer, PlugIn)]
    names = {plug_in.stem for plug_in in plug_ins}
    built_in = [producer for name, producer in BUILT_IN.items() if name not in names]
    all_known: Producers = [*built_in, *plug_ins]
    for producer in all_known:
        producer.add_cli_args(parser)
    args = parser.parse_args(words)
    if args.audio_root is None:
        raise UsageError("--audio-root is missing")
    chosen += [p for p in built_in if p not in chosen and p.is_asked_for(args)]
    if not chosen:
        raise UsageError(f"nothing to add: name a --producer, such as {', '.join(BUILT_IN)}")
    return _add(args, chosen)


def _add(args: argparse.Namespace, producers: Producers) -> int:
    plug_ins = [producer for producer in producers if isinstance(producer, PlugIn)]
    missing: list[Path] = []

    def step(clip: Place) -> bool:
        parts = [part.exists() for part in existing_paths(clip.beside, clip.suffix)]
        if not all(parts) and not args.create_missing:
            missing.append(clip.tokens)
            return False
        return add_parameters(clip, producers, args, create=not any(parts))

    report = Report("add", output=str(args.cond_root or args.audio_root))
    for plug_in in plug_ins:
        plug_in.init(args)
    try:
        for_each(step, places(args), report, args.skip_errors)
    finally:
        for plug_in in plug_ins:
            plug_in.shutdown(args)
    if missing:
        report.current -= len(missing)  # for_each counts unchanged clips as current
        report.note(
            f"skipped, no sidecar: {len(missing):,}, such as {missing[0]}; use --create-missing to "
            f"create them"
        )
    print_report(report)
    return 0 if report.ok else 1


def add_parameters(
    clip: Place, producers: Producers, args: argparse.Namespace, create: bool = False
) -> bool:
    """Add the producers' parameters to one clip, and return whether anything was written.

    With `create`, write an empty sidecar if the producers return no parameters.

    Raises:
        PreprocessError: Two producers make the same parameter, or the sidecar cannot be written.
    """
    frames = read_header(clip.tokens).n_frames
    parameters: dict[str, ParameterValue] = {}
    for producer in producers:
        for name, value in producer.produce(clip.tokens, frames, args).items():
            if name in parameters:
                raise PreprocessError(f"{clip.tokens}: two producers make the parameter {name!r}")
            parameters[name] = value
    if parameters or create:
        write_sidecar(
            clip.tokens,
            parameters,
            mode=args.mode,
            dtype=args.dtype,
            beside=clip.beside,
            suffix=clip.suffix,
        )
    return bool(parameters) or create


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_place_flags(parser, required=False)  # --list-producers needs no folder
    parser.add_argument(
        "--producer", action="append", default=[], help="built-in, plug-in or module; repeatable"
    )
    parser.add_argument("--producers-dir", type=Path, help="folder with plug-in files")
    parser.add_argument("--list-producers", action="store_true", help="only list the producers")
    parser.add_argument(
        "--show-producer", action="append", default=[], metavar="NAME", help="show its flags"
    )
    parser.add_argument("--dtype", choices=("auto", *FLOATS), default="auto")
    parser.add_argument(
        "--mode",
        choices=("append", "overwrite"),
        default="append",
        help="keep or replace parameters that already exist",
    )
    parser.add_argument(
        "--create-missing",
        action="store_true",
        help="create missing sidecars, even if they stay empty",
    )
    parser.add_argument("--skip-errors", action="store_true", help="continue after an error")


def _list(folder: Path | None) -> int:
    for name in BUILT_IN:
        print(f"{name} (built in)")
    for path in sorted(folder.glob("*.py")) if folder is not None else ():
        print(f"{path.stem} ({path})")
    return 0


def _show(producer: BuiltIn | PlugIn) -> None:
    text = producer.doc if isinstance(producer, PlugIn) else None
    parser = argparse.ArgumentParser(prog=f"producer {producer.name}", description=text)
    producer.add_cli_args(parser)
    parser.print_help()
