"""Batches as a model reads them: codes in a pattern, with the mask and parameters of each code.

    view = arrange(batch, "delay", padding=1024)
    inputs, targets = next_step(view)           # for teacher forcing
    batch = restore(view)                       # exactly the same batch

A batch comes from `collate`: `codes` int64 `[B, K, T]`, `mask` bool `[B, T]`, and, if it has
parameters, `parameters` float32 `[B, P, T]` and `parameter_mask` bool `[B, P, T]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from preprocess.core.errors import UsageError
from preprocess.train.patterns import Pattern, pattern

IGNORED = -100
"""The target that the losses of PyTorch and transformers ignore."""
_MOVED = ("codes", "mask", "parameters", "parameter_mask")


@dataclass(frozen=True, eq=False)
class View:
    """A batch in a pattern of R rows and S steps.

    Attributes:
        pattern: The pattern for the batch's T frames.
        codes: int64 `[B, R, S]`, `padding` at empty places.
        mask: bool `[B, R, S]`: True at codes of a clip.
        parameters: float32 `[B, P, R, S]`: parameters of each code's frame; None if the batch has none.
        parameter_mask: bool `[B, P, R, S]`: True where a value exists; None if the batch has none.
        step_parameters: float32 `[B, P, S]`: parameters of the latest frame of each step, to condition
            a model that predicts a whole step at once; None if the batch has none.
        step_parameter_mask: bool `[B, P, S]`: True where a value exists; None if the batch has none.
        padding: The id for padding, the codebook's size.
        rest: The other entries of the batch, unchanged.
    """

    pattern: Pattern
    codes: Tensor
    mask: Tensor
    padding: int
    parameters: Tensor | None = None
    parameter_mask: Tensor | None = None
    step_parameters: Tensor | None = None
    step_parameter_mask: Tensor | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)


def arrange(
    batch: Mapping[str, Any], name: str, padding: int, delays: Sequence[int] | None = None
) -> View:
    """Arrange a batch in a pattern; see `preprocess.train.patterns`.

    All clips use the pattern for the batch's T, so a shorter clip has empty places where its frames
    are padding: at the end, and in `coarse_first` also before the other codebooks.

    Args:
        batch: A batch from `collate`.
        name: One of `preprocess.train.patterns.PATTERNS`.
        padding: The id for padding, the codebook's size.
        delays: Delays of the pattern `delay`; see `preprocess.train.patterns.pattern`.

    Raises:
        UsageError: The pattern is unknown, or the batch does not fit it.
    """
    codes, mask = check_batch(batch, padding)
    order = pattern(name, codes.shape[1], codes.shape[2], delays)
    moved: dict[str, Tensor] = {}
    for key in ("parameters", "parameter_mask"):
        if key in batch:
            fill = False if key == "parameter_mask" else 0.0
            moved[key] = order.apply_frames(batch[key], fill)
            moved[f"step_{key}"] = order.apply_steps(batch[key])
    return View(
        order,
        order.apply(codes, padding),
        order.apply_frames(mask, False),
        padding,
        rest={key: value for key, value in batch.items() if key not in _MOVED},
        **moved,
    )


def restore(view: View) -> dict[str, Any]:
    """Return the batch that `arrange` arranged.

    `ar` and `nar` contain only some of the codes; the others become padding.
    """
    order = view.pattern
    batch = {
        "codes": order.invert(view.codes, view.padding),
        "mask": order.invert_frames(view.mask),
    }
    if view.parameters is not None:
        batch["parameters"] = order.invert_frames(view.parameters)
    if view.parameter_mask is not None:
        batch["parameter_mask"] = order.invert_frames(view.parameter_mask)
    return {**batch, **view.rest}


def next_step(view: View) -> tuple[Tensor, Tensor]:
    """Return the inputs and the targets of a causal model, each `[B, R, S]`.

    The input at step s is the codes of step s - 1, or padding at the first step. The target is
    `IGNORED` at places without a code.
    """
    start = view.codes.new_full((*view.codes.shape[:2], 1), view.padding)
    inputs = torch.cat([start, view.codes[..., :-1]], -1)
    return inputs, view.codes.masked_fill(~view.mask, IGNORED)


def nar_stage(batch: Mapping[str, Any], stage: int, padding: int) -> tuple[Tensor, Tensor]:
    """Return the input and the target of VALL-E's second model at one stage.

    Args:
        batch: A batch from `collate`.
        stage: The codebook to predict, 1 to K - 1.
        padding: The id for padding, the codebook's size.

    Returns:
        The codebooks before it `[B, stage, T]`, and its codes `[B, T]`, `IGNORED` in padding.

    Raises:
        UsageError: The stage is not 1 to K - 1.
    """
    codes, mask = check_batch(batch, padding)
    if not 1 <= stage < codes.shape[1]:
        raise UsageError(f"stage {stage} must be 1 to {codes.shape[1] - 1}, a codebook to predict")
    return codes[:, :stage], codes[:, stage].masked_fill(~mask, IGNORED)


def check_batch(batch: Mapping[str, Any], padding: int) -> tuple[Tensor, Tensor]:
    """Return the codes `[B, K, T]` of a batch with `padding` wherever its mask `[B, T]` is False.

    Raises:
        UsageError: The batch has no codes of that shape, or a code is out of range.
    """
    codes, mask = batch.get("codes"), batch.get("mask")
    if not isinstance(codes, Tensor) or codes.ndim != 3:
        raise UsageError("a batch needs codes [B, K, T], as collate makes them")
    if mask is None:
        mask = codes.new_ones((codes.shape[0], codes.shape[2]), dtype=torch.bool)
    if mask.shape != (codes.shape[0], codes.shape[2]):
        raise UsageError(f"mask {list(mask.shape)} must be [B, T] of codes {list(codes.shape)}")
    codes = codes.masked_fill(~mask[:, None], padding)
    real = codes.masked_fill(~mask[:, None], 0)
    if codes.numel() and (int(real.min()) < 0 or int(real.max()) >= padding):
        raise UsageError(
            f"codes must be 0 to {padding - 1} where the mask is True; is the codebook's size "
            f"{padding}?"
        )
    return codes, mask
