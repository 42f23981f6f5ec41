"""Makes the dataset's rows, each from the tokens and sidecar of one clip."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import nearest
from preprocess.dataset.clips import Clips, DatasetError, clip_id
from preprocess.dataset.merging import merge_parameters
from preprocess.dataset.options import RowOptions
from preprocess.dataset.schema import Schema
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.precision import MAX_ERROR, find_damage
from preprocess.sidecar.reading import read_described, read_description, read_sidecar
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, Sidecar, sidecar_paths
from preprocess.tokens.ecdc import read_header, read_stored
from preprocess.tokens.types import Ecdc, EcdcHeader, StoredEcdc

Check = Callable[[Sidecar, StoredEcdc, Path, Path], None]
BATCH_BYTES = 32 << 20
"""Approximate batch size for writing rows, so that memory does not grow with clip length."""
MOST_BATCH_ROWS = 256


def read_schema(root: Path, clips: Clips, options: RowOptions) -> Schema:
    """Return the schema of a dataset from its first clip; `survey` and `clip_row` check the others.

    Raises:
        DatasetError: The tokens have another codec or a lower bandwidth than requested, a
            requested parameter is missing, or a parameter's name is not a valid column name.
    """
    path = root / clips.tokens[0]
    header = read_header(path)
    if options.codec is not None and header.model != options.codec:
        raise DatasetError(
            f"{path} was encoded by {header.model}, not by {options.codec}; {_found(root, clips)}"
        )
    k, slices = header.n_codebooks, options.bandwidth is not None
    if options.bandwidth is not None:
        k = header.spec.n_codebooks(options.bandwidth)
    parameters: dict[str, ParameterInfo] = {}
    if clips.described:
        first = clips.cond_root / clips.described[0]
        described = read_described(first)
        check_names(first, described, options)
        names = list(options.parameters) or list(described)
        parameters = {name: described[name].info for name in names}
    else:
        check_names(path, {}, options)
    schema = Schema(header.model, k, slices, parameters, options.dtype)
    _check_header(header, schema, path)
    return schema


def survey(
    root: Path,
    clips: Clips,
    schema: Schema,
    options: RowOptions,
    look: Callable[[str, Sidecar], None] | None = None,
) -> Schema:
    """Return `schema` with each parameter's declared range widened to cover that of every clip.

    Reads only the sidecars' metadata, about 0.05 ms per clip.

    Args:
        root: The token folder.
        clips: Its clips.
        schema: The schema from the first clip.
        options: The builder's options.
        look: Called with each clip and its sidecar without values, for further checks.

    Raises:
        DatasetError: A clip lacks a requested or required parameter, has other parameters than
            the clips before it when all are requested, or gives another unit or kind.
    """
    merged: Mapping[str, ParameterInfo] = schema.parameters
    for rel in clips.described:
        path = clips.cond_root / rel
        sidecar = read_description(path)
        if look is not None:
            look(rel, sidecar)
        merged = merge_sidecar(path, sidecar, merged, options)
    return dataclasses.replace(schema, parameters=merged)


def merge_sidecar(
    path: Path, sidecar: Sidecar, merged: Mapping[str, ParameterInfo], options: RowOptions
) -> dict[str, ParameterInfo]:
    """Return `merged` with declared ranges widened to cover those of one clip.

    Args:
        path: The clip, for messages.
        sidecar: Its sidecar, with or without values.
        merged: Name -> description in other clips.
        options: The builder's options.

    Raises:
        DatasetError: See `survey`.
    """
    described = sidecar.parameters
    check_names(path, described, options)
    if not options.parameters and described.keys() != merged.keys():
        raise DatasetError(_difference(path, set(described), set(merged)))
    return merge_parameters(merged, {n: described[n].info for n in merged}, path)


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
    path, target = clip_paths(root, rel, cond_root)
    tokens = read_stored(path)
    sidecar = read_sidecar(target) if schema.parameters and has_sidecar else None
    return make_row(rel, (target, path), schema, tokens, sidecar, audio_prefix, check)


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
        paths: The token file's path under the sidecar folder, and its real path.
        schema: What all rows share.
        tokens: Content of the token file.
        sidecar: Content of the sidecar, if any.
        audio_prefix: See `clip_row`.
        check: See `clip_row`.
    """
    (target, path), ecdc = paths, tokens.ecdc
    _check_header(ecdc.header, schema, path)
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
        paths: The token file's path under the sidecar folder, and its real path.
        n_frames: T.
        schema: What all rows share.
    """
    target, path = paths
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
            raise DatasetError(_difference(path, set(sidecar.parameters), set(schema.parameters)))
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


def check_names(path: Path, described: Mapping[str, Any], options: RowOptions) -> None:
    """Check the names of a clip's parameters.

    Raises:
        DatasetError: A name is not a valid column name, or the clip lacks a requested parameter.
    """
    for name in described:
        if not name.isidentifier():
            raise DatasetError(
                f"{path}: its sidecar has a parameter {name!r}, which is not a valid column name: "
                f"use letters, digits and underscores"
            )
    for name in (*options.parameters, *options.require_parameters):
        if name not in described:
            have = f"it has {', '.join(described)}" if described else "it has none"
            raise DatasetError(
                f"{path} lacks the parameter {name!r}{nearest(name, described)}; {have}"
            )


def _check_header(header: EcdcHeader, schema: Schema, path: Path) -> None:
    same = header.model == schema.model
    if same and header.n_codebooks == schema.n_codebooks:
        return
    if same and schema.slices and header.n_codebooks > schema.n_codebooks:
        return
    if same and schema.slices:
        raise DatasetError(
            f"{path} has tokens at {header.bandwidth_kbps:g} kbps and cannot load at "
            f"{schema.bandwidth_kbps:g} kbps"
        )
    raise DatasetError(
        f"{path} has {header.model} tokens at {header.bandwidth_kbps:g} kbps, but the clips "
        f"before it have {schema.model} at {schema.bandwidth_kbps:g} kbps; put them in separate "
        f"folders{', or name the lowest bandwidth' if same else ''}"
    )


def _found(root: Path, clips: Clips) -> str:
    """Return a message that counts the clips of each codec and bandwidth in a folder."""
    counts: Counter[tuple[str, float]] = Counter()
    for rel in clips.tokens:
        header = read_header(root / rel)
        counts[header.model, header.bandwidth_kbps] += 1
    kinds = [f"{n} with {model} at {kbps:g} kbps" for (model, kbps), n in counts.items()]
    return f"clips in {root}: {', '.join(kinds)}"


def _difference(path: Path, names: set[str], expected: set[str]) -> str:
    missing, extra = sorted(expected - names), sorted(names - expected)
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"also has {', '.join(extra)}"] if extra else []
    return (
        f"{path} {' and '.join(parts)}, unlike the clips before it; select parameters that all "
        f"clips have with parameters=[...]"
    )
