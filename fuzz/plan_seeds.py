"""Small valid plans and shards, made by code: what mutations start from."""

from __future__ import annotations

import io
import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzz import seeds
from preprocess.audit.summaries import ClipSummary, ParameterSummary
from preprocess.dataset.schema import Schema
from preprocess.plan.assembling import Place, assemble
from preprocess.plan.clip_maker import MadeClip
from preprocess.plan.parts import RowSource, store_part
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import CLIPS_SCHEMA, PlanInfo, PlannedClip, PlannedShard, shard_state
from preprocess.plan.shard_report import ShardReport, write_report
from preprocess.shards.rows import packed_row, shard_schema
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.reading import read_description
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import read_header, write_ecdc
from preprocess.tokens.types import Ecdc

SHARD = "data/train-00000-of-00001.parquet"
REPORT = "shards/train-00000-of-00001.json"
TABLE = "shards/train-00000-of-00001.parquet"
CLIPS = tuple(PlannedClip(name, f"{name}.wav", 9, "1", 0.04) for name in ("a/one", "two"))
RECIPE = "input: in\noutput: out\nformat: shards\n"


@lru_cache
def files() -> dict[str, bytes]:
    """Return the files of a plan whose one shard is finished, and one of its parts, by path."""
    with tempfile.TemporaryDirectory() as name:
        return _made(Path(name))


def _made(folder: Path) -> dict[str, bytes]:
    made, schema = _clips(folder / "ecdc")
    state = shard_state([clip.key("s") for clip in CLIPS])
    shard = PlannedShard("train", 0, 1, 0, 2, 0.08, state)
    info = PlanInfo(
        *("in", "out", RECIPE, "recipe.yaml", "/folder", "s", "encodec_24khz", 2),
        schema.parameters,
        [shard],
        [("x.txt", "no audio")],
        ["one note"],
    )
    plan = PlanFolder(folder / "plan")
    (folder / "plan").mkdir()
    clips = pa.Table.from_pylist([clip._asdict() for clip in CLIPS], CLIPS_SCHEMA)
    plan.write(info, iter([clips]), folder)
    arrow = shard_schema(schema)
    path = store_part(plan, shard, made, arrow, folder)
    part = plan.store.read(path)
    with RowSource(plan.store, path) as source:
        places = [Place(0, at, at) for at in range(len(source))]
        done = assemble(folder, places, [source], arrow, schema)
    report = ShardReport(
        *(shard.name, shard.state, done.rows, 0, done.samples, 0.08, 0.08, 1.5),
        *(done.bytes, done.arrow_bytes, done.parameters, done.stats.to_dict(), done.tools),
    )
    write_report(plan, shard, report, done.clips)
    found = {path: plan.store.read(path) for path in ("plan.json", "clips.parquet", REPORT, TABLE)}
    return {**found, "part.parquet": part, SHARD: done.path.read_bytes()}


def _clips(root: Path) -> tuple[list[MadeClip], Schema]:
    made, infos = [], dict[str, ParameterInfo]()
    for clip in CLIPS:
        path = root / f"{clip.id}.ecdc"
        path.parent.mkdir(parents=True, exist_ok=True)
        codes = np.arange(6, dtype=np.int16).reshape(2, 3)
        write_ecdc(path, Ecdc("encodec_24khz", codes, 960, (3,), None, {"by": "x"}))
        write_sidecar(path, {"level": {"values": [-6.0, -5.0, -4.5], "min": -60, "max": 0}})
        infos = {name: d.info for name, d in read_description(path).parameters.items()}
        schema = Schema("encodec_24khz", 2, False, infos, "float32")
        row = packed_row(root, f"{clip.id}.ecdc", schema, True)
        level = ParameterSummary("dB", "", None, False, (-6.0, -4.5, -5.0, 1.0), (-60.0, 0.0))
        summary = ClipSummary(
            *(Path(f"{clip.id}.ecdc"), "content", read_header(path), {}, {}, True),
            *({"level": level}, "cpu", None),
        )
        made.append(MadeClip(clip, row, "", 0.04, infos, summary))
    return made, schema


def lay(folder: Path, *names: str) -> None:
    """Write valid files of a plan into a folder."""
    for name in names:
        write(folder / name, files()[name])


def write(path: Path, data: bytes) -> Path:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def of(name: str) -> Any:
    """Return a function that returns the valid file of that path, plain and compressed."""

    def found() -> list[bytes]:
        data = files()[name]
        if name.endswith(".json"):
            return [json.dumps(json.loads(data)).encode()]  # one line
        if not name.endswith(".parquet") or "part" in name:
            return [data]
        stream = io.BytesIO()
        pq.write_table(pq.read_table(io.BytesIO(data)), stream, compression="none")
        return [data, stream.getvalue()]

    return found


def headers() -> list[bytes]:
    """Return headers of arrays."""
    return [seeds.array()[:128], seeds.array("<f8")[:128], seeds.array(fortran=True)[:128]]
