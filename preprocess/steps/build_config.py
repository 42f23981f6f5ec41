"""Settings of the build step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from preprocess.dataset.options import RowOptions, row_options

AllowMixed = Annotated[
    bool,
    Field(
        description="accept clips made by different settings or code; the dataset and its card "
        "say so"
    ),
]


@dataclass(frozen=True, kw_only=True)
class BuildConfig(RowOptions):
    """How token files and sidecars become a saved dataset: the builder's options, and more."""

    allow_mixed: AllowMixed = False
    tokens_subdir: Annotated[
        str,
        Field(
            pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$",
            description="subfolder for token files and sidecars",
        ),
    ] = "tokens"
    materialize: Annotated[
        Literal["link", "copy", "none"],
        Field(description="link, copy or omit the token files and sidecars"),
    ] = "link"
    num_proc: Annotated[int, Field(ge=1, description="number of processes that make rows")] = 1
    verify: Annotated[
        bool, Field(description="reload the saved dataset and compare it with the files")
    ] = False

    @property
    def rows(self) -> RowOptions:
        """The builder's options; the column `audio` names the files in the dataset's folder."""
        if self.materialize == "none":
            return row_options(self)
        prefix = PurePosixPath(self.audio_prefix, self.tokens_subdir)
        return row_options(self, audio_prefix=str(prefix))
