"""Training of one model, and its loss on clips that it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from datasets import Dataset
from model import Model
from sounds import CODEC
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from preprocess.codec import load_codec
from preprocess.train import AlignedCrops, arrange, codebook_table, collate, next_step

Conditions = Literal["parameters", "shuffled", "nothing"]
"""What a model is told: the parameters of its clip, those of another clip, or nothing."""


@dataclass(frozen=True)
class Settings:
    """How the models are made and trained.

    Attributes:
        codebooks: K.
        width: Of the GRU.
        frames: Length of a crop.
        batch: Crops in a step.
        steps: Of the optimizer.
        rate: Highest learning rate; it rises over the first steps and falls to 0 as a cosine.
    """

    codebooks: int = 3
    width: int = 192
    frames: int = 64
    batch: int = 16
    steps: int = 400
    rate: float = 4e-3


def crops_of(dataset: Dataset, stats: str, settings: Settings, **options: Any) -> AlignedCrops:
    """Return crops of a split, parameters scaled by the mean and deviation of the training split."""
    return AlignedCrops(
        dataset,
        frames=settings.frames,
        codebooks=settings.codebooks,
        stats=stats,
        scale="zscore",
        categorical="onehot",
        **options,
    )


def new_model(crops: AlignedCrops, settings: Settings) -> Model:
    """Return a model that has learned nothing yet."""
    table = codebook_table(load_codec(CODEC, device="cpu"), settings.codebooks)
    return Model(table, len(crops.parameter_names), settings.width)


def train(
    crops: AlignedCrops, settings: Settings, conditions: Conditions, seed: int, log: Any = print
) -> Model:
    """Return a trained model."""
    torch.manual_seed(seed)
    model = new_model(crops, settings)
    optimizer = torch.optim.AdamW(model.parameters(), settings.rate, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _rate(s, settings.steps))
    loader = DataLoader(crops, settings.batch, collate_fn=collate, drop_last=True)
    step, total = 0, 0.0
    while step < settings.steps:
        for batch in loader:
            loss = losses(model, batch, conditions, crops.padding_id).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step, total = step + 1, total + loss.item()
            if step % 100 == 0:
                log(f"seed {seed}, told {conditions}: step {step}, loss {total / 100:.3f}")
                total = 0.0
            if step == settings.steps:
                break
        crops.set_epoch(crops.epoch + 1)
    return model.eval()


def losses(model: Model, batch: dict[str, Any], conditions: Conditions, padding: int) -> Tensor:
    """Return the cross-entropy of every code in a batch, in nats, `[codes]`."""
    view = arrange(told(batch, conditions), "delay", padding)
    inputs, targets = next_step(view)
    logits, _ = model(inputs, view.step_parameters, view.step_parameter_mask)
    real = targets >= 0
    return cross_entropy(logits[real], targets[real], reduction="none")


def told(batch: dict[str, Any], conditions: Conditions) -> dict[str, Any]:
    """Return a batch with the parameters that a model is told."""
    values, known = batch["parameters"], batch["parameter_mask"]
    if conditions == "shuffled":
        values, known = values.roll(1, 0), known.roll(1, 0)
    elif conditions == "nothing":
        values, known = torch.zeros_like(values), torch.zeros_like(known)
    return {**batch, "parameters": values, "parameter_mask": known}


@torch.inference_mode()
def held_out_loss(model: Model, crops: AlignedCrops, conditions: Conditions) -> float:
    """Return the mean loss a code, over crops that lie side by side."""
    loader = DataLoader(crops, 16, collate_fn=collate)
    found = [losses(model, batch, conditions, crops.padding_id) for batch in loader]
    return float(torch.cat(found).mean())


def _rate(step: int, steps: int) -> float:
    warm = max(1, min(50, steps // 10))
    if step < warm:
        return (step + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))
