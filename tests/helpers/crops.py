"""A slow reference of crops: from rows that are Python lists."""

from __future__ import annotations

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
    """Return whether a crop is what its id and its first frame say, part by part."""
    ids = crop["id"] if isinstance(crop["id"], tuple) else (crop["id"],)
    starts = crop["start"] if isinstance(crop["start"], list) else [crop["start"]]
    codes, values = crop["codes"].tolist(), crop["parameters"].tolist()
    mask, known = crop["mask"].tolist(), crop["parameter_mask"].tolist()
    width = len(mask) // len(ids)
    for part, (name, start) in enumerate(zip(ids, starts, strict=True)):
        left, right = part * width, (part + 1) * width
        n = sum(mask[left:right])
        row_codes, row_values = lists[name]
        frames = [start + i for i in range(n)]
        if crops.settings.short == "loop":
            frames = [frame % len(row_codes[0]) for frame in frames]
        padded = width - n
        if mask[left:right] != [True] * n + [False] * padded:
            return False
        for line, row in zip(codes, row_codes, strict=False):
            if line[left:right] != [row[f] for f in frames] + [crops.padding_id] * padded:
                return False
        for p, parameter in enumerate(crops.parameter_names):
            expected = [row_values[parameter][f] for f in frames]
            if parameter in declared and crops.settings.scale != "none":
                low, high = declared[parameter].min or 0.0, declared[parameter].max or 0.0
                expected = [(value - low) / (high - low) for value in expected]
            if known[p][left:right] != mask[left:right]:
                return False
            if not all(map(_is_close, values[p][left:right], expected + [0.0] * padded)):
                return False
    return any(mask)


def _is_close(value: float, expected: float) -> bool:
    return abs(value - expected) <= 1e-6 * abs(expected) + 1e-7
