"""Producers: where parameters come from. A producer makes a clip's parameters, frame by frame.

In a recipe, a producer is an entry of the list `annotate:`. On the command line, it is a flag with
`key=value` words. The keys are the fields of the producer's dataclass:

    annotate:
      - ramp: {name: position, start: 0, end: 1}      --ramp name=position start=0 end=1

A user's own producer is a function `clip -> {name: values or {"values": ..., "units": ...}}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from preprocess.core.errors import UsageError, nearest
from preprocess.core.untrusted import shown
from preprocess.params.audio import Audio, RmsDb
from preprocess.params.base import Producer
from preprocess.params.curve import Curve
from preprocess.params.filename import Filename
from preprocess.params.function import Function
from preprocess.params.generated import Constant, Ramp
from preprocess.params.table import Table

__all__ = ["PRODUCERS", "Producer", "parameter_names", "parse_producer"]

PRODUCERS: dict[str, type[Producer]] = {
    producer.flag: producer
    for producer in (Constant, Ramp, Filename, Table, Curve, RmsDb, Audio, Function)
}


def parameter_names(producers: Sequence[Producer]) -> list[str] | None:
    """Return the names of the parameters that producers make for every clip.

    Returns:
        The names, or None if they depend on the clip.

    Raises:
        UsageError: Two producers make the same parameter.
    """
    by_name: dict[str, Producer] = {}
    complete = True
    for producer in producers:
        names = producer.names()
        complete &= names is not None
        for name in names or ():
            if name in by_name:
                flags = " and ".join(dict.fromkeys((by_name[name].flag, producer.flag)))
                raise UsageError(f"annotate: two producers ({flags}) make the parameter {name!r}")
            by_name[name] = producer
    return list(by_name) if complete else None


def parse_producer(entry: Any) -> Producer:
    """Return the producer that an entry of a recipe's `annotate:` describes.

    Args:
        entry: `{name: {key: value}}`, or only the name.

    Raises:
        UsageError: The producer does not exist, or its settings are invalid.
    """
    from preprocess.core.flags import validate

    if isinstance(entry, Producer):
        return entry
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UsageError(f"annotate: expected one producer with its settings, got {shown(entry)}")
    ((name, settings),) = entry.items()
    if name not in PRODUCERS:
        known = ", ".join(PRODUCERS)
        raise UsageError(
            f"annotate: unknown producer {shown(name)}{nearest(str(name), PRODUCERS)}; known: {known}"
        )
    return validate(PRODUCERS[name], settings or {}, f"annotate: {name}: ")
