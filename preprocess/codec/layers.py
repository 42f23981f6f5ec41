"""encodec's layers rebuilt for inference: the same numbers, with less work around them.

A kernel's order of sums decides near ties between codebook entries, so "encodec's codes" means
encodec's kernels. PyTorch picks the kernel of a convolution by its shape and by the number of
threads; a block of a clip, or several clips in one batch, may get another one than a whole clip.
Here each convolution is pinned to what PyTorch would take for the clip by itself with two threads.

Around them: padding and audio are written into one buffer instead of padded copies, activations
run in place, weight norms are folded.

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
"""A clip of this length has outgrown every threshold of PyTorch's choice of kernels."""
_LANES = 64
"""A multiple of what PyTorch's loops take at a time: twice the numbers in the widest register."""


def exact_here(weight: Tensor) -> bool:
    """Whether the order of sums is ours to keep: on a CPU, in float32."""
    return bool(weight.device.type == "cpu" and weight.dtype == torch.float32)


class Convolution(nn.Module):
    """An `encodec` `SConv1d`: padding, convolution, normalization.

    On a CPU in float32 it runs the kernel that PyTorch takes for one long clip, whatever shape it
    is given; `for_whole_clips` gives one that takes the kernel for a clip of just its length.
    oneDNN's kernels gave the same bits for any length and number of rows.

    Args:
        layer: encodec's.
        long_steps: Steps that a long clip has at this layer.

    Attributes:
        backend: The kernel of a long clip.
        grown: From how many steps on PyTorch takes it.
    """

    def __init__(self, layer: Any, long_steps: int) -> None:
        super().__init__()
        conv = layer.conv.conv
        self.weight, self.bias, self.norm = conv.weight, conv.bias, layer.conv.norm
        self.stride, self.dilation = conv.stride[0], conv.dilation[0]
        self.kernel = conv.kernel_size[0]
        self.pad_mode = layer.pad_mode
        self.reach = (self.kernel - 1) * self.dilation - (self.stride - 1)
        self.after = 0 if layer.causal else self.reach // 2
        self.exact, self.whole = exact_here(conv.weight), False
        self._kernels = pinned_kernels() if self.exact else None
        self.backend, self.grown = "", 0
        if self._kernels is not None:
            self.backend, self.grown = with_threads(
                REFERENCE_THREADS, lambda: self._choose(conv, long_steps)
            )

    def for_whole_clips(self) -> Convolution:
        """Return the same convolution, for whole clips that may be short."""
        other = copy(self)
        other.whole = True
        return other

    def _choose(self, conv: nn.Conv1d, long_steps: int) -> tuple[str, int]:
        """Return the kernel of a long clip, and from how many steps on PyTorch takes it."""
        kernels = self._kernels
        if kernels is None:
            return "", 0
        low = self.reach + self.stride - 1  # less than the kernel spans
        high = max(long_steps, low + 1)
        long = kernels.choose(conv, high)
        while low + 1 < high:
            # Asking takes the longer the more steps there are, and the answer is near `low`.
            middle = min((low + high) // 2, 2 * low + 64)
            if kernels.choose(conv, middle) == long:
                high = middle
            else:
                low = middle
        return long, high

    def forward(self, x: Tensor) -> Tensor:
        """Return `[B, C', ceil(T / stride)]` for `[B, C, T]`."""
        result: Tensor = self.norm(self._convolve(self._pad(x)))
        return result

    def _pad(self, x: Tensor) -> Tensor:
        steps = x.shape[2]
        before = self.reach - self.after
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
        short = self.whole and x.shape[2] < self.grown
        if self._kernels is not None and self.backend == "Mkldnn" and not short:
            return self._kernels.convolve(x, self.weight, self.bias, self.stride, self.dilation)
        if self.exact and x.shape[0] > 1:  # several rows may get another kernel than one
            return torch.cat([self._by_torch(row) for row in x.split(1)])
        return self._by_torch(x)

    def _by_torch(self, x: Tensor) -> Tensor:
        return functional.conv1d(x, self.weight, self.bias, self.stride, 0, self.dilation)


class Elu(nn.Module):
    """An ELU in place, in which each number has the same function wherever it lies.

    PyTorch takes numbers from contiguous memory many at a time, with its own exponential, and the
    rest at the end of each thread's share with that of the C library, which rounds otherwise. The
    rest is padded here.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Return the ELU of `x`, which is overwritten."""
        flat = (x if x.is_contiguous() else x.contiguous()).view(-1)
        whole = flat.numel() // _LANES * _LANES
        functional.elu_(flat[:whole], self.alpha)
        if whole < flat.numel():
            rest = flat[whole:]
            padded = functional.pad(rest, (0, _LANES - rest.numel()))
            rest.copy_(functional.elu_(padded, self.alpha)[: rest.numel()])
        return flat.view(x.shape)


class Residual(nn.Module):
    """An `encodec` `SEANetResnetBlock`."""

    def __init__(self, shortcut: nn.Module, block: nn.Sequential) -> None:
        super().__init__()
        self.shortcut, self.block = shortcut, block

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut plus block; `x` may be overwritten."""
        shortcut = self.shortcut(x)
        if shortcut is x:
            x = x.clone()  # the block begins in place
        result: Tensor = self.block(x).add_(shortcut)
        return result
