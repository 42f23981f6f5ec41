"""Settings of `preprocess finish`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from preprocess.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FinishConfig(Settings):
    """How a plan is finished."""

    allow_failed: Annotated[
        bool, Field(description="finish without the clips that failed; the card names their number")
    ] = False
    allow_findings: Annotated[
        bool, Field(description="finish although the audit of the corpus found errors")
    ] = False
