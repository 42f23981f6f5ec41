"""Read the sidecar of a clip, of version 1, 2 or 3."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from preprocess.sidecar.parameters import Parameter
from preprocess.sidecar.sidecar_files import read_files, read_meta
from preprocess.sidecar.sidecar_format import (
    ARRAY_SUFFIX,
    SCHEMA_VERSION,
    TOKEN_SUFFIX,
    Sidecar,
    parse_array,
    parse_sidecar,
    predecessor_meta_path,
    sidecar_paths,
)


def read_sidecar(ecdc_path: str | Path, suffix: str = ARRAY_SUFFIX) -> Sidecar:
    """Read the sidecar of a token file, of version 1, 2 or 3.

    Args:
        ecdc_path: The token file. It is not read and need not exist. If the sidecars are in a
            separate folder, the token file's path in that folder.
        suffix: The end of the array's name.

    Raises:
        SidecarError: A file is missing or damaged, or the two do not belong together.
    """
    return read_pair(*existing_paths(Path(ecdc_path), suffix))


def read_pair(array_path: Path, meta_path: Path) -> Sidecar:
    """Read the two files of a sidecar; see `read_sidecar`."""
    files = read_files(array_path, meta_path)
    return parse_sidecar(parse_array(files.array, array_path), files.meta, array_path, meta_path)


def existing_paths(ecdc_path: Path, suffix: str = ARRAY_SUFFIX) -> tuple[Path, Path]:
    """Return the paths of the array and of the metadata under either of its names.

    The predecessor's first version wrote `NAME.cond.cond.json`. That file counts as the metadata of
    `NAME` if there is no other metadata and no clip `NAME.cond` to which it belongs.
    """
    array_path, meta_path = sidecar_paths(ecdc_path, suffix)
    if meta_path.exists():
        return array_path, meta_path
    old = predecessor_meta_path(ecdc_path)
    if not old.exists():
        return array_path, meta_path
    other = ecdc_path.with_name(f"{ecdc_path.stem}.cond")
    other_exists = any(
        other.with_name(other.name + suffix).exists() for suffix in (TOKEN_SUFFIX, ARRAY_SUFFIX)
    )
    return array_path, meta_path if other_exists else old


def read_described(ecdc_path: str | Path) -> dict[str, Parameter]:
    """Return the parameters in a sidecar's JSON, without values; see `read_description`."""
    return read_description(ecdc_path).parameters


def read_description(ecdc_path: str | Path) -> Sidecar:
    """Return the content of a sidecar's JSON; the parameters have no values.

    Before version 3 the JSON does not say which ranges were declared, so the array is read too.

    Raises:
        SidecarError: The JSON is missing, damaged or in an unknown format.
    """
    array_path, meta_path = existing_paths(Path(ecdc_path))
    meta = read_meta(meta_path)
    if meta.get("schema_version") != SCHEMA_VERSION:
        del meta  # it may be large, and is read again
        sidecar = read_pair(array_path, meta_path)
        parameters = {
            name: dataclasses.replace(parameter, values=parameter.values[:0])
            for name, parameter in sidecar.parameters.items()
        }
        return dataclasses.replace(sidecar, parameters=parameters)
    columns = meta.get("features")
    width = len(columns) if isinstance(columns, (dict, list)) else 0
    empty = np.empty((0, width), np.float32)
    return parse_sidecar(empty, meta, array_path, meta_path)
