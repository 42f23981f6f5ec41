"""Folders of tokens with sidecars of every kind, and shards of them without the pack step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.dataset.clips import clip_id, find_clips
from preprocess.dataset.options import RowOptions
from preprocess.dataset.schema import Schema
from preprocess.dataset.survey import read_schema, survey
from preprocess.shards.names import shard_name, shard_of
from preprocess.shards.rows import packed_row, packed_table, shard_schema
from preprocess.shards.writing import ShardWriter
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import write_ecdc
from preprocess.tokens.frames import n_frames, segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc


def tokens(
    samples: int, model: str = "encodec_24khz", k: int = 4, seed: int = 0, **extra: Any
) -> Ecdc:
    """Return random tokens of a clip, with `extra` in their header."""
    rng, spec = np.random.default_rng(seed), codec_spec(model)
    segments = segment_frames(samples, spec)
    codes = rng.integers(0, spec.codebook_size, (k, n_frames(samples, spec))).astype(np.int16)
    scales = rng.random(len(segments)).astype(np.float32) if spec.segment_samples else None
    return Ecdc(model, codes, samples, segments, scales, dict(extra))


def write_clip(
    root: Path, name: str, samples: int = 3000, dtype: str = "float32", **options: Any
) -> Path:
    """Write a clip with the parameters pitch and level; with dtype `""`, without a sidecar."""
    path, ecdc = root / f"{name}.ecdc", tokens(samples, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ecdc(path, ecdc)
    frames = ecdc.codes.shape[1]
    rng = np.random.default_rng(options.get("seed", 0))
    values = np.float16(rng.uniform(50, 2000, frames)).astype(np.float64)
    if dtype == "float64":
        values += 1e-9
    pitch = {"values": values, "units": "Hz", "min": 50, "max": 2000, "doc_string": "f₀"}
    level = {"values": np.float16(rng.uniform(-60, 0, frames)), "units": "dB", "min": -60, "max": 0}
    if dtype:
        write_sidecar(path, {"pitch": pitch, "level": level}, dtype=dtype)
    return path


def schema_of(root: Path, **options: Any) -> tuple[Schema, list[str], set[str]]:
    """Return the schema of a folder, its clips, and those with a sidecar."""
    given = RowOptions(**{"missing_sidecar": "empty", **options})
    clips = find_clips(root, given)
    schema = survey(root, clips, read_schema(root, clips, given), given)
    return schema, clips.tokens, set(clips.described)


def pack_all(root: Path, out: Path, count: int = 1, **options: Any) -> Schema:
    """Write the shards of a folder of tokens, all in the split train, and nothing else."""
    schema, rels, described = schema_of(root, **options)
    for index in range(count):
        path = out / shard_name("train", index, count)
        path.parent.mkdir(parents=True, exist_ok=True)
        own = sorted((r for r in rels if shard_of(clip_id(r), count) == index), key=clip_id)
        with ShardWriter(path, shard_schema(schema)) as writer:
            rows = [packed_row(root, rel, schema, rel in described) for rel in own]
            if rows:
                writer.write(packed_table(rows, shard_schema(schema)))
    return schema


def contents(
    root: Path, suffixes: Iterable[str] = (".ecdc", ".npy", ".json")
) -> Mapping[str, bytes]:
    """Return the files under a folder, by path."""
    found = (path for path in sorted(root.rglob("*")) if path.suffix in tuple(suffixes))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
