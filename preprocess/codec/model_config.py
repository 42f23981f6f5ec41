"""Settings: which codec runs, with which weights, on which device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from preprocess.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Settings):
    """Which weights to use, and on which device."""

    weights: Annotated[
        str | None,
        Field(
            description="a .th or .safetensors file, or a Hub repository such as "
            "facebook/encodec_24khz; without it, the published checkpoint, downloaded once"
        ),
    ] = None
    device: Annotated[str, Field(description="torch device: auto, cpu, cuda, cuda:1, ...")] = "auto"


@dataclass(frozen=True, kw_only=True)
class CodecConfig(ModelConfig):
    """Which codec to use."""

    codec: Annotated[str, Field(description="codec, by its name in .ecdc headers")] = (
        "encodec_24khz"
    )
