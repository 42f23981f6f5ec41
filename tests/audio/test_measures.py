"""Parameters of sound, against tones, noise and clicks of known value."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.audio.measures import frame_rms, pitch, spectral
from preprocess.core.errors import UsageError
from preprocess.tokens.frames import n_frames, sample_to_frame
from preprocess.tokens.specs import codec_spec
from tests.helpers.clips import clip_of, prepared
from tests.helpers.commands import write_wav
from tests.helpers.formats import one_line
from tests.helpers.signals import tone

MODELS = ("encodec_24khz", "encodec_32khz", "encodec_48khz")
F0_TOLERANCE = 1e-3
CENTROID_TOLERANCE = 0.01
INSIDE = slice(5, -5)
"""Frames whose windows lie within the clip."""


def stereo_or_mono(wave, spec):
    return np.stack([wave] * spec.channels).astype(np.float32)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hertz", [82.4, 440.0, 1760.0])
def test_pitch_of_a_tone_with_harmonics_is_its_own(model, hertz):
    spec = codec_spec(model)
    wave = sum(tone(hertz * k, spec.sample_rate, spec.sample_rate + 77, 0.1 / k) for k in (1, 2, 3))
    found = pitch(stereo_or_mono(wave, spec), spec, 65, 2093)
    assert len(found) == n_frames(len(wave), spec)
    np.testing.assert_allclose(found[INSIDE], hertz, rtol=F0_TOLERANCE)


@pytest.mark.parametrize("model", MODELS)
def test_pitch_of_a_glide_is_that_of_the_hops_middle(model):
    """A glide of an octave a second: half a hop of shift would be 0.5 % off."""
    spec = codec_spec(model)
    times = np.arange(2 * spec.sample_rate) / spec.sample_rate
    wave = 0.1 * np.sin(2 * np.pi * 200 * (2**times - 1) / np.log(2))
    clip = clip_of(len(wave), model)
    found = pitch(stereo_or_mono(wave, spec), spec, 65, 2093)
    expected = 200 * 2**clip.frame_centres_s
    np.testing.assert_allclose(found[INSIDE], expected[INSIDE], rtol=F0_TOLERANCE)


def test_noise_and_silence_are_unvoiced_and_a_tone_begins_within_a_frame():
    spec = codec_spec("encodec_24khz")
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 24_000)).astype(np.float32)
    assert np.isnan(pitch(noise, spec, 65, 2093)).mean() > 0.9
    assert np.isnan(pitch(np.zeros((1, 9000), np.float32), spec, 65, 2093)).all()
    wave = tone(440, 24_000, 24_000)
    wave[:12_000] = 0
    voiced = ~np.isnan(pitch(wave[None], spec, 65, 2093))
    window_frames = np.ceil(1.5 / 65 * 75)  # half of Praat's window of three periods
    assert abs(int(np.argmax(voiced)) - 12_000 // 320) <= window_frames
    assert voiced[45:-3].all()


def test_pitch_of_a_long_clip_does_not_depend_on_its_blocks(monkeypatch):
    spec = codec_spec("encodec_24khz")
    wave = tone(330, 24_000, 5 * 24_000)[None]
    whole = pitch(wave, spec, 65, 2093), spectral(wave, spec, "spectral_centroid_hz")
    onsets = spectral(wave, spec, "onset_strength")
    monkeypatch.setattr("preprocess.audio.measures._BLOCK_FRAMES", 100)
    np.testing.assert_allclose(pitch(wave, spec, 65, 2093)[INSIDE], whole[0][INSIDE], rtol=1e-6)
    np.testing.assert_allclose(spectral(wave, spec, "spectral_centroid_hz"), whole[1], rtol=1e-6)
    np.testing.assert_allclose(spectral(wave, spec, "onset_strength"), onsets, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hertz", [440.0, 5000.0])
def test_the_centroid_of_a_tone_is_its_frequency_and_it_is_not_flat(model, hertz):
    spec = codec_spec(model)
    wave = stereo_or_mono(tone(hertz, spec.sample_rate, 2 * spec.sample_rate), spec)
    centroid = spectral(wave, spec, "spectral_centroid_hz")
    assert len(centroid) == n_frames(wave.shape[1], spec)
    np.testing.assert_allclose(centroid[INSIDE], hertz, rtol=CENTROID_TOLERANCE)
    assert spectral(wave, spec, "spectral_flatness")[INSIDE].max() < 1e-6


@pytest.mark.parametrize("level", [0.1, 1e-4])
def test_white_noise_is_flat_at_any_level(level):
    """The power of noise in a bin is exponential: its flatness is exp(-gamma) = 0.5615."""
    spec = codec_spec("encodec_24khz")
    noise = level * np.random.default_rng(0).standard_normal((1, 120_000)).astype(np.float32)
    assert spectral(noise, spec, "spectral_flatness")[INSIDE].mean() == pytest.approx(
        0.5615, abs=0.01
    )
    centroid = spectral(noise, spec, "spectral_centroid_hz")[INSIDE].mean()
    assert centroid == pytest.approx(6000, rel=0.01)


def test_the_spectrum_of_silence_has_no_value():
    spec = codec_spec("encodec_24khz")
    for name in ("spectral_centroid_hz", "spectral_flatness"):
        assert np.isnan(spectral(np.zeros((1, 9000), np.float32), spec, name)).all()
    onsets = spectral(np.zeros((1, 9000), np.float32), spec, "onset_strength")
    np.testing.assert_array_equal(onsets, 0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("offset", [0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_click_is_an_onset_within_a_frame_of_its_own(model, offset, noise):
    spec = codec_spec(model)
    at = 20 * spec.hop + int(offset * spec.hop)
    random = np.random.default_rng(1)
    wave = (noise * random.standard_normal((spec.channels, spec.sample_rate))).astype(np.float32)
    wave[:, at] = 0.5
    strength = spectral(wave, spec, "onset_strength")
    frame = sample_to_frame(at, spec.sample_rate, spec)
    assert abs(int(np.argmax(strength)) - frame) <= 1
    assert int(np.argmax(frame_rms(wave, spec))) == frame


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("samples", [1, 319, 321, 48_001])
def test_clips_of_any_length_have_a_value_a_frame(model, samples):
    spec = codec_spec(model)
    wave = stereo_or_mono(tone(440, spec.sample_rate, samples), spec)
    frames = n_frames(samples, spec)
    assert len(pitch(wave, spec, 65, 2093)) == frames
    for name in ("spectral_centroid_hz", "spectral_flatness", "onset_strength"):
        assert len(spectral(wave, spec, name)) == frames


def test_a_click_late_in_a_long_clip_stands_in_its_frame():
    spec = codec_spec("encodec_24khz")
    length = 600 * 24_000
    wave = np.zeros((1, length), np.float32)
    wave[0, length - 5000] = 0.5
    assert int(np.argmax(frame_rms(wave, spec))) == (length - 5000) // 320


def test_the_producer_measures_all_at_once_and_describes_them(tmp_path):
    wave = tone(440, 24_000, 12_000)
    wave[6000:] = 0
    path = write_wav(tmp_path / "a.wav", wave)
    names = ["rms_db", "f0_hz", "spectral_centroid_hz", "spectral_flatness", "onset_strength"]
    producer = prepared({"audio": {"measure": names, "prefix": "in_"}})
    found = producer.parameters(clip_of(12_000, audio=path))
    assert list(found) == [f"in_{n}" for n in ["rms_db", "f0_hz", "voiced", *names[2:]]]
    assert all(len(parameter["values"]) == 38 for parameter in found.values())
    voiced = found["in_voiced"]["values"].astype(bool)
    assert voiced[3:16].all()
    assert not voiced[22:].any()
    np.testing.assert_array_equal(np.isnan(found["in_f0_hz"]["values"]), ~voiced)
    assert found["in_f0_hz"]["nan"] == "unvoiced"
    assert found["in_voiced"]["kind"] == "categorical"
    assert [found[f"in_{n}"]["units"] for n in names] == ["dB", "Hz", "Hz", "", "dB"]


def test_the_decoded_tokens_can_be_measured_instead(demo_codec, tmp_path):
    from preprocess.params.clip import Clip
    from preprocess.tokens.ecdc import write_ecdc

    ecdc = demo_codec.encode(tone(440, 24_000, 24_000)[None], 24)
    write_ecdc(tmp_path / "a.ecdc", ecdc)
    clip = Clip("a", tmp_path / "a.ecdc", ecdc.header, None, demo_codec.decode)
    producer = prepared({"audio": {"measure": "f0_hz,rms_db", "source": "tokens"}})
    assert (producer.needs_audio, producer.needs_decoder) == (False, True)
    found = producer.parameters(clip)
    assert np.nanmedian(found["f0_hz"]["values"]) == pytest.approx(440, rel=0.01)
    np.testing.assert_allclose(found["rms_db"]["values"][INSIDE], -20, atol=2)
    assert "decoded tokens" in found["rms_db"]["doc_string"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"measure": ["loudness"]}, "measure"),
        ({"measure": []}, "measure"),
        ({"measure": ["rms_db", "rms_db"]}, "twice"),
        ({"f0_min_hz": 500, "f0_max_hz": 400}, "500"),
        ({"prefix": "1"}, "prefix"),
    ],
)
def test_wrong_settings_are_said_before_any_clip(settings, words):
    with pytest.raises(UsageError) as error:
        prepared({"audio": settings})
    one_line(error, words)


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setattr("preprocess.audio.measures.importlib.util.find_spec", lambda name: None)
    for name, package in (("f0_hz", "praat-parselmouth"), ("spectral_flatness", "librosa")):
        with pytest.raises(UsageError) as error:
            prepared({"audio": {"measure": [name]}})
        one_line(error, package, "enchf-dataset[parameters]")
    prepared({"audio": {"measure": ["rms_db"]}})
