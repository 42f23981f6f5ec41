"""An argument parser with one-line errors. Light to import, for the list of steps."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from preprocess.core.errors import nearest, printable


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=32)


class OneLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` with one-line errors that suggest the nearest known flag."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_help_formatter, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Print `message` as one line and exit with status 2."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            message += nearest(unknown.split()[0].split("=")[0], self._option_string_actions)
        self.exit(2, f"{self.prog}: error: {printable(message)}; see {self.prog} --help\n")
