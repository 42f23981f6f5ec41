"""A slow reference of crops: from rows that are Python lists, one frame at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.train import AlignedCrops


def count_misaligned(
    crops: AlignedCrops,
    rows: Sequence[Mapping[str, Any]],
    count: int,
    declared: Mapping[str, ParameterInfo],
    batch: int = 50,
) -> tuple[int, int]:
    """Return how many crops hold another code, value or mask than rows say, and how many were counted.

    Args:
        crops: With continuous parameters, scaled by their declared ranges or not at all.
        rows: What the dataset was made of.
        count: Crops to look at, from as many epochs as needed.
        declared: Of each parameter, its range; empty where values come as they are.
        batch: Crops at a time.
    """
    lists = {
        row["id"]: (
            row["codes"].tolist(),
            {name: values.tolist() for name, values in row["features"].items()},
        )
        for row in rows
    }
    wrong = counted = 0
    for places in _batches(count, len(crops), batch):
        for crop in crops.__getitems__(places):
            wrong += not _is_aligned(crop, lists, crops, declared)
            counted += 1
    return wrong, counted


def _batches(count: int, size: int, batch: int) -> Iterator[list[tuple[int, int]]]:
    for first in range(0, count, batch):
        yield [divmod(i, size) for i in range(first, min(first + batch, count))]


def _is_aligned(
    crop: Mapping[str, Any],
    lists: Mapping[str, Any],
    crops: AlignedCrops,
    declared: Mapping[str, ParameterInfo],
) -> bool:
    settings = crops.settings
    ids = crop["id"] if isinstance(crop["id"], tuple) else (crop["id"],)
    starts = crop["start"] if isinstance(crop["start"], list) else [crop["start"]]
    codes, values = crop["codes"].tolist(), crop["parameters"].tolist()
    mask, known = crop["mask"].tolist(), crop["parameter_mask"].tolist()
    width = len(mask) // len(ids)
    for at in range(len(mask)):
        part, offset = divmod(at, width)
        row_codes, row_values = lists[ids[part]]
        if not mask[at]:
            if any(line[at] != crops.padding_id for line in codes) or any(k[at] for k in known):
                return False
            continue
        frame = starts[part] + offset
        if settings.short == "loop" and frame >= len(row_codes[0]):
            frame = offset % len(row_codes[0])
        if any(line[at] != row_codes[k][frame] for k, line in enumerate(codes)):
            return False
        for p, name in enumerate(crops.parameter_names):
            expected = row_values[name][frame]
            if name in declared and settings.scale != "none":
                low, high = declared[name].min or 0.0, declared[name].max or 0.0
                expected = (expected - low) / (high - low)
            if not known[p][at] or not math.isclose(
                values[p][at], expected, rel_tol=1e-6, abs_tol=1e-7
            ):
                return False
    return any(mask)
