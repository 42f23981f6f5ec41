"""Settings of the export step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from preprocess.dataset.options import ClipOptions
from preprocess.steps.build_config import AllowMixed

EXPORT_TARGETS = ("rnencodec",)


@dataclass(frozen=True, kw_only=True)
class ExportConfig(ClipOptions):
    """How token files and sidecars are exported for another project's trainers."""

    allow_mixed: AllowMixed = False
    codebooks: Annotated[
        int | None,
        Field(ge=1, description="codebooks to slice to, instead of --bandwidth; default: all"),
    ] = None
    missing_sidecar: Annotated[
        Literal["error", "skip"],
        Field(description="if only some clips have a sidecar: fail, or skip the clips without one"),
    ] = "error"
    nan: Annotated[
        float | None,
        Field(
            allow_inf_nan=False,
            description="number to replace NaN, which the trainers do not support; default: NaN is "
            "an error",
        ),
    ] = None
