"""Sidecars: the parameters of one clip, aligned frame by frame with its tokens.

    take.1.ecdc         T frames of tokens
    take.1.cond.npy     float16 or float32 [T, D], one column per feature
    take.1.cond.json    names (the order of the columns), units, ranges, statistics, time

Version 3 is written; versions 1 (`names` + `norm` arrays) and 2 (`features`) are read, and a
version 2 reader reads version 3. `min` and `max` of a feature are the range to normalise by: the
one that the writer declared, else the measured one; what was measured always stands apart under
`measured`. The JSON carries the hash of the array, so that a reader that comes between the two
writes of a pair notices. The format is documented in `docs/sidecar-format.md`.
"""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from preprocess.ecdc import EcdcHeader, read_header
from preprocess.features import (
    Dtype,
    Feature,
    FeatureValue,
    SidecarError,
    array_dtype,
    check_feature,
)
from preprocess.files import atomic_path, digest_bytes
from preprocess.sidecar_format import (
    ARRAY_SUFFIX,
    MAX_FEATURES,
    TOKEN_SUFFIX,
    Sidecar,
    describe_array,
    parse_array,
    parse_sidecar,
    predecessor_meta_path,
    sidecar_paths,
)

MAX_META_BYTES = 4 << 20
_READ_ATTEMPTS, _UNCHANGED_READS = 100, 3

Mode = Literal["overwrite", "append"]


def read_sidecar(ecdc_path: str | Path, suffix: str = ARRAY_SUFFIX) -> Sidecar:
    """Read the sidecar of a token file, of version 1, 2 or 3.

    Args:
        ecdc_path: The token file, which need not exist and is not read; for sidecars in a folder
            of their own, its path there.
        suffix: What the array's name ends in.

    Raises:
        SidecarError: One of the two files is missing, damaged, or does not fit the other.
    """
    return read_pair(*existing_paths(Path(ecdc_path), suffix))


def read_pair(array_path: Path, meta_path: Path) -> Sidecar:
    """Read the two files of a sidecar; see `read_sidecar`."""
    before, unchanged = None, 0
    for _ in range(_READ_ATTEMPTS):
        data, meta = _read_pair(array_path, meta_path)
        stated, found = meta.get("array"), digest_bytes(data)
        if stated is None or stated == found:
            return parse_sidecar(parse_array(data, array_path), meta, array_path, meta_path)
        # Another process is between the two renames of the pair, unless nothing moves any more.
        unchanged = unchanged + 1 if before == (stated, found) else 0
        if unchanged == _UNCHANGED_READS:
            break
        before = (stated, found)
        time.sleep(0.01 * (1 + unchanged))
    raise SidecarError(
        f"{array_path} is not the array that {meta_path.name} describes, as after an interrupted "
        f"write"
    )


def existing_paths(ecdc_path: Path, suffix: str = ARRAY_SUFFIX) -> tuple[Path, Path]:
    """Return the paths of array and metadata, the metadata's by either of its names.

    The predecessor's first version wrote `NAME.cond.cond.json`. That is taken for the metadata of
    `NAME` where it has no other, and no clip `NAME.cond` is there whose it would be.
    """
    array_path, meta_path = sidecar_paths(ecdc_path, suffix)
    if meta_path.exists():
        return array_path, meta_path
    old = predecessor_meta_path(ecdc_path)
    if not old.exists():
        return array_path, meta_path
    other = ecdc_path.with_name(f"{ecdc_path.stem}.cond")
    is_others = any(other.with_name(other.name + s).exists() for s in (TOKEN_SUFFIX, ARRAY_SUFFIX))
    return array_path, meta_path if is_others else old


def read_described(ecdc_path: str | Path) -> dict[str, Feature]:
    """Return what a sidecar's JSON says of its features, in order; their values are left empty.

    Raises:
        SidecarError: The JSON is missing, damaged, or of no known form.
    """
    array_path, meta_path = existing_paths(Path(ecdc_path))
    meta = _read_meta(meta_path)
    columns = meta.get("features", meta.get("names", ()))
    width = len(columns) if isinstance(columns, (dict, list)) else 0
    empty = np.empty((0, width), np.float32)
    return parse_sidecar(empty, meta, array_path, meta_path).features


def write_sidecar(
    ecdc_path: str | Path,
    features: Mapping[str, FeatureValue],
    fps: float | None = None,
    mode: Mode = "overwrite",
    dtype: Dtype = "float16",
    provenance: Mapping[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    beside: str | Path | None = None,
    suffix: str = ARRAY_SUFFIX,
) -> None:
    """Write features of one clip, keeping those that its sidecar has already.

    Args:
        ecdc_path: The token file. Where it exists, lengths and rate are checked against it.
        features: Name -> values `[T]`, or a mapping with `values` and, as wished, `units`,
            `doc_string`, `kind`, `min`, `max`, `mean`, `std`. `min` and `max` declare the range.
        fps: Frames per second; needed only where the token file does not exist.
        mode: A feature that is already there is replaced (`overwrite`) or kept (`append`).
        dtype: Of the array. float16 refuses values that it would damage; `auto` takes float32
            then. An array that is float32 already stays so.
        provenance: Stored as it is; see `preprocess.provenance`.
        drop: Features to leave out of what is already there.
        beside: For sidecars in a folder of their own: the token file's path there.
        suffix: What the array's name ends in, `.npy` last.

    Raises:
        SidecarError: Names, lengths, values or rate are wrong; nothing is written.
    """
    ecdc_path = Path(ecdc_path)
    target = Path(beside or ecdc_path)
    array_path, meta_path = sidecar_paths(target, suffix)
    if mode not in get_args(Mode) or dtype not in get_args(Dtype):
        raise SidecarError(
            f"mode {mode!r} must be one of {get_args(Mode)}, dtype {dtype!r} of {get_args(Dtype)}"
        )
    header = read_header(ecdc_path) if ecdc_path.exists() else None
    rate = _frame_rate(fps, header, ecdc_path)
    given = {name: check_feature(name, value) for name, value in features.items()}
    stored = existing_paths(target, suffix)
    old = read_sidecar(target, suffix) if all(part.exists() for part in stored) else None
    kept = {n: f for n, f in old.features.items() if n not in drop} if old else {}
    if mode == "append":
        given = {name: feature for name, feature in given.items() if name not in kept}
    if old and any(f.values.dtype == np.float32 for f in old.features.values()):
        dtype = "float32"
    merged = {**kept, **given}
    frames = _common_length(given, kept, header, ecdc_path, array_path)
    if provenance is None and old:
        # What an annotate step made is still its own, but for what was just made by hand.
        names = [name for name in old.provenance.get("names", ()) if name not in given]
        provenance = {"names": names}
    _write_pair(array_path, meta_path, merged, frames, dtype, rate, header, provenance or {})


def write_sidecar_features_for_rel(
    root: str | Path,
    ecdc_rel: str | Path,
    features: Mapping[str, FeatureValue],
    fps: float | None = None,
    mode: Mode = "overwrite",
    require_ecdc_exists: bool = False,
    dtype: Dtype = "float16",
) -> None:
    """Write features of the clip whose token file is `root / ecdc_rel`; see `write_sidecar`.

    Raises:
        SidecarError: `ecdc_rel` leaves `root` or is no `.ecdc`; or as `write_sidecar`.
        FileNotFoundError: `require_ecdc_exists` and there is no token file.
    """
    relative = PurePosixPath(Path(ecdc_rel).as_posix())
    target = Path(root, ecdc_rel)
    # The token file may be a link to one elsewhere, its folder may not.
    if relative.is_absolute() or not target.parent.resolve().is_relative_to(Path(root).resolve()):
        raise SidecarError(f"{ecdc_rel} must be a path under {root}")
    if relative.suffix != TOKEN_SUFFIX:
        raise SidecarError(f"{ecdc_rel} must end in {TOKEN_SUFFIX}")
    if require_ecdc_exists and not target.exists():
        raise FileNotFoundError(f"{target} does not exist")
    write_sidecar(target, features, fps, mode, dtype)


def _frame_rate(fps: float | None, header: EcdcHeader | None, ecdc_path: Path) -> float:
    if header is None:
        if fps is None:
            raise SidecarError(f"{ecdc_path} does not exist: give its frame rate by fps")
        if not 0 < fps < math.inf:
            raise SidecarError(f"{ecdc_path}: fps must be positive and finite, got {fps}")
        return float(fps)
    if fps is not None and float(fps) != header.spec.fps:
        raise SidecarError(
            f"{ecdc_path} has {header.spec.fps} frames per second ({header.model}), got fps={fps:g}"
        )
    return float(header.spec.fps)


def _common_length(
    given: dict[str, Feature],
    kept: dict[str, Feature],
    header: EcdcHeader | None,
    ecdc_path: Path,
    array_path: Path,
) -> int:
    lengths = {name: len(feature.values) for name, feature in given.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise SidecarError(f"{ecdc_path}: features are of unequal length: {each}")
    known = {len(feature.values): array_path for feature in kept.values()}
    if header is not None:
        known[header.n_frames] = ecdc_path
    if len(known) > 1:
        (a, path_a), (b, path_b) = known.items()
        raise SidecarError(f"{path_a} has {a} frames, but {path_b} has {b}: annotate it anew")
    for name, count in lengths.items():
        for expected, path in known.items():
            if count != expected:
                raise SidecarError(
                    f"feature {name!r} has {count} frames, but {path} has {expected}"
                )
    return next(iter([*lengths.values(), *known]), 0)


def _write_pair(
    array_path: Path,
    meta_path: Path,
    features: dict[str, Feature],
    frames: int,
    dtype: Dtype,
    fps: float,
    header: EcdcHeader | None,
    provenance: Mapping[str, Any],
) -> None:
    array = np.empty((frames, len(features)), array_dtype(features, dtype))
    for column, feature in enumerate(features.values()):
        array[:, column] = feature.values
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    data = buffer.getvalue()
    meta = describe_array(data, features, fps, header, provenance)
    if len(meta) > MAX_META_BYTES or len(features) > MAX_FEATURES:
        raise SidecarError(
            f"{meta_path} would describe {len(features):,} features in {len(meta):,} bytes; at "
            f"most {MAX_FEATURES:,} in {MAX_META_BYTES:,} are read again"
        )
    # Both lie whole beside their targets before the first is renamed: a full disk costs nothing,
    # and what an interruption can come between are two renames. The metadata's is the first, so
    # that a new array never stands beside old metadata.
    with atomic_path(array_path) as new_array, atomic_path(meta_path) as new_meta:
        new_meta.write_bytes(meta)
        new_array.write_bytes(data)


def _read_pair(array_path: Path, meta_path: Path) -> tuple[bytes, dict[str, Any]]:
    data = _read(array_path)  # first: what is missing is said in this order
    return data, _read_meta(meta_path)


def _read_meta(meta_path: Path) -> dict[str, Any]:
    text = _read(meta_path, MAX_META_BYTES)
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):
        raise SidecarError(f"{meta_path} is not JSON") from None
    if not isinstance(meta, dict):
        raise SidecarError(f"{meta_path} holds no JSON object")
    return meta


def _read(path: Path, most: int | None = None) -> bytes:
    try:
        with open(path, "rb") as file:
            if most is not None and os.fstat(file.fileno()).st_size > most:
                raise SidecarError(f"{path} is larger than {most >> 20} MiB")
            return file.read()
    except (FileNotFoundError, IsADirectoryError):
        raise SidecarError(f"{path} is missing") from None
