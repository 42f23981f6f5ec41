"""A plan on disk or in object storage: which clips go into which shard, and how they are made.

    PLAN/plan.json          the recipe, the input, the shards, and a hash of what decides each
    PLAN/clips.parquet      the clips: one row group for each shard
    PLAN/shards/NAME.json   the report on a finished shard; NAME.parquet has a row for each clip
    PLAN/parts/NAME/        parts of a shard that is being made
    PLAN/leases/            who is making what

A worker reads `plan.json` and the row groups of its own shards, so that its memory does not grow
with the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import digest_bytes
from preprocess.core.untrusted import clipped, shown
from preprocess.plan.plan_checks import check_clips, check_plan
from preprocess.shards.names import shard_name
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.storage.store import StorageError, Store

PLAN_NAME, CLIPS_NAME = "plan.json", "clips.parquet"
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


class PlanFolder:
    """A plan in a folder or in object storage.

    Args:
        url: The folder, or its URL.
    """

    def __init__(self, url: str | Path) -> None:
        self.store = Store.at(url)

    def __str__(self) -> str:
        return str(self.store)

    @cached_property
    def info(self) -> PlanInfo:
        """The plan.

        Raises:
            PlanError: It is invalid.
            UsageError: There is none.
        """
        if not self.store.exists(PLAN_NAME):
            raise UsageError(f"{self.store} has no {PLAN_NAME}; make a plan with preprocess plan")
        return PlanInfo.from_json(self.store.read(PLAN_NAME), f"{self.store}/{PLAN_NAME}")

    @cached_property
    def source(self) -> Store:
        """The input."""
        return Store.at(self.info.input)

    @cached_property
    def dataset(self) -> Store:
        """The folder of the dataset."""
        return Store.at(self.info.output)

    def clips(self, shard: PlannedShard) -> list[PlannedClip]:
        """Return the clips of a shard, sorted by id.

        Raises:
            PlanError: The table of clips does not match the plan.
        """
        if shard.group is None:
            return []
        with self.store.open(CLIPS_NAME) as file:
            try:
                table = pq.ParquetFile(file).read_row_group(shard.group)
                rows = table.cast(CLIPS_SCHEMA).to_pydict()
                clips = [*map(PlannedClip, *rows.values())]
                check_clips(clips)
            except StorageError:
                raise
            except Exception as error:  # Arrow's own, ValueError of text that is not UTF-8, ...
                text = f"{self.store}/{CLIPS_NAME} cannot be read: {clipped(error)}"
                raise PlanError(text) from None
        state = shard_state([clip.key(self.info.settings) for clip in clips])
        if state != shard.state:
            raise PlanError(
                f"{self.store}/{CLIPS_NAME} does not match {PLAN_NAME}; run preprocess plan again"
            )
        return clips

    def write(self, info: PlanInfo, groups: Iterator[pa.Table], scratch: Path) -> None:
        """Write a plan, its clips first.

        Args:
            info: The plan.
            groups: The clips of each shard that has some, in the order of their row groups.
            scratch: Folder for temporary files.
        """
        local = scratch / CLIPS_NAME
        with pq.ParquetWriter(local, CLIPS_SCHEMA, compression="zstd") as writer:
            for table in groups:
                writer.write_table(table, row_group_size=max(1, len(table)))
        self.store.put(local, CLIPS_NAME)
        self.store.write(PLAN_NAME, info.to_json())
        vars(self)["info"] = info
