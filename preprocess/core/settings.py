"""The settings of every step are frozen dataclasses.

A field, its flag and its recipe key share one name: `target_rms`, `--target-rms`, `target_rms:`.
The field defines the type, bounds, default and help; `preprocess.core.flags` makes the flag from
it and checks user input.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from preprocess.core.errors import UsageError
from preprocess.core.files import in_shard


def split_commas(value: Any) -> Any:
    """Return `a,b c` as `a`, `b`, `c`: names are separated by commas or spaces."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return tuple(name.strip() for word in value for name in word.split(",") if name.strip())
    return value


# Fields that several settings share.
Jobs = Annotated[int, Field(ge=1, description="threads that work on files at once")]
DryRun = Annotated[bool, Field(description="print what would be done and do nothing")]
Overwrite = Annotated[bool, Field(description="redo outputs that are up to date")]
Prune = Annotated[
    bool, Field(description="delete outputs whose source is gone; with --dry-run, list them")
]
CondRoot = Annotated[
    Path | None,
    Field(description="folder with the sidecars, laid out like the tokens, if not next to them"),
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of all settings: an unknown key is an error."""

    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True)
class ShardConfig(Settings):
    """Which part of the clips to process."""

    shard_index: Annotated[
        int | None, Field(ge=0, description="process only this shard of the clips, from 0")
    ] = None
    shard_count: Annotated[int | None, Field(ge=1, description="number of shards")] = None

    def has(self, rel: Path) -> bool:
        """Whether a file belongs to the shard; always true without shards.

        Raises:
            UsageError: The shard index is not below the shard count, or one of them is missing.
        """
        index, count = self.shard_index, self.shard_count
        if index is None and count is None:
            return True
        if index is None or count is None or index >= count:
            raise UsageError(f"shard_index {index} must be one of {count} (shard_count), from 0")
        return in_shard(rel, index, count)
