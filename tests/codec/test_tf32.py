"""TF32 is off while a GPU computes, and as the caller set it at all other times."""

import copy

import numpy as np
import pytest
import torch

from preprocess.codec import load_codec
from preprocess.codec.tf32 import tf32, with_tf32


def flags() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("allowed", [True, False])
def test_the_flags_are_restored(allowed):
    before = flags()
    with pytest.raises(KeyError), tf32(allowed):
        assert flags() == (allowed, allowed)
        raise KeyError
    assert flags() == before


def test_between_two_items_the_flags_are_the_callers():
    before, seen = flags(), []

    def items():
        for i in range(3):
            seen.append(flags())
            yield i

    for _ in with_tf32(False, items()):
        assert flags() == before
    assert seen == [(False, False)] * 3


def test_a_codec_on_a_gpu_computes_under_its_own_flags(monkeypatch):
    """No GPU here: the codec is told that it has one, and its blocks are made on the CPU."""
    codec, before, seen = load_codec("encodec_24khz_demo", device="cpu"), flags(), []
    ecdc = codec.encode(np.zeros((1, 640), np.float32), 6.0)
    for allowed in (True, False):
        gpu = copy.copy(codec)
        gpu._device, gpu._allow_tf32 = torch.device("cuda"), allowed

        def blocks(*_, seen=seen):
            seen.append(flags())
            yield np.zeros((1, 640), np.float32)

        monkeypatch.setattr("preprocess.codec.decoding.decode_stream", blocks)
        gpu.decode(ecdc)
    assert seen == [(True, True), (False, False)]
    assert flags() == before
