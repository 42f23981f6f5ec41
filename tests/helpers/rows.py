"""Datasets made of numbers, without token files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

from preprocess.dataset.arrow import rows_table
from preprocess.dataset.schema import ParameterInfo, Schema, dataset_features
from preprocess.tokens.frames import n_frames, segment_frames
from preprocess.tokens.specs import codec_spec

PARAMETERS = {
    "level": ParameterInfo(units="dB", min=-60, max=0),
    "pitch": ParameterInfo(units="Hz", min=50, max=2000),
}


def make_rows(
    samples: Sequence[int],
    model: str = "encodec_24khz",
    k: int = 4,
    parameters: Mapping[str, ParameterInfo] = PARAMETERS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return a row a clip, of `samples` samples each, with values drawn within declared ranges."""
    rng, spec = np.random.default_rng(seed), codec_spec(model)
    rows = []
    for index, length in enumerate(samples):
        frames = n_frames(length, spec)
        values = {}
        for name, parameter in parameters.items():
            low, high = parameter.min or 0.0, 1.0 if parameter.max is None else parameter.max
            drawn = rng.uniform(low, high, frames)
            values[name] = np.round(drawn) if parameter.kind == "categorical" else drawn
        segments = segment_frames(length, spec) if spec.segment_samples else ()
        rows.append(
            {
                "id": f"clip{index}",
                "audio": f"clip{index}.ecdc",
                "codes": rng.integers(0, spec.codebook_size, (k, frames)),
                "features": {name: v.astype(np.float32) for name, v in values.items()},
                "model": model,
                "bandwidth_kbps": spec.bandwidth_kbps(k),
                "fps": spec.fps,
                "sample_rate": spec.sample_rate,
                "audio_length": length,
                "n_frames": frames,
                "scales": np.ones(len(segments)),
                "segment_frames": list(segments),
            }
        )
    return rows


def make_dataset(
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    parameters: Mapping[str, ParameterInfo] = PARAMETERS,
    batch: int = 3,
) -> Dataset:
    """Return rows as a memory-mapped dataset, `batch` of them in a record batch."""
    schema = Schema(rows[0]["model"], len(rows[0]["codes"]), True, parameters)
    arrow = dataset_features(schema).arrow_schema
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, arrow) as writer:
        for at in range(0, len(rows), batch):
            writer.write_table(rows_table(rows[at : at + batch], arrow))
    return Dataset.from_file(str(path))
