"""encodec's LSTM in blocks: it carries its states, and several rows give the bits of single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from preprocess.codec.layers import exact_here

if TYPE_CHECKING:
    from torch import Tensor

State = tuple["Tensor", "Tensor"]

_WIDER = 8  # zero columns; see Recurrent


class Recurrent(nn.Module):
    """encodec's `SLSTM`, carrying its states from block to block, for several rows.

    For one row, oneDNN adds the products with the input and those with the state in two separate
    sums. For several rows it uses one running sum, which rounds differently, unless input and state
    have different widths (`brgemm_fwd_iter_layer_fuse_possible` in oneDNN's
    `rnn_brgemm_utils.cpp`). So for several rows the input gets extra columns of zeros. When the
    codec is loaded, a test checks that this gives the bits of single rows; otherwise rows run one
    by one.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.lstm, self.skip = layer.lstm, layer.skip
        self.size = int(self.lstm.hidden_size)
        self.wide = nn.ModuleList()
        self.batches = not exact_here(self.lstm.weight_hh_l0)
        if self.batches:
            return
        self.wide.extend(_widened(self.lstm, index) for index in range(self.lstm.num_layers))
        self.batches = self._rows_agree()

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run the next steps of each row.

        Args:
            x: `[B, C, T]`.
            state: Hidden and cell states, each `[layers, B, C]`; None at the start.

        Returns:
            The output `[B, C, T]` and the new states.
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
        """Whether several rows give the bits of single rows, for every number of rows in use."""
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
"""Numbers of rows that the LSTM runs at once on a CPU; unused rows are zeros."""
ROWS = ROW_SHAPES[-1]
"""Clips that share a run of the LSTM."""


def _row(state: State, row: int) -> State:
    h, c = (part[:, row : row + 1].contiguous() for part in state)
    return h, c


def _widened(lstm: Any, index: int) -> nn.LSTM:
    """Return layer `index` of `lstm` as an LSTM for inputs with extra zero columns at the end."""
    state = {
        name.replace(f"_l{index}", "_l0"): value
        for name, value in lstm.state_dict().items()
        if name.endswith(f"_l{index}")
    }
    state["weight_ih_l0"] = functional.pad(state["weight_ih_l0"], (0, _WIDER))
    layer = nn.LSTM(lstm.input_size + _WIDER, lstm.hidden_size)
    layer.load_state_dict(state)
    return layer.eval()
