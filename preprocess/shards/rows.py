"""The rows of a shard: those of the dataset, and what gives a clip's own files back.

The column `provenance` is a struct of texts:

    tokens    the JSON header of the clip's `.ecdc`, whole
    sidecar   the text of its `.cond.json`, empty without a sidecar
    dtype     dtype of its `.cond.npy`, or its whole header if that is unusual
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from preprocess.dataset.arrow import rows_table
from preprocess.dataset.clips import DatasetError, clip_id
from preprocess.dataset.rows import Check, clip_paths, make_row
from preprocess.dataset.schema import Schema
from preprocess.shards.names import unsafe
from preprocess.sidecar.raw import RawSidecar, array_dtype, read_raw_sidecar
from preprocess.sidecar.sidecar_format import TOKEN_SUFFIX
from preprocess.tokens.ecdc import read_stored
from preprocess.tokens.types import EcdcHeader, StoredEcdc

Look = Callable[[str, Path, EcdcHeader, RawSidecar | None], None]
PROVENANCE = "provenance"
PROVENANCE_TYPE = pa.struct([(name, pa.string()) for name in ("tokens", "sidecar", "dtype")])


def shard_schema(schema: Schema) -> pa.Schema:
    """Return the columns of a shard, without metadata: those of the dataset, and `provenance`."""
    columns: dict[str, pa.DataType] = {
        "id": pa.string(),
        "audio": pa.string(),
        "codes": pa.list_(pa.list_(pa.int16())),
    }
    if schema.parameters:
        values = pa.list_(pa.from_numpy_dtype(np.dtype(schema.dtype)))
        columns["features"] = pa.struct([(name, values) for name in schema.parameters])
    columns |= {
        "model": pa.string(),
        "bandwidth_kbps": pa.float64(),
        "fps": pa.int32(),
        "sample_rate": pa.int32(),
        "audio_length": pa.int64(),
        "n_frames": pa.int64(),
        "scales": pa.list_(pa.float32()),
        "segment_frames": pa.list_(pa.int32()),
        PROVENANCE: PROVENANCE_TYPE,
    }
    return pa.schema(list(columns.items()))


def packed_row(
    root: Path,
    rel: str,
    schema: Schema,
    has_sidecar: bool,
    check: Check | None = None,
    cond_root: Path | None = None,
    losses: Counter[str] | None = None,
    look: Look | None = None,
) -> dict[str, Any]:
    """Return the row of one clip in a shard; see `preprocess.dataset.rows.clip_row`.

    Args:
        root: The token folder.
        rel: The token file, relative to it.
        schema: What all rows share.
        has_sidecar: Whether the clip has a sidecar; if not, its parameters are `[0]`.
        check: See `clip_row`.
        cond_root: The sidecar folder; None if the sidecars are next to the tokens.
        losses: Counts in what the files differ that `preprocess unpack` gives back.
        look: Called with the token file, its path under `cond_root`, its header and the sidecar,
            for further checks.

    Raises:
        DatasetError: The clip does not match the schema, its sidecar does not match its tokens,
            its name cannot be kept, or `check` fails.
        EcdcError: The tokens cannot be read.
        SidecarError: The sidecar cannot be read.
    """
    if reason := unsafe(clip_id(rel)):
        raise DatasetError(f"{root / rel} cannot be packed under its name: {reason}; rename it")
    path, target = paths = clip_paths(root, rel, cond_root)
    tokens = read_stored(path)
    sidecar = read_raw_sidecar(target) if has_sidecar else None
    if look is not None:
        look(rel, target, tokens.ecdc.header, sidecar)
    content = None if sidecar is None else sidecar.sidecar
    row = make_row(rel, paths, schema, tokens, content, "", check)
    row[PROVENANCE] = {
        "tokens": tokens.text,
        "sidecar": "" if sidecar is None else sidecar.text,
        "dtype": "" if sidecar is None else sidecar.dtype,
    }
    if losses is not None:
        losses.update(_token_losses(rel, tokens, schema))
        losses.update([] if sidecar is None else _sidecar_losses(sidecar, schema))
    return row


def packed_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table with the columns of a shard; see `shard_schema`."""
    return rows_table(rows, schema)


def _token_losses(rel: str, tokens: StoredEcdc, schema: Schema) -> list[str]:
    found = []
    if len(tokens.ecdc.codes) > schema.n_codebooks:
        found.append(f"codebooks after the first {schema.n_codebooks} are left out")
    if not tokens.exact:
        found.append("tokens become Meta's .ecdc with the same codes")
    if not rel.lower().endswith(TOKEN_SUFFIX):
        found.append(f"token files are named {TOKEN_SUFFIX}")
    return found


def _sidecar_losses(sidecar: RawSidecar, schema: Schema) -> list[str]:
    found = []
    if sidecar.sidecar.parameters.keys() != schema.parameters.keys():
        found.append("parameters that were not chosen are left out")
    if not np.can_cast(array_dtype(sidecar.dtype), schema.dtype):
        found.append(f"values of parameters are rounded to {schema.dtype}")
    if sidecar.renamed:
        found.append("metadata named .cond.cond.json is named .cond.json")
    return found
