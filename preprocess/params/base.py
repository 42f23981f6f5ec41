"""What all producers share: the interface, and how they describe what they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, Field

from preprocess.clip import Clip
from preprocess.errors import UsageError
from preprocess.features import FeatureValue

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
"""Name of a feature -> the column that it is in."""


class Producer:
    """Makes features of one clip. A subclass is a frozen dataclass of its settings."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    flag: ClassVar[str]
    """The producer's key in a recipe."""

    def features(self, clip: Clip) -> Mapping[str, FeatureValue]:
        """Return the features of one clip, each `[T]`."""
        raise NotImplementedError

    def names(self) -> Sequence[str] | None:
        """Return the features that it makes of every clip; None where that shows in the clip."""
        return None

    def settings(self) -> dict[str, Any]:
        """Return what shapes the result of every clip, for provenance; JSON can hold it."""
        return {"producer": self.flag, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    def origin(self, clip: Clip) -> str:
        """Return a hash of what this clip's features are made from, beside its tokens and audio."""
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
    """A producer of one feature, which is described by fields of its own."""

    name: Name
    units: str = ""
    doc_string: str = ""
    kind: Kind = "continuous"
    min: Number | None = None
    max: Number | None = None

    def names(self) -> Sequence[str]:
        """Return the one name."""
        return (self.name,)

    def _with_text(self, values: NDArray[np.floating]) -> dict[str, FeatureValue]:
        text = {k: getattr(self, k) for k in ("units", "doc_string", "kind", "min", "max")}
        return {self.name: {"values": values, **text}}


@dataclass(frozen=True, kw_only=True)
class DescribedEach(Producer):
    """A producer of several features, each described by its entry in the fields' mappings."""

    units: dict[str, str] = field(default_factory=dict)
    doc_string: dict[str, str] = field(default_factory=dict)
    kind: dict[str, Kind] = field(default_factory=dict)
    min: dict[str, Number] = field(default_factory=dict)
    max: dict[str, Number] = field(default_factory=dict)

    def _check_described(self, names: Sequence[str]) -> None:
        """Raise `UsageError` if a mapping describes a feature that is not made."""
        for key in ("units", "doc_string", "kind", "min", "max", "labels"):
            for name in getattr(self, key, ()):
                if name not in names:
                    raise UsageError(
                        f"{key} of {name!r}, which it does not make; it makes {', '.join(names)}"
                    )

    def _feature(
        self, name: str, values: NDArray[np.floating], labels: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return a feature with what the fields say of it; with `labels`, an index into them."""
        feature: dict[str, Any] = {
            "values": values,
            "units": self.units.get(name, ""),
            "doc_string": self.doc_string.get(name, ""),
            "kind": self.kind.get(name, "continuous"),
            "min": self.min.get(name),
            "max": self.max.get(name),
        }
        if labels:
            listed = ", ".join(f"{i} {label}" for i, label in enumerate(labels))
            feature |= {"kind": "categorical", "min": 0, "max": len(labels) - 1}
            feature["doc_string"] = f"{feature['doc_string']} ({listed})".strip()
        return feature
