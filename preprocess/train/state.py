"""The state of a training's data: three integers, and what tells another dataset or settings."""

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
"""A setting whose text is longer is stored as a hash."""


def make_state(
    crops: AlignedCrops, batches: Mapping[str, Any], epoch: int, batch: int
) -> dict[str, Any]:
    """Return the state before a batch of an epoch.

    Args:
        crops: What is trained on.
        batches: Settings of the batches.
        epoch: The epoch.
        batch: How many batches of it are done.
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
    """Raise `TrainError` if a state is of another dataset, or of other settings than these."""
    if state.get("version") != _VERSION or not all(type(state.get(n)) is int for n in _PLACES):
        raise TrainError("this is no state of batches, or one of another version")
    if state["dataset"] != (mine := crops.source.digest()):
        raise TrainError(
            f"the state is of another dataset: its hash is {state['dataset']}, here it is {mine}"
        )
    settings = {"seed": crops.settings.seed, **_settings(crops, batches)}
    before = {"seed": state["seed"], **state["settings"]}
    changed = [
        f"{name} was {before.get(name)!r} and is {value!r}"
        for name, value in settings.items()
        if before.get(name) != value
    ]
    if changed:
        raise TrainError(f"the state is of other settings: {', '.join(changed)}")


def find_state(state: Any) -> dict[str, Any]:
    """Return our state, itself or from within that of a `StatefulDataLoader`.

    Raises:
        TrainError: There is none.
    """
    found = next(_ours(state), None)
    if found is None:
        raise TrainError("this is no state of batches: it has no seed, epoch and batch")
    return found


def _ours(state: Any) -> Iterator[dict[str, Any]]:
    if isinstance(state, dict):
        if all(name in state for name in (*_PLACES, "dataset", "settings")):
            yield state
        # A place in an epoch is more exact than that of the sampler, which may have gone on.
        for name in sorted(state, key=lambda key: "iter" not in str(key)):
            yield from _ours(state[name])


def _settings(crops: AlignedCrops, batches: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that shapes the batches, but the seed, in few bytes."""
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
