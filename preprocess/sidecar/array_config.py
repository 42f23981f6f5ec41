"""How the values of parameters are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from preprocess.core.settings import Settings
from preprocess.sidecar.precision import MAX_ERROR, Dtype


@dataclass(frozen=True, kw_only=True)
class ArrayConfig(Settings):
    """How exactly sidecars hold values."""

    dtype: Annotated[
        Dtype,
        Field(
            description="of the sidecars' arrays; auto is float16 where every value survives, "
            "else float32, which refuses what it would damage"
        ),
    ] = "auto"
    max_error: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="how far a stored value may be from the one that was given, in parts of "
            "its declared or measured range; whole numbers are stored exactly",
        ),
    ] = MAX_ERROR
