"""encodec's layers rebuilt for inference: the same numbers, with less overhead.

A kernel's summation order decides near ties between codebook entries, so "encodec's codes" needs
encodec's kernels. PyTorch picks the kernel of a convolution by its shape and the number of
threads, so a block of a clip, or a batch of clips, may get another kernel than a whole clip. Here
each convolution is pinned to the kernel that PyTorch picks for the clip alone with two threads.

To save time, padding and audio are written into one buffer, activations run in place, and weight
norms are folded.

Layers: `encodec/modules/seanet.py` and `conv.py` of facebookresearch/encodec.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from preprocess.codec.torch_private import REFERENCE_THREADS, pinned_kernels
from preprocess.codec.workers import with_threads

if TYPE_CHECKING:
    from torch import Tensor

LONG_SAMPLES = 1 << 17
"""Samples from which every layer of a clip is past PyTorch's thresholds for choosing a kernel."""
_LANES = 64
"""A multiple of the numbers that PyTorch's vector loops process at a time, at most 32."""


def exact_here(weight: Tensor) -> bool:
    """Whether the summation order must be kept here: on a CPU, in float32."""
    return bool(weight.device.type == "cpu" and weight.dtype == torch.float32)


class Convolution(nn.Module):
    """encodec's `SConv1d`: padding, convolution, normalization.

    On a CPU in float32 it runs the kernel that PyTorch picks for one long clip, whatever the shape
    of its input; `for_whole_clips` returns one that runs the kernel for the input's length.
    oneDNN's kernels gave the same bits for any length and number of rows.

    Args:
        layer: encodec's layer.
        long_steps: Steps of a long clip at this layer.

    Attributes:
        backend: The kernel of a long clip.
        long_from: Smallest number of steps for which PyTorch picks that kernel.
        padding_total: Steps of padding before and after: the receptive field less the stride.
        after: How many of these are after the input.
    """

    def __init__(self, layer: Any, long_steps: int) -> None:
        super().__init__()
        conv = layer.conv.conv
        self.weight, self.bias, self.norm = conv.weight, conv.bias, layer.conv.norm
        self.stride, self.dilation = conv.stride[0], conv.dilation[0]
        self.kernel = conv.kernel_size[0]
        self.pad_mode = layer.pad_mode
        self.padding_total = (self.kernel - 1) * self.dilation - (self.stride - 1)
        self.after = 0 if layer.causal else self.padding_total // 2
        self.exact, self.whole = exact_here(conv.weight), False
        self._kernels = pinned_kernels() if self.exact else None
        self.backend, self.long_from = "", 0
        if self._kernels is not None:
            self.backend, self.long_from = with_threads(
                REFERENCE_THREADS, lambda: self._choose(conv, long_steps)
            )

    def for_whole_clips(self) -> Convolution:
        """Return the same convolution, for whole clips that may be short."""
        other = copy(self)
        other.whole = True
        return other

    def _choose(self, conv: nn.Conv1d, long_steps: int) -> tuple[str, int]:
        """Return the kernel of a long clip, and the smallest number of steps that gets it."""
        kernels = self._kernels
        if kernels is None:
            return "", 0
        low = self.padding_total + self.stride - 1  # less than the kernel spans
        high = max(long_steps, low + 1)
        long = kernels.choose(conv, high)
        while low + 1 < high:
            # A query is slower for more steps, and the answer is near `low`.
            middle = min((low + high) // 2, 2 * low + 64)
            if kernels.choose(conv, middle) == long:
                high = middle
            else:
                low = middle
        return long, high

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C', ceil(T / stride)]`."""
        result: Tensor = self.norm(self._convolve(self._pad(x)))
        return result

    def _pad(self, x: Tensor) -> Tensor:
        steps = x.shape[2]
        before = self.padding_total - self.after
        after = self.after + -steps % self.stride
        if not before and not after:
            return x
        if steps <= max(before, after) or self.pad_mode != "reflect":
            from encodec.modules.conv import pad1d

            padded: Tensor = pad1d(x, (before, after), mode=self.pad_mode)
            return padded
        buffer = x.new_empty(x.shape[0], x.shape[1], before + steps + after)
        buffer[..., before : before + steps] = x
        if before:
            buffer[..., :before] = x[..., 1 : before + 1].flip(2)
        if after:
            buffer[..., before + steps :] = x[..., -1 - after : -1].flip(2)
        return buffer

    def _convolve(self, x: Tensor) -> Tensor:
        short = self.whole and x.shape[2] < self.long_from
        if self._kernels is not None and self.backend == "Mkldnn" and not short:
            return self._kernels.convolve(x, self.weight, self.bias, self.stride, self.dilation)
        if self.exact and x.shape[0] > 1:  # several rows may get another kernel than one row
            return torch.cat([self._by_torch(row) for row in x.split(1)])
        return self._by_torch(x)

    def _by_torch(self, x: Tensor) -> Tensor:
        return functional.conv1d(x, self.weight, self.bias, self.stride, 0, self.dilation)


class Elu(nn.Module):
    """An in-place ELU that computes every number the same way, wherever it is in memory.

    PyTorch processes contiguous memory in vectors, with its own exponential. The remainder at the
    end of each thread's share uses the C library's exponential, which rounds differently. Here the
    remainder is padded to a full vector.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Return the ELU of `x`, any shape; overwrites `x`."""
        flat = (x if x.is_contiguous() else x.contiguous()).view(-1)
        whole = flat.numel() // _LANES * _LANES
        functional.elu_(flat[:whole], self.alpha)
        if whole < flat.numel():
            rest = flat[whole:]
            padded = functional.pad(rest, (0, _LANES - rest.numel()))
            rest.copy_(functional.elu_(padded, self.alpha)[: rest.numel()])
        return flat.view(x.shape)


class Residual(nn.Module):
    """encodec's `SEANetResnetBlock`."""

    def __init__(self, shortcut: nn.Module, block: nn.Sequential) -> None:
        super().__init__()
        self.shortcut, self.block = shortcut, block

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut plus block, `[B, C, T]` as `x`; may overwrite `x`."""
        shortcut = self.shortcut(x)
        if shortcut is x:
            x = x.clone()  # the block starts with an in-place operation
        result: Tensor = self.block(x).add_(shortcut)
        return result
