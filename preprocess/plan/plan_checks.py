"""Checks of what a plan says, which may come from strangers or be damaged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from preprocess.core.untrusted import shown
from preprocess.sidecar.parameter_info import ParameterInfo

if TYPE_CHECKING:
    from preprocess.plan.plan_file import PlanInfo, PlannedClip


def check_plan(info: PlanInfo) -> None:
    """Raise a ValueError if a value that later code relies on has another type."""
    for key in ("input", "output", "recipe", "owner", "folder", "settings", "model"):
        if not isinstance(getattr(info, key), str):
            raise ValueError(f"{key} must be a text")
    if not _is_time(info.lease_s) or not all(isinstance(note, str) for note in info.notes):
        raise ValueError("lease_s must be a number, and notes must be texts")
    for parameter in info.parameters.values():
        ParameterInfo.from_json(json.dumps(asdict(parameter)))
    for shard in info.shards:
        numbers = (shard.index, shard.count, shard.clips)
        if not all(type(number) is int and 0 <= number < 10**9 for number in numbers):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if not isinstance(shard.split, str) or not isinstance(shard.state, str):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if not _is_time(shard.seconds):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if (
            not shard.split.replace("_", "").replace(".", "").isalnum()
            or shard.index >= shard.count
        ):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")
        if shard.group is not None and (type(shard.group) is not int or shard.group < 0):
            raise ValueError(f"invalid shard {shown(asdict(shard))}")


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12  # type: ignore[operator]


def check_clips(clips: Sequence[PlannedClip]) -> None:
    """Raise a ValueError if a clip lacks a value."""
    for clip in clips:
        if None in clip:
            raise ValueError("a clip lacks a value")
