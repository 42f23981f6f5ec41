"""Sound from curves: a model's codes, drawn step by step, and what the codec makes of them."""

from __future__ import annotations

import numpy as np
import torch
from model import Model
from numpy.typing import NDArray
from sounds import CODEC, SPEC, Values
from torch import Tensor

from preprocess.codec import Codec, decode_row
from preprocess.train import AlignedCrops, pattern

TEMPERATURE = 0.5
"""Below 1, likely codes are drawn more often than the model says."""


@torch.inference_mode()
def generate(
    model: Model, crops: AlignedCrops, curves: Values, seed: int, temperature: float = TEMPERATURE
) -> Tensor:
    """Return codes that a model makes of curves.

    Args:
        model: A trained model.
        crops: What it was trained on, which knows how parameters are scaled.
        curves: In their own units `[B, parameters, T]`, in the order of the crops'.
        seed: What is drawn follows from it.

    Returns:
        int64 `[B, K, T]`.
    """
    draw = torch.Generator().manual_seed(seed)
    values, known = (torch.from_numpy(array) for array in crops.scaler(curves.astype(np.float32)))
    count, _, frames = curves.shape
    order = pattern("delay", crops.n_codebooks, frames)
    values, known = order.apply_steps(values), order.apply_steps(known)
    codes = torch.full((count, order.rows, 1 + order.steps), crops.padding_id)
    state = None
    for step in range(order.steps):
        now = slice(step, step + 1)
        logits, state = model(codes[..., now], values[..., now], known[..., now], state)
        chances = (logits[:, :, 0] / temperature).softmax(-1).flatten(0, 1)
        drawn = torch.multinomial(chances, 1, generator=draw).view(count, -1)
        held = order.frame[:, step] < frames
        codes[:, held, step + 1] = drawn[:, held]
    return order.invert(codes[..., 1:], crops.padding_id)


def to_sound(codec: Codec, codes: Tensor) -> NDArray[np.float32]:
    """Decode codes `[K, T]` to a wave `[N]`."""
    row = {"codes": codes, "model": CODEC, "audio_length": codes.shape[1] * SPEC.hop}
    return decode_row(row, codec)[0]
