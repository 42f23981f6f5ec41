"""The interface of producers, and base classes that describe their parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, Field

from preprocess.core.errors import UsageError
from preprocess.params.cells import cell_text
from preprocess.params.clip import Clip
from preprocess.params.columns import Column
from preprocess.sidecar.parameters import ParameterValue

if TYPE_CHECKING:
    from typing_extensions import Self

Kind = Literal["continuous", "categorical", "circular"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
Missing = Literal["error", "nan"]
"""What happens if the source has no data for a clip: the clip fails, or its values are NaN."""
Number = Annotated[float, Field(allow_inf_nan=False)]


def _columns(value: Any) -> Any:
    """Return `[a, b]` or `a,b` as `{a: a, b: b}`: columns under their own names."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: name for name in value}
    return value


Columns = Annotated[dict[str, str], BeforeValidator(_columns)]
"""Name of a parameter -> its column."""


def _labels(value: Any) -> Any:
    """Return `{name: labels}` with numbers as strings; refuse unquoted YAML Booleans and nulls."""
    if not isinstance(value, dict):
        return value
    for name, labels in value.items():
        for label in labels if isinstance(labels, list) else ():
            if label is None or isinstance(label, bool):
                raise UsageError(
                    f"labels of {name!r}: YAML reads one of them as {label}; quote it, such as "
                    f"'null' or 'no'"
                )
    return {
        name: [cell_text(label) for label in labels] if isinstance(labels, list) else labels
        for name, labels in value.items()
    }


Labels = Annotated[dict[str, list[str]], BeforeValidator(_labels)]
"""Name of a parameter -> its labels, for the values 0, 1, ..."""


class Producer:
    """Makes parameters of clips. A subclass is a frozen dataclass of its settings.

    Making one checks the settings, and neither reads a file nor runs a user's code; `prepare` does.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    flag: ClassVar[str]
    """The producer's key in a recipe."""

    def prepare(self) -> Self:
        """Return this producer ready for a run, after reading its files and importing its code.

        The files and code that it reads here are those it hashes for provenance. A prepared
        producer returns itself; preparing the original again reads everything again.

        Raises:
            UsageError: A file or the user's code does not match the settings.
        """
        if "_is_ready" in vars(self):
            return self
        ready = dataclasses.replace(self)  # type: ignore[type-var]
        try:
            ready._load()
        except UsageError as error:
            which = "" if str(error).startswith(f"{self.flag} ") else f"{self.flag}: "
            raise UsageError(f"annotate: {which}{error}") from error
        vars(ready)["_is_ready"] = True
        return ready

    def _load(self) -> None:
        """Read the files and import the code that all clips share."""

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the parameters of one clip, each `[T]`.

        Raises:
            PreprocessError: The clip's parameters cannot be made.
        """
        raise NotImplementedError

    def names(self) -> Sequence[str] | None:
        """Return the names of its parameters, or None if they depend on the clip."""
        return None

    def settings(self) -> dict[str, Any]:
        """Return everything that affects the results of all clips, for provenance, as JSON data."""
        return {"producer": self.flag, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    def origin(self, clip: Clip) -> str:
        """Return a hash of this clip's sources other than its tokens and audio."""
        return ""

    def check_clips(self, ids: Sequence[str]) -> Sequence[str]:
        """Check the ids of all clips before any clip is read, and return notes for the user.

        Raises:
            UsageError: The producer's source does not match the clips.
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
    """A producer of one parameter, with fields that describe it."""

    name: Name
    units: str = ""
    doc_string: str = ""
    kind: Kind = "continuous"
    min: Number | None = None
    max: Number | None = None

    def names(self) -> Sequence[str]:
        """Return the parameter's name."""
        return (self.name,)

    def _with_text(self, values: NDArray[np.floating]) -> dict[str, ParameterValue]:
        text = {k: getattr(self, k) for k in ("units", "doc_string", "kind", "min", "max")}
        return {self.name: {"values": values, **text}}


@dataclass(frozen=True, kw_only=True)
class DescribedEach(Producer):
    """A producer of several parameters, with fields that map each name to its description."""

    units: dict[str, str] = field(default_factory=dict)
    doc_string: dict[str, str] = field(default_factory=dict)
    kind: dict[str, Kind] = field(default_factory=dict)
    min: dict[str, Number] = field(default_factory=dict)
    max: dict[str, Number] = field(default_factory=dict)

    def _check_described(self, names: Sequence[str]) -> None:
        """Raise `UsageError` if a field describes a parameter that this producer does not make."""
        for key in ("units", "doc_string", "kind", "min", "max", "labels"):
            for name in getattr(self, key, ()):
                if name not in names:
                    raise UsageError(
                        f"{key} names {name!r}, which it does not make; it makes {', '.join(names)}"
                    )

    def _parameter(
        self, name: str, values: NDArray[np.floating], labels: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return a parameter with its description; with `labels`, its values are their indices."""
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
        """Return a parameter that was read from cells, with the units and labels of its column.

        Booleans are labels unless the user gives the parameter another kind.

        Raises:
            PreprocessError: The field `units` contradicts the cells.
        """
        numbers = column.form == "Boolean" and self.kind.get(name, "categorical") != "categorical"
        parameter = self._parameter(name, values, () if numbers else column.labels)
        return {**parameter, "units": column.agreed_units(parameter["units"])}
