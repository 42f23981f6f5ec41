"""A small causal model: a GRU over the steps of the delay pattern, told each step's parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Model(nn.Module):
    """Codes of a step from those of the steps before and the parameters of its newest frame.

    Codes come in as the codec's own vectors, and are told apart by them and by as many learned
    numbers: what two codes have in common need not be learned for each by itself.

    Args:
        table: The entries of the codec's codebooks, float32 `[K, N, D]`.
        parameters: P.
        width: Of the GRU.
        dropout: Part of its values that are left out in training.
    """

    def __init__(self, table: Tensor, parameters: int, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        codebooks, size, dimension = table.shape
        spread = table.std(dim=(1, 2), keepdim=True)
        self.register_buffer("table", table / spread)
        self.learned = nn.Parameter(0.1 * torch.randn(codebooks, size, dimension))
        self.bias = nn.Parameter(torch.zeros(codebooks, size))
        self.read = nn.Linear(2 * codebooks * dimension, width)
        self.ask = nn.Sequential(nn.Linear(2 * parameters, 64), nn.GELU(), nn.Linear(64, width))
        self.body = nn.GRU(width, width, num_layers=2, batch_first=True, dropout=dropout)
        self.leave_out = nn.Dropout(dropout)
        self.say = nn.Linear(2 * width, codebooks * 2 * dimension)

    def forward(
        self, codes: Tensor, parameters: Tensor, known: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what comes next, and the state to go on from.

        Args:
            codes: Those of the step before each step, int64 `[B, K, S]`; N is none.
            parameters: Of the newest frame of each step, float32 `[B, P, S]`.
            known: bool `[B, P, S]`: which of them have a value.
            state: What an earlier call returned.

        Returns:
            Logits `[B, K, S, N]` and the state.
        """
        entries = torch.cat([self.table, self.learned], -1)
        none = entries.new_zeros(entries.shape[0], 1, entries.shape[2])
        rows = torch.arange(entries.shape[0])[:, None]
        read = torch.cat([entries, none], 1)[rows, codes]  # [B, K, S, 2 D]
        asked = self.ask(torch.cat([parameters, known.to(parameters.dtype)], 1).transpose(1, 2))
        heard = self.leave_out(self.read(read.transpose(1, 2).flatten(2))) + asked
        found, state = self.body(heard, state)
        said = self.say(self.leave_out(torch.cat([found, heard], -1)))
        said = said.unflatten(-1, (entries.shape[0], -1)).transpose(1, 2)
        return said @ entries.transpose(1, 2) + self.bias[:, None], state
