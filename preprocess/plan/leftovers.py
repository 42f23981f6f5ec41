"""What killed workers leave in a plan: temporary files, and parts and leases of finished shards.

A worker may be killed between the report on a shard and the removal of its parts and its lease;
nobody makes that shard again.
"""

from __future__ import annotations

from collections.abc import Collection

from preprocess.core.temporaries import remove_stale
from preprocess.plan.parts import list_parts
from preprocess.plan.plan_file import PlanFolder
from preprocess.storage.leases import Leases

LEASES = "leases"


def remove_temporaries(plan: PlanFolder) -> None:
    """Remove temporary files of dead processes, where plan and dataset are folders."""
    for store in (plan.store, plan.dataset):
        folder = store.local("")
        if folder is not None:
            remove_stale(folder)


def remove_leftovers(plan: PlanFolder, leases: Leases, finished: Collection[str]) -> None:
    """Remove parts and dead leases of finished shards.

    Args:
        plan: The plan.
        leases: Its leases; what another worker holds is left to it.
        finished: Names of shards that are up to date.
    """
    left: dict[str, list[str]] = {}
    for part in list_parts(plan):
        left.setdefault(part.path.split("/")[1], []).append(part.path)
    for entry in plan.store.list([".json"], LEASES):
        left.setdefault(entry.path.split("/")[1], [])
    for name in sorted(left.keys() & set(finished)):
        lease = leases.take(name)
        if lease is None:
            continue
        with lease:
            for path in left[name]:
                plan.store.delete(path)
