"""The only uses of undocumented PyTorch functions.

There are two: `torch._C._select_conv_backend` tells which kernel a convolution would get, and
`torch.mkldnn_convolution` runs oneDNN's kernel for any shape. If a version of PyTorch lacks one of
them, or they behave differently than in the tried versions, `pinned_kernels` logs one line and
returns None. PyTorch then chooses the kernels, one clip per run. Codes still depend only on the
audio, but more of them differ from encodec's, and the engine's name says so
(`preprocess.codec.engine`).
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
"""Versions of PyTorch in which these functions work as expected."""
REFERENCE_THREADS = 2
"""PyTorch's choice of kernels depends on the number of threads; we use its choice for two."""


@dataclass(frozen=True)
class PinnedKernels:
    """The two functions.

    Attributes:
        select: Maps `(x, weight, bias, stride, padding, dilation, transposed, output_padding,
            groups)` to a kernel.
        onednn: Maps `(x, weight, bias, padding, stride, dilation, groups)` to the 2-D result.
    """

    select: Callable[..., Any]
    onednn: Callable[..., Tensor]

    def choose(self, conv: torch.nn.Conv1d, steps: int) -> str:
        """Return the kernel's name for one clip of `steps` steps and torch's number of threads."""
        x = conv.weight.new_empty(1).expand(1, conv.in_channels, steps)
        settings = (conv.stride, (0,), conv.dilation, False, (0,), conv.groups)
        return str(self.select(x, conv.weight, conv.bias, *settings)).rpartition(".")[2]

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor, stride: int, by: int) -> Tensor:
        """Convolve `x` `[B, C, T]` with oneDNN's kernel and dilation `by`; no padding."""
        row, kernel = x[:, :, None], weight[:, :, None]
        return self.onednn(row, kernel, bias, (0, 0), (1, stride), (1, by), 1)[:, :, 0]


@cache
def pinned_kernels() -> PinnedKernels | None:
    """Return the functions, or None if this PyTorch lacks them; the first call logs the reason."""
    problem = "torch._C._select_conv_backend or torch.mkldnn_convolution is missing"
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
        "torch %s does not allow choosing its convolution kernels (%s; tried: %s): encoding is "
        "slower, and more codes differ from encodec's",
        torch.__version__,
        problem,
        ", ".join(TRIED),
    )
    return None


def _problem(kernels: PinnedKernels) -> str:
    """Return what is wrong with the functions; empty if nothing is."""
    conv = torch.nn.Conv1d(2, 3, 3, dilation=2)
    x = torch.linspace(-1, 1, 80).view(2, 2, 20)
    with torch.inference_mode():
        name = kernels.choose(conv, 1 << 20)
        if not name.isidentifier():
            return f"_select_conv_backend returns {name!r}"
        if name != "Mkldnn":
            return ""  # a build without oneDNN never calls its kernel
        found = kernels.convolve(x, conv.weight, conv.bias, 1, 2)
        expected = functional.conv1d(x, conv.weight, conv.bias, dilation=2)
    same = found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)
    return "" if same else "the result of mkldnn_convolution differs from conv1d's"
