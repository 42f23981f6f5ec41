"""Readers of plans, shards and of what a shard keeps of a sidecar; part of `fuzz.readers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import plan_seeds, seeds
from fuzz.reader import Form, Reader


def read_plan(data: bytes, folder: Path) -> None:
    """Read a plan, and share out its shards."""
    from preprocess.plan.plan_file import PlanFolder
    from preprocess.plan.shares import share_of
    from preprocess.plan.worker import planned_recipe

    plan_seeds.write(folder / "plan.json", data)
    plan = PlanFolder(folder)
    info = plan.info
    share_of(info.shards, 0, 2)
    _ = info.clips, info.seconds, [shard.path for shard in info.shards]
    _ = plan.source, plan.dataset
    planned_recipe(plan)


def read_planned_clips(data: bytes, folder: Path) -> None:
    """Read the clips of a plan's shard."""
    from preprocess.plan.plan_file import PlanFolder

    plan_seeds.lay(folder, "plan.json")
    plan_seeds.write(folder / "clips.parquet", data)
    plan = PlanFolder(folder)
    assert len(plan.clips(plan.info.shards[0])) == 2


def read_shard_report(data: bytes, folder: Path) -> None:
    """Read the report on a shard, and the status of its plan."""
    from preprocess.plan.plan_file import PlanFolder
    from preprocess.plan.shard_report import read_report
    from preprocess.plan.status import format_status, plan_status

    plan_seeds.lay(folder, "plan.json")
    plan_seeds.write(folder / plan_seeds.REPORT, data)
    plan = PlanFolder(folder)
    status = plan_status(plan)
    format_status(status), status.to_json()
    report = read_report(plan, plan.info.shards[0])
    if report is not None:
        report.corpus_stats.to_dict()


def read_shard_clips(data: bytes, folder: Path) -> None:
    """Read the table of a shard's clips."""
    from preprocess.plan.clip_table import read_summaries
    from preprocess.plan.plan_file import PlanFolder
    from preprocess.plan.shard_report import read_clip_table

    plan_seeds.lay(folder, "plan.json")
    plan_seeds.write(folder / plan_seeds.TABLE, data)
    plan = PlanFolder(folder)
    read_summaries(read_clip_table(plan, plan.info.shards[0]))


def read_part(data: bytes, folder: Path) -> None:
    """Read the rows of a part and the table of its clips."""
    from preprocess.plan.parts import RowSource
    from preprocess.storage.store import Store

    plan_seeds.write(folder / "part.parquet", data)
    with RowSource(Store.at(folder), "part.parquet") as source:
        source.clips.to_pylist()
        assert sum(map(len, source.rows(0, len(source)))) <= len(source)


def read_shard(data: bytes, folder: Path) -> None:
    """Read the rows of a shard, and give its clips' files back."""
    from preprocess.shards.reading import ShardFolder, read_row
    from preprocess.shards.unpacking import Unpacker, check_ids

    path = plan_seeds.write(folder / plan_seeds.SHARD, data)
    shards = ShardFolder.at(folder)
    _ = shards.parameters, shards.dtype
    for _table in shards.tables("train"):
        pass
    read_row(path, 0)
    check_ids(shards)
    unpacked = folder / "unpacked"
    for old in sorted(unpacked.rglob("*"), reverse=True):  # `rmtree` names files without folder
        old.rmdir() if old.is_dir() else old.unlink()
    Unpacker(unpacked, shards.schema)(path)


def read_folder_info(data: bytes, folder: Path) -> None:
    """Read the description of a shards folder."""
    from preprocess.shards.reading import ShardFolder

    plan_seeds.lay(folder, plan_seeds.SHARD)
    plan_seeds.write(folder / "enchf.json", data)
    shards = ShardFolder.at(folder)
    _ = shards.info, shards.parameters, shards.features


def read_raw_text(data: bytes, folder: Path) -> None:
    """Give a sidecar back from its text."""
    _restore(data.decode("utf-8", "replace"), "float32")


def read_raw_dtype(data: bytes, folder: Path) -> None:
    """Give a sidecar back from the header of its array."""
    _restore(seeds.metadata()[1].decode(), data.decode("latin-1"))


def _restore(text: str, dtype: str) -> None:
    from preprocess.sidecar.raw import restore
    from preprocess.tokens.types import EcdcHeader

    values = {name: np.zeros(4, np.float32) for name in ("level", "scene", "pitch", "x")}
    array, meta, _ = restore(text, dtype, values, EcdcHeader("encodec_24khz", 1280, 2))
    assert array.startswith(b"\x93NUMPY") and len(meta) < 1 << 23


_SHARDS = ("preprocess.shards", "preprocess.sidecar.raw")
_PLAN = ("preprocess.plan",)


def _plan_reader(
    name: str, read: Callable[[bytes, Path], Any], file: str, modules: tuple[str, ...]
) -> Reader:
    is_json = file.endswith(".json")
    form: Form = "json" if is_json else "binary"
    foreign = "" if is_json else "pyarrow"
    return Reader(name, read, plan_seeds.of(file), form, 400, modules, foreign)


PLANS = (
    _plan_reader("plan", read_plan, "plan.json", _PLAN),
    _plan_reader("plan_clips", read_planned_clips, "clips.parquet", _PLAN),
    _plan_reader("report", read_shard_report, plan_seeds.REPORT, _PLAN),
    _plan_reader("shard_clips", read_shard_clips, plan_seeds.TABLE, _PLAN),
    _plan_reader("part", read_part, "part.parquet", _PLAN),
    _plan_reader("shard", read_shard, plan_seeds.SHARD, _SHARDS),
    Reader("shards_info", read_folder_info, seeds.infos, "json", 100, (_SHARDS[0],)),
    Reader("raw_text", read_raw_text, seeds.metadata, "json", 60, (_SHARDS[1],)),
    Reader("raw_dtype", read_raw_dtype, plan_seeds.headers, "binary", 60, _SHARDS[1:]),
)
