"""Residual vector quantization: embeddings to codes, in encodec's own arithmetic.

    residual_0 = embedding
    code_k     = the entry e of codebook k with the least |residual_k|^2 - 2 residual_k.e + |e|^2
    residual_k+1 = residual_k - e

In float32 these distances, of a few hundred, round to 1e-5, which decides near ties. So every sum
runs as in encodec, over the same axis of the same memory layout. Terms that do not depend on the
audio are computed once.

Source: `encodec/quantization/core_vq.py` of facebookresearch/encodec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from preprocess.codec.workers import with_threads

if TYPE_CHECKING:
    from torch import Tensor


class Quantizer:
    """The codebooks of one codec.

    Args:
        quantizer: encodec's `ResidualVectorQuantizer`.
    """

    def __init__(self, quantizer: Any) -> None:
        self._entries = [layer._codebook.embed for layer in quantizer.vq.layers]
        self._squares = with_threads(
            1, lambda: [e.t().pow(2).sum(0, keepdim=True) for e in self._entries]
        )

    def encode(self, embeddings: Tensor, n_codebooks: int) -> Tensor:
        """Return int64 codes `[K, T]` for embeddings `[1, D, T]`.

        A clip encoded in parts gets the codes of the whole clip if every part but the last is a
        multiple of 32 frames long and the last has at least 8 frames.
        """
        residual = embeddings.float().contiguous()
        codes = []
        for entries, squares in zip(
            self._entries[:n_codebooks], self._squares[:n_codebooks], strict=True
        ):
            x = residual[0].t()
            distances = x.pow(2).sum(1, keepdim=True) - _products(2 * x, entries.t())
            codes.append(distances.add_(squares).min(dim=1).indices)
            found = torch.nn.functional.embedding(codes[-1], entries)
            residual = residual - found.t()[None]
        return torch.stack(codes)

    def table(self) -> Tensor:
        """Return the entries of all codebooks `[K, N, D]`, apart from the model's own."""
        return torch.stack([entries.detach() for entries in self._entries])

    def decode(self, codes: Tensor) -> Tensor:
        """Return embeddings `[1, D, T]` for codes `[K, T]`."""
        parts = zip(codes, self._entries, strict=False)
        total = sum(torch.nn.functional.embedding(row, entries) for row, entries in parts)
        return total.t()[None]


def _products(x: Tensor, entries: Tensor) -> Tensor:
    """Return `x @ entries` for `x` `[T, D]`, summed in the order of two threads.

    MKL splits the rows between threads in multiples of four and sums fewer than four rows in
    another order. From 12 rows on no share is that small, so the number of threads does not matter.
    """
    rows = x.shape[0]
    left = rows % 4
    if not (left and 4 < rows < 12):
        return x @ entries
    # Repeat a single row, which would not count as a matrix; keep the memory layout of `x`.
    rest = x[-left:] if left > 1 else x[-1:].t().repeat(1, 2).t()
    return torch.cat([x[: rows - left] @ entries, (rest @ entries)[:left]])
