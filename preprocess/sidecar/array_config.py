"""Settings: how parameter values are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from preprocess.core.settings import Settings
from preprocess.sidecar.precision import MAX_ERROR, Dtype


@dataclass(frozen=True, kw_only=True)
class ArrayConfig(Settings):
    """How exactly sidecars store values."""

    dtype: Annotated[
        Dtype,
        Field(
            description="float type of the sidecars' arrays; auto is float16 if every value "
            "survives in it, else float32; a type that would damage a value is an error"
        ),
    ] = "auto"
    max_error: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="largest difference between a stored and a given value, as a fraction of "
            "the parameter's declared or measured range; whole numbers are stored exactly",
        ),
    ] = MAX_ERROR
