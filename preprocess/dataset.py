"""Rows: what the dataset's builder and the build step make of a folder of tokens and sidecars.

One row a clip. The builder script itself reads no file: `datasets` patches `open` and `os` in it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.ecdc import EcdcHeader, read_ecdc, read_header
from preprocess.errors import PreprocessError, UsageError
from preprocess.files import find_files, require_folder
from preprocess.provenance import settings_digest
from preprocess.sidecar import read_sidecar
from preprocess.sidecar_format import (
    ARRAY_SUFFIX,
    META_SUFFIX,
    TOKEN_SUFFIX,
    Sidecar,
    sidecar_paths,
)
from preprocess.specs import codec_spec

if TYPE_CHECKING:
    import datasets

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Name of a subfolder -> the split that it is."""


class DatasetError(PreprocessError):
    """A folder does not make a dataset; the message names the clip and what was expected."""


@dataclass(frozen=True)
class Schema:
    """What all rows of a dataset share.

    Attributes:
        model: Name of the codec.
        n_codebooks: K of the rows; what a file has beyond it is sliced off.
        features: Name -> (units, doc string) of each parameter, in order.
    """

    model: str
    n_codebooks: int
    features: dict[str, tuple[str, str]]


def find_tokens(root: Path) -> list[Path]:
    """Return all token files under `root`, relative to it and sorted.

    Raises:
        UsageError: `root` is no folder, or holds none.
    """
    require_folder(root, "token folder")
    tokens = find_files(root, [TOKEN_SUFFIX])
    if not tokens:
        raise UsageError(f"no tokens ({TOKEN_SUFFIX}) under {root}")
    return tokens


def find_splits(root: Path, split: str | None = None) -> dict[str, list[Path]]:
    """Return the token files of each split, relative to `root`.

    The subfolders `train`, `validation` (or `valid`, `val`, `dev`) and `test` are splits; where
    there are none, or `split` names one, all clips are in one split.

    Raises:
        UsageError: `root` is no folder, or holds no tokens.
        DatasetError: Clips lie beside the split folders, in no split.
    """
    tokens = find_tokens(root)
    if split is not None:
        return {split: tokens}
    splits: dict[str, list[Path]] = {}
    outside = []
    for rel in tokens:
        name = SPLIT_FOLDERS.get(rel.parts[0]) if len(rel.parts) > 1 else None
        if name is None:
            outside.append(rel)
        else:
            splits.setdefault(name, []).append(rel)
    if not splits:
        return {"train": tokens}
    if outside:
        raise DatasetError(
            f"{root / outside[0]} is in none of the split folders beside it "
            f"({', '.join(splits)}); {len(outside)} such"
        )
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def read_schema(
    root: Path, first: Path, codec: str | None = None, bandwidth_kbps: float | None = None
) -> Schema:
    """Return the schema of a dataset by its first clip; `clip_row` holds the others to it.

    Args:
        root: The token folder.
        first: A token file, relative to it.
        codec: The codec that the tokens must be of; None for whichever it is.
        bandwidth_kbps: The bandwidth to slice to; None for all codebooks of the first clip.

    Raises:
        DatasetError: The tokens are of another codec, or of a lower bandwidth.
    """
    header = read_header(root / first)
    if codec is not None and header.model != codec:
        raise DatasetError(f"{root / first} was coded by {header.model}, not by {codec}")
    k = header.n_codebooks
    if bandwidth_kbps is not None:
        k = codec_spec(header.model).n_codebooks(bandwidth_kbps)
    _check_codebooks(header, k, root / first)
    sidecar = _sidecar(root / first, header)
    features = sidecar.features if sidecar else {}
    return Schema(header.model, k, {n: (f.units, f.doc_string) for n, f in features.items()})


def clip_row(root: Path, rel: Path, schema: Schema, audio_prefix: str = "") -> dict[str, Any]:
    """Return the row of one clip.

    Args:
        root: The token folder.
        rel: The token file, relative to it.
        schema: What all rows share.
        audio_prefix: Folder that stands before the path in the column `audio`.

    Raises:
        DatasetError: The clip does not fit the schema, or its sidecar its tokens.
        EcdcError: Its tokens cannot be read.
        SidecarError: Its sidecar cannot be read.
    """
    path = root / rel
    ecdc = read_ecdc(path)
    header = ecdc.header
    if header.model != schema.model:
        raise DatasetError(
            f"{path} was coded by {header.model}, the clips before it by {schema.model}"
        )
    _check_codebooks(header, schema.n_codebooks, path)
    row: dict[str, Any] = {
        "id": rel.with_suffix("").as_posix(),
        "audio": (Path(audio_prefix) / rel).as_posix(),
        "codes": list(ecdc.codes[: schema.n_codebooks]),
        "model": header.model,
        "bandwidth_kbps": header.spec.bandwidth_kbps(schema.n_codebooks),
        "fps": header.spec.fps,
        "sample_rate": header.spec.sample_rate,
        "audio_length": header.audio_length,
        "n_frames": header.n_frames,
        "scales": [] if ecdc.scales is None else ecdc.scales,
        # Frames of each segment where there are segments; [] and not None where there are none,
        # since a column that mixes None and lists breaks numpy batches.
        "segment_frames": [] if ecdc.scales is None else list(ecdc.segment_frames),
    }
    sidecar = _sidecar(path, header)
    names = set(sidecar.features) if sidecar else set()
    if names != set(schema.features):
        raise DatasetError(_feature_difference(path, names, set(schema.features)))
    if sidecar and schema.features:
        row["features"] = {
            name: sidecar.features[name].values.astype(np.float32) for name in schema.features
        }
    return row


def dataset_features(schema: Schema) -> datasets.Features:
    """Return the declared columns: types of every row; `features` only where there are some."""
    from datasets import Features, Sequence, Value

    columns = {
        "id": Value("string"),
        "audio": Value("string"),
        "codes": Sequence(Sequence(Value("int16"))),
        "features": {name: Sequence(Value("float32")) for name in schema.features},
        "model": Value("string"),
        "bandwidth_kbps": Value("float64"),
        "fps": Value("int32"),
        "sample_rate": Value("int32"),
        "audio_length": Value("int64"),
        "n_frames": Value("int64"),
        "scales": Sequence(Value("float32")),
        "segment_frames": Sequence(Value("int32")),
    }
    if not schema.features:  # Parquet cannot hold a struct without fields
        del columns["features"]
    return Features(columns)


def describe(schema: Schema) -> str:
    """Return a description of the dataset: codec, bandwidth, and each parameter with its unit."""
    spec = codec_spec(schema.model)
    kbps = spec.bandwidth_kbps(schema.n_codebooks)
    lines = [
        f"EnCodec tokens of {schema.model} at {kbps:g} kbps: codes [K, T] with K = "
        f"{schema.n_codebooks}, {spec.fps} frames per second."
    ]
    for name, (units, text) in schema.features.items():
        lines.append(f"- {name}{f' [{units}]' if units else ''}{f': {text}' if text else ''}")
    return "\n".join(lines)


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the progress bars of `datasets`, and its warning of a README that is not needed."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    datasets.disable_progress_bars()
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if shown:
            datasets.enable_progress_bars()


def manifest_digest(root: Path) -> str:
    """Return a hash of what lies in a token folder: path, size and time of change of each file.

    Tokens and sidecars only; 0.13 s for 20,000 files.
    """
    entries = []
    for rel in find_files(root, [TOKEN_SUFFIX, ARRAY_SUFFIX, META_SUFFIX]):
        status = os.stat(root / rel)
        entries.append((rel.as_posix(), status.st_size, status.st_mtime_ns))
    return settings_digest(files=entries)


def _check_codebooks(header: EcdcHeader, n_codebooks: int, path: Path) -> None:
    if header.n_codebooks < n_codebooks:
        wanted = header.spec.bandwidth_kbps(n_codebooks)
        raise DatasetError(
            f"{path} is at {header.bandwidth_kbps:g} kbps, which cannot load at {wanted:g} kbps"
        )


def _sidecar(path: Path, header: EcdcHeader) -> Sidecar | None:
    """Return the sidecar of a clip, None where it has none, checked against its length."""
    array_path, meta_path = sidecar_paths(path)
    if not array_path.exists() and not meta_path.exists():
        return None
    sidecar = read_sidecar(path)
    if sidecar.n_frames != header.n_frames:
        raise DatasetError(
            f"{array_path} has {sidecar.n_frames} frames, but {path} has {header.n_frames}"
        )
    return sidecar


def _feature_difference(path: Path, names: set[str], expected: set[str]) -> str:
    missing, extra = sorted(expected - names), sorted(names - expected)
    if not names:
        return f"{path} has no sidecar; the clips before it have {', '.join(sorted(expected))}"
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"also has {', '.join(extra)}"] if extra else []
    return f"{path} {' and '.join(parts)}, unlike the clips before it"
