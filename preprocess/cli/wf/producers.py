"""The predecessor's producers: four built-in ones, and users' plug-in files.

A plug-in is a Python file with `produce(ecdc_path, T, args) -> {name: array [T]}` and, optionally,
`add_cli_args(parser)`, `init(args)` and `shutdown(args)`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.params.audio import Audio
from preprocess.params.clip import Clip
from preprocess.params.user_code import call_function, import_code
from preprocess.sidecar.parameters import ParameterValue
from preprocess.tokens.ecdc import read_header

Produced = Mapping[str, ParameterValue]
_PAIR = r"_(?P<name>[A-Za-z]\w*)_(?P<value>-?\d+(?:\.\d+)?)"


class BuiltIn:
    """One of the predecessor's four built-in producers; any of its flags selects it."""

    def __init__(
        self,
        name: str,
        flags: Mapping[str, dict[str, Any]],
        produce: Callable[[Path, int, argparse.Namespace], Produced],
    ) -> None:
        self.name, self.flags, self._produce = name, flags, produce

    def add_cli_args(self, parser: argparse.ArgumentParser) -> None:
        """Add its flags; flags that the user omits do not appear in the namespace."""
        group = parser.add_argument_group(f"producer {self.name}")
        for flag, options in self.flags.items():
            group.add_argument(flag, default=argparse.SUPPRESS, **options)

    def is_asked_for(self, args: argparse.Namespace) -> bool:
        """Whether one of its flags was given."""
        return any(hasattr(args, flag[2:].replace("-", "_")) for flag in self.flags)

    def produce(self, ecdc_path: Path, frames: int, args: argparse.Namespace) -> Produced:
        """Return its parameters for one clip."""
        return self._produce(ecdc_path, frames, args)


class PlugIn:
    """A producer from a user's file or module."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name, self._module = name, module
        self.doc = (module.__doc__ or "").strip()
        if not callable(getattr(module, "produce", None)):
            raise UsageError(f"producer {name!r} has no function 'produce'")

    @property
    def stem(self) -> str:
        """Its name without folders or packages; it replaces a built-in of the same name."""
        return re.split(r"[/\\.]", self.name.removesuffix(".py"))[-1]

    def add_cli_args(self, parser: argparse.ArgumentParser) -> None:
        """Call its `add_cli_args`, if it has one."""
        self._optional("add_cli_args", parser)

    def init(self, args: argparse.Namespace) -> None:
        """Call its `init`, if it has one."""
        self._optional("init", args)

    def shutdown(self, args: argparse.Namespace) -> None:
        """Call its `shutdown`, if it has one."""
        self._optional("shutdown", args)

    def produce(self, ecdc_path: Path, frames: int, args: argparse.Namespace) -> Produced:
        """Return its parameters for one clip.

        Raises:
            PreprocessError: It fails, or does not return a dict.
        """
        made = call_function(self._module.produce, self.name, ecdc_path, frames, args=args) or {}
        if not isinstance(made, Mapping):
            raise PreprocessError(f"{self.name} returned {type(made).__name__}, not a dict")
        return made

    def _optional(self, function: str, argument: Any) -> None:
        if callable(getattr(self._module, function, None)):
            call_function(getattr(self._module, function), self.name, argument)


def find_producer(name: str, folder: Path | None) -> BuiltIn | PlugIn:
    """Return the producer called `name`: a `.py` file, one in `folder`, a built-in, or a module.

    Raises:
        UsageError: It does not exist or cannot be imported.
    """
    if name.endswith(".py"):
        return PlugIn(name, import_code(name))
    if folder is not None and (folder / f"{name}.py").is_file():
        return PlugIn(name, import_code(str(folder / f"{name}.py")))
    return BUILT_IN.get(name) or PlugIn(name, import_code(name))


def _const(ecdc_path: Path, frames: int, args: argparse.Namespace) -> Produced:
    found = {}
    for name, value in _pairs("--const", getattr(args, "const", []), "name=value"):
        found[name] = np.full(frames, _number("--const", value))
    return found


def _lin(ecdc_path: Path, frames: int, args: argparse.Namespace) -> Produced:
    found = {}
    for name, ends in _pairs("--lin", getattr(args, "lin", []), "name=start:end"):
        start, colon, end = ends.partition(":")
        if not colon:
            raise UsageError(f"--lin {name}={ends}: expected name=start:end")
        found[name] = np.linspace(_number("--lin", start), _number("--lin", end), frames)
    return found


def _from_filename(ecdc_path: Path, frames: int, args: argparse.Namespace) -> Produced:
    text = getattr(args, "filename_regex", _PAIR)
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(
            f"--filename-regex {text!r} is not a regular expression: {error}"
        ) from None
    if not {"name", "value"} <= set(pattern.groupindex):
        raise UsageError(f"--filename-regex {text!r} needs the groups (?P<name>) and (?P<value>)")
    found: dict[str, ParameterValue] = {}
    for match in pattern.finditer(ecdc_path.name):
        name, value = match["name"], match["value"]
        if match.end("value") == len(ecdc_path.stem) + 1:  # `[\d.]+` includes the suffix's dot
            value = value.removesuffix(".")
        if name in found:
            raise PreprocessError(f"{ecdc_path}: {name!r} appears twice in its name")
        try:
            found[name] = np.full(frames, float(value))
        except ValueError:
            raise PreprocessError(f"{ecdc_path}: {name} must be a number, got {value!r}") from None
    return found


def _from_audio(ecdc_path: Path, frames: int, args: argparse.Namespace) -> Produced:
    from preprocess.core.flags import validate

    names = getattr(args, "audio_feats", ["rms_db"])
    measure = [name for word in names for name in word.split(",") if name]
    settings = {"measure": measure, "source": "tokens"}
    producer = validate(Audio, settings, "--audio-feats: ")
    header = read_header(ecdc_path)
    weights = getattr(args, "hf_model", None)
    codec = _codec(header.model, weights, getattr(args, "device", "auto"))
    return producer.parameters(Clip(ecdc_path.stem, ecdc_path, header, None, codec.decode))


@cache
def _codec(model: str, weights: str | None, device: str) -> Any:
    from preprocess.codec.codec import load_codec

    return load_codec(model, weights, device)


def _pairs(flag: str, words: list[str], form: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{flag} {word}: expected {form}")
        if name in seen:
            raise UsageError(f"{flag} {word}: {name!r} appears twice")
        seen.add(name)
        yield name.strip(), value


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{flag}: {text!r} is not a number") from None


BUILT_IN = {
    producer.name: producer
    for producer in (
        BuiltIn(
            "const",
            {
                "--const": {
                    "action": "append",
                    "metavar": "NAME=VALUE",
                    "help": "one value for all frames",
                }
            },
            _const,
        ),
        BuiltIn(
            "lin",
            {
                "--lin": {
                    "action": "append",
                    "metavar": "NAME=START:END",
                    "help": "a linear ramp over the clip",
                }
            },
            _lin,
        ),
        BuiltIn(
            "from_filename",
            {
                "--from-filename": {
                    "action": "store_true",
                    "help": "read _NAME_VALUE pairs from file names",
                },
                "--filename-regex": {
                    "metavar": "REGEX",
                    "help": "pattern to search for in file names including their suffix, with "
                    "the groups (?P<name>...) and (?P<value>...)",
                },
            },
            _from_filename,
        ),
        BuiltIn(
            "from_audio",
            {
                "--from-audio": {
                    "action": "store_true",
                    "help": "measure the sound of the decoded tokens",
                },
                "--audio-feats": {
                    "nargs": "+",
                    "metavar": "NAME",
                    "help": "rms_db, f0_hz, spectral_centroid_hz, ...",
                },
                "--hf-model": {"help": "weights of the codec: a file or a Hub repository"},
                "--device": {"help": "torch device: auto, cpu, cuda, ..."},
            },
            _from_audio,
        ),
    )
}
