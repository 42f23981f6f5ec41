"""Copies between the memories of processor and GPU that do not wait for each other.

A copy to the GPU from pinned memory runs beside its kernels; PyTorch keeps the memory until the copy
is done. A copy back waits for all kernels before it, so a part of several windows makes only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def to_device(x: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor of the processor on `device` as `dtype`."""
    if device.type != "cuda":
        return x.to(device, dtype)
    return x.pin_memory().to(device, non_blocking=True).to(dtype)


def to_host(parts: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors `[..., n]` that differ at most in n in the processor's memory, by one copy."""
    if len(parts) < 2 or parts[0].device.type == "cpu":
        return [part.cpu() for part in parts]
    return list(joined(parts).cpu().split([part.shape[-1] for part in parts], dim=-1))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the tensors side by side."""
    return torch.cat(list(parts), dim=-1)
