"""One encoding per clip, encodec's own: lengths, blocks and batches drawn afresh at each run.

The seed of a run stands in the name of each test; `ENCHF_TEST_SEED=N` repeats it.
"""

from __future__ import annotations

import os
import secrets

import numpy as np
import pytest
import torch

from preprocess.audio import read_audio
from preprocess.codec import Codec, load_codec
from preprocess.recurrent import Recurrent
from preprocess.specs import CODECS, codec_spec
from tests.signals import own_encode, seeded_model

SEED = int(os.environ.get("ENCHF_TEST_SEED") or secrets.randbits(32))
CLIPS = {"encodec_24khz_demo": 12, "encodec_24khz": 6, "encodec_32khz": 4, "encodec_48khz": 4}
LONGEST_S = {"encodec_24khz_demo": 15, "encodec_24khz": 12, "encodec_32khz": 8, "encodec_48khz": 4}


@pytest.fixture(scope="module", params=CLIPS)
def codec(request):
    """Each codec."""
    return any_codec(request.param)


def any_codec(name):
    """Return a codec with trained weights where they ship, else with seeded random ones."""
    if name == "encodec_24khz_demo":
        return load_codec(name, device="cpu")
    return Codec(codec_spec(name), seeded_model(name), "", torch.device("cpu"))


@pytest.fixture(scope="module")
def clips(codec, recordings):
    """Clips of random lengths, from 1 sample up, at random places of the recordings."""
    rng, spec = np.random.default_rng(SEED), codec.spec
    paths = sorted(recordings.rglob("*.flac"))
    audio = np.concatenate([read_audio(p, spec.sample_rate, spec.channels) for p in paths], axis=1)
    result = []
    for _ in range(CLIPS[spec.name]):
        seconds = LONGEST_S[spec.name] * rng.uniform() ** 2
        length = 1 + int(seconds * spec.sample_rate)
        start = int(rng.integers(0, audio.shape[1] - length + 1))
        result.append(audio[:, start : start + length] * np.float32(rng.uniform(0.05, 1)))
    return result


def same(a, b) -> bool:
    """Whether two encodings are equal bit for bit, scales included."""
    scales = a.scales is b.scales is None or np.array_equal(a.scales, b.scales)
    return bool(np.array_equal(a.codes, b.codes) and scales and a.audio_length == b.audio_length)


@pytest.mark.parametrize("seed", [SEED])
def test_blocks_batches_and_neighbours_do_not_change_a_clip(codec, clips, seed):
    rng, kbps = np.random.default_rng(seed), max(codec.spec.codebooks)
    together = codec.encode_batch(clips, kbps)
    some = rng.permutation(len(clips))[: len(clips) // 2]
    others = dict(zip(some, codec.encode_batch([clips[i] for i in some], kbps), strict=True))
    for index, (wav, ecdc) in enumerate(zip(clips, together, strict=True)):
        cuts = np.sort(rng.integers(0, wav.shape[1] + 1, rng.integers(0, 9)))
        alone = codec.encode_blocks(iter(np.split(wav, cuts, axis=1)), kbps)
        assert same(alone, ecdc), f"clip {index} of seed {seed}: alone, not as in the batch"
        if index in others:
            assert same(others[index], ecdc), f"clip {index} of seed {seed}: by its neighbours"


@pytest.mark.parametrize("seed", [SEED])
def test_codes_are_encodecs_code_for_code(codec, clips, seed):
    kbps = max(codec.spec.codebooks)
    differing = total = 0
    for wav, ecdc in zip(clips, codec.encode_batch(clips, kbps), strict=True):
        codes, scales = own_encode(codec._model, wav, kbps)
        differing += np.count_nonzero(ecdc.codes != codes)
        total += codes.size
        if scales:
            np.testing.assert_array_equal(ecdc.scales, np.float32(scales))
    # A run is far too short for one in a million; `benchmarks/fidelity.py` counts on.
    assert differing <= 32, f"{differing} of {total} codes differ with seed {seed}"


@pytest.mark.parametrize("name", ["encodec_24khz_demo", "encodec_24khz"])
def test_one_thread_gives_the_codes_of_encodec_with_one_thread(name, recordings):
    """With one, PyTorch takes other kernels, and encodec's codes are others by near 1 %."""
    paths = sorted(recordings.rglob("*.flac"))
    wav = np.concatenate([read_audio(p, 24_000, 1) for p in paths[:3]], axis=1)[:, :150_001]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        codec = any_codec(name)
        ecdc, again = codec.encode(wav, 24), codec.encode_batch([wav[:, :99_000], wav], 24)[1]
        codes, _ = own_encode(codec._model, wav, 24)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(ecdc.codes, codes)
    np.testing.assert_array_equal(again.codes, codes)


def test_where_rows_of_the_lstm_do_not_agree_they_run_one_by_one(monkeypatch):
    """Another processor may have other kernels: it is tried when the codec is loaded."""
    layer = next(m for m in seeded_model("encodec_24khz").encoder.model if hasattr(m, "lstm"))
    x = 0.3 * torch.randn(5, 512, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        monkeypatch.setattr(Recurrent, "_rows_agree", lambda self: False)
        recurrent = Recurrent(layer)
        assert not recurrent.batches
        together, (h, c) = recurrent(x.clone())
        for row in range(5):
            alone, (own_h, own_c) = recurrent(x[row : row + 1].clone())
            assert torch.equal(together[row : row + 1], alone)
            assert torch.equal(h[:, row : row + 1], own_h)
            assert torch.equal(c[:, row : row + 1], own_c)
        monkeypatch.undo()
        agreeing = Recurrent(layer)
        if agreeing.batches:
            assert torch.equal(agreeing(x.clone())[0], together)


def test_every_codec_is_tried():
    assert set(CLIPS) == set(CODECS)


def test_a_clip_that_fails_leaves_the_others_as_they_are(demo_codec, recordings):
    wav = read_audio(sorted(recordings.rglob("*.flac"))[0], 24_000, 1)

    def broken():
        yield wav[:, :50_000]
        raise OSError("the disk is gone")

    streams = [[wav], broken(), [np.full((1, 90_000), np.nan, np.float32)], [], [wav]]
    clips = sorted(demo_codec.encode_streams(streams, 6), key=lambda clip: clip.index)
    expected = demo_codec.encode(wav, 6)
    assert same(clips[0].result(demo_codec.spec), expected)
    assert same(clips[4].result(demo_codec.spec), expected)
    for index, message in ((1, "the disk is gone"), (2, "NaN or infinity"), (3, "no samples")):
        with pytest.raises(Exception, match=message):
            clips[index].result(demo_codec.spec)
