"""What we take of PyTorch beyond its documented interface, asked for once, here.

Two names: `torch._C._select_conv_backend` says which kernel a convolution would get, and
`torch.mkldnn_convolution` runs oneDNN's, whatever the shape. Where a version of PyTorch lacks
either, or they do other than they did in those that were tried, `pinned_kernels` says so in one
line of the log and returns None: convolutions then run by PyTorch's own choice, one clip a run.
Codes still depend on the audio alone, but more of them differ from encodec's, so the engine's name
says it (`preprocess.codec.engine`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

TRIED = ("2.6.0", "2.13.0", "2.14.1")
"""Versions of PyTorch in which the names below do what is expected here."""
REFERENCE_THREADS = 2
"""PyTorch's choice of kernels depends on the number of threads; ours is that for two."""


@dataclass(frozen=True)
class PinnedKernels:
    """The two functions.

    Attributes:
        select: `(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups)`
            to a name of a kernel.
        onednn: `(x, weight, bias, padding, stride, dilation, groups)` to the result, in 2-D.
    """

    select: Callable[..., Any]
    onednn: Callable[..., Tensor]

    def choose(self, conv: torch.nn.Conv1d, steps: int) -> str:
        """Return the name of the kernel for one clip of `steps` inputs, by the caller's threads."""
        x = conv.weight.new_empty(1).expand(1, conv.in_channels, steps)
        settings = (conv.stride, (0,), conv.dilation, False, (0,), conv.groups)
        return str(self.select(x, conv.weight, conv.bias, *settings)).rpartition(".")[2]

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor, stride: int, by: int) -> Tensor:
        """Return the convolution of `x` `[B, C, T]`, dilated `by`, by oneDNN's kernel."""
        row, kernel = x[:, :, None], weight[:, :, None]
        return self.onednn(row, kernel, bias, (0, 0), (1, stride), (1, by), 1)[:, :, 0]


@cache
def pinned_kernels() -> PinnedKernels | None:
    """Return the functions, or None where this PyTorch lacks them, and log why at first."""
    problem = "torch._C._select_conv_backend or torch.mkldnn_convolution is not there"
    select = getattr(torch._C, "_select_conv_backend", None)
    onednn = getattr(torch, "mkldnn_convolution", None)
    if select is not None and onednn is not None:
        kernels = PinnedKernels(select, onednn)
        try:
            problem = _problem(kernels)
        except Exception as error:  # whatever a changed signature raises
            problem = " ".join(str(error).split())[:120]
        if not problem:
            return kernels
    logging.getLogger("preprocess").warning(
        "torch %s does not let us choose its convolution kernels (%s; tried: %s): they are its own "
        "choice, clip by clip, which is slower and gives more codes that differ from encodec's",
        torch.__version__,
        problem,
        ", ".join(TRIED),
    )
    return None


def _problem(kernels: PinnedKernels) -> str:
    """Return what is wrong with the functions, empty where nothing is."""
    conv = torch.nn.Conv1d(2, 3, 3, dilation=2)
    x = torch.linspace(-1, 1, 80).view(2, 2, 20)
    with torch.inference_mode():
        name = kernels.choose(conv, 1 << 20)
        if not name.isidentifier():
            return f"_select_conv_backend says {name!r}"
        if name != "Mkldnn":
            return ""  # a build without oneDNN: its kernel is not called
        found = kernels.convolve(x, conv.weight, conv.bias, 1, 2)
        expected = functional.conv1d(x, conv.weight, conv.bias, dilation=2)
    same = found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)
    return "" if same else "mkldnn_convolution gives another result than conv1d"
