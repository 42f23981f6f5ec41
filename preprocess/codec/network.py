"""encodec's encoder or decoder in three parts: convolutions, LSTM, convolutions.

The convolutions have a limited receptive field. A window of the clip that extends `before` and
`after` frames beyond the frames kept of it gives the same output as the whole clip.
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
    """The network has a layer that this code does not support."""


class Parts:
    """A network in three parts.

    Args:
        network: encodec's `SEANetEncoder` or `SEANetDecoder`.
        hop: Hop length in samples.
        samples: Length of a clip whose kernels the windows use.

    Attributes:
        first: Convolutions, `[B, C, T]` to `[B, C', T']`.
        recurrent: The LSTM; it also accepts and returns states.
        last: Convolutions, `[B, C, T]` to `[B, C', T']`.
        receptive_first: Receptive field of `first`: frames `(before, after)` a frame.
        receptive_last: Receptive field of `last`.
        long_from: Smallest number of frames for which PyTorch picks the kernels of a long clip.

    Raises:
        UnknownLayerError: The network has a layer that encodec's do not have.
    """

    def __init__(self, network: Any, hop: int, samples: int = LONG_SAMPLES) -> None:
        with_threads(1, lambda: self._build(list(network.model), hop, -(-samples // hop)))

    def _build(self, layers: list[Any], hop: int, frames: int) -> None:
        at = next(i for i, layer in enumerate(layers) if type(layer).__name__ == "SLSTM")
        decoder = any(type(layer).__name__ == "SConvTranspose1d" for layer in layers)
        rate = 1 if decoder else hop
        first = _Rebuilt(layers[:at], rate, frames)
        last = _Rebuilt(layers[at + 1 :], first.rate, frames)
        self.receptive_first, self.receptive_last = first.receptive, last.receptive
        self.first, self.last = first.windows, last.windows
        self._whole_first, self._whole_last = first.whole, last.whole
        self.long_from = max(first.long_from, last.long_from)
        self.recurrent = Recurrent(layers[at])
        weight = self.recurrent.lstm.weight_hh_l0
        self.device, self.dtype = weight.device, weight.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """Run long clips or segments `[B, C, T]`; may overwrite `x`."""
        y: Tensor = self.last(self.recurrent(self.first(x))[0])
        return y

    def whole(self, x: Tensor) -> Tensor:
        """Run one whole clip `[1, C, T]` with the kernels that PyTorch picks for its length."""
        y: Tensor = self._whole_last(self.recurrent(self._whole_first(x))[0])
        return y


class _Rebuilt:
    """Our versions of encodec's layers: one set for windows of long clips, one for whole clips.

    Attributes:
        rate: Steps per frame after the layers.
        receptive: Receptive field: frames before and after a frame.
        long_from: See `Parts`.
    """

    def __init__(self, layers: Sequence[Any], rate: int, frames: int) -> None:
        self.rate, self.long_from, self._frames = rate, 1, frames
        self._before = self._after = 0.0
        pairs = [self._pair(layer) for layer in layers]
        self.windows = nn.Sequential(*(pair[0] for pair in pairs))
        self.whole = nn.Sequential(*(pair[1] for pair in pairs))
        self.receptive = math.ceil(self._before), math.ceil(self._after)

    def _pair(self, layer: Any) -> tuple[nn.Module, nn.Module]:
        """Return our versions of a layer: for windows and for whole clips."""
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
            self._before, self._after = before, after  # the block has the wider receptive field
            block = list(zip(*(self._pair(inner) for inner in layer.block), strict=True))
            pair = [
                Residual(s, nn.Sequential(*own)) for s, own in zip(shortcut, block, strict=True)
            ]
            return pair[0], pair[1]
        if kind == "ELU":
            return Elu(layer.alpha), Elu(layer.alpha)
        if kind in ("Identity", "Tanh"):
            return layer, layer
        raise UnknownLayerError(f"encodec's network has a layer {kind}, which is not supported")

    def _convolution(self, layer: Any) -> tuple[Convolution, Convolution]:
        ours = Convolution(layer, self.rate * self._frames)
        self._before += (ours.padding_total - ours.after) / self.rate
        self._after += ours.after / self.rate
        self.long_from = max(self.long_from, -(-ours.long_from // self.rate))
        self.rate //= ours.stride
        return ours, ours.for_whole_clips()
