"""Synthetic rows for `benchmarks.load`, in the format of each loader."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from datasets import DatasetInfo

from preprocess.dataset.arrow import rows_table
from preprocess.dataset.schema import Schema, dataset_features
from preprocess.sidecar.parameter_info import ParameterInfo

MODEL, CODEBOOKS, HOP = "encodec_24khz", 8, 320
RANGES = {"level": (-60.0, 0.0), "pitch": (50.0, 2000.0), "bright": (0.0, 12_000.0)}
_BATCH, _SHARD = 250, 50_000


def make_rows(count: int, frames: int) -> list[dict[str, object]]:
    """Return `count` rows of about `frames` frames each, the same at every call."""
    rng, rows = np.random.default_rng(0), []
    for index in range(count):
        length = int(rng.integers(frames * 9 // 10, frames * 11 // 10))
        values = {
            name: rng.uniform(low, high, length).astype(np.float32)
            for name, (low, high) in RANGES.items()
        }
        rows.append(
            {
                "id": f"clip{index}",
                "audio": f"clip{index}.ecdc",
                "codes": rng.integers(0, 1024, (CODEBOOKS, length)).astype(np.int16),
                "features": values,
                "model": MODEL,
                "bandwidth_kbps": 6.0,
                "fps": 75,
                "sample_rate": 24_000,
                "audio_length": length * HOP,
                "n_frames": length,
                "scales": [],
                "segment_frames": [],
            }
        )
    return rows


def write_arrow(folder: Path, clips: int, frames: int) -> None:
    """Write a saved dataset whose rows repeat.

    Files beyond the first are links to it: a million clips then fit into the page cache, while they are
    opened, mapped and read like any others.
    """
    infos = {name: ParameterInfo(min=low, max=high) for name, (low, high) in RANGES.items()}
    features = dataset_features(Schema(MODEL, CODEBOOKS, False, infos))
    schema = features.arrow_schema
    folder.mkdir(parents=True)
    table = rows_table(make_rows(min(clips, _BATCH), frames), schema)
    names = [f"data-{shard:05d}.arrow" for shard in range(-(-clips // _SHARD))]
    first = folder / names[0]
    with pa.OSFile(str(first), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for at in range(0, min(_SHARD, clips), _BATCH):
            part = table.slice(0, min(_BATCH, clips - at))
            ids = pa.array([f"clip{at + i}" for i in range(len(part))])
            writer.write_table(part.set_column(0, schema.field("id"), ids))
    for name in names[1:]:
        os.link(first, folder / name)
    DatasetInfo(features=features).write_to_directory(folder)
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": f"load{clips}",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    (folder / "state.json").write_text(json.dumps(state))


def write_predecessor(folder: Path, clips: int, frames: int) -> None:
    """Write three files per clip: a `torch.save` of the codes, an array, and JSON."""
    folder.mkdir(parents=True)
    norm = {name: {"min": low, "max": high} for name, (low, high) in RANGES.items()}
    for name, codes, values in _arrays(clips, frames):
        torch.save({"audio_codes": torch.from_numpy(codes.astype(np.int64))[None, None]},
                   folder / f"{name}.ecdc")  # fmt: skip
        np.save(folder / f"{name}.cond.npy", values.T.astype(np.float16))
        meta = {"schema_version": 2, "fps": 75, "source_rate": 75, "features": norm}
        (folder / f"{name}.cond.json").write_text(json.dumps(meta))


def write_tars(folder: Path, clips: int, frames: int) -> None:
    """Write shards for WebDataset: an array of codes and one of values per clip."""
    folder.mkdir(parents=True)
    tar = None
    for index, (name, codes, values) in enumerate(_arrays(clips, frames)):
        if index % 250 == 0:
            if tar is not None:
                tar.close()
            tar = tarfile.open(folder / f"{index // 250:05d}.tar", "w")  # noqa: SIM115
        for suffix, array in (("codes", codes), ("values", values)):
            data = io.BytesIO()
            np.save(data, array)
            info = tarfile.TarInfo(f"{name}.{suffix}.npy")
            info.size = data.tell()
            data.seek(0)
            tar.addfile(info, data)
    tar.close()


def write_litdata(folder: Path, clips: int, frames: int) -> None:
    """Write LitData's chunks with its own writer."""
    from litdata.streaming.writer import BinaryWriter

    folder.mkdir(parents=True)
    writer = BinaryWriter(str(folder), chunk_bytes=64 << 20)
    for index, (_, codes, values) in enumerate(_arrays(clips, frames)):
        writer[index] = {"codes": codes, "values": values}
    writer.done()
    writer.merge()


def forget(folder: Path) -> None:
    """Ask the system to drop the files of a folder from its cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _arrays(clips: int, frames: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, codes `[K, T]` and values `[P, T]` of the clips that `write_arrow` writes."""
    rows = make_rows(min(clips, _BATCH), frames)
    for index in range(clips):
        row = rows[index % _BATCH]
        yield f"clip{index}", row["codes"], np.stack([*row["features"].values()])
