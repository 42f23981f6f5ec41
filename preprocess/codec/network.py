"""encodec's encoder or decoder in three parts: convolutions, LSTM, convolutions.

The convolutions of either side see only so far: a window of the clip, with `before` and `after`
frames more than what is kept of it, gives what the whole clip would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from preprocess.codec.layers import LONG_SAMPLES, Convolution, Elu, Residual
from preprocess.codec.recurrent import Recurrent
from preprocess.codec.workers import with_threads

if TYPE_CHECKING:
    from torch import Tensor


class UnknownLayerError(TypeError):
    """A network has a layer that this code was not written for."""


class Parts:
    """A network in parts.

    Args:
        network: encodec's `SEANetEncoder` or `SEANetDecoder`.
        hop: Samples of a frame.
        samples: How long a clip is whose kernels its windows get.

    Attributes:
        first, recurrent, last: `[B, C, T]` to `[B, C', T']`; the LSTM also takes and gives states.
        reach_first, reach_last: `(before, after)` in frames.
        grown: Frames of a clip from which on PyTorch takes the kernels of a long one.

    Raises:
        UnknownLayerError: The network has a layer of another kind than encodec's.
    """

    def __init__(self, network: Any, hop: int, samples: int = LONG_SAMPLES) -> None:
        with_threads(1, lambda: self._build(list(network.model), hop, -(-samples // hop)))

    def _build(self, layers: list[Any], hop: int, frames: int) -> None:
        at = next(i for i, layer in enumerate(layers) if type(layer).__name__ == "SLSTM")
        decoder = any(type(layer).__name__ == "SConvTranspose1d" for layer in layers)
        rate = 1 if decoder else hop
        first = _Rebuilt(layers[:at], rate, frames)
        last = _Rebuilt(layers[at + 1 :], first.rate, frames)
        self.reach_first, self.reach_last = first.reach, last.reach
        self.first, self.last = first.windows, last.windows
        self._whole_first, self._whole_last = first.whole, last.whole
        self.grown = max(first.grown, last.grown)
        self.recurrent = Recurrent(layers[at])
        weight = self.recurrent.lstm.weight_hh_l0
        self.device, self.dtype = weight.device, weight.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """Run long clips or segments `[B, C, T]`, which may be overwritten."""
        y: Tensor = self.last(self.recurrent(self.first(x))[0])
        return y

    def whole(self, x: Tensor) -> Tensor:
        """Run one whole clip `[1, C, T]` by the kernels that PyTorch takes for its length."""
        y: Tensor = self._whole_last(self.recurrent(self._whole_first(x))[0])
        return y


class _Rebuilt:
    """Our layers for encodec's, once for windows of long clips and once for whole clips.

    Attributes:
        rate: Steps of a frame after them.
        reach: How many frames before and after they see.
        grown: See `Parts`.
    """

    def __init__(self, layers: Sequence[Any], rate: int, frames: int) -> None:
        self.rate, self.grown, self._frames = rate, 1, frames
        self._before = self._after = 0.0
        pairs = [self._pair(layer) for layer in layers]
        self.windows = nn.Sequential(*(pair[0] for pair in pairs))
        self.whole = nn.Sequential(*(pair[1] for pair in pairs))
        self.reach = math.ceil(self._before), math.ceil(self._after)

    def _pair(self, layer: Any) -> tuple[nn.Module, nn.Module]:
        """Return what stands for a layer, for windows and for whole clips."""
        kind = type(layer).__name__
        if kind == "SConv1d":
            return self._convolution(layer)
        if kind == "SConvTranspose1d":
            inner = layer.convtr.convtr
            overlap = -(-inner.kernel_size[0] // inner.stride[0]) - 1
            self._before += overlap / self.rate
            self._after += 0 if layer.causal else overlap / self.rate
            self.rate *= inner.stride[0]
            return layer, layer
        if kind == "SEANetResnetBlock":
            before, after = self._before, self._after
            shortcut = self._pair(layer.shortcut)
            self._before, self._after = before, after  # the block's reach is the wider one
            block = list(zip(*(self._pair(inner) for inner in layer.block), strict=True))
            pair = [
                Residual(s, nn.Sequential(*own)) for s, own in zip(shortcut, block, strict=True)
            ]
            return pair[0], pair[1]
        if kind == "ELU":
            return Elu(layer.alpha), Elu(layer.alpha)
        if kind in ("Identity", "Tanh"):
            return layer, layer
        raise UnknownLayerError(f"encodec's network has a layer {kind}, which is not known here")

    def _convolution(self, layer: Any) -> tuple[Convolution, Convolution]:
        ours = Convolution(layer, self.rate * self._frames)
        self._before += (ours.reach - ours.after) / self.rate
        self._after += ours.after / self.rate
        self.grown = max(self.grown, -(-ours.grown // self.rate))
        self.rate //= ours.stride
        return ours, ours.for_whole_clips()
