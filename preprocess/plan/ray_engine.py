"""Workers on a Ray cluster: actors that hold the model and are handed names of shards.

No audio and no rows pass through Ray, so its object store stays empty: an actor reads the input and
writes the output itself. An actor that dies with its node is replaced, and its shard goes back into
the queue; the lease and the parts of the shard do the rest.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from typing import Any

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.report import print_note
from preprocess.plan.launch_config import LaunchConfig, WorkerConfig
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedShard
from preprocess.plan.tally import Tally
from preprocess.plan.worker import MOST_ATTEMPTS, Tried, Worker

Made = tuple[Tried, list[tuple[str, float, str]]]
"""What became of a shard; path, seconds and error of each clip that was made."""


def run_on_ray(plan: PlanFolder, config: LaunchConfig, tally: Tally) -> None:
    """Make the shards of a plan on a Ray cluster.

    Args:
        plan: The plan, at a path or URL that all nodes can reach.
        config: Uses `address`, `workers`, `jobs` and `retry_failed`.
        tally: Counts what the workers do.

    Raises:
        UsageError: Ray is not installed, or the cluster cannot be reached.
        PreprocessError: A worker stopped with an error.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray requires Ray: pip install 'enchf-dataset[ray]'") from None
    is_ours = not ray.is_initialized()
    if is_ours:
        address = config.address or os.environ.get("RAY_ADDRESS")
        try:
            # Nobody looks at the dashboard of a cluster that lives as long as this run.
            ray.init(
                address=address,
                log_to_driver=False,
                configure_logging=False,
                include_dashboard=None if address else False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(f"the Ray cluster {address} cannot be reached: {error}") from None
    try:
        _run(plan, config, tally)
    finally:
        if is_ours:
            ray.shutdown()


def _run(plan: PlanFolder, config: LaunchConfig, tally: Tally) -> None:
    import ray

    options, count, worker = _resources(config, len(plan.info.shards))
    actor = ray.remote(**options)(_Actor)
    waiting = deque(sorted(plan.info.shards, key=lambda shard: (-shard.seconds, shard.name)))

    def start() -> tuple[Any, Any]:
        handle = actor.remote(str(plan), worker)
        return handle.ready.remote(), handle

    # An actor gets work once it runs: with a node gone, a new one may find no room.
    starting = dict(start() for _ in range(count))
    idle: list[Any] = []
    busy: dict[Any, tuple[Any, PlannedShard]] = {}
    deaths: Counter[str] = Counter()
    while waiting or busy:
        while waiting and idle:
            shard, handle = waiting.popleft(), idle.pop()
            busy[handle.make.remote(shard.name)] = handle, shard
        (ready, *_), _ = ray.wait([*busy, *starting], num_returns=1)
        if ready in starting:
            handle = starting.pop(ready)
            if _is_up(ready):
                idle.append(handle)
            else:
                starting.update([start()])
            continue
        handle, shard = busy.pop(ready)
        try:
            tried, clips = ray.get(ready)
        except ray.exceptions.RayActorError as error:
            deaths[shard.name] += 1
            starting.update([start()])
            if deaths[shard.name] > MOST_ATTEMPTS:
                why = f"{deaths[shard.name]} workers died while they made it"
                tally.shard(shard, Tried(True, broken=why))
                continue
            text = f"the worker of {shard.name} died ({_reason(error)}); another makes it"
            print_note("shards", text)
            waiting.append(shard)
        except ray.exceptions.RayTaskError as error:
            raise _ours(error) from None
        else:
            idle.append(handle)
            for path, seconds, failure in clips:
                tally.clip(shard.name, path, seconds, failure)
            tally.shard(shard, tried)


def _is_up(ready: Any) -> bool:
    """Whether an actor started; False if it died before.

    Raises:
        PreprocessError: It cannot work, whoever starts it.
    """
    import ray

    try:
        ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise _ours(error) from None
    except ray.exceptions.RayActorError as error:
        if "creation task" in str(error):  # its constructor raised
            raise _ours(error) from None
        return False
    return True


def _ours(error: Exception) -> Exception:
    """Return our error that a worker raised; any other becomes one line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, PreprocessError):
        return cause
    lines = [line for line in str(error).splitlines() if line.strip()]
    return PreprocessError(f"a worker failed: {lines[-1].strip() if lines else error}")


def _resources(config: LaunchConfig, shards: int) -> tuple[dict[str, Any], int, WorkerConfig]:
    """Return the options of an actor, the number of actors, and their settings.

    One actor for each GPU of the cluster, or for each node if there are none.
    """
    import ray

    found = ray.cluster_resources()
    gpus, cpus = int(found.get("GPU", 0)), int(found.get("CPU", 1))
    nodes = sum(node["Alive"] for node in ray.nodes())
    count = min(config.workers or gpus or max(1, nodes), max(1, shards))
    jobs = config.jobs or max(1, cpus // count)
    options = {"num_cpus": jobs, "scheduling_strategy": "SPREAD", "max_restarts": 0}
    if gpus:
        options["num_gpus"] = min(1.0, gpus / count)
    return options, count, WorkerConfig(None, jobs, config.retry_failed)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Actor:
    """A worker in a process of the cluster."""

    def __init__(self, url: str, config: WorkerConfig) -> None:
        import torch

        torch.set_num_threads(config.jobs)
        self._plan = PlanFolder(url)
        self._shards = {shard.name: shard for shard in self._plan.info.shards}
        self._worker = Worker(self._plan, config)

    def ready(self) -> None:
        """Do nothing, once the worker has started."""

    def make(self, name: str) -> Made:
        """Make a shard, or wait until whoever makes it has finished or died."""
        clips: list[tuple[str, float, str]] = []
        while True:
            clips.clear()
            tried = self._worker.try_shard(
                self._shards[name], lambda _, m: clips.append((m.clip.path, m.seconds, m.error))
            )
            if tried.is_settled:
                return tried, clips
            time.sleep(min(self._plan.info.lease_s / 4, 1.0))
