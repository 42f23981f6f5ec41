"""Copies to and from a GPU: which calls they make, as far as a processor can tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from preprocess.codec import encoders, transfer
from preprocess.codec.codec import Codec
from preprocess.codec.reference import seeded_model
from preprocess.codec.transfer import joined, to_device, to_host
from preprocess.tokens.specs import codec_spec


class Recorded:
    """A tensor that records what is called."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def pin_memory(self) -> Recorded:
        self.calls.append(("pin_memory",))
        return self

    def to(self, *arguments, **settings) -> Recorded:
        self.calls.append(("to", *arguments, settings))
        return self


def test_audio_is_pinned_and_copied_without_waiting():
    device, x = torch.device("cuda", 1), Recorded()
    to_device(x, device, torch.bfloat16)
    assert x.calls == [
        ("pin_memory",),
        ("to", device, {"non_blocking": True}),
        ("to", torch.bfloat16, {}),
    ]


def test_a_processor_needs_no_pinned_memory():
    x = torch.ones(3)
    assert to_device(x, torch.device("cpu"), torch.float32) is x


def test_tensors_that_come_back_together_are_those_that_went():
    parts = [torch.full((4, n), n, dtype=torch.int16) for n in (3, 0, 1, 75)]
    split = joined(parts).split([part.shape[-1] for part in parts], dim=-1)
    for part, back, own in zip(parts, split, to_host(parts), strict=True):
        assert torch.equal(part, back) and torch.equal(part, own)
    assert to_host([]) == []


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_48khz"])
def test_a_part_comes_back_in_as_few_copies_as_there_are_kinds(name, monkeypatch):
    """One for each window made the GPU idle in each."""
    spec = codec_spec(name)
    codec = Codec(spec, seeded_model(name), "", torch.device("cpu"))
    wavs = [np.random.default_rng(n).uniform(-0.5, 0.5, (spec.channels, n)) for n in (90_001, 700)]
    wavs = [wav.astype(np.float32) for wav in wavs]
    expected = codec.encode_batch(wavs, max(spec.codebooks))
    copies: list[int] = []

    def as_on_a_gpu(parts):
        copies.append(len(parts))
        if len(parts) < 2:
            return list(parts)
        return list(transfer.joined(parts).split([part.shape[-1] for part in parts], dim=-1))

    monkeypatch.setattr(encoders, "to_host", as_on_a_gpu)
    for own, other in zip(codec.encode_batch(wavs, max(spec.codebooks)), expected, strict=True):
        assert np.array_equal(own.codes, other.codes)
        assert own.scales is other.scales is None or np.array_equal(own.scales, other.scales)
    assert sum(copies) > len(copies), "several windows share a copy"
