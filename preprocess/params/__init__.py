"""Producers: where parameters come from. Each makes parameters of one clip, frame by frame.

In a recipe a producer is an entry of the list `annotate:`; on the command line it is a flag with
`key=value` words; the keys are the fields of its dataclass here:

    annotate:
      - ramp: {name: position, start: 0, end: 1}      --ramp name=position start=0 end=1

A user's own is a function `clip -> {name: values or {"values": ..., "units": ...}}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from preprocess.core.errors import UsageError, nearest
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
    """Return what producers make of every clip; None where that shows in the clips alone.

    Raises:
        UsageError: Two of them make a parameter of one name.
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
        entry: `{name: {key: value}}`, or the name alone.

    Raises:
        UsageError: There is no such producer, or its settings are wrong.
    """
    from preprocess.core.flags import validate

    if isinstance(entry, Producer):
        return entry
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UsageError(f"annotate: expected one producer with its settings, got {entry!r}")
    ((name, settings),) = entry.items()
    if name not in PRODUCERS:
        known = ", ".join(PRODUCERS)
        raise UsageError(
            f"annotate: unknown producer {name!r}{nearest(str(name), PRODUCERS)}; known: {known}"
        )
    return validate(PRODUCERS[name], settings or {}, f"annotate: {name}: ")
