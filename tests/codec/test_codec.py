"""The codec gives encodec's own codes and audio."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from preprocess.audio.audio_files import read_audio
from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.models import build_model
from preprocess.codec.reference import own_encode, seeded_model
from preprocess.codec.weights import find_weights, load_state
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.tokens.ecdc import read_ecdc, write_ecdc
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc, EcdcError
from tests.helpers.signals import fading_tone

DEMO = codec_spec("encodec_24khz_demo")


@pytest.fixture(scope="module")
def own_demo():
    """encodec's model of the demo codec, its weight norms as encodec has them."""
    model = build_model(DEMO)
    load_state(find_weights(DEMO, None), model, DEMO)
    return model.eval()


@pytest.mark.parametrize("samples", [1, 2, 319, 320, 321, 6_720, 24_001, 31_999])
def test_codes_are_encodecs_at_every_length(demo_codec, own_demo, samples):
    wav = fading_tone(440, 24_000, samples)[None]
    expected, _ = own_encode(own_demo, wav, 24)
    ecdc = demo_codec.encode(wav, 24)
    np.testing.assert_array_equal(ecdc.codes, expected)
    assert ecdc.codes.dtype == np.int16
    assert (ecdc.audio_length, ecdc.segment_frames) == (samples, (expected.shape[1],))


@pytest.mark.parametrize("kbps", DEMO.codebooks)
def test_a_lower_bandwidth_is_the_first_rows_of_the_highest(demo_codec, kbps):
    wav = fading_tone(880, 24_000, 12_345)[None]
    k = DEMO.n_codebooks(kbps)
    whole = demo_codec.encode(wav, 24)
    np.testing.assert_array_equal(demo_codec.encode(wav, kbps).codes, whole.at(k).codes)


def test_decoding_gives_the_audio_and_its_length(demo_codec, own_demo, recordings):
    wav = read_audio(recordings / "percussion/tabla_ghe5.flac", 24_000, 1)
    ecdc = demo_codec.encode(wav, 6)
    decoded = demo_codec.decode(ecdc)
    with torch.no_grad():
        codes = torch.from_numpy(ecdc.codes.astype(np.int64))[None]
        expected = own_demo.decode([(codes, None)])[0, :, : wav.shape[1]].numpy()
    np.testing.assert_allclose(decoded, expected, atol=1e-6)
    snr_db = 10 * np.log10(np.sum(wav**2) / np.sum((wav - decoded) ** 2))
    assert snr_db > 8, "the demo codec is trained: a drum comes back as a drum"


@pytest.mark.parametrize("samples", [100, 47_520, 47_521, 100_000])
def test_48khz_segments_and_scales_are_encodecs(samples):
    model = seeded_model("encodec_48khz")
    codec = Codec(codec_spec("encodec_48khz"), model, "", torch.device("cpu"))
    left = fading_tone(300, 48_000, samples)
    wav = np.stack([left, left[::-1]])
    codes, scales = own_encode(model, wav, 6)
    ecdc = codec.encode(wav, 6)
    np.testing.assert_array_equal(ecdc.codes, codes)
    np.testing.assert_array_equal(ecdc.scales, np.float32(scales))
    decoded = codec.decode(ecdc)
    parts = torch.split(torch.from_numpy(codes)[None], ecdc.segment_frames, dim=2)
    with torch.no_grad():
        frames = [(part, torch.tensor([[s]])) for part, s in zip(parts, scales, strict=True)]
        expected = model.decode(frames)[0, :, :samples].numpy()
    np.testing.assert_allclose(decoded, expected, atol=1e-5)


def test_encodecs_own_reader_decodes_our_file(demo_codec, own_demo, tmp_path, monkeypatch):
    """Meta's `encodec` reads what we write, provenance in the header included."""
    compress = importlib.import_module("encodec.compress")  # a function has taken its name
    wav = fading_tone(440, 24_000, 24_000)[None]
    ecdc = demo_codec.encode(wav, 6)
    path = tmp_path / "a.ecdc"
    write_ecdc(path, Ecdc(ecdc.model, ecdc.codes, 24_000, (75,), None, {"src": "ab", "by": "us"}))
    decoded = []
    monkeypatch.setitem(compress.MODELS, DEMO.name, lambda: own_demo)
    monkeypatch.setattr(
        own_demo, "decode", lambda frames: decoded.extend(frames) or torch.zeros(1, 1, 24_000)
    )
    with open(path, "rb") as file:
        audio, sample_rate = compress.decompress_from_file(file)
    ((codes, scale),) = decoded
    np.testing.assert_array_equal(codes[0].numpy(), read_ecdc(path).codes)
    assert (scale, sample_rate, audio.shape) == (None, 24_000, (1, 24_000))


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_32khz", "encodec_48khz"])
def test_no_samples_are_an_error_for_every_codec(name):
    spec = codec_spec(name)
    codec = Codec(spec, build_model(spec), "", torch.device("cpu"))
    for blocks in ([], [np.zeros((spec.channels, 0), np.float32)]):
        with pytest.raises(PreprocessError, match="the audio holds no samples"):
            codec.encode_blocks(blocks, max(spec.codebooks))


@pytest.mark.parametrize(
    ("wav", "message"),
    [
        (np.zeros((2, 100), np.float32), r"needs audio \[1, N\], got \[2, 100\]"),
        (np.zeros((1, 0), np.float32), "holds no samples"),
        (np.zeros(100, np.float32), r"got \[100\]"),
        (np.full((1, 100), np.nan, np.float32), "NaN or infinity"),
    ],
)
def test_audio_of_another_shape_is_refused(demo_codec, wav, message):
    with pytest.raises(PreprocessError, match=message):
        demo_codec.encode(wav, 6)


def test_unknown_names_say_which_exist(demo_codec):
    with pytest.raises(UsageError, match=r"no bandwidth of 7 kbps; it has 1.5, 3, 6, 12, 24"):
        demo_codec.encode(np.zeros((1, 100), np.float32), 7)
    with pytest.raises(UsageError, match=r"'encodec_24kHz' \(did you mean 'encodec_24khz'\?\)"):
        load_codec("encodec_24kHz")
    with pytest.raises(UsageError, match="device warp cannot be used"):
        load_codec("encodec_24khz_demo", device="warp")
    with pytest.raises(UsageError, match="device cuda:7 cannot be used"):
        load_codec("encodec_24khz_demo", device="cuda:7")


def test_tokens_of_another_codec_are_not_decoded(demo_codec):
    ecdc = Ecdc("encodec_24khz", np.zeros((8, 75), np.int16), 24_000, (75,))
    with pytest.raises(EcdcError, match="cannot decode tokens of encodec_24khz"):
        demo_codec.decode(ecdc)
