"""A clip has one encoding, whatever blocks it arrives in, and a long one needs little memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import codec as codec_module
from preprocess.audio import read_audio
from preprocess.codec import Codec
from preprocess.ecdc import Ecdc
from preprocess.specs import codec_spec
from preprocess.streaming import CausalNetwork, reblock
from tests.signals import seeded_model


def cut(wav: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    """Cut `[C, N]` at the given samples; blocks may be empty."""
    return np.split(wav, sorted(min(c, wav.shape[1]) for c in cuts), axis=1)


@settings(deadline=None, max_examples=200)
@given(
    samples=st.integers(1, 5_000),
    size=st.integers(1, 1_000),
    least=st.integers(0, 1_000),
    cuts=st.lists(st.integers(0, 5_000), max_size=8),
)
def test_reblocking_keeps_every_sample(samples, size, least, cuts):
    wav = np.arange(2 * samples, dtype=np.float32).reshape(2, samples)
    parts = list(reblock(cut(wav, cuts), size, least))
    np.testing.assert_array_equal(np.concatenate([block for block, _ in parts], axis=1), wav)
    assert all(block.shape[1] == size for block, _ in parts[:-1])
    assert min(samples, least + 1) <= parts[-1][0].shape[1] <= size + least
    assert [last for _, last in parts] == [False] * (len(parts) - 1) + [True]


def test_no_audio_is_no_block():
    assert list(reblock([np.zeros((1, 0), np.float32)], 10, 5)) == []


@pytest.fixture
def short_blocks(monkeypatch):
    """Blocks of 1 s with a last one of any length: the hardest case, and a fast test."""
    monkeypatch.setattr(codec_module, "BLOCK_S", 1)
    monkeypatch.setattr(codec_module, "LAST_S", 0)


@pytest.mark.parametrize("samples", [30_000, 48_000, 48_001, 72_001, 100_007])
def test_codes_do_not_depend_on_the_blocks_a_clip_arrives_in(demo_codec, short_blocks, samples):
    rng = np.random.default_rng(samples)
    wav = (0.1 * rng.standard_normal((1, samples))).astype(np.float32)
    whole = demo_codec.encode(wav, 24)
    for count in (1, 3, 20):
        blocks = cut(wav, rng.integers(0, samples, count).tolist())
        other = demo_codec.encode_blocks(iter(blocks), 24)
        np.testing.assert_array_equal(other.codes, whole.codes)
        assert other.audio_length == samples


@pytest.mark.parametrize("tail", [0, 1, 2, 319, 320, 321, 6_720, 23_999])
def test_blocks_carry_all_that_the_layers_remember(tail):
    """Naive chunks change half of the frames; exact ones differ by rounding alone."""
    model = seeded_model("encodec_24khz")
    rng = np.random.default_rng(tail)
    wav = torch.from_numpy((0.1 * rng.standard_normal((1, 1, 48_000 + tail))).astype(np.float32))
    encoder = CausalNetwork(model.encoder)
    with torch.inference_mode():
        expected = model.encoder(wav)
        blocks = reblock([wav[0].numpy()], 24_000, 0)
        parts = [encoder.push(torch.tensor(block)[None], last) for block, last in blocks]
    result = torch.cat(parts, dim=2)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("frames", [149, 150, 151, 300, 307])
def test_decoding_in_blocks_gives_the_whole_clips_audio(short_blocks, frames):
    model = seeded_model("encodec_24khz")
    codec = Codec(codec_spec("encodec_24khz"), model, "", torch.device("cpu"))
    codes = np.random.default_rng(frames).integers(0, 1024, (8, frames), np.int16)
    with torch.no_grad():
        expected = model.decode([(torch.from_numpy(codes.astype(np.int64))[None], None)])[0]
    ecdc = Ecdc("encodec_24khz", codes, frames * 320 - 7, (frames,))
    decoded = codec.decode(ecdc)
    assert decoded.shape == (1, frames * 320 - 7)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(decoded, expected[:, :-7].numpy(), atol=1e-5 * scale)


@pytest.mark.parametrize("samples", [144_001, 200_003, 240_000])
def test_codes_in_blocks_are_encodecs(demo_codec, recordings, samples):
    """Blocks of 4 s, the last of 2 to 6 s, give encodec's own codes, code for code."""
    audio = [read_audio(path, 24_000, 1) for path in sorted(recordings.rglob("*.flac"))]
    wav = np.concatenate(audio, axis=1)[:, samples : 2 * samples]
    full = Codec(
        codec_spec("encodec_24khz"), seeded_model("encodec_24khz"), "", torch.device("cpu")
    )
    for codec in (full, demo_codec):
        codec._model.set_target_bandwidth(24)
        with torch.no_grad():
            ((expected, _),) = codec._model.encode(torch.from_numpy(wav)[None])
        np.testing.assert_array_equal(codec.encode(wav, 24).codes, expected[0].numpy())


LONG = """
import resource, numpy as np
from preprocess.codec import load_codec
import torch
torch.set_num_threads(1)
codec = load_codec("encodec_24khz_demo", device="cpu")
rng = np.random.default_rng(0)
blocks = lambda s: (0.1 * rng.standard_normal((1, 24_000)).astype(np.float32) for _ in range(s))
codec.decode(codec.encode_blocks(blocks(20), 1.5))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ecdc = codec.encode_blocks(blocks(150), 1.5)
print(ecdc.codes.shape, codec.decode(ecdc).shape)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_long_clip_needs_no_more_memory_than_a_short_one():
    """encodec takes 16 MB a second with the full model: 58 GB for an hour."""
    run = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, check=True)
    shape, kilobytes = run.stdout.splitlines()
    assert shape == "(2, 11250) (1, 3600000)"
    audio_kilobytes = 2 * 4 * 3_600  # what was decoded, and the parts that it is made of
    assert int(kilobytes) < audio_kilobytes + 50_000, "150 s took over 50 MB more than 20 s"
