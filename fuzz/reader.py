"""What is known of a reader that is tested with hostile files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Form = Literal["binary", "json", "text", "zip"]


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        name: Its name for `fuzz.fuzz_reader`.
        read: Writes bytes to a file in a folder and reads it; raises what the reader raises.
        seeds: Returns valid files.
        form: What the files consist of, which decides their mutations.
        memory: The most bytes that reading takes for each byte of the file.
        modules: Our modules that it runs, which `fuzz.fuzz_reader` instruments.
        foreign: The package that reads the format, if it is not our own code.
    """

    name: str
    read: Callable[[bytes, Path], Any]
    seeds: Callable[[], Sequence[bytes]]
    form: Form
    memory: int
    modules: tuple[str, ...]
    foreign: str = ""
