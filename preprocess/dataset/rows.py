"""Rows: what the dataset's builder makes of one clip's tokens and sidecar. One row a clip."""

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
from preprocess.dataset.options import RowOptions
from preprocess.dataset.schema import Schema
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.precision import MAX_ERROR, find_damage
from preprocess.sidecar.reading import read_described, read_description, read_sidecar
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, Sidecar, sidecar_paths
from preprocess.tokens.ecdc import read_ecdc, read_header
from preprocess.tokens.types import EcdcHeader

Check = Callable[[Sidecar, EcdcHeader, Path, Path], None]
BATCH_BYTES = 32 << 20
"""Rows are written in batches of about this size: memory does not grow with the clips' length."""
MOST_BATCH_ROWS = 256


def read_schema(root: Path, clips: Clips, options: RowOptions) -> Schema:
    """Return the schema of a dataset by its first clip; `survey` and `clip_row` hold all to it.

    Raises:
        DatasetError: The tokens are of another codec, or of a lower bandwidth; a parameter that
            was asked for is not there, or has a name that no column can have.
    """
    path = root / clips.tokens[0]
    header = read_header(path)
    if options.codec is not None and header.model != options.codec:
        raise DatasetError(
            f"{path} was coded by {header.model}, not by {options.codec}; {_found(root, clips)}"
        )
    k, slices = header.n_codebooks, options.bandwidth is not None
    if options.bandwidth is not None:
        k = header.spec.n_codebooks(options.bandwidth)
    parameters: dict[str, ParameterInfo] = {}
    if clips.described:
        first = clips.cond_root / clips.described[0]
        described = read_described(first)
        _check_names(first, described, options)
        names = list(options.parameters) or list(described)
        parameters = {name: described[name].info for name in names}
    else:
        _check_names(path, {}, options)
    schema = Schema(header.model, k, slices, parameters, options.dtype)
    _check_header(header, schema, root, clips.tokens[0])
    return schema


def survey(
    root: Path,
    clips: Clips,
    schema: Schema,
    options: RowOptions,
    look: Callable[[str, Sidecar], None] | None = None,
) -> Schema:
    """Return `schema` with the ranges that all clips declare, the widest where they differ.

    Only the metadata of the sidecars is read, about 0.05 ms a clip.

    Args:
        root: The token folder.
        clips: Its clips.
        schema: That of the first clip.
        options: What to make of them.
        look: Called with each clip and its sidecar without values, for what else is to be seen.

    Raises:
        DatasetError: A clip lacks a parameter that was asked for or required, has others than the
            clips before it where all were asked for, or gives another unit or kind.
    """
    merged = dict(schema.parameters)
    for rel in clips.described:
        path = clips.cond_root / rel
        sidecar = read_description(path)
        if look is not None:
            look(rel, sidecar)
        described = sidecar.parameters
        _check_names(path, described, options)
        if not options.parameters and described.keys() != merged.keys():
            raise DatasetError(_difference(path, set(described), set(merged)))
        for name, known in merged.items():
            merged[name] = _merged(name, known, described[name].info, path)
    return dataclasses.replace(schema, parameters=merged)


def batch_rows(root: Path, clips: Clips) -> int:
    """Return how many rows to write at once, so that a batch is about `BATCH_BYTES`.

    From the sizes of the largest files, which bound those of the rows: 10 or 11 packed bits become
    the 16 of a code, and float16 parameters at most float64.
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
        has_sidecar: Whether it has one; where not, its parameters are `[0]`.
        audio_prefix: Folder that stands before the path in the column `audio`.
        cond_root: Folder of the sidecars; None where they lie beside the tokens.
        check: Called with the sidecar, the header of the tokens, and their path; raises what is wrong.

    Raises:
        DatasetError: The clip does not fit the schema, its sidecar not its tokens, or not `check`.
        EcdcError: Its tokens cannot be read.
        SidecarError: Its sidecar cannot be read.
    """
    path = root / rel
    ecdc = read_ecdc(path)
    spec, n_frames = schema.spec, ecdc.codes.shape[1]
    _check_header(ecdc.header, schema, root, rel)
    row: dict[str, Any] = {
        "id": clip_id(rel),
        "audio": f"{audio_prefix}/{rel}" if audio_prefix else rel,
        "codes": ecdc.codes[: schema.n_codebooks],
        "model": schema.model,
        "bandwidth_kbps": schema.bandwidth_kbps,
        "fps": spec.fps,
        "sample_rate": spec.sample_rate,
        "audio_length": ecdc.audio_length,
        "n_frames": n_frames,
        # [] and not None where there are no segments: a column that mixes None and lists breaks
        # numpy batches.
        "scales": [] if ecdc.scales is None else ecdc.scales,
        "segment_frames": [] if ecdc.scales is None else list(ecdc.segment_frames),
    }
    if schema.parameters and has_sidecar:
        target = (cond_root or root) / rel
        sidecar = read_sidecar(target)
        if check is not None:
            taken = {n: f for n, f in sidecar.parameters.items() if n in schema.parameters}
            check(dataclasses.replace(sidecar, parameters=taken), ecdc.header, target, path)
        row["features"] = _values(sidecar, (target, path), n_frames, schema)
    elif schema.parameters:
        row["features"] = {name: np.empty(0, schema.dtype) for name in schema.parameters}
    return row


def lists(row: Any) -> Any:
    """Return a row with lists in place of its arrays."""
    if isinstance(row, dict):
        return {name: lists(value) for name, value in row.items()}
    return row.tolist() if isinstance(row, np.ndarray) else row


def _values(
    sidecar: Sidecar, paths: tuple[Path, Path], n_frames: int, schema: Schema
) -> dict[str, NDArray[np.floating]]:
    """Return the values of each parameter `[T]`.

    Args:
        sidecar: Of the clip.
        paths: Of the token file: where the sidecar would have it, and where it is.
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
        if name not in sidecar.parameters:  # it was there a moment ago, in the survey
            raise DatasetError(_difference(path, set(sidecar.parameters), set(schema.parameters)))
        parameter = sidecar.parameters[name]
        # float16 is asked for to save space: that it rounds is then as wished.
        max_error = math.inf if schema.dtype == "float16" else MAX_ERROR
        damage = find_damage(parameter.values, schema.dtype, parameter.span, max_error)
        if damage is not None:
            raise DatasetError(
                f"{path}: parameter {name!r}: {damage}; build with dtype {damage.better}"
            )
        row[name] = parameter.values.astype(schema.dtype)
    return row


def _merged(name: str, known: ParameterInfo, new: ParameterInfo, path: Path) -> ParameterInfo:
    for what in ("units", "kind"):
        a, b = getattr(known, what), getattr(new, what)
        if a != b:
            raise DatasetError(
                f"{path}: parameter {name!r} has {what} {b!r}, the clips before it {a!r}"
            )
    if known == new:
        return known
    return dataclasses.replace(
        known,
        doc_string=known.doc_string or new.doc_string,
        min=None if known.min is None or new.min is None else min(known.min, new.min),
        max=None if known.max is None or new.max is None else max(known.max, new.max),
    )


def _check_names(path: Path, described: Mapping[str, Any], options: RowOptions) -> None:
    for name in described:
        if not name.isidentifier():
            raise DatasetError(
                f"{path}: its sidecar names a parameter {name!r}, which is no column's name: "
                f"letters, digits and underscores"
            )
    for name in (*options.parameters, *options.require_parameters):
        if name not in described:
            have = f"it has {', '.join(described)}" if described else "it has none"
            raise DatasetError(
                f"{path} lacks the parameter {name!r}{nearest(name, described)}; {have}"
            )


def _check_header(header: EcdcHeader, schema: Schema, root: Path, rel: str) -> None:
    same = header.model == schema.model
    if same and header.n_codebooks == schema.n_codebooks:
        return
    if same and schema.slices and header.n_codebooks > schema.n_codebooks:
        return
    if same and schema.slices:
        raise DatasetError(
            f"{root / rel} is at {header.bandwidth_kbps:g} kbps, which cannot load at "
            f"{schema.bandwidth_kbps:g} kbps"
        )
    raise DatasetError(
        f"{root / rel} is of {header.model} at {header.bandwidth_kbps:g} kbps, the clips before "
        f"it of {schema.model} at {schema.bandwidth_kbps:g} kbps; put them in folders of their "
        f"own{', or name the lowest bandwidth' if same else ''}"
    )


def _found(root: Path, clips: Clips) -> str:
    """Return what tokens a folder holds, each kind with its number of clips and its first."""
    counts: Counter[tuple[str, float]] = Counter()
    for rel in clips.tokens:
        header = read_header(root / rel)
        counts[header.model, header.bandwidth_kbps] += 1
    kinds = [f"{n} of {model} at {kbps:g} kbps" for (model, kbps), n in counts.items()]
    return f"{root} holds {', '.join(kinds)}"


def _difference(path: Path, names: set[str], expected: set[str]) -> str:
    missing, extra = sorted(expected - names), sorted(names - expected)
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"also has {', '.join(extra)}"] if extra else []
    return (
        f"{path} {' and '.join(parts)}, unlike the clips before it; choose those that all have by "
        f"parameters=[...]"
    )
