"""The types of what `enchf.json` stores, to check one that somebody else may have written."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from preprocess.core.untrusted import shown

_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
_Figure = Annotated[float, Field(allow_inf_nan=False)]
_Length = Annotated[_Figure, Field(ge=0)]
_Open = ConfigDict(strict=True)
Splits = dict[str, dict[str, Any]]


class _Split(TypedDict):
    __pydantic_config__ = _Open  # type: ignore[misc]
    clips: _Count
    hours: _Length


class _Statistics(TypedDict, total=False):
    __pydantic_config__ = _Open  # type: ignore[misc]
    count: _Count
    nan_count: _Count
    min: _Figure | None
    max: _Figure | None
    mean: _Figure | None
    std: _Figure | None
    quantiles: dict[str, _Figure]


class _Parameter(TypedDict):
    __pydantic_config__ = _Open  # type: ignore[misc]
    units: str
    doc_string: str
    kind: str
    min: _Figure | None
    max: _Figure | None
    statistics: NotRequired[_Statistics | None]


class _Subset(TypedDict):
    __pydantic_config__ = _Open  # type: ignore[misc]
    model: str
    n_codebooks: Annotated[int, Field(ge=1, le=1024)]
    bandwidth_kbps: _Length
    fps: Annotated[int, Field(ge=1, le=1 << 31)]
    sample_rate: Annotated[int, Field(ge=1, le=1 << 31)]
    splits: Annotated[dict[str, _Split], Field(min_length=1)]
    parameters: NotRequired[dict[str, _Parameter]]
    provenance: NotRequired[dict[str, Any]]


class _Clip(TypedDict):
    __pydantic_config__ = _Open  # type: ignore[misc]
    id: str
    split: str
    seconds: _Length
    sound: NotRequired[str]
    picture: NotRequired[str]


class _Listen(TypedDict):
    __pydantic_config__ = _Open  # type: ignore[misc]
    of: _Count
    clips: list[_Clip]


_SUBSETS: TypeAdapter[Any] = TypeAdapter(dict[str, _Subset])
_LISTEN: TypeAdapter[Any] = TypeAdapter(_Listen)


def check_subsets(stored: Any) -> None:
    """Check the subsets of an `enchf.json`.

    Raises:
        ValueError: A value is missing or has another type; the message names its place.
    """
    _check(_SUBSETS, stored)


def check_listen(stored: Any) -> None:
    """Check what an `enchf.json` says of the subset `listen`; see `check_subsets`."""
    _check(_LISTEN, stored)


def _check(types: TypeAdapter[Any], stored: Any) -> None:
    try:
        types.validate_python(stored)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}, got {shown(first['input'])}") from None
