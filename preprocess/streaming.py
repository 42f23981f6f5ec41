"""Exact block-wise runs of a causal encoder or decoder: an hour in the memory of two seconds.

encodec's own `encode` takes about 16 MB per second of audio. Cutting the audio into chunks and
encoding each by itself changes half of the tokens, since every layer then starts from padding.
Here every layer instead keeps what it needs of the block before, so that each output is computed
from the same numbers as over the whole clip:

    convolution of kernel k, dilation d, stride s: its last (k - 1) d - (s - 1) inputs

        block 0   <reflect|x x x x x x x x|             left: encodec's reflect padding
        block 1                    |x x|x x x x x x|    left: what block 0 ended with
        last                                |x x|x x|r> right: encodec's extra padding

    transposed convolution of kernel k, stride s: its last ceil(k / s) - 1 inputs, whose outputs
        are computed again and dropped
    LSTM: its hidden and cell states

An encoder's blocks are a multiple of the hop, so that no stride straddles two of them.
Layers: `encodec/modules/seanet.py`, `conv.py` and `lstm.py` of facebookresearch/encodec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Wave = NDArray[np.float32]
Block = NDArray[Any]


def reblock(blocks: Iterable[Block], size: int, least: int) -> Iterator[tuple[Block, bool]]:
    """Cut a clip `[C, N]` that arrives in blocks of any sizes into blocks of `size`.

    The last one has more than `least` and up to `size + least`, unless the whole clip is shorter.

    Yields:
        Each block and whether it is the last.
    """
    held: list[Block] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[1]
        if count <= size + least:
            continue
        joined = np.concatenate(held, axis=1)
        whole = (count - least - 1) // size
        for index in range(whole):
            yield joined[:, index * size : (index + 1) * size], False
        held, count = [joined[:, whole * size :]], count - whole * size
    if count:
        yield np.concatenate(held, axis=1), True


class CausalNetwork:
    """Runs one clip, block by block, through encoder or decoder of a causal `EncodecModel`.

    One instance is one clip: it holds what its layers remember.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers: Any = network.model
        self._memory: dict[int, Any] = {}
        self._last = False

    def push(self, block: Tensor, last: bool) -> Tensor:
        """Return what the network makes of the next block.

        Args:
            block: Audio `[B, C, n]` for an encoder, n being a multiple of the hop unless the
                block is the last; latents `[B, D, t]` for a decoder. The first block has at
                least 7 frames, unless it is the last.
            last: Whether the clip ends with this block.

        Returns:
            Latents `[B, D, t]` of an encoder, audio `[B, C, n]` of a decoder.
        """
        self._last = last
        x = block
        for layer in self._layers:
            x = self._run(layer, x)
        return x

    def _run(self, layer: Any, x: Tensor) -> Tensor:
        kind = type(layer).__name__
        if kind == "SConv1d":
            return self._convolve(layer, x)
        if kind == "SConvTranspose1d":
            return self._convolve_transposed(layer, x)
        if kind == "SLSTM":
            return self._recur(layer, x)
        if kind == "SEANetResnetBlock":
            shortcut = self._run(layer.shortcut, x)
            for inner in layer.block:
                x = self._run(inner, x)
            return shortcut + x
        result: Tensor = layer(x)  # an activation remembers nothing
        return result

    def _convolve(self, layer: Any, x: Tensor) -> Tensor:
        import torch
        from encodec.modules.conv import get_extra_padding_for_conv1d, pad1d

        conv = layer.conv.conv
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        context = (kernel - 1) * conv.dilation[0] - (stride - 1)
        extra = get_extra_padding_for_conv1d(x, kernel, stride, context) if self._last else 0
        before = self._memory.get(id(layer))
        if before is None:
            x = pad1d(x, (context, extra), mode=layer.pad_mode)
        else:
            x = pad1d(torch.cat([before, x], dim=2), (0, extra), mode=layer.pad_mode)
        if context and not self._last:
            self._memory[id(layer)] = x[..., -context:].clone()
        result: Tensor = layer.conv(x)
        return result

    def _convolve_transposed(self, layer: Any, x: Tensor) -> Tensor:
        import torch

        conv = layer.convtr.convtr
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        context = -(-kernel // stride) - 1
        before = self._memory.get(id(layer))
        joined = x if before is None else torch.cat([before, x], dim=2)
        self._memory[id(layer)] = joined[..., -context:].clone()
        result: Tensor = layer(joined)
        return result[..., (joined.shape[2] - x.shape[2]) * stride :]

    def _recur(self, layer: Any, x: Tensor) -> Tensor:
        x = x.permute(2, 0, 1)
        y, self._memory[id(layer)] = layer.lstm(x, self._memory.get(id(layer)))
        if layer.skip:
            y = y + x
        result: Tensor = y.permute(1, 2, 0)
        return result
