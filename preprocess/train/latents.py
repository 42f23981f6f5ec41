"""Codes as the codec's own embeddings, for models that take vectors instead of ids.

    table = codebook_table(load_codec("encodec_24khz"), codebooks=8)      # [K, N, D]
    vectors = to_latents(batch["codes"], table)                              # [B, T, D]
    inputs, targets = next_frame(batch, table)                            # [B, L, D + P], [B, L, K]

The latent of a frame is the sum of the codebook entries of its codes, the input of the codec's decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import embedding

from preprocess.core.errors import UsageError
from preprocess.train.views import IGNORED, check_batch

if TYPE_CHECKING:
    from preprocess.codec.codec import Codec


def codebook_table(codec: Codec, codebooks: int | None = None) -> Tensor:
    """Return the entries of a codec's codebooks, float32 `[K, N, D]`.

    Args:
        codec: The codec with its weights, as `preprocess.codec.load_codec` returns it.
        codebooks: K, from the first; None for all.

    Raises:
        UsageError: The codec has fewer codebooks.
    """
    table = codec.codebooks()
    count = table.shape[0] if codebooks is None else codebooks
    if not 1 <= count <= table.shape[0]:
        raise UsageError(f"{codec.spec.name} has {table.shape[0]} codebooks, not {count}")
    return table[:count]


def to_latents(codes: Tensor, table: Tensor) -> Tensor:
    """Return the latents of codes, zero at padding.

    Args:
        codes: int64 `[..., K, T]`; the codebook's size N is padding.
        table: float32 `[k, N, D]`, with at least K codebooks.

    Returns:
        float32 `[..., T, D]`.

    Raises:
        UsageError: The table has fewer codebooks, or an id is above N.
    """
    books, size = table.shape[:2]
    if codes.shape[-2] > books:
        raise UsageError(f"codes {list(codes.shape)} need a table of {codes.shape[-2]} codebooks")
    if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) > size):
        raise UsageError(f"codes must be 0 to {size - 1}, or {size} for padding")
    real = codes != size
    total = table.new_zeros(*codes.shape[:-2], codes.shape[-1], table.shape[2])
    for k in range(codes.shape[-2]):  # one after the other, in the codec's order
        entries = embedding(codes[..., k, :].clamp_max(size - 1), table[k])
        total = total + entries.where(real[..., k, :, None], entries.new_zeros(()))
    return total


def next_frame(batch: Mapping[str, Any], table: Tensor, lead: int = 1) -> tuple[Tensor, Tensor]:
    """Return a batch for training a recurrent model: latents with parameters, and the next frames.

    Input l joins the latent of frame l and the parameters of frame l + `lead`; its target is the
    codes of frame l + 1. With `lead` 1 the parameters are those of the frame to predict; with 0, they
    are those of the current frame, so control is one frame late.

    Args:
        batch: A batch from `collate` with T frames, at least 2.
        table: float32 `[k, N, D]`; see `codebook_table`.
        lead: 0 or 1.

    Returns:
        `inputs` float32 `[B, L, D + P]` and `targets` int64 `[B, L, K]`, where L is T - 1; targets in
        padding are -100. For a single clip, use `inputs[0]` and `targets[0]`.

    Raises:
        UsageError: The batch has fewer than 2 frames, or `lead` is neither 0 nor 1.
    """
    codes, mask = check_batch(batch, table.shape[1])
    frames = codes.shape[2]
    if frames < 2 or lead not in (0, 1):
        raise UsageError(
            f"next frames need 2 frames or more, not {frames}, and lead 0 or 1, not {lead}"
        )
    inputs = to_latents(codes[..., :-1], table)
    if "parameters" in batch:
        beside = batch["parameters"][..., lead : frames - 1 + lead].transpose(1, 2)
        inputs = torch.cat([inputs, beside.to(inputs.dtype)], -1)
    targets = codes.masked_fill(~mask[:, None], IGNORED)[..., 1:].transpose(1, 2)
    return inputs, targets
