"""Batches that resume exactly, with any number of ranks and workers.

    loader = ElasticLoader(crops, batch_size=32, num_workers=4)
    for epoch in range(loader.epoch, epochs):
        for batch in loader:
            ...
            torch.save({..., "loader": loader.state_dict()}, path)

Batch `n` of an epoch, over all ranks, depends only on the seed, the epoch and `n`; each rank takes its
share. So a state holds a position and does not depend on the number of ranks:

    epoch 3    |  batch 0  |  batch 1  |  batch 2  | ...
    2 ranks     [  0 ][ 1  ]
    4 ranks     [0][1][2][3]
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.train.batch import Batch, collate
from preprocess.train.crops import AlignedCrops
from preprocess.train.permutation import KeyedPermutation
from preprocess.train.settings import TrainError
from preprocess.train.state import check_state, find_state, make_state

Numbers = NDArray[np.int64]
_BUCKET = 64
"""Number of batches of whole clips to sort by length together."""


class ElasticBatches(torch.utils.data.Sampler):
    """The batches of one rank, as a `batch_sampler`.

    Args:
        crops: The crops to batch.
        batch_size: Number of crops in a batch, over all ranks.
        drop_last: Whether to leave out the last batch if it is not full.
        rank: Rank of this process; None for the rank from `torch.distributed`, else from torchrun's
            environment, else 0.
        world_size: Number of processes; None for the same sources, else 1.
        bucket: Number of batches to sort by length together, so that whole clips need little
            padding; None for 64 with whole clips and 1 with crops.

    Raises:
        TrainError: An epoch has no batch, or a rank would get no data.
    """

    def __init__(
        self,
        crops: AlignedCrops,
        batch_size: int,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        bucket: int | None = None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("bucket", bucket)):
            if value is not None and (type(value) is not int or value < 1):
                raise TrainError(f"{name}={value!r} must be a whole number of at least 1")
        self.crops, self.batch_size, self.drop_last = crops, batch_size, drop_last
        self.bucket = bucket or (_BUCKET if crops.settings.frames is None else 1)
        self._rank, self._world_size = rank, world_size
        self.epoch, self.batch = 0, 0
        self._walk: _Walk | None = None
        if not len(self):
            raise TrainError(
                f"an epoch of {len(crops)} crops has no batch of {batch_size}; make batch_size "
                f"smaller, or drop_last=False"
            )
        self.world()

    def __len__(self) -> int:
        """Return how many batches an epoch has, the same for every rank."""
        size = self.batch_size
        return len(self.crops) // size if self.drop_last else -(-len(self.crops) // size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Go through the rest of `epoch`, starting at `batch`."""
        self._walk = _Walk(self, self.epoch, self.batch)
        return self._walk

    def world(self) -> tuple[int, int]:
        """Return the rank of this process and the number of processes.

        Raises:
            TrainError: A rank would get no data.
        """
        rank, size = _world()
        rank = rank if self._rank is None else self._rank
        size = size if self._world_size is None else self._world_size
        if not 0 <= rank < size:
            raise TrainError(f"rank={rank} must be from 0 to world_size - 1, which is {size - 1}")
        last = self.batch_size if self.drop_last else len(self.crops) % self.batch_size
        for what, crops in (("a batch", self.batch_size), ("the last batch", last)):
            if 0 < crops < size:
                raise TrainError(
                    f"{what} has {crops} crops, so rank {crops} of world_size={size} gets no data; "
                    + ("make batch_size larger" if what == "a batch" else "pass drop_last=True")
                )
        return rank, size

    def numbers(self, epoch: int, batch: int) -> Numbers:
        """Return the numbers of the crops in a batch of an epoch, over all ranks."""
        first, total = batch * self.batch_size, len(self.crops)
        if self.bucket == 1:
            return np.arange(first, min(first + self.batch_size, total))
        window = self.bucket * self.batch_size
        start = first // window * window
        numbers = np.arange(start, min(start + window, total))
        lengths = self.crops.drawing.spans(epoch, numbers)[2]
        numbers = numbers[np.argsort(lengths, kind="stable")]
        at, full = batch % self.bucket, len(numbers) // self.batch_size
        if at < full:  # a batch that is not full comes last
            seed = self.crops.settings.seed
            order = KeyedPermutation(full, "bucket", seed, epoch, batch // self.bucket)
            at = int(order(np.array([at]))[0])
        return numbers[at * self.batch_size : (at + 1) * self.batch_size]

    def share(self, epoch: int, batch: int) -> list[tuple[int, int]]:
        """Return this rank's part of a batch, as places of `AlignedCrops`."""
        rank, size = self.world()
        numbers = self.numbers(epoch, batch)
        mine = numbers[len(numbers) * rank // size : len(numbers) * (rank + 1) // size]
        return [(epoch, number) for number in mine.tolist()]

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, unless it is the current one."""
        if epoch != self.epoch:
            self.seek(epoch, 0)

    def seek(self, epoch: int, batch: int) -> None:
        """Make the next iteration begin at a batch of an epoch."""
        self.epoch, self.batch, self._walk = epoch, batch, None

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last batch that was drawn from this sampler.

        A `DataLoader` with workers draws more batches than it has returned; in that case, use the
        state of `ElasticLoader` or `StatefulDataLoader`.
        """
        walk = self._walk
        return self.state_at(*((self.epoch, self.batch) if walk is None else walk.place))

    def state_at(self, epoch: int, batch: int) -> dict[str, Any]:
        """Return the state before a batch: under 1 KB, ready for JSON."""
        return make_state(self.crops, self._settings(), epoch, batch)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the position of a state, which may come from any number of ranks and workers.

        Args:
            state: State of an `ElasticBatches`, an `ElasticLoader`, or a `StatefulDataLoader` that
                uses one.

        Raises:
            TrainError: The state belongs to another dataset or other settings.
        """
        found = find_state(state)
        check_state(self.crops, self._settings(), found)
        self.seek(found["epoch"], found["batch"])

    def _settings(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "drop_last": self.drop_last, "bucket": self.bucket}


class _Walk(Iterator[list[tuple[int, int]]]):
    """One pass through the rest of an epoch, with its own state for `StatefulDataLoader`."""

    def __init__(self, batches: ElasticBatches, epoch: int, batch: int) -> None:
        self._batches, self.place = batches, (epoch, batch)

    def __next__(self) -> list[tuple[int, int]]:
        epoch, batch = self.place
        if batch >= len(self._batches):
            if self._batches._walk is self:
                self._batches.seek(epoch + 1, 0)
            raise StopIteration
        self.place = epoch, batch + 1
        return self._batches.share(epoch, batch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state before the next batch."""
        return self._batches.state_at(*self.place)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the position of a state."""
        found = find_state(state)
        self.place = found["epoch"], found["batch"]


class ElasticLoader(torch.utils.data.DataLoader):
    """A `DataLoader` whose state counts the batches that it has returned.

    Args:
        crops: The crops to batch.
        batch_size: Number of crops in a batch, over all ranks.
        drop_last: Whether to leave out the last batch if it is not full.
        rank: As in `ElasticBatches`.
        world_size: As in `ElasticBatches`.
        bucket: As in `ElasticBatches`.
        **options: Options of `DataLoader`, such as `num_workers`, `pin_memory` or `collate_fn`.
    """

    def __init__(
        self,
        crops: AlignedCrops,
        batch_size: int,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        bucket: int | None = None,
        **options: Any,
    ) -> None:
        batches = ElasticBatches(crops, batch_size, drop_last, rank, world_size, bucket)
        self.place = (0, 0)
        super().__init__(
            crops, batch_sampler=batches, collate_fn=options.pop("collate_fn", collate), **options
        )

    @property
    def epoch(self) -> int:
        """The epoch of the next batch."""
        return self.place[0]

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rest of the epoch, without the batches that were returned before."""
        epoch, batch = self.place
        self.batch_sampler.seek(epoch, batch)
        for made in super().__iter__():
            batch += 1
            self.place = (epoch, batch) if batch < len(self) else (epoch + 1, 0)
            yield made

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, unless the next batch belongs to it."""
        if epoch != self.epoch:
            self.place = (epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last batch that was returned: under 1 KB, ready for JSON."""
        state: dict[str, Any] = self.batch_sampler.state_at(*self.place)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batches of a state, which may come from any number of ranks and workers.

        Raises:
            TrainError: The state belongs to another dataset or other settings.
        """
        self.batch_sampler.load_state_dict(state)
        self.place = (self.batch_sampler.epoch, self.batch_sampler.batch)


def _world() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
