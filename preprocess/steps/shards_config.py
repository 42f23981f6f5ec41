"""Settings of packed output, `format: shards` in a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from preprocess.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ShardsConfig(Settings):
    """How clips are divided into shards, and shards into parts."""

    count: Annotated[
        int | None,
        Field(
            ge=1,
            description="shards of each split; default: as many as give 100 to 500 MB each, at "
            "least 20 if there is enough audio",
        ),
    ] = None
    part_minutes: Annotated[
        float | None,
        Field(
            gt=0,
            description="minutes of audio that a worker makes before it stores them, which is what "
            "a killed worker loses; default: a 64th of a shard, at least 2 minutes",
        ),
    ] = None
    lease_s: Annotated[
        float,
        Field(
            gt=0,
            description="seconds without a sign of life after which another worker takes a shard "
            "over",
        ),
    ] = 60.0
