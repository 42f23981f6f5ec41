"""The `preprocess` command: one subcommand for each step, and `run` for a recipe of all steps.

Exit status: 0 if everything succeeded; 1 if an item failed or an audit found an error; 2 for wrong
usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from preprocess import __version__
from preprocess.core.parser import OneLineParser
from preprocess.core.report import exit_status

STEPS = {
    "normalize": "convert audio to the codec's rate and channels, and all clips to one level",
    "encode": "encode audio to .ecdc token files",
    "annotate": "write the sidecars: parameters aligned with the frames of the tokens",
    "audit": "check every sidecar against its tokens",
    "stats": "compute statistics of each parameter over all clips",
    "build": "save a DatasetDict of tokens and parameters",
    "pack": "pack tokens and sidecars into Parquet shards that load and publish as they are",
    "unpack": "write the token files and sidecars of shards",
    "migrate": "convert old token files and sidecars to the current formats; lists them by default",
    "export": "write tokens and parameters in the format of another project's trainers",
    "inspect": "write a page that shows and plays clips in a browser",
    "plot": "write a picture of a clip as PNG, SVG or PDF",
    "push": "publish a saved dataset on the Hub, as Parquet with a card",
    "run": "run all steps of a recipe, from audio to dataset, or make the shards of a plan",
    "plan": "divide the audio of a recipe into shards, to make them with any number of workers",
    "status": "show how far the shards of a plan are",
    "finish": "turn the shards of a plan into a dataset, once all are made",
    "demo": "run all steps on nine recordings with the demo codec",
    "doctor": "check that the installed packages work together, and say how to fix them",
}
"""Name -> help text. The flags are in `preprocess.cli.step_flags`."""
UNLOGGED = ("plot", "status", "demo", "doctor")
"""Steps without `--log-json`: they do not work on a corpus."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: the process's) and return its exit status."""
    parsed, unknown = build_parser().parse_known_args(arguments)
    if unknown:  # let the step's own parser report them, as it knows its flags
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    log = getattr(parsed, "log_json", None)
    return exit_status("preprocess", lambda: int(parsed.command(parsed)), log)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = OneLineParser(prog="preprocess", description="From a folder of sounds to a dataset.")
    parser.add_argument("--version", action="version", version=__version__)
    steps = parser.add_subparsers(
        title="steps", metavar="STEP [FLAGS]", required=True, parser_class=StepParser
    )
    for name, text in STEPS.items():
        step = steps.add_parser(name, help=text, description=text)
        step.set_defaults(parser=step, step=name)
    return parser


class StepParser(OneLineParser):
    """A step's parser, which adds its flags only when it parses.

    The flags come from the step's settings, whose modules import much. Importing those of all steps
    would make `preprocess --help` slow.
    """

    filled = False

    def fill(self) -> None:
        """Add the step's flags, once."""
        if not self.filled:
            from preprocess.cli import step_flags

            self.filled = True
            step = self.get_default("step")
            getattr(step_flags, f"{step}_flags")(self)
            if step not in UNLOGGED:
                self.add_argument(
                    "--log-json",
                    metavar="FILE",
                    help="append what happens to FILE, as JSON lines; - for stderr",
                )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the step's flags and parse."""
        self.fill()
        return super().parse_known_args(args, namespace)
