"""What all producers share: the interface, and how they describe what they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, Field

from preprocess.core.errors import UsageError
from preprocess.params.cells import cell_text
from preprocess.params.clip import Clip
from preprocess.params.columns import Column
from preprocess.sidecar.parameters import ParameterValue

Kind = Literal["continuous", "categorical", "circular"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
Missing = Literal["error", "nan"]
"""What a clip gets that the source does not have: none, or NaN."""
Number = Annotated[float, Field(allow_inf_nan=False)]


def _columns(value: Any) -> Any:
    """Return `[a, b]` or `a,b` as `{a: a, b: b}`: columns under their own names."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    return {name: name for name in value} if isinstance(value, list) else value


Columns = Annotated[dict[str, str], BeforeValidator(_columns)]
"""Name of a parameter -> the column that it is in."""


def _labels(value: Any) -> Any:
    """Return `{name: labels}` with numbers as text; what YAML takes for no text must be quoted."""
    if not isinstance(value, dict):
        return value
    for name, labels in value.items():
        for label in labels if isinstance(labels, list) else ():
            if label is None or isinstance(label, bool):
                raise UsageError(
                    f"labels of {name!r}: YAML reads one of them as {label}; put it in quotes, "
                    f"such as 'null' or 'no'"
                )
    return {
        name: [cell_text(label) for label in labels] if isinstance(labels, list) else labels
        for name, labels in value.items()
    }


Labels = Annotated[dict[str, list[str]], BeforeValidator(_labels)]
"""Name of a parameter -> what 0, 1, ... stand for."""


class Producer:
    """Makes parameters of one clip. A subclass is a frozen dataclass of its settings."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    flag: ClassVar[str]
    """The producer's key in a recipe."""

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the parameters of one clip, each `[T]`."""
        raise NotImplementedError

    def names(self) -> Sequence[str] | None:
        """Return the parameters that it makes of every clip; None where that shows in the clip."""
        return None

    def settings(self) -> dict[str, Any]:
        """Return what shapes the result of every clip, for provenance; JSON can hold it."""
        return {"producer": self.flag, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    def origin(self, clip: Clip) -> str:
        """Return a hash of what this clip's parameters are made from, beside its tokens and audio."""
        return ""

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Look at all clips' ids before any clip is read, and return lines worth attention.

        Raises:
            UsageError: The producer does not fit them.
        """
        return ()

    @property
    def needs_audio(self) -> bool:
        """Whether it reads the normalized audio."""
        return False

    @property
    def needs_decoder(self) -> bool:
        """Whether it decodes tokens."""
        return False


@dataclass(frozen=True, kw_only=True)
class Described(Producer):
    """A producer of one parameter, which is described by fields of its own."""

    name: Name
    units: str = ""
    doc_string: str = ""
    kind: Kind = "continuous"
    min: Number | None = None
    max: Number | None = None

    def names(self) -> Sequence[str]:
        """Return the one name."""
        return (self.name,)

    def _with_text(self, values: NDArray[np.floating]) -> dict[str, ParameterValue]:
        text = {k: getattr(self, k) for k in ("units", "doc_string", "kind", "min", "max")}
        return {self.name: {"values": values, **text}}


@dataclass(frozen=True, kw_only=True)
class DescribedEach(Producer):
    """A producer of several parameters, each described by its entry in the fields' mappings."""

    units: dict[str, str] = field(default_factory=dict)
    doc_string: dict[str, str] = field(default_factory=dict)
    kind: dict[str, Kind] = field(default_factory=dict)
    min: dict[str, Number] = field(default_factory=dict)
    max: dict[str, Number] = field(default_factory=dict)

    def _check_described(self, names: Sequence[str]) -> None:
        """Raise `UsageError` if a mapping describes a parameter that is not made."""
        for key in ("units", "doc_string", "kind", "min", "max", "labels"):
            for name in getattr(self, key, ()):
                if name not in names:
                    raise UsageError(
                        f"{key} of {name!r}, which it does not make; it makes {', '.join(names)}"
                    )

    def _parameter(
        self, name: str, values: NDArray[np.floating], labels: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return a parameter with what the fields say of it; with `labels`, an index into them."""
        parameter: dict[str, Any] = {
            "values": values,
            "units": self.units.get(name, ""),
            "doc_string": self.doc_string.get(name, ""),
            "kind": self.kind.get(name, "continuous"),
            "min": self.min.get(name),
            "max": self.max.get(name),
        }
        if labels:
            listed = ", ".join(f"{i} {label}" for i, label in enumerate(labels))
            parameter |= {"kind": "categorical", "min": 0, "max": len(labels) - 1}
            parameter["doc_string"] = f"{parameter['doc_string']} ({listed})".strip()
        return parameter

    def _read_parameter(
        self, name: str, values: NDArray[np.floating], column: Column
    ) -> dict[str, Any]:
        """Return a parameter that was read from cells, with the units and labels that they have.

        Booleans are labels unless a user says that they are continuous.

        Raises:
            PreprocessError: The fields say other units.
        """
        numbers = column.form == "Boolean" and self.kind.get(name, "categorical") != "categorical"
        parameter = self._parameter(name, values, () if numbers else column.labels)
        return {**parameter, "units": column.agreed_units(parameter["units"])}
