"""Makes the dataset's rows, each from the tokens and sidecar of one clip."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.dataset.clips import Clips, DatasetError, clip_id
from preprocess.dataset.schema import Schema
from preprocess.dataset.survey import check_header, difference
from preprocess.sidecar.precision import MAX_ERROR, find_damage
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, Sidecar, sidecar_paths
from preprocess.tokens.ecdc import read_stored
from preprocess.tokens.types import Ecdc, StoredEcdc

Check = Callable[[Sidecar, StoredEcdc, Path, Path], None]
BATCH_BYTES = 32 << 20
"""Approximate batch size for writing rows, so that memory does not grow with clip length."""
MOST_BATCH_ROWS = 256


def batch_rows(root: Path, clips: Clips) -> int:
    """Return how many rows to write at once, so that a batch is about `BATCH_BYTES`.

    Estimates the size from the largest files: a code grows from 10 or 11 packed bits to 16, and a
    float16 value at most to float64.
    """
    base, cond_base = os.path.join(root, ""), os.path.join(clips.cond_root, "")
    tokens = max(os.stat(base + rel).st_size for rel in clips.tokens)
    arrays = [cond_base + clip_id(rel) + ARRAY_SUFFIX for rel in clips.described]
    sizes = [os.stat(array).st_size for array in arrays if os.path.exists(array)]
    return max(1, min(MOST_BATCH_ROWS, BATCH_BYTES // (2 * tokens + 4 * max(sizes, default=0))))


def clip_row(
    root: Path,
    rel: str,
    schema: Schema,
    has_sidecar: bool,
    audio_prefix: str = "",
    cond_root: Path | None = None,
    check: Check | None = None,
) -> dict[str, Any]:
    """Return the row of one clip; `codes` as int16 `[K, T]`, each parameter as `[T]`.

    Args:
        root: The token folder.
        rel: The token file, relative to it.
        schema: What all rows share.
        has_sidecar: Whether the clip has a sidecar; if not, its parameters are `[0]`.
        audio_prefix: Folder to prepend to the path in the column `audio`.
        cond_root: The sidecar folder; None if the sidecars are next to the tokens.
        check: Called with the sidecar, the tokens, the token file's path under `cond_root`, and
            its real path; raises `DatasetError` if something is wrong.

    Raises:
        DatasetError: The clip does not match the schema, its sidecar does not match its tokens,
            or `check` fails.
        EcdcError: The tokens cannot be read.
        SidecarError: The sidecar cannot be read.
    """
    path, target = paths = clip_paths(root, rel, cond_root)
    tokens = read_stored(path)
    sidecar = read_sidecar(target) if schema.parameters and has_sidecar else None
    return make_row(rel, paths, schema, tokens, sidecar, audio_prefix, check)


def clip_paths(root: Path, rel: str, cond_root: Path | None) -> tuple[Path, Path]:
    """Return the path of a token file, and the one that it would have in the sidecar folder."""
    path = root / rel
    return path, path if cond_root in (None, root) else cond_root / rel


def make_row(
    rel: str,
    paths: tuple[Path, Path],
    schema: Schema,
    tokens: StoredEcdc,
    sidecar: Sidecar | None,
    audio_prefix: str = "",
    check: Check | None = None,
) -> dict[str, Any]:
    """Return the row of one clip from what its files hold; see `clip_row`.

    Args:
        rel: The token file, relative to its folder.
        paths: See `clip_paths`.
        schema: What all rows share.
        tokens: Content of the token file.
        sidecar: Content of the sidecar, if any.
        audio_prefix: See `clip_row`.
        check: See `clip_row`.
    """
    (path, target), ecdc = paths, tokens.ecdc
    check_header(ecdc.header, schema, path)
    audio = f"{audio_prefix}/{rel}" if audio_prefix else rel
    row = {"id": clip_id(rel), "audio": audio, **_token_columns(ecdc, schema)}
    if schema.parameters and sidecar is not None:
        if check is not None:
            taken = {n: f for n, f in sidecar.parameters.items() if n in schema.parameters}
            check(dataclasses.replace(sidecar, parameters=taken), tokens, target, path)
        row["features"] = _values(sidecar, paths, ecdc.codes.shape[1], schema)
    elif schema.parameters:
        row["features"] = {name: np.empty(0, schema.dtype) for name in schema.parameters}
    return row


def _token_columns(ecdc: Ecdc, schema: Schema) -> dict[str, Any]:
    """Return the columns of a row that describe the clip's tokens."""
    spec = schema.spec
    return {
        "codes": ecdc.codes[: schema.n_codebooks],
        "model": schema.model,
        "bandwidth_kbps": schema.bandwidth_kbps,
        "fps": spec.fps,
        "sample_rate": spec.sample_rate,
        "audio_length": ecdc.audio_length,
        "n_frames": ecdc.codes.shape[1],
        # [] rather than None without segments: a column that mixes None and lists breaks numpy
        # batches.
        "scales": [] if ecdc.scales is None else ecdc.scales,
        "segment_frames": [] if ecdc.scales is None else list(ecdc.segment_frames),
    }


def _values(
    sidecar: Sidecar, paths: tuple[Path, Path], n_frames: int, schema: Schema
) -> dict[str, NDArray[np.floating]]:
    """Return the values of each parameter `[T]`.

    Args:
        sidecar: The clip's sidecar.
        paths: See `clip_paths`.
        n_frames: T.
        schema: What all rows share.
    """
    path, target = paths
    if sidecar.n_frames != n_frames:
        raise DatasetError(
            f"{sidecar_paths(target)[0]} has {sidecar.n_frames} frames, but {path} has {n_frames}"
        )
    if sidecar.fps not in (None, schema.spec.fps):
        raise DatasetError(
            f"{sidecar_paths(path)[0]} states {sidecar.fps:g} frames per second, but {path} has "
            f"{schema.spec.fps}"
        )
    row = {}
    for name in schema.parameters:
        if name not in sidecar.parameters:  # the survey saw it: the sidecar has changed since
            raise DatasetError(difference(path, set(sidecar.parameters), set(schema.parameters)))
        parameter = sidecar.parameters[name]
        # float16 is chosen to save space, so its rounding is accepted.
        max_error = math.inf if schema.dtype == "float16" else MAX_ERROR
        damage = find_damage(parameter.values, schema.dtype, parameter.span, max_error)
        if damage is not None:
            raise DatasetError(
                f"{path}: parameter {name!r}: {damage}; build with dtype {damage.better}"
            )
        row[name] = parameter.values.astype(schema.dtype)
    return row
