"""Write sidecars: the parameters of one clip, aligned frame by frame with its tokens.

    take.1.ecdc         T frames of tokens
    take.1.cond.npy     float16, float32 or float64 [T, D], one column per parameter
    take.1.cond.json    names (in column order), units, ranges, statistics, time

Writes version 3, which a version 2 reader can read. `min` and `max` of a parameter are the range
to normalise by: the declared range, else the measured one. Measured values are always also stored
separately, under `measured`. The JSON holds the hash of the array, so a reader notices if the two
files do not belong together. Format: `docs/sidecar-format.md`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from preprocess.core.files import digest_file
from preprocess.sidecar.parameters import (
    Parameter,
    ParameterValue,
    SidecarError,
    array_dtype,
    check_parameter,
)
from preprocess.sidecar.precision import MAX_ERROR, Dtype
from preprocess.sidecar.reading import existing_paths, read_pair
from preprocess.sidecar.records import Record, makers, merge_records
from preprocess.sidecar.sidecar_files import (
    MAX_META_BYTES,
    replace_files,
    writing,
)
from preprocess.sidecar.sidecar_format import (
    ARRAY_SUFFIX,
    MAX_PARAMETERS,
    TOKEN_SUFFIX,
    Sidecar,
    describe_array,
    sidecar_paths,
)
from preprocess.tokens.ecdc import read_header
from preprocess.tokens.types import EcdcHeader

Mode = Literal["append", "overwrite", "replace-all"]
Drop = Collection[str] | Callable[[Sidecar], Collection[str]]


def write_sidecar(
    ecdc_path: str | Path,
    parameters: Mapping[str, ParameterValue],
    fps: float | None = None,
    mode: Mode = "overwrite",
    dtype: Dtype = "auto",
    records: Sequence[Record] = (),
    drop: Drop = (),
    beside: str | Path | None = None,
    suffix: str = ARRAY_SUFFIX,
    max_error: float = MAX_ERROR,
) -> None:
    """Write parameters of one clip, next to those that its sidecar already has.

    Only one process writes at a time, so no update is lost.

    Args:
        ecdc_path: The token file. If it exists, lengths and frame rate are checked against it, and
            its hash is stored, so that an audit notices if the tokens change.
        parameters: Name -> values `[T]`, or a mapping with `values` and optionally `units`,
            `doc_string`, `kind`, `nan`, `source`, `min`, `max`, `mean`, `std`. `min` and `max`
            declare the range.
        fps: Frames per second; required only if the token file does not exist.
        mode: `append` keeps parameters that already exist, `overwrite` replaces them; both keep all
            others. `replace-all` keeps none and does not read the existing sidecar.
        dtype: Of the array: float16, float32 or float64, an error if it would damage a value;
            `auto` is float16 if all values survive, else float32. Never narrower than the dtype of
            the parameters that are kept.
        records: Who made the parameters; parameters without a record count as written by hand.
        drop: Existing parameters to drop, or a function that returns them for the existing sidecar;
            it is called while other writers are locked out.
        beside: The token file's path in the sidecars' folder, if that is a separate folder.
        suffix: The end of the array's name, ending in `.npy`.
        max_error: Largest difference between a stored and a given value, as a fraction of the
            declared or measured range; see `preprocess.sidecar.precision`. Whole numbers are
            stored exactly.

    Raises:
        SidecarError: Names, lengths, values or frame rate are wrong; nothing is written.
        DiskError: The disk is full or read-only, or permission is denied.
    """
    _check_choices(mode, dtype)
    place = _Place.of(Path(ecdc_path), beside, suffix)
    rate = _frame_rate(fps, place.header, place.ecdc_path)
    given = {name: check_parameter(name, value) for name, value in parameters.items()}
    records = [*records, *_by_hand(given, records, place)]
    place.array_path.parent.mkdir(parents=True, exist_ok=True)
    with writing(place.array_path, place.meta_path):
        _update(place, given, records, rate, mode, drop, (dtype, max_error))


@dataclass(frozen=True)
class _Place:
    """Where a sidecar is, and the tokens that it must match; `header` is None without tokens."""

    ecdc_path: Path
    target: Path
    suffix: str
    array_path: Path
    meta_path: Path
    header: EcdcHeader | None

    @classmethod
    def of(cls, ecdc_path: Path, beside: str | Path | None, suffix: str) -> _Place:
        target = Path(beside or ecdc_path)
        header = read_header(ecdc_path) if ecdc_path.exists() else None
        return cls(ecdc_path, target, suffix, *sidecar_paths(target, suffix), header)


def _update(
    place: _Place,
    given: dict[str, Parameter],
    records: Sequence[Record],
    rate: float,
    mode: Mode,
    drop: Drop,
    storage: tuple[Dtype, float],
) -> None:
    """Write the parameters, with those that stay; `storage` is the dtype and its largest error."""
    stored = existing_paths(place.target, place.suffix)
    whole = all(part.exists() for part in stored)
    old = read_pair(*stored) if whole and mode != "replace-all" else None
    if old and mode == "append":
        given = {name: p for name, p in given.items() if name not in old.parameters}
    kept = _kept(old, drop, given)
    frames = _common_length(given, kept, place)
    kept_dtype = next((f.values.dtype.name for f in kept.values()), "float16")
    merged, records = _merge(old, kept, given, records)
    dtype = array_dtype(merged, *storage, kept_dtype)
    _write_pair(place, merged, frames, dtype, rate, records)
    if (
        whole and stored[1] != place.meta_path
    ):  # metadata of the old array, by the predecessor's name
        stored[1].unlink()


def write_sidecar_features_for_rel(
    root: str | Path,
    ecdc_rel: str | Path,
    features: Mapping[str, ParameterValue],
    fps: float | None = None,
    mode: Mode = "overwrite",
    require_ecdc_exists: bool = False,
    dtype: Dtype = "auto",
) -> None:
    """Write parameters of the clip at `root / ecdc_rel`; see `write_sidecar`.

    The names of the function and its arguments are the predecessor's.

    Args:
        root: The token folder.
        ecdc_rel: The token file, relative to `root`.
        features: The parameters, as in `write_sidecar`.
        fps: Frames per second; required only if the token file does not exist.
        mode: As in `write_sidecar`.
        require_ecdc_exists: A missing token file is an error.
        dtype: As in `write_sidecar`.

    Raises:
        SidecarError: `ecdc_rel` leaves `root` or does not end in `.ecdc`, or as in `write_sidecar`.
        FileNotFoundError: The token file is missing and `require_ecdc_exists` is set.
        DiskError: The disk is full or read-only, or permission is denied.
    """
    relative = PurePosixPath(Path(ecdc_rel).as_posix())
    target = Path(root, ecdc_rel)
    # The token file may be a link that leaves `root`; its folder may not.
    if relative.is_absolute() or not target.parent.resolve().is_relative_to(Path(root).resolve()):
        raise SidecarError(f"{ecdc_rel} must be a path under {root}")
    if relative.suffix != TOKEN_SUFFIX:
        raise SidecarError(f"{ecdc_rel} must end in {TOKEN_SUFFIX}")
    if require_ecdc_exists and not target.exists():
        raise FileNotFoundError(f"{target} does not exist")
    write_sidecar(target, features, fps, mode, dtype)


def _kept(old: Sidecar | None, drop: Drop, given: Collection[str]) -> dict[str, Parameter]:
    """Return the parameters of `old` that are neither dropped nor replaced."""
    if old is None:
        return {}
    gone = {*(drop(old) if callable(drop) else drop), *given}
    return {name: parameter for name, parameter in old.parameters.items() if name not in gone}


def _by_hand(given: Collection[str], records: Sequence[Record], place: _Place) -> list[Record]:
    """Return a record for the parameters that have none, with the hash of the tokens."""
    names = tuple(name for name in given if name not in makers(records))
    return [Record(names, digest_file(place.ecdc_path) if place.header else "")] if names else []


def _merge(
    old: Sidecar | None,
    kept: Mapping[str, Parameter],
    given: Mapping[str, Parameter],
    records: Sequence[Record],
) -> tuple[dict[str, Parameter], Sequence[Record]]:
    """Return the kept parameters of `old` with those given, and the records of both."""
    if old is None:
        return dict(given), records
    gone = [name for name in old.parameters if name not in kept]
    mine = [r.without([name for name in r.names if name not in given]) for r in records]
    # A parameter that is replaced keeps its column.
    stay = {name: p for name, p in old.parameters.items() if name in kept or name in given}
    return {**stay, **given}, merge_records(old.records, gone, mine)


def _check_choices(mode: str, dtype: str) -> None:
    if mode not in get_args(Mode) or dtype not in get_args(Dtype):
        raise SidecarError(
            f"mode {mode!r} must be one of {get_args(Mode)}, dtype {dtype!r} of {get_args(Dtype)}"
        )


def _frame_rate(fps: float | None, header: EcdcHeader | None, ecdc_path: Path) -> float:
    if header is None:
        if fps is None:
            raise SidecarError(f"{ecdc_path} does not exist; give its frame rate as fps")
        if not 0 < fps < math.inf:
            raise SidecarError(f"{ecdc_path}: fps must be positive and finite, got {fps}")
        return float(fps)
    if fps is not None and float(fps) != header.spec.fps:
        raise SidecarError(
            f"{ecdc_path}: expected fps={header.spec.fps} ({header.model}), got fps={fps:g}"
        )
    return float(header.spec.fps)


def _common_length(given: dict[str, Parameter], kept: dict[str, Parameter], place: _Place) -> int:
    lengths = {name: len(parameter.values) for name, parameter in given.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise SidecarError(f"{place.ecdc_path}: parameters have different lengths: {each}")
    known = {len(parameter.values): place.array_path for parameter in kept.values()}
    if place.header is not None:
        known[place.header.n_frames] = place.ecdc_path
    if len(known) > 1:
        (a, path_a), (b, path_b) = known.items()
        raise SidecarError(
            f"{path_a} has {a} frames, but {path_b} has {b}: {', '.join(kept)} would no longer fit "
            f"the tokens; mode replace-all drops parameters that are not rewritten"
        )
    for name, count in lengths.items():
        for expected, path in known.items():
            if count != expected:
                raise SidecarError(
                    f"parameter {name!r} has {count} frames, but {path} has {expected}"
                )
    return next(iter([*lengths.values(), *known]), 0)


def _write_pair(
    place: _Place,
    parameters: dict[str, Parameter],
    frames: int,
    dtype: np.dtype[Any],
    fps: float,
    records: Sequence[Record],
) -> None:
    array = np.empty((frames, len(parameters)), dtype)
    for column, parameter in enumerate(parameters.values()):
        array[:, column] = parameter.values
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    data = buffer.getvalue()
    meta = describe_array(data, parameters, fps, place.header, records)
    if len(meta) > MAX_META_BYTES or len(parameters) > MAX_PARAMETERS:
        raise SidecarError(
            f"{place.meta_path} would hold {len(parameters):,} parameters in {len(meta):,} bytes; at most "
            f"{MAX_PARAMETERS:,} in {MAX_META_BYTES:,} are allowed"
        )
    replace_files(place.array_path, place.meta_path, data, meta)
