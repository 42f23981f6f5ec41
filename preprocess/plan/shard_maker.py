"""Makes one shard: its missing clips in parts, then the shard from all parts.

    plan: a b c d e f        parts of a worker that died: a b      old shard: c d e
    make: f                  assemble: a b, c d e, f  ->  data/train-00003-of-00020.parquet

The bytes of a shard depend on its rows alone: neither the parts, nor who made them, nor in which
order change them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from preprocess.core.errors import PreprocessError
from preprocess.core.files import temporary_folder
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.schema import Schema
from preprocess.plan.assembling import Assembled, Place, assemble
from preprocess.plan.clip_maker import ClipMaker, MadeClip
from preprocess.plan.parts import RowSource, list_parts, parts_folder, store_part
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedClip, PlannedShard
from preprocess.plan.shard_report import ShardReport, read_clip_table, read_report, write_report
from preprocess.shards.rows import shard_schema

PARTS = 64
"""Number of parts of a shard: a worker that is killed loses less than 2 % of its shard."""
_LEAST_PART_S = 120.0


class LostLeaseError(PreprocessError):
    """Another worker has taken the shard over."""


@dataclass
class _Known:
    """The clips that are already made, by the key of what each was made from.

    Attributes:
        sources: The files with their rows.
        places: Key of a clip -> where it is.
    """

    sources: list[RowSource] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    def add(self, source: RowSource, retry_failed: bool) -> None:
        """Add the clips of a part or a shard; with `retry_failed`, forget those that failed."""
        number, row = len(self.sources), 0
        self.sources.append(source)
        keys, errors = source.clips["key"].to_pylist(), source.clips["error"].to_pylist()
        for entry, (key, error) in enumerate(zip(keys, errors, strict=True)):
            if not error:
                self.places[key] = Place(number, entry, row)
                row += 1
            elif not retry_failed:
                self.places.setdefault(key, Place(number, entry, None))


class ShardMaker:
    """Makes the shards of a plan, one after the other.

    Args:
        plan: The plan.
        maker: Makes the rows.
        schema: What all rows share.
        part_s: Seconds of audio in a part; None for a 64th of the shard.
        retry_failed: Try clips again that failed.
        worker: A name for the report.
    """

    def __init__(
        self,
        plan: PlanFolder,
        maker: ClipMaker,
        schema: Schema,
        part_s: float | None = None,
        retry_failed: bool = False,
        worker: str = "",
    ) -> None:
        self._plan, self._maker, self._schema = plan, maker, schema
        self._arrow = shard_schema(schema)
        self._part_s, self._retry, self._worker = part_s, retry_failed, worker

    def current(self, shard: PlannedShard) -> ShardReport | None:
        """Return the report on a shard that is up to date; None if it has to be made.

        With `retry_failed`, a shard with failed clips has to be made.
        """
        report = read_report(self._plan, shard)
        if report is None or report.state != shard.state or (self._retry and report.failed):
            return None
        return report if self._plan.dataset.exists(shard.path) else None

    def make(
        self,
        shard: PlannedShard,
        done: Callable[[MadeClip], None],
        is_lost: Callable[[], bool] = lambda: False,
    ) -> ShardReport:
        """Make a shard and return the report on it.

        Args:
            shard: The shard.
            done: Called with each clip that is made.
            is_lost: Whether another worker has taken the shard over.

        Raises:
            LostLeaseError: Another worker has taken the shard over; what is made is kept as parts.
            DiskError: The disk cannot be written to.
            StorageError: The input or the output cannot be reached.
        """
        started, made_s = time.monotonic(), 0.0
        clips = self._plan.clips(shard)
        scratch = Path(tempfile.gettempdir(), "enchf-shard")
        remove_stale(scratch.parent, recursive=False)
        with temporary_folder(scratch) as folder, ExitStack() as stack:
            known = self._known(shard, stack)
            settings = self._plan.info.settings
            todo = [clip for clip in clips if clip.key(settings) not in known.places]
            for part in self._groups(todo, shard):
                made = self._make_part(part, Path(folder), done)
                made_s += sum(clip.seconds for clip in made)
                path = store_part(self._plan, shard, made, self._arrow, Path(folder))
                known.add(stack.enter_context(RowSource(self._plan.store, path)), False)
                if is_lost():
                    raise LostLeaseError(f"{shard.name}: another worker has taken it over")
            places = [known.places[clip.key(settings)] for clip in clips]
            result = assemble(Path(folder), places, known.sources, self._arrow, self._schema)
            self._plan.dataset.put(result.path, shard.path)
        report = self._report(shard, result, made_s, time.monotonic() - started)
        write_report(self._plan, shard, report, result.clips)
        for stored in list(list_parts(self._plan, parts_folder(shard))):
            self._plan.store.delete(stored.path)
        return report

    def _known(self, shard: PlannedShard, stack: ExitStack) -> _Known:
        """Return the clips of the shard that are already made: in its old file and in parts."""
        known = _Known()
        dataset = self._plan.dataset
        if read_report(self._plan, shard) is not None and dataset.exists(shard.path):
            clips = read_clip_table(self._plan, shard)
            source = stack.enter_context(RowSource(dataset, shard.path, clips))
            if len(source) == clips["error"].to_pylist().count(""):
                known.add(source, self._retry)
        for part in list_parts(self._plan, parts_folder(shard)):
            known.add(stack.enter_context(RowSource(self._plan.store, part.path)), self._retry)
        return known

    def _groups(
        self, todo: Sequence[PlannedClip], shard: PlannedShard
    ) -> Iterator[list[PlannedClip]]:
        """Yield the clips of each part to make."""
        part_s = self._part_s or max(_LEAST_PART_S, shard.seconds / PARTS)
        group: list[PlannedClip] = []
        seconds = 0.0
        for clip in todo:
            group.append(clip)
            seconds += clip.seconds
            if seconds >= part_s:
                yield group
                group, seconds = [], 0.0
        if group:
            yield group

    def _make_part(
        self, clips: Sequence[PlannedClip], folder: Path, done: Callable[[MadeClip], None]
    ) -> list[MadeClip]:
        made = []
        with temporary_folder(folder / "clips") as scratch:
            for clip in self._maker.make(clips, scratch, self._schema):
                made.append(clip)
                done(clip)
        return sorted(made, key=lambda one: one.clip.id)

    def _report(
        self, shard: PlannedShard, result: Assembled, made_s: float, wall_s: float
    ) -> ShardReport:
        return ShardReport(
            name=shard.name,
            state=shard.state,
            rows=result.rows,
            failed=len(result.clips) - result.rows,
            samples=result.samples,
            audio_s=result.samples / self._schema.spec.sample_rate,
            made_s=made_s,
            wall_s=wall_s,
            bytes=result.bytes,
            arrow_bytes=result.arrow_bytes,
            parameters=result.parameters,
            stats=result.stats.to_dict(),
            tools=result.tools,
            worker=self._worker,
        )
