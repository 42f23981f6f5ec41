"""Divides the shards of a plan between workers, so that each has about as much audio."""

from __future__ import annotations

from collections.abc import Sequence

from preprocess.plan.plan_info import PlannedShard


def share_of(
    shards: Sequence[PlannedShard], index: int, count: int
) -> tuple[list[PlannedShard], list[PlannedShard]]:
    """Return the shards of worker `index` of `count`, and those of the other workers.

    The longest shards are dealt first, each to the worker with the least audio. All workers come to
    the same result, so they need not talk to each other.
    """
    seconds = [0.0] * count
    own: list[PlannedShard] = []
    others: list[PlannedShard] = []
    for shard in sorted(shards, key=lambda one: (-one.seconds, one.name)):
        at = seconds.index(min(seconds))
        seconds[at] += shard.seconds
        (own if at == index else others).append(shard)
    return own, others
