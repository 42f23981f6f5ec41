"""Batches as a model reads them: codes in a pattern, with masks and parameters beside each code.

    view = arrange(batch, "delay", padding=1024)
    inputs, targets = next_step(view)           # for teacher forcing
    batch = restore(view)                       # exactly what went in

A batch is what `collate` makes: `codes` int64 `[B, K, T]`, `mask` bool `[B, T]`, and, where there are
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
"""The target that PyTorch's and transformers' losses leave out."""
_MOVED = ("codes", "mask", "parameters", "parameter_mask")


@dataclass(frozen=True, eq=False)
class View:
    """A batch in a pattern of R rows and S steps.

    Attributes:
        pattern: The order, of the batch's T frames.
        codes: int64 `[B, R, S]`, `padding` where there is no code.
        mask: bool `[B, R, S]`: where there is a code of a clip.
        parameters: float32 `[B, P, R, S]`: beside each code those of its frame; None without any.
        parameter_mask: bool `[B, P, R, S]`; None without any.
        step_parameters: float32 `[B, P, S]`: those of the latest frame of each step, which is what
            a model that predicts a step at once is conditioned on; None without any.
        step_parameter_mask: bool `[B, P, S]`; None without any.
        padding: The id that is no code, the codebook's size.
        rest: What else the batch holds, untouched.
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
    """Lay a batch out in a pattern; see `preprocess.train.patterns`.

    All clips take the pattern of the batch's T, so that a shorter one has no code where its frames
    are padding: at the end, but in `coarse_first` also before the other codebooks.

    Args:
        batch: As `collate` makes it.
        name: One of `preprocess.train.patterns.PATTERNS`.
        padding: The id that is no code: the codebook's size.
        delays: Of the pattern `delay`; see `preprocess.train.patterns.pattern`.

    Raises:
        UsageError: There is no such pattern, or the batch does not fit it.
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
    """Return the batch that `arrange` laid out.

    `ar` and `nar` hold a part of the codes; the others come back as padding.
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
    """Return what a causal model reads and what it is to say, `[B, R, S]` each.

    It reads at step s the codes of step s - 1, padding at the first; where there is no code to
    predict, the target is `IGNORED`.
    """
    start = view.codes.new_full((*view.codes.shape[:2], 1), view.padding)
    inputs = torch.cat([start, view.codes[..., :-1]], -1)
    return inputs, view.codes.masked_fill(~view.mask, IGNORED)


def nar_stage(batch: Mapping[str, Any], stage: int, padding: int) -> tuple[Tensor, Tensor]:
    """Return what VALL-E's second model reads and what it is to say at one stage.

    Args:
        batch: As `collate` makes it.
        stage: The codebook to predict, 1 to K - 1.
        padding: The id that is no code: the codebook's size.

    Returns:
        The codebooks before it `[B, stage, T]`, and its codes `[B, T]`, `IGNORED` where there is none.

    Raises:
        UsageError: There is no such stage.
    """
    codes, mask = check_batch(batch, padding)
    if not 1 <= stage < codes.shape[1]:
        raise UsageError(f"stage {stage} must be 1 to {codes.shape[1] - 1}, a codebook to predict")
    return codes[:, :stage], codes[:, stage].masked_fill(~mask, IGNORED)


def check_batch(batch: Mapping[str, Any], padding: int) -> tuple[Tensor, Tensor]:
    """Return the codes `[B, K, T]` of a batch with `padding` wherever its mask `[B, T]` is False.

    Raises:
        UsageError: The batch has no such codes, or one of them is no code.
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
