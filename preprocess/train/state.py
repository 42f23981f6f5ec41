"""The state of the data: three integers, and hashes to detect another dataset or other settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

from preprocess.train.crops import AlignedCrops
from preprocess.train.settings import TrainError

_VERSION = 1
_PLACES = ("seed", "epoch", "batch")
_LONGEST = 120
"""Settings with a longer text are stored as hashes."""


def make_state(
    crops: AlignedCrops, batches: Mapping[str, Any], epoch: int, batch: int
) -> dict[str, Any]:
    """Return the state before a batch of an epoch.

    Args:
        crops: The crops in use.
        batches: Settings of the batches.
        epoch: The epoch.
        batch: Number of batches of the epoch that are done.
    """
    return {
        "version": _VERSION,
        "seed": crops.settings.seed,
        "epoch": epoch,
        "batch": batch,
        "dataset": crops.source.digest(),
        "settings": _settings(crops, batches),
    }


def check_state(crops: AlignedCrops, batches: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise `TrainError` if a state belongs to another dataset or to other settings."""
    if state.get("version") != _VERSION or not all(type(state.get(n)) is int for n in _PLACES):
        raise TrainError("this is not a state of batches, or has another version")
    if state["dataset"] != (mine := crops.source.digest()):
        raise TrainError(
            f"the state belongs to another dataset, with hash {state['dataset']}; this one has {mine}"
        )
    settings = {"seed": crops.settings.seed, **_settings(crops, batches)}
    before = {"seed": state["seed"], **state["settings"]}
    changed = [
        f"{name} was {before.get(name)!r} and is now {value!r}"
        for name, value in settings.items()
        if before.get(name) != value
    ]
    if changed:
        raise TrainError(f"the state belongs to other settings: {', '.join(changed)}")


def find_state(state: Any) -> dict[str, Any]:
    """Return the state of batches: `state` itself, or the one inside a `StatefulDataLoader`'s state.

    Raises:
        TrainError: `state` contains no state of batches.
    """
    found = next(_ours(state), None)
    if found is None:
        raise TrainError("this is not a state of batches: it has no seed, epoch and batch")
    return found


def _ours(state: Any) -> Iterator[dict[str, Any]]:
    if isinstance(state, dict):
        if all(name in state for name in (*_PLACES, "dataset", "settings")):
            yield state
        # The state of an iterator is more exact than that of the sampler, which may be ahead.
        for name in sorted(state, key=lambda key: "iter" not in str(key)):
            yield from _ours(state[name])


def _settings(crops: AlignedCrops, batches: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings that shape the batches, except the seed, in few bytes."""
    known = {**asdict(crops.settings), **batches}
    known["codebooks"], known["parameters"] = crops.n_codebooks, list(crops.parameter_names)
    known["scaling"] = _hash([asdict(part) for part in crops.scaler.parts])
    known["epoch_size"] = len(crops)
    del known["seed"], known["times"]
    return {
        name: value if len(json.dumps(value)) <= _LONGEST else _hash(value)
        for name, value in known.items()
    }


def _hash(value: Any) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=6).hexdigest()
