"""One encoding per clip, encodec's own: lengths, blocks and batches drawn afresh at each run.

Whatever the number of threads: the reference is encodec with two, its tails aside (`without_tails`).

The seed of a run stands in the name of each test; `ENCHF_TEST_SEED=N` repeats it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import numpy as np
import pytest
import torch

from preprocess.audio.audio_files import read_audio
from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.encoders import _mean
from preprocess.codec.layers import Elu
from preprocess.codec.models import build_model
from preprocess.codec.network import Parts, UnknownLayerError
from preprocess.codec.quantizer import _products
from preprocess.codec.recurrent import Recurrent
from preprocess.codec.reference import own_encode, seeded_model, without_tails
from preprocess.codec.torch_private import pinned_kernels
from preprocess.codec.workers import Workers
from preprocess.core.files import digest_bytes
from preprocess.tokens.specs import CODECS, codec_spec

# Processes of one run of pytest-xdist share its id, and must agree on the names of the tests.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(4)
SEED = int(os.environ.get("ENCHF_TEST_SEED") or int(RUN[:8], 16))
CLIPS = {"encodec_24khz_demo": 12, "encodec_24khz": 5, "encodec_32khz": 3, "encodec_48khz": 4}
LONGEST_S = {"encodec_24khz_demo": 9, "encodec_24khz": 6, "encodec_32khz": 4, "encodec_48khz": 3}
THREADS = (1, 2, 3, 6, 7, 16)


@pytest.fixture(autouse=True)
def two_threads():
    """Two threads, encodec's in the reference, whatever the machine has; and as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


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


@pytest.fixture(scope="module")
def clips_of_sound(recordings):
    """Three clips of 0.5 to 3.5 s for the demo codec."""
    paths = sorted(recordings.rglob("*.flac"))
    wav = np.concatenate([read_audio(p, 24_000, 1) for p in paths[:3]], axis=1)
    return [wav[:, :83_001], wav[:, 5_000:17_000], wav[:, 30_000:80_000]]


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


def test_parts_are_counted_as_they_are_encoded(codec, clips):
    """All audio once, before the clips that it belongs to are done."""
    spec, parts = codec.spec, []
    streams = ([wav] for wav in clips)
    for _ in codec.encode_streams(streams, max(spec.codebooks), on_part=parts.append):
        assert sum(parts) > 0
    seconds = sum(wav.shape[1] for wav in clips) / spec.sample_rate
    # A clip's last frame, or the overlap of its last segment, may be beyond its end.
    slack = len(clips) * (1 / spec.fps if spec.segment_samples is None else 0.01)
    assert abs(sum(parts) - seconds) <= slack


@pytest.mark.parametrize("seed", [SEED])
def test_codes_are_encodecs_code_for_code(codec, clips, seed):
    kbps = max(codec.spec.codebooks)
    differing = total = 0
    for wav, ecdc in zip(clips, codec.encode_batch(clips, kbps), strict=True):
        with without_tails(codec._model):
            codes, scales = own_encode(codec._model, wav, kbps)
        differing += np.count_nonzero(ecdc.codes != codes)
        total += codes.size
        if scales:
            np.testing.assert_array_equal(ecdc.scales, np.float32(scales))
    assert differing == 0, f"{differing} of {total} codes differ with seed {seed}"


@pytest.mark.parametrize("seed", [SEED])
def test_threads_do_not_change_a_clip(codec, clips, seed):
    """With six, batches and clips alone used to differ in 8 of 10,000 codes; with one, in more."""
    kbps, some = max(codec.spec.codebooks), sorted(clips, key=lambda wav: wav.shape[1])[-3:]
    some = [wav[:, : 2 * codec.spec.sample_rate] for wav in some]
    expected = codec.encode_batch(some, kbps)
    for threads in THREADS:
        torch.set_num_threads(threads)
        other = Codec(codec.spec, codec._model, "", torch.device("cpu"))
        found = [*other.encode_batch(some[:2], kbps), other.encode(some[2], kbps)]
        assert torch.get_num_threads() == threads, "the caller's own setting stays"
        for index, (ecdc, reference) in enumerate(zip(found, expected, strict=True)):
            assert same(ecdc, reference), f"clip {index} of seed {seed} with {threads} threads"


PROCESS = """
import sys, numpy as np, torch
from preprocess.codec.codec import load_codec
from preprocess.codec.encoders import _mean
from preprocess.core.files import digest_bytes
wav = np.load(sys.argv[1])
codes = load_codec("encodec_24khz_demo", device="cpu").encode(wav, 24).codes
print(torch.get_num_threads(), digest_bytes(codes.tobytes()))
"""


def test_processes_of_other_numbers_of_threads_agree(demo_codec, clips_of_sound, tmp_path):
    """In a cluster's jobs OMP_NUM_THREADS is the number of cores that each was given."""
    np.save(tmp_path / "wav.npy", clips_of_sound[0])
    expected = digest_bytes(demo_codec.encode(clips_of_sound[0], 24).codes.tobytes())
    for threads in ("1", "7"):
        run = subprocess.run(
            [sys.executable, "-c", PROCESS, str(tmp_path / "wav.npy")],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        count, found = run.stdout.split()
        assert found == expected
        assert count == threads or threads != "1"  # more than cores may be refused


def test_workers_keep_one_thread_whatever_the_caller_sets():
    """A thread's first use of torch used to give it the process's number of threads."""
    torch.set_num_threads(5)
    with Workers(3) as workers:
        torch.set_num_threads(7)
        counts = [workers.submit(torch.get_num_threads).result() for _ in range(6)]
    assert counts == [1] * 6
    assert torch.get_num_threads() == 7


@pytest.mark.parametrize("threads", THREADS)
def test_an_elu_is_one_function_of_a_number_wherever_it_lies(threads):
    torch.set_num_threads(threads)
    x = -3 * torch.rand(70_001, generator=torch.Generator().manual_seed(0))
    with Workers(1) as workers:
        for length in (1, 63, 64, 65, 4_099, 70_001):
            start = 70_001 - length
            whole, part = (
                workers.submit(lambda y=y: Elu(1.0)(y)).result()
                for y in (x.clone(), x[start:].clone())
            )
            assert torch.equal(part, whole[start:])
            np.testing.assert_allclose(part, np.expm1(x[start:].numpy()), atol=1e-6)


@pytest.mark.parametrize("frames", range(1, 14))
def test_products_of_few_frames_are_those_of_two_threads(frames):
    generator = torch.Generator().manual_seed(frames)
    x = torch.randn(128, frames, generator=generator).t()
    entries = torch.randn(1024, 128, generator=generator).t()
    expected = x @ entries
    with Workers(1) as workers:
        assert torch.equal(workers.submit(lambda: _products(x, entries)).result(), expected)


@pytest.mark.parametrize("samples", [100, 32_768, 32_769, 40_001, 47_999, 48_000])
def test_the_scale_of_a_segment_is_that_of_two_threads(samples):
    x = torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(samples)).square()
    expected = x.mean(dim=2, keepdim=True)
    with Workers(1) as workers:
        assert torch.equal(workers.submit(lambda: _mean(x)).result(), expected)


@pytest.fixture
def no_private_names(monkeypatch):
    """A PyTorch that lacks what we take of it beyond its interface."""
    monkeypatch.delattr(torch._C, "_select_conv_backend")
    pinned_kernels.cache_clear()
    yield
    monkeypatch.undo()
    pinned_kernels.cache_clear()


def test_without_private_names_codes_are_still_one(no_private_names, clips_of_sound, caplog):
    found = []
    for threads in (1, 2, 6):
        torch.set_num_threads(threads)
        codec = load_codec("encodec_24khz_demo", device="cpu")
        found.append([*codec.encode_batch(clips_of_sound, 24), codec.encode(clips_of_sound[0], 24)])
        assert codec.engine.endswith("-float32-unpinned"), "its codes are those of another engine"
    for encodings in found:
        assert all(map(same, encodings, found[0]))
        assert same(encodings[0], encodings[-1])
    (record,) = [r for r in caplog.records if r.name == "preprocess"]
    assert "does not allow choosing its convolution kernels" in record.getMessage()
    assert len(record.getMessage().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("mkldnn_convolution", lambda *given: torch.zeros(2, 3, 1, 16), "differs from conv1d"),
        ("mkldnn_convolution", lambda x: x, "positional argument"),
    ],
)
def test_a_private_name_that_does_something_else_is_not_used(
    monkeypatch, caplog, name, change, reason
):
    monkeypatch.setattr(torch, name, change)
    pinned_kernels.cache_clear()
    try:
        assert pinned_kernels() is None
        assert reason in caplog.text
    finally:
        monkeypatch.undo()
        pinned_kernels.cache_clear()


def test_an_unknown_layer_is_an_error():
    """It used to be run as it is, without being counted in what a window must see."""
    model = build_model(codec_spec("encodec_24khz_demo"))
    model.encoder.model.insert(1, torch.nn.Conv1d(8, 8, 3, padding=1))
    with pytest.raises(UnknownLayerError, match="a layer Conv1d, which is not supported"):
        Parts(model.encoder, 320)


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
