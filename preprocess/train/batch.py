"""Crops together: a batch whose tensors are made once, and `collate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

Crop = dict[str, Any]
Batch = dict[str, Any]


class CropBatch(Sequence[Crop]):
    """Several crops, as a sequence of them, whose tensors exist once for all.

    `AlignedCrops.__getitems__` returns it in the place of a list, so that `collate` has nothing to
    copy.
    """

    def __init__(
        self, tensors: dict[str, torch.Tensor], ids: list[Any], lengths: Sequence[int], padding: int
    ) -> None:
        self.tensors, self.ids, self.padding = tensors, ids, padding
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        t, n = self.tensors, self.lengths[at]
        crop: Crop = {
            "codes": t["codes"][at, :, :n],
            "parameters": t["parameters"][at, :, :n],
            "mask": t["mask"][at, :n],
            "parameter_mask": t["parameter_mask"][at, :, :n],
            "id": self.ids[at],
            "start": t["starts"][at].tolist(),
            "padding_id": self.padding,
        }
        if "times" in t:
            crop["times"] = t["times"][at, :n]
        return crop

    def __iter__(self) -> Iterator[Crop]:
        return (self[at] for at in range(len(self)))


def collate(crops: Sequence[Crop]) -> Batch:
    """Return crops as a batch; a `collate_fn` for `DataLoader` and `data_collator` for `Trainer`.

    Shorter crops are padded to the longest one.

    Args:
        crops: Of `AlignedCrops`.

    Returns:
        `codes` int64 `[B, K, T]`, padded with the number of codes in a codebook; `parameters`
        float32 `[B, P, T]`, 0 where there is no value; `mask` bool `[B, T]`, whether there is a
        frame; `parameter_mask` bool `[B, P, T]`, whether there is a value; `ids`, a list; `starts`
        int64 `[B]`, the first frames; `times` float64 `[B, T]` where the crops have them.
    """
    if isinstance(crops, CropBatch):
        return {**crops.tensors, "ids": list(crops.ids)}
    longest = max(crop["mask"].shape[-1] for crop in crops)
    fill = {"codes": crops[0]["padding_id"], "times": float("nan")}
    batch: Batch = {}
    for name in ("codes", "parameters", "mask", "parameter_mask", "times"):
        if name in crops[0]:
            batch[name] = _stack([crop[name] for crop in crops], longest, fill.get(name, 0))
    batch["starts"] = torch.tensor([crop["start"] for crop in crops])
    batch["ids"] = [crop["id"] for crop in crops]
    return batch


def _stack(tensors: list[torch.Tensor], length: int, fill: float) -> torch.Tensor:
    if all(tensor.shape[-1] == length for tensor in tensors):
        return torch.stack(tensors)
    first = tensors[0]
    stacked = torch.full(
        (len(tensors), *first.shape[:-1], length), fill, dtype=first.dtype, device=first.device
    )
    for at, tensor in enumerate(tensors):
        stacked[at, ..., : tensor.shape[-1]] = tensor
    return stacked
