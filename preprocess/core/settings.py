"""The settings of every step are frozen dataclasses.

A field, the command's flag and the recipe's key are one name: `target_rms`, `--target-rms`,
`target_rms:`. Type, bounds, default and help stand with the field; `preprocess.core.flags` makes the
flags from them and checks what a user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from preprocess.core.errors import UsageError
from preprocess.core.files import in_shard


def split_commas(value: Any) -> Any:
    """Return `a,b c` as `a`, `b`, `c`: names may be separated either way."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return tuple(name.strip() for word in value for name in word.split(",") if name.strip())
    return value


# Fields that several settings have.
Jobs = Annotated[int, Field(ge=1, description="threads that work on files at once")]
DryRun = Annotated[bool, Field(description="say what would be done, and do nothing")]
Overwrite = Annotated[bool, Field(description="make outputs again that are up to date")]
Prune = Annotated[
    bool, Field(description="delete outputs whose source is gone; with --dry-run, name them")
]
CondRoot = Annotated[
    Path | None,
    Field(description="folder with the sidecars, mirroring the tokens, if not beside them"),
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all settings share: a key that is not a field is an error."""

    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True)
class ShardConfig(Settings):
    """Which part of the clips is worked on."""

    shard_index: Annotated[
        int | None, Field(ge=0, description="take this shard of the clips alone, from 0")
    ] = None
    shard_count: Annotated[int | None, Field(ge=1, description="how many shards there are")] = None

    def has(self, rel: Path) -> bool:
        """Whether a file is of the shard; all are where there are no shards.

        Raises:
            UsageError: The shard is none of `shard_count`.
        """
        index, count = self.shard_index, self.shard_count
        if index is None and count is None:
            return True
        if index is None or count is None or index >= count:
            raise UsageError(f"shard_index {index} must be one of {count} (shard_count), from 0")
        return in_shard(rel, index, count)
