"""How token files and sidecars become what other trainers read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from preprocess.dataset.options import ClipOptions
from preprocess.steps.build_config import AllowMixed

EXPORT_TARGETS = ("rnencodec",)


@dataclass(frozen=True, kw_only=True)
class ExportConfig(ClipOptions):
    """What the trainers of another project get to read."""

    allow_mixed: AllowMixed = False
    codebooks: Annotated[
        int | None,
        Field(ge=1, description="codebooks to slice to, instead of --bandwidth; without it, all"),
    ] = None
    missing_sidecar: Annotated[
        Literal["error", "skip"],
        Field(
            description="a clip without a sidecar, where others have one, is an error, or left out"
        ),
    ] = "error"
    nan: Annotated[
        float | None,
        Field(
            allow_inf_nan=False,
            description="number in place of NaN, which the trainers do not know; without it, NaN "
            "is an error",
        ),
    ] = None
