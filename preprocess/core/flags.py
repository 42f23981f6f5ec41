"""From dataclasses to flags, and from flags or YAML back to checked dataclasses.

argparse reads the command line. pydantic checks values from both sources, so a wrong value gives
the same one-line message that names the key.
"""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from preprocess.core.errors import UsageError, nearest
from preprocess.core.untrusted import shown
from preprocess.core.yaml_files import YamlError, load_yaml

T = TypeVar("T")
_UNKNOWN_KEY = "unexpected_keyword_argument"
# Replacements for pydantic's messages that use Python terms.
_PLAIN = {
    "dataclass_type": "should be keys and values",
    "dict_type": "should be keys and values",
    "path_type": "should be a path",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "bool_parsing": "should be true or false",
}


def add_flags(parser: argparse.ArgumentParser, settings: type) -> None:
    """Add a flag for every field of the dataclass `settings`."""
    hints = typing.get_type_hints(settings, include_extras=True)
    group = parser.add_argument_group(_first_line(settings))
    for field in dataclasses.fields(settings):
        kind, *metadata = typing.get_args(hints[field.name])
        flag = "--" + field.name.replace("_", "-")
        description = next(m.description for m in metadata if isinstance(m, FieldInfo))
        text = (description or "") + _default_text(field)
        group.add_argument(flag, default=argparse.SUPPRESS, help=text, **_options(kind, field))


def add_producer_flags(parser: argparse.ArgumentParser, producers: Mapping[str, type]) -> None:
    """Add a flag for every producer; `producers` in the namespace lists those given.

    Each entry has the form of a recipe, `{name: {key: value}}`, in the order of the command line.
    """
    group = parser.add_argument_group(
        "Producers, run in order; repeat a flag to run it again; each accepts KEY=VALUE words"
    )
    for name, producer in producers.items():
        first = (producer.__doc__ or "").splitlines()[0]
        fields = dataclasses.fields(producer)
        required = [f"{f.name}=" for f in fields if _is_required(f)]
        keys = " ".join([*required, *(f"[{f.name}=]" for f in fields if not _is_required(f))])
        group.add_argument(
            "--" + name.replace("_", "-"),
            nargs="*",
            action=_ProducerAction,
            metavar="KEY=VALUE",
            help=f"{first} Keys: {keys}",
        )


def from_flags(settings: type[T], arguments: argparse.Namespace) -> T:
    """Return `settings` with the values given on the command line.

    Raises:
        UsageError: A value is invalid; the message names the flag.
    """
    names = {field.name for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return validate(settings, given, "--", "-")


def validate(settings: type[T], data: Any, prefix: str = "", dash: str = "_") -> T:
    """Return `data`, a mapping, as an instance of the dataclass `settings`.

    Args:
        settings: The dataclass.
        data: What a user wrote.
        prefix: Text before the key in messages: a file's name, or `--`.
        dash: What replaces underscores in keys in messages.

    Raises:
        UsageError: A key is unknown or missing, or a value is invalid. For an unknown key the
            message suggests the nearest known one.
    """
    if not isinstance(data, dict):
        raise UsageError(f"{prefix}expected keys and values, got {shown(data)}")
    try:
        return TypeAdapter(settings).validate_python(data)
    except UsageError as error:  # from one of our validators, such as the producers'
        raise UsageError(f"{prefix}{error}") from None
    except ValidationError as error:
        # Unknown keys first: a misspelt key also makes the right one missing.
        first = min(error.errors(include_url=False), key=lambda e: e["type"] != _UNKNOWN_KEY)
        raise UsageError(prefix + _describe(first, settings, dash)) from None


def _describe(error: Any, settings: type, dash: str) -> str:
    path = ".".join(str(part) for part in error["loc"]).replace("_", dash)
    if error["type"] == _UNKNOWN_KEY:
        known = _keys_at(settings, error["loc"][:-1])
        hint = nearest(str(error["loc"][-1]), known) or f"; known: {', '.join(known)}"
        return f"unknown key {path!r}{hint}"
    if error["type"] == "missing":
        return f"the key {path!r} is missing"
    message = _PLAIN.get(error["type"]) or error["msg"].replace("Input should", "should")
    return f"{path}: {message[0].lower()}{message[1:]}, got {shown(error['input'])}"


def _keys_at(settings: type, location: tuple[Any, ...]) -> list[str]:
    """Return the keys of the dataclass at `location` inside `settings`."""
    for part in location:
        settings = typing.get_type_hints(settings).get(str(part), settings)
    return [field.name for field in dataclasses.fields(settings)]


def _first_line(settings: type) -> str:
    return (settings.__doc__ or "").strip().splitlines()[0].rstrip(".")


def _default_text(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return ""
    if field.default in (None, (), False):
        return ""  # the flag is off by default, or the help says what happens "without it"
    value = "yes" if field.default is True else field.default
    return f" (default: {' '.join(value) if isinstance(value, tuple) else value})"


def _options(kind: Any, field: dataclasses.Field[Any]) -> dict[str, Any]:
    """Return argparse's options for a field; pydantic converts and checks the value."""
    name = field.name
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction if field.default else "store_true"}
    options = [k for k in typing.get_args(kind) if k is not type(None)]
    origins = (typing.get_origin(kind), *map(typing.get_origin, options))
    if tuple in origins or Mapping in origins:
        return {"nargs": "+", "metavar": name.rstrip("s").upper()}
    if typing.get_origin(kind) is typing.Literal:
        return {"choices": options}
    if options and typing.get_origin(options[0]) is typing.Literal:
        return {"choices": typing.get_args(options[0])}
    return {"metavar": name.upper()}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


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
            settings[key] = _structure(value) if value.startswith(("{", "[")) else value
        producers = [*getattr(namespace, "producers", ()), {self.dest: settings}]
        namespace.producers = producers


def _structure(text: str) -> Any:
    """Parse a YAML mapping or list, such as `{pitch: Hz}`; return the text if that fails."""
    try:
        return load_yaml(text)
    except YamlError:
        return text
