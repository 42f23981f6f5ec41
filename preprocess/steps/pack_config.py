"""Settings of the pack step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from preprocess.dataset.options import ClipOptions, MissingSidecar, RequireParameters
from preprocess.steps.build_config import AllowMixed

ShardCount = Annotated[
    int | None,
    Field(
        ge=1,
        le=99_999,
        description="number of shards of each split; default: shards of 100 to 300 MB, at least "
        "20 where the split is large enough",
    ),
]


@dataclass(frozen=True, kw_only=True)
class PackConfig(ClipOptions):
    """How token files and sidecars become a folder of shards."""

    require_parameters: RequireParameters = ()
    missing_sidecar: MissingSidecar = "error"
    dtype: Annotated[
        Literal["auto", "float16", "float32", "float64"],
        Field(
            description="dtype of the parameters; auto is float32, or float64 if a sidecar has it"
        ),
    ] = "auto"
    allow_mixed: AllowMixed = False
    count: ShardCount = None
