"""The `preprocess` command: one subcommand a step, and `run` for a recipe of all of them.

Exit status: 0 all done; 1 some item failed or an audit found an error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from preprocess import __version__
from preprocess.core.parser import OneLineParser
from preprocess.core.report import exit_status

STEPS = {
    "normalize": "bring audio to the codec's rate and channels, and all clips to one level",
    "encode": "encode audio to .ecdc token files",
    "annotate": "write the sidecars: parameters aligned with the frames of the tokens",
    "audit": "check every sidecar against its tokens",
    "stats": "measure the parameters of all clips together",
    "build": "save a DatasetDict of tokens and parameters",
    "migrate": "bring old token files and sidecars to the current formats; a dry run at first",
    "export": "write tokens and parameters as the trainers of another project read them",
    "inspect": "write a page that shows and plays clips, in a browser alone",
    "plot": "write a picture of a clip as PNG, SVG or PDF",
    "push": "publish a saved dataset on the Hub, as Parquet with a card",
    "run": "run a recipe: all steps, from audio to dataset",
    "demo": "run the whole path on nine recordings with the demo codec",
    "doctor": "check that the installed packages fit, and say what to type where they do not",
}
"""Name -> what it does. The flags are in `preprocess.cli.step_flags`."""


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
    steps = parser.add_subparsers(
        title="steps", metavar="STEP [FLAGS]", required=True, parser_class=StepParser
    )
    for name, text in STEPS.items():
        step = steps.add_parser(name, help=text, description=text)
        step.set_defaults(parser=step, step=name)
    return parser


class StepParser(OneLineParser):
    """A step's parser, which gets its flags when it is asked to parse.

    They come from the settings of the step, which import what the step needs: for all steps
    together, that takes longer than a list of them should.
    """

    filled = False

    def fill(self) -> None:
        """Add the flags of the step, once."""
        if not self.filled:
            from preprocess.cli import step_flags

            self.filled = True
            getattr(step_flags, f"{self.get_default('step')}_flags")(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, with the flags of the step."""
        self.fill()
        return super().parse_known_args(args, namespace)
