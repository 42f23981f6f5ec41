"""The reference: encodec itself, to count differing codes against, and models with random weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.codec.models import build_model
from preprocess.tokens.specs import codec_spec


def seeded_model(name: str, seed: int = 0) -> Any:
    """Return the full-size `encodec.EncodecModel` called `name` with seeded random weights.

    The codebook entries are drawn around the model's embeddings; encodec leaves them at zero. With
    equal or distant entries all codes would be the same and any two encoders would agree.
    """
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build_model(codec_spec(name)).eval()
    noise = 0.1 * torch.randn(1, model.channels, model.sample_rate)
    with torch.no_grad():
        draw_codebooks(model.encoder(noise), [v._codebook for v in model.quantizer.vq.layers])
    return model


def draw_codebooks(embeddings: torch.Tensor, codebooks: list[Any]) -> None:
    """Draw the entries of `codebooks`, in place, around `embeddings` `[B, D, T]`."""
    mean, std = embeddings.mean((0, 2)), embeddings.std((0, 2))
    for index, codebook in enumerate(codebooks):
        entries = std * 0.8**index * torch.randn(codebook.embed.shape)
        codebook.embed.data.copy_(entries + mean if index == 0 else entries)
        codebook.inited.data.fill_(1)


def own_encode(model: Any, wav: NDArray[np.float32], kbps: float) -> tuple[Any, list[float]]:
    """Return the codes `[K, T]` and scales of `encodec.EncodecModel.encode` for `wav` `[C, N]`.

    Runs encodec with two threads, which is the reference; its codes depend on that number.
    """
    model.set_target_bandwidth(kbps)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            frames = model.encode(torch.from_numpy(wav)[None])
    finally:
        torch.set_num_threads(threads)
    scales = [scale.item() for _, scale in frames if scale is not None]
    return torch.cat([codes[0] for codes, _ in frames], dim=1).numpy(), scales


@contextmanager
def without_tails(model: Any) -> Iterator[None]:
    """Make encodec's encoder compute the ELU of every number the same way.

    PyTorch computes the last numbers of each thread's share with another exponential, which
    differs in its last bit; which numbers depends on the shape and the number of threads. Here the
    memory is padded so that the shares of one or two threads end on a multiple of 64.
    """

    def elu(x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1)
        padded = torch.nn.functional.pad(flat, (0, -flat.numel() % 128))
        return torch.nn.functional.elu(padded)[: flat.numel()].view(x.shape)

    layers = [m for m in model.encoder.modules() if isinstance(m, torch.nn.ELU)]
    for layer in layers:
        layer.forward = elu
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
