"""Settings of `preprocess run --plan`: who makes the shards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from preprocess.core.errors import UsageError
from preprocess.core.jobs import cpu_count
from preprocess.core.settings import Settings, split_commas


@dataclass(frozen=True)
class WorkerConfig:
    """How a worker works.

    Attributes:
        device: The torch device; None for the recipe's.
        jobs: Number of threads.
        retry_failed: Try clips again that failed, and shards that ended their workers.
        wait: Wait for shards that others make, to take them over if their makers die.
    """

    device: str | None = None
    jobs: int = field(default_factory=cpu_count)
    retry_failed: bool = False
    wait: bool = True


@dataclass(frozen=True, kw_only=True)
class LaunchConfig(Settings):
    """How the shards of a plan, or of a recipe with `format: shards`, are made."""

    shards: Annotated[
        str | None,
        Field(
            description="I/N: make first the I-th of N equal shares of the shards, counted from 0, "
            "then what others leave; default: all shards"
        ),
    ] = None
    engine: Annotated[
        Literal["local", "ray"],
        Field(description="local: workers on this machine; ray: workers on a Ray cluster"),
    ] = "local"
    address: Annotated[
        str | None,
        Field(
            description="address of the Ray cluster; default: RAY_ADDRESS, or a new "
            "cluster on this machine"
        ),
    ] = None
    workers: Annotated[
        int | None,
        Field(ge=1, description="number of workers; default: one for each device, or one"),
    ] = None
    devices: Annotated[
        tuple[str, ...],
        BeforeValidator(split_commas),
        Field(
            description="torch devices of the workers, such as cuda:0,cuda:1; default: the recipe's"
        ),
    ] = ()
    jobs: Annotated[
        int | None,
        Field(ge=1, description="threads of each worker; default: the cores, shared out"),
    ] = None
    retry_failed: Annotated[
        bool, Field(description="try clips again that failed, and shards that ended their workers")
    ] = False
    wait: Annotated[
        bool,
        Field(
            description="wait for shards that others make, to take over those of workers that die"
        ),
    ] = True

    @property
    def share(self) -> tuple[int, int]:
        """Index and count of the share."""
        return (0, 1) if self.shards is None else parse_share(self.shards)

    @property
    def worker_count(self) -> int:
        """Number of workers."""
        return self.workers or max(1, len(self.devices))

    def worker(self, index: int) -> WorkerConfig:
        """Return the settings of one of the workers."""
        device = self.devices[index % len(self.devices)] if self.devices else None
        jobs = self.jobs or max(1, cpu_count() // self.worker_count)
        return WorkerConfig(device, jobs, self.retry_failed, self.wait)


def parse_share(text: str) -> tuple[int, int]:
    """Return `I/N` as two numbers; I from 0 to below N.

    Raises:
        UsageError: The text is not of this form.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise UsageError(f"--shards {text!r} must be I/N, with I from 0 to below N, such as 0/4")
    return int(match[1]), int(match[2])
