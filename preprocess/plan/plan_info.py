"""What a plan says: clips, shards, and the recipe that makes them; checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from preprocess.core.errors import PreprocessError
from preprocess.core.files import digest_bytes
from preprocess.core.untrusted import clipped, shown
from preprocess.shards.names import shard_name
from preprocess.sidecar.parameter_info import ParameterInfo

_VERSION = 1
_MOST_BYTES = 64 << 20
CLIPS_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "path": pa.string(),
        "size": pa.int64(),
        "version": pa.string(),
        "seconds": pa.float64(),
    }
)


class PlanError(PreprocessError):
    """A plan cannot be read, or does not fit what it is used for."""


class PlannedClip(NamedTuple):
    """A clip of a plan.

    Attributes:
        id: Its id: the path of its audio without suffix.
        path: Its audio, relative to the input.
        size: Size of its audio in bytes.
        version: A text that changes with the content of the audio; see `Entry`.
        seconds: Estimated length of its audio in seconds.
    """

    id: str
    path: str
    size: int
    version: str
    seconds: float

    def key(self, settings: str) -> str:
        """Return the hash of what its row is made from.

        Args:
            settings: Hash of the settings; see `Making.digest`.
        """
        return digest_bytes(
            f"{settings} {self.path} {self.size} {self.version}".encode(errors="surrogateescape")
        )


@dataclass(frozen=True)
class PlannedShard:
    """A shard of a plan.

    Attributes:
        split: Its split.
        index: Its number within the split.
        count: Number of shards of the split.
        group: Number of its row group in the table of clips; None if it has no clips.
        clips: Number of its clips.
        seconds: Estimated length of their audio in seconds.
        state: Hash of the keys of its clips; see `PlannedClip.key`.
    """

    split: str
    index: int
    count: int
    group: int | None
    clips: int
    seconds: float
    state: str

    @property
    def path(self) -> str:
        """Path of its file, relative to the dataset."""
        return shard_name(self.split, self.index, self.count)

    @property
    def name(self) -> str:
        """Its name, such as `train-00003-of-00020`."""
        return Path(self.path).stem


def shard_state(keys: Sequence[str]) -> str:
    """Return the hash of the keys of a shard's clips, in order."""
    return digest_bytes("".join(keys).encode())


@dataclass(frozen=True)
class PlanInfo:
    """The content of `plan.json`.

    Attributes:
        input: The folder with audio, or its URL.
        output: The folder of the dataset, or its URL.
        recipe: The recipe, as YAML.
        owner: The recipe's name; see `Making`.
        folder: The working folder in which the plan was made; paths in the recipe are relative to
            it.
        settings: Hash of what decides the rows; see `Making.digest`.
        model: Name of the codec.
        n_codebooks: K.
        parameters: The parameters of every clip, by name.
        shards: The shards, split by split.
        skipped: Files of the input that are in no shard, each with the reason.
        notes: Notes for the user, such as kinds of files that were skipped.
        by: Tool and version that made the plan.
        version: Version of the format.
    """

    input: str
    output: str
    recipe: str
    owner: str
    folder: str
    settings: str
    model: str
    n_codebooks: int
    parameters: Mapping[str, ParameterInfo]
    shards: Sequence[PlannedShard]
    skipped: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    by: str = ""
    version: int = _VERSION
    lease_s: float = field(default=60.0)

    @property
    def clips(self) -> int:
        """Number of clips in all shards."""
        return sum(shard.clips for shard in self.shards)

    @property
    def seconds(self) -> float:
        """Estimated length of all audio in seconds."""
        return sum(shard.seconds for shard in self.shards)

    def to_json(self) -> bytes:
        """Return it as JSON."""
        stored = asdict(self)
        stored["shards"] = [asdict(shard) for shard in self.shards]
        return json.dumps(stored, indent=1, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes, name: str) -> PlanInfo:
        """Return what `to_json` wrote.

        Args:
            data: The content of a `plan.json`.
            name: Its path or URL, for messages.

        Raises:
            PlanError: It is invalid, or from a later version.
        """
        if len(data) > _MOST_BYTES:
            raise PlanError(f"{name} is larger than {_MOST_BYTES >> 20} MiB")
        try:
            stored = json.loads(data)
            if stored["version"] != _VERSION:
                raise PlanError(
                    f"{name} is version {shown(stored['version'])}, not {_VERSION}: make it again with "
                    f"preprocess plan"
                )
            stored["parameters"] = {
                str(n): ParameterInfo(**entry) for n, entry in stored["parameters"].items()
            }
            stored["shards"] = [PlannedShard(**entry) for entry in stored["shards"]]
            stored["skipped"] = [(str(path), str(why)) for path, why in stored["skipped"]]
            info = cls(**stored)
            check_plan(info)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise PlanError(f"{name} is not a plan of preprocess plan ({clipped(error)})") from None
        return info


def check_plan(info: PlanInfo) -> None:
    """Raise a ValueError if a value that later code relies on has another type."""
    for key in ("input", "output", "recipe", "owner", "folder", "settings", "model"):
        if not isinstance(getattr(info, key), str):
            raise ValueError(f"{key} must be a text")
    if not _is_time(info.lease_s) or not all(isinstance(note, str) for note in info.notes):
        raise ValueError("lease_s must be a number, and notes must be texts")
    for parameter in info.parameters.values():
        ParameterInfo.from_json(json.dumps(asdict(parameter)))
    for shard in info.shards:
        numbers = (shard.index, shard.count, shard.clips)
        if not all(type(number) is int and 0 <= number < 10**9 for number in numbers):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if not isinstance(shard.split, str) or not isinstance(shard.state, str):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if not _is_time(shard.seconds):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if (
            not shard.split.replace("_", "").replace(".", "").isalnum()
            or shard.index >= shard.count
        ):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if shard.group is not None and (type(shard.group) is not int or shard.group < 0):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12  # type: ignore[operator]


def check_clips(clips: Sequence[PlannedClip]) -> None:
    """Raise a ValueError if a clip lacks a value."""
    for clip in clips:
        if None in clip:
            raise ValueError("a clip lacks a value")
