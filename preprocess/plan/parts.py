"""Parts: the clips of a shard that a worker has made, stored so that another can go on.

    PLAN/parts/train-00003-of-00020/HASH-CLIPS-FAILED-MILLISECONDS.parquet

A part is a Parquet file of rows, whose metadata has the clips' table. A finished shard is a source
of rows in the same way: its rows are used again when only some of its clips have changed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.core.files import digest_bytes
from preprocess.core.row_batches import row_batches
from preprocess.core.untrusted import clipped
from preprocess.dataset.arrow import rows_table
from preprocess.plan.clip_maker import MadeClip
from preprocess.plan.clip_table import CLIP_TABLE, clip_table
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlanError, PlannedShard
from preprocess.shards.writing import ShardWriter
from preprocess.storage.store import StorageError, Store

_CLIPS = "enchf.clips"


@dataclass(frozen=True)
class PartName:
    """What the name of a part says.

    Attributes:
        path: Its path relative to the plan.
        clips: Number of its clips, failed ones included.
        failed: Number of its failed clips.
        seconds: Length of the audio of the others in seconds.
    """

    path: str
    clips: int
    failed: int
    seconds: float


def parts_folder(shard: PlannedShard) -> str:
    """Return the folder of a shard's parts, relative to the plan."""
    return f"parts/{shard.name}"


def list_parts(plan: PlanFolder, under: str = "parts") -> Iterator[PartName]:
    """Yield the parts in a folder of a plan."""
    for entry in plan.store.list([".parquet"], under):
        fields = Path(entry.path).stem.split("-")
        if len(fields) == 4 and all(field.isdecimal() for field in fields[1:]):
            clips, failed, milliseconds = map(int, fields[1:])
            yield PartName(entry.path, clips, failed, milliseconds / 1000)


def store_part(
    plan: PlanFolder,
    shard: PlannedShard,
    made: Sequence[MadeClip],
    schema: pa.Schema,
    scratch: Path,
) -> str:
    """Store the clips that a worker has made, and return the part's path relative to the plan.

    Args:
        plan: The plan.
        shard: The shard.
        made: The clips, sorted by id.
        schema: Columns of the rows.
        scratch: Folder for temporary files.
    """
    table = clip_table(made, plan.info.settings)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(
        sink, CLIP_TABLE, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as out:
        out.write_table(table)
    rows = [clip.row for clip in made if clip.row is not None]
    local = scratch / "part.parquet"
    clips = base64.b64encode(sink.getvalue()).decode("ascii")
    with ShardWriter(local, schema, {_CLIPS: clips}) as writer:
        if rows:
            writer.write(rows_table(rows, schema))
    name = digest_bytes("".join(table["key"].to_pylist()).encode())
    milliseconds = round(1000 * sum(clip.seconds for clip in made))
    name = f"{name}-{len(made)}-{len(made) - len(rows)}-{milliseconds}.parquet"
    path = f"{parts_folder(shard)}/{name}"
    plan.store.put(local, path)
    local.unlink()
    return path


class RowSource:
    """A Parquet file with rows that are already made: a part, or a shard.

    Args:
        store: Where the file is.
        path: Its path.
        clips: The table of its clips; None reads that of a part.
    """

    def __init__(self, store: Store, path: str, clips: pa.Table | None = None) -> None:
        self.name = f"{store}/{path}"
        self._stream = store.open(path)
        try:
            self._file = pq.ParquetFile(self._stream)
            self.clips = _stored_clips(self._file) if clips is None else clips
        except StorageError:
            self._stream.close()
            raise
        except Exception as error:  # Arrow's own, ValueError of text that is not UTF-8, ...
            self._stream.close()
            raise PlanError(f"{self.name} cannot be read: {clipped(error)}") from None
        groups = (
            self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)
        )
        self._starts = [0]
        for rows in groups:
            self._starts.append(self._starts[-1] + rows)
        self._loaded: tuple[int, pa.Table] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._starts[-1]

    def rows(self, first: int, last: int) -> Iterator[pa.Table]:
        """Yield the rows from `first` to before `last`, a row group at a time."""
        for group, (start, end) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            low, high = max(first, start), min(last, end)
            if low >= high:
                continue
            if self._loaded is None or self._loaded[0] != group:
                self._loaded = None  # not two at a time
                try:
                    self._loaded = group, pa.Table.from_batches(row_batches(self._file, [group]))
                except StorageError:
                    raise
                except Exception as error:
                    raise PlanError(f"{self.name} cannot be read: {clipped(error)}") from None
            yield self._loaded[1].slice(low - start, high - low)

    def close(self) -> None:
        """Close the file, and forget what was read."""
        self._loaded = None
        self._file.close()
        self._stream.close()

    def __enter__(self) -> RowSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _stored_clips(file: pq.ParquetFile) -> pa.Table:
    metadata = file.metadata.metadata or {}
    clips = base64.b64decode(metadata[_CLIPS.encode()], validate=True)
    with pa.ipc.open_file(pa.py_buffer(clips)) as stored:
        return stored.read_all().cast(CLIP_TABLE)
