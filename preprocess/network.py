"""encodec's networks rebuilt for inference: the same numbers, with less work around them.

A kernel's order of sums decides near ties between codebook entries, so "encodec's codes" means
encodec's kernels. PyTorch picks the kernel of a convolution by its shape and by the number of
threads; a block of a clip, or several clips in one batch, may get another one than a whole clip.
Here each convolution is pinned to what PyTorch would take for a long clip by itself, and the LSTM
runs many rows at once in the very order of sums of one row.

Around them: padding and audio are written into one buffer instead of padded copies, activations
run in place, weight norms are folded.

Layers: `encodec/modules/seanet.py`, `conv.py` and `lstm.py` of facebookresearch/encodec.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

State = tuple["Tensor", "Tensor"]

LONG_SAMPLES = 1 << 20
"""A clip of this length has outgrown every threshold of PyTorch's choice of kernels."""
_WIDER = 8  # zero columns; see Recurrent


class Convolution(nn.Module):
    """An `encodec` `SConv1d`: padding, convolution, normalization.

    On a CPU in float32 it runs the kernel that PyTorch takes for one clip of so many frames, with
    `rate` steps in each at this layer, whatever shape it is given. oneDNN's kernels gave the same
    bits for any length, number of rows and of threads.
    """

    def __init__(self, layer: Any, rate: int, frames: int) -> None:
        super().__init__()
        conv = layer.conv.conv
        self.weight, self.bias, self.norm = conv.weight, conv.bias, layer.conv.norm
        self.stride, self.dilation = conv.stride[0], conv.dilation[0]
        self.kernel = conv.kernel_size[0]
        self.pad_mode = layer.pad_mode
        self.reach = (self.kernel - 1) * self.dilation - (self.stride - 1)
        self.after = 0 if layer.causal else self.reach // 2
        self.backend = choose_backend(conv, rate * frames)
        self._conv, self._rate = conv, rate

    def forward(self, x: Tensor) -> Tensor:
        """Return `[B, C', ceil(T / stride)]` for `[B, C, T]`."""
        result: Tensor = self.norm(self._convolve(self._pad(x)))
        return result

    def takes(self, frames: int) -> bool:
        """Whether PyTorch takes this kernel for a clip of that many frames, too."""
        return choose_backend(self._conv, self._rate * frames) == self.backend

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
        if self.backend == "Mkldnn":
            row, weight = x[:, :, None], self.weight[:, :, None]
            y = torch.mkldnn_convolution(
                row, weight, self.bias, (0, 0), (1, self.stride), (1, self.dilation), 1
            )
            return y[:, :, 0]
        if self.backend == "Slow2d" and x.shape[0] > 1:  # else PyTorch changes to oneDNN
            rows = [
                functional.conv1d(row, self.weight, self.bias, self.stride, 0, self.dilation)
                for row in x.split(1)
            ]
            return torch.cat(rows)
        return functional.conv1d(x, self.weight, self.bias, self.stride, 0, self.dilation)


class Residual(nn.Module):
    """An `encodec` `SEANetResnetBlock`."""

    def __init__(self, shortcut: nn.Module, block: nn.Sequential) -> None:
        super().__init__()
        self.shortcut, self.block = shortcut, block

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut plus block; `x` may be overwritten."""
        shortcut = self.shortcut(x)
        result: Tensor = self.block(x).add_(shortcut)
        return result


class Recurrent(nn.Module):
    """An `encodec` `SLSTM` that carries its states from block to block, for several rows.

    One row is oneDNN's special case: it adds the products with the input and those with the state
    as two sums. More rows of one width go into one running sum, which rounds otherwise. Where the
    widths of input and state differ, though, it keeps the two sums apart
    (`brgemm_fwd_iter_layer_fuse_possible` in its `rnn_brgemm_utils.cpp`): so for several rows the
    input is widened by columns of zeros. Whether that gives the bits of single rows is tried once,
    when the codec is loaded; where it does not, rows run one by one.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.lstm, self.skip = layer.lstm, layer.skip
        self.size = int(self.lstm.hidden_size)
        self.wide = nn.ModuleList()
        self.batches = not _one_by_one(self.lstm.weight_hh_l0)
        if self.batches:
            return
        self.wide.extend(_widened(self.lstm, index) for index in range(self.lstm.num_layers))
        self.batches = self._rows_agree()

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run the next steps of each row.

        Args:
            x: `[B, C, T]`.
            state: Hidden and cell states `[layers, B, C]`; None at the start.

        Returns:
            `[B, C, T]`, and the states after it.
        """
        steps = x.permute(2, 0, 1).contiguous()
        if state is None:
            zeros = x.new_zeros(self.lstm.num_layers, x.shape[0], self.size)
            state = (zeros, zeros)
        y, state = self._run(steps, state)
        if self.skip:
            y = y.add_(steps)
        return y.permute(1, 2, 0), state

    def _run(self, steps: Tensor, state: State) -> tuple[Tensor, State]:
        rows = steps.shape[1]
        if rows == 1 or (self.batches and not self.wide):
            y, (h, c) = self.lstm(steps, state)
            return y, (h, c)
        if not self.batches:
            parts = [
                self.lstm(steps[:, r : r + 1].contiguous(), _row(state, r)) for r in range(rows)
            ]
            h, c = (torch.cat([part[1][i] for part in parts], dim=1) for i in (0, 1))
            return torch.cat([y for y, _ in parts], dim=1), (h, c)
        more = next(shape for shape in ROW_SHAPES if rows <= shape) - rows
        states = [functional.pad(part, (0, 0, 0, more)).split(1) for part in state]
        hidden, cells = [], []
        for layer, h, c in zip(self.wide, *states, strict=True):
            steps, (h, c) = layer(functional.pad(steps, (0, _WIDER, 0, more)), (h, c))
            steps = steps[:, :rows]
            hidden.append(h[:, :rows])
            cells.append(c[:, :rows])
        return steps, (torch.cat(hidden), torch.cat(cells))

    def _rows_agree(self) -> bool:
        """Whether several rows give the bits of single ones, in each number of rows that is run."""
        generator = torch.Generator().manual_seed(0)
        agree = True
        for rows in ROW_SHAPES:
            steps = torch.randn(5, rows, self.size, generator=generator)
            shape = (self.lstm.num_layers, rows, self.size)
            state = (0.5 * torch.randn(shape, generator=generator), torch.zeros(shape))
            self.batches = True
            together, _ = self._run(steps, state)
            self.batches = False
            alone, _ = self._run(steps, state)
            agree = agree and torch.equal(together, alone)
        return agree


ROW_SHAPES = (4, 8)
"""Rows that the LSTM runs at once on a CPU; what they are more than the clips are zeros."""
ROWS = ROW_SHAPES[-1]
"""Clips that share a run of the LSTM."""


def _one_by_one(weight: Tensor) -> bool:
    return bool(weight.device.type == "cpu" and weight.dtype == torch.float32)


def _row(state: State, row: int) -> State:
    h, c = (part[:, row : row + 1].contiguous() for part in state)
    return h, c


def _widened(lstm: Any, index: int) -> nn.LSTM:
    """Return layer `index` of `lstm` by itself, for inputs with zero columns at their end."""
    state = {
        name.replace(f"_l{index}", "_l0"): value
        for name, value in lstm.state_dict().items()
        if name.endswith(f"_l{index}")
    }
    state["weight_ih_l0"] = functional.pad(state["weight_ih_l0"], (0, _WIDER))
    layer = nn.LSTM(lstm.input_size + _WIDER, lstm.hidden_size)
    layer.load_state_dict(state)
    return layer.eval()


def choose_backend(conv: nn.Conv1d, steps: int) -> str:
    """Return the name of the kernel that PyTorch takes for one clip of `steps` inputs.

    By the number of threads of the caller, so that encodec in the same setting does the same.
    Empty where the choice is PyTorch's anyhow: not on a CPU, not in float32, or no way to ask.
    """
    ask = getattr(torch._C, "_select_conv_backend", None)
    if ask is None or not _one_by_one(conv.weight):
        return ""
    x = conv.weight.new_empty(1).expand(1, conv.in_channels, steps)
    settings = (conv.stride, (0,), conv.dilation, False, (0,), conv.groups)
    return str(ask(x, conv.weight, conv.bias, *settings)).rpartition(".")[2]


class Parts:
    """An encoder or decoder in three parts: convolutions, LSTM, convolutions.

    The convolutions of either side see only so far: a window of the clip, with `before` and
    `after` frames more than what is kept of it, gives what the whole clip would.

    Attributes:
        first, recurrent, last: `[B, C, T]` to `[B, C', T']`; the LSTM also takes and gives states.
        reach_first, reach_last: `(before, after)` in frames.
    """

    def __init__(self, network: Any, hop: int, samples: int = LONG_SAMPLES) -> None:
        layers = list(network.model)
        at = next(i for i, layer in enumerate(layers) if type(layer).__name__ == "SLSTM")
        decoder = any(type(layer).__name__ == "SConvTranspose1d" for layer in layers)
        frames = -(-samples // hop)
        rate = 1 if decoder else hop
        first, rate, reach_first = _rebuild(layers[:at], rate, frames)
        last, rate, reach_last = _rebuild(layers[at + 1 :], rate, frames)
        self.reach_first, self.reach_last = _whole(reach_first), _whole(reach_last)
        self.first, self.last = nn.Sequential(*first), nn.Sequential(*last)
        self.recurrent = Recurrent(layers[at])
        weight = self.recurrent.lstm.weight_hh_l0
        self.device, self.dtype = weight.device, weight.dtype

    def outgrown(self, frames: int) -> bool:
        """Whether a clip of that many frames runs by the kernels of a long one."""
        layers = (*self.first.modules(), *self.last.modules())
        return all(layer.takes(frames) for layer in layers if isinstance(layer, Convolution))

    def __call__(self, x: Tensor) -> Tensor:
        """Run whole clips or segments `[B, C, T]`, which may be overwritten."""
        y: Tensor = self.last(self.recurrent(self.first(x))[0])
        return y


def _rebuild(
    layers: list[Any], rate: int, frames: int
) -> tuple[list[nn.Module], int, tuple[float, float]]:
    """Return our layers, the steps a frame after them, and how many frames around they see."""
    built: list[nn.Module] = []
    before = after = 0.0
    for layer in layers:
        kind = type(layer).__name__
        if kind == "SConv1d":
            convolution = Convolution(layer, rate, frames)
            before += (convolution.reach - convolution.after) / rate
            after += convolution.after / rate
            rate //= convolution.stride
            built.append(convolution)
        elif kind == "SConvTranspose1d":
            inner = layer.convtr.convtr
            overlap = -(-inner.kernel_size[0] // inner.stride[0]) - 1
            before += overlap / rate
            after += 0 if layer.causal else overlap / rate
            rate *= inner.stride[0]
            built.append(layer)
        elif kind == "SEANetResnetBlock":
            shortcut, _, _ = _rebuild([layer.shortcut], rate, frames)
            block, _, (b, a) = _rebuild(list(layer.block), rate, frames)
            before, after = before + b, after + a
            if isinstance(shortcut[0], nn.Identity):
                block[0] = nn.ELU(block[0].alpha)  # `x` is still needed
            built.append(Residual(shortcut[0], nn.Sequential(*block)))
        elif kind == "ELU":
            built.append(nn.ELU(layer.alpha, inplace=True))
        else:
            built.append(layer)
    return built, rate, (before, after)


def _whole(reach: tuple[float, float]) -> tuple[int, int]:
    return math.ceil(reach[0]), math.ceil(reach[1])
