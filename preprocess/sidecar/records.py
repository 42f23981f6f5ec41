"""Records: who made which parameters of a sidecar, and from what.

A sidecar's metadata has a record for each producer that made some of its parameters, and one for
parameters written by hand:

    table      pitch, mood     by the recipe ../recipe.yaml, from tokens 3f..., from row 9a...
    curve      cutoff          by a command, from tokens 3f...
               knob            by hand, for tokens 3f...

So a run knows which parameters it made, an unchanged producer need not run again, and an audit
finds parameters that were made for other tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

MAX_RECORDS = 4096
"""One for each producer; a record in memory needs a hundred times the bytes of `{}`."""


@dataclass(frozen=True)
class Record:
    """How some parameters of one clip were made.

    Attributes:
        names: The parameters.
        tokens: Hash of the token file that they were made for; empty if there was none.
        audio: Hash of the normalized audio; empty if there was none.
        producer: The producer's key in a recipe; empty for parameters written by hand.
        owner: The recipe whose run made them; empty for a single command and for parameters
            written by hand.
        src: Hash of what they were made from; empty if some of the producer's parameters have been
            replaced, so that it runs again.
        rec: Hash of the settings.
        by: Tool and version.
    """

    names: tuple[str, ...] = ()
    tokens: str = ""
    audio: str = ""
    producer: str = ""
    owner: str = ""
    src: str = ""
    rec: str = ""
    by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values, without empty fields."""
        stored = {key: value for key, value in asdict(self).items() if value}
        return {**stored, "names": list(self.names)}

    def without(self, names: Collection[str]) -> Record:
        """Return the record without some of its parameters, and without `src` if any are removed."""
        left = tuple(name for name in self.names if name not in names)
        return self if left == self.names else replace(self, names=left, src="")


def read_records(stored: Mapping[str, Any]) -> tuple[Record, ...]:
    """Return the records in a sidecar's `provenance`; version 0.1.0 stored a single record.

    Raises:
        TypeError: Their format is unknown.
    """
    entries = stored.get("made", [stored] if stored.get("names") else [])
    if len(entries) > MAX_RECORDS:
        raise ValueError(f"{len(entries):,} records; at most {MAX_RECORDS:,} are allowed")
    return tuple(_record(entry) for entry in entries)


def makers(records: Iterable[Record]) -> dict[str, Record]:
    """Return a mapping from each parameter to its record."""
    return {name: record for record in records for name in record.names}


def merge_records(
    old: Iterable[Record], gone: Collection[str], new: Iterable[Record]
) -> list[Record]:
    """Return the records of a sidecar after a write.

    Args:
        old: The records before the write.
        gone: Parameters that the write replaced or dropped.
        new: The records of the parameters it wrote.
    """
    new = list(new)
    makes = {(record.owner, record.producer) for record in new}
    kept = []
    for record in old:
        left = record.without(gone)
        # A producer that makes no parameter for this clip also has a record, until it runs again.
        if left.names or (not record.names and (record.owner, record.producer) not in makes):
            kept.append(left)
    together: dict[Record, tuple[str, ...]] = {}
    for record in (*kept, *new):
        key = replace(record, names=())
        together[key] = (*together.get(key, ()), *record.names)
    return [replace(key, names=names) for key, names in together.items()]


def _record(entry: Any) -> Record:
    if not isinstance(entry, dict) or not isinstance(entry.get("names", []), list):
        raise TypeError("its provenance has no valid records")
    texts = {key: str(entry.get(key) or "") for key in Record.__dataclass_fields__}
    return Record(**{**texts, "names": tuple(map(str, entry.get("names", [])))})  # type: ignore[arg-type]
