"""The summaries of a million clips in columns, which the audit reads like a list of objects.

A `ClipSummary` takes about 2 kB; here a clip with three parameters takes about 400 bytes, and an
object is made only while a check looks at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from preprocess.audit.mixing import Makers
from preprocess.audit.summaries import ClipSummary, ParameterSummary
from preprocess.tokens.types import EcdcHeader


class _Codes:
    """Numbers for values that many clips share."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found


class _Column:
    """One parameter of all clips, grown table by table, then frozen."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.int64]] = []
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self.place: NDArray[np.int32] = np.empty(0, np.int32)
        self.columns: dict[str, NDArray[Any]] = {}

    def add(self, rows: NDArray[np.int64], **columns: NDArray[Any]) -> None:
        self._rows.append(rows)
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(values)

    def freeze(self, clips: int) -> None:
        rows = np.concatenate(self._rows)
        self.place = np.full(clips, -1, np.int32)
        self.place[rows] = np.arange(len(rows), dtype=np.int32)
        self.columns = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        self._rows, self._parts = [], {}


class SummaryTable(Sequence[ClipSummary]):
    """Summaries of clips, from the tables that `clip_table` makes; failed clips are left out.

    Args:
        tables: The tables.
    """

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self.codes = _Codes()
        self.parameters: dict[str, _Column] = {}
        ids, contents = [], []
        numbers: dict[str, list[NDArray[Any]]] = {}
        self._count = 0
        for table in tables:
            table = table.filter(pa.compute.is_valid(table["summary"])).combine_chunks()
            if not len(table):
                continue
            summary = table["summary"].chunk(0)
            ids.append(table["id"].chunk(0))
            contents.append(summary.field("content"))
            for name, column in self._numbers(summary).items():
                numbers.setdefault(name, []).append(column)
            self._add_parameters(summary.field("parameters"))
            self._count += len(table)
        self.ids = pa.concat_arrays(ids) if ids else pa.array([], pa.string())
        self.contents = pa.concat_arrays(contents) if contents else pa.array([], pa.string())
        self.numbers = {name: np.concatenate(parts) for name, parts in numbers.items()}
        for parameter in self.parameters.values():
            parameter.freeze(self._count)

    def _numbers(self, summary: pa.StructArray) -> dict[str, NDArray[Any]]:
        shared = ("model", "token_makers", "parameter_makers", "engine")
        found = {name: self._coded(summary.field(name)) for name in shared}
        for name in ("audio_length", "n_codebooks"):
            found[name] = summary.field(name).to_numpy(zero_copy_only=False)
        found["is_tied"] = summary.field("is_tied").to_numpy(zero_copy_only=False)
        found["has_sidecar"] = summary.field("parameters").is_valid().to_numpy(zero_copy_only=False)
        return found

    def _coded(self, column: pa.Array) -> NDArray[np.int32]:
        coded = column.dictionary_encode()
        numbers = np.array([self.codes.number(v) for v in coded.dictionary.to_pylist()], np.int32)
        found: NDArray[np.int32] = numbers[coded.indices.to_numpy(zero_copy_only=False)]
        return found

    def _add_parameters(self, listed: pa.ListArray) -> None:
        entries = listed.flatten()
        if not len(entries):
            return
        rows = (
            np.repeat(np.arange(len(listed)), np.asarray(listed.value_lengths().fill_null(0)))
            + self._count
        )
        names = entries.field("name").dictionary_encode()
        which = names.indices.to_numpy(zero_copy_only=False)
        columns = {
            "units": self._coded(entries.field("units")),
            "kind": self._coded(entries.field("kind")),
            "is_meant": entries.field("is_meant").to_numpy(zero_copy_only=False),
            "constant": entries.field("constant").to_numpy(zero_copy_only=False),
            "has_constant": entries.field("constant").is_valid().to_numpy(zero_copy_only=False),
            "numbers": _fixed(entries.field("numbers"), 4),
            "declared": _fixed(entries.field("declared"), 2),
            "has_numbers": entries.field("numbers").is_valid().to_numpy(zero_copy_only=False),
            "has_declared": entries.field("declared").is_valid().to_numpy(zero_copy_only=False),
        }
        for number, name in enumerate(names.dictionary.to_pylist()):
            at = which == number
            column = self.parameters.setdefault(name, _Column())
            column.add(rows[at], **{key: values[at] for key, values in columns.items()})

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> ClipSummary: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ClipSummary]: ...

    def __getitem__(self, index: int | slice) -> ClipSummary | Sequence[ClipSummary]:
        if isinstance(index, slice):
            return [StoredSummary(self, i) for i in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return StoredSummary(self, index % self._count)

    def __iter__(self) -> Iterator[ClipSummary]:
        return (StoredSummary(self, index) for index in range(self._count))


def _fixed(listed: pa.ListArray, width: int) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return lists of `width` numbers as an array `[N, width]`; missing lists are zeros."""
    filled = np.zeros((len(listed), width))
    valid = listed.is_valid().to_numpy(zero_copy_only=False)
    filled[valid] = listed.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return filled


class StoredSummary(ClipSummary):
    """A clip's summary, whose attributes are read from a table."""

    __slots__ = ("_index", "_table")
    _table: SummaryTable
    _index: int

    def __init__(self, table: SummaryTable, index: int) -> None:
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_index", index)

    def _number(self, name: str) -> Any:
        return self._table.numbers[name][self._index]

    def _shared(self, name: str) -> Any:
        return self._table.codes.values[self._number(name)]

    @property
    def rel(self) -> Path:
        """The token file that `unpack` would write."""
        return Path(f"{self._table.ids[self._index].as_py()}.ecdc")

    @property
    def content(self) -> str:
        """Hash of its tokens."""
        return str(self._table.contents[self._index].as_py())

    @property
    def header(self) -> EcdcHeader:
        """The tokens' header, without provenance."""
        length, k = int(self._number("audio_length")), int(self._number("n_codebooks"))
        return EcdcHeader(self._shared("model"), length, k)

    @property
    def token_makers(self) -> Makers:
        """What made its tokens."""
        return dict(json.loads(self._shared("token_makers")))

    @property
    def parameter_makers(self) -> Makers:
        """What made its parameters."""
        return dict(json.loads(self._shared("parameter_makers")))

    @property
    def is_tied(self) -> bool:
        """Whether the sidecar names its tokens."""
        return bool(self._number("is_tied"))

    @property
    def engine(self) -> str:
        """What computed the tokens."""
        return str(self._shared("engine"))

    @property
    def prints(self) -> None:
        """None: fingerprints are compared a slice at a time."""
        return None

    @property
    def parameters(self) -> Mapping[str, ParameterSummary] | None:
        """Its parameters; None without a sidecar."""
        return StoredParameters(self._table, self._index) if self._number("has_sidecar") else None


class StoredParameters(Mapping[str, ParameterSummary]):
    """The parameters of one clip of a table."""

    __slots__ = ("_index", "_table")

    def __init__(self, table: SummaryTable, index: int) -> None:
        self._table, self._index = table, index

    def __contains__(self, name: object) -> bool:
        column = self._table.parameters.get(str(name))
        return column is not None and column.place[self._index] >= 0

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._table.parameters if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> ParameterSummary:
        if name not in self:
            raise KeyError(name)
        column = self._table.parameters[name]
        at = column.place[self._index]
        values, shared = column.columns, self._table.codes.values
        low, high, mean, std = values["numbers"][at].tolist()
        first, last = values["declared"][at].tolist()
        return ParameterSummary(
            shared[values["units"][at]],
            shared[values["kind"][at]],
            float(values["constant"][at]) if values["has_constant"][at] else None,
            bool(values["is_meant"][at]),
            (low, high, mean, std) if values["has_numbers"][at] else None,
            (first, last) if values["has_declared"][at] else None,
        )
