"""Audio is read whole, at the right pitch and level, and what is damaged is said to be."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import given
from hypothesis import strategies as st

from preprocess.audio import audio_files as audio_module
from preprocess.audio.audio_files import (
    BLOCK_SAMPLES,
    AudioError,
    read_audio,
    read_blocks,
    read_comment,
    write_audio,
)
from preprocess.audio.peak_rms import PeakRms
from tests.helpers.commands import cut, files_under, peak_rms, write_wav
from tests.helpers.formats import examples
from tests.helpers.signals import tone

FORMATS = {
    **{ending: {} for ending in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "rf64")},
    "wave": {"format": "WAV"},
    "oga": {"format": "OGG"},
    "aifc": {"format": "AIFF", "subtype": "FLOAT"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}
"""Ending -> what soundfile must be told to write it."""
NOISE = np.random.default_rng(0).normal(0, 0.1, (220_500, 2)).astype(np.float32)


def dominant_hz(clip: np.ndarray, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(clip * np.hanning(len(clip))))
    return float(np.argmax(spectrum) * sample_rate / len(clip))


def level_db(clip: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(clip, dtype=np.float64)) + 1e-30))


@pytest.mark.parametrize("sample_rate", [24_000, 32_000, 48_000])
@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_has_its_length_pitch_and_level(tmp_path, extension, sample_rate):
    rate = 48_000 if extension == "opus" else 44_100  # which Opus does not know
    clip = tone(1000, rate, 2 * rate)
    path = write_wav(tmp_path / f"a.{extension}", clip, rate, **FORMATS[extension])
    wav = read_audio(path, sample_rate, 1)
    assert wav.shape == (1, 2 * sample_rate)
    assert wav.dtype == np.float32
    assert dominant_hz(wav[0], sample_rate) == 1000
    assert level_db(wav) == pytest.approx(-20, abs=0.1)


@pytest.mark.parametrize(("have", "want"), [(2, 1), (6, 1), (1, 2), (2, 2)])
def test_channels_are_averaged_or_doubled(tmp_path, have, want):
    clip = np.random.default_rng(1).uniform(-1, 1, (5000, have)).astype(np.float32)
    wav = read_audio(write_wav(tmp_path / "a.wav", clip), 24_000, want)
    expected = clip if have == want else np.repeat(clip.mean(1, keepdims=True), want, axis=1)
    np.testing.assert_allclose(wav, expected.T, atol=1e-7)


def test_six_channels_do_not_become_two(tmp_path):
    path = write_wav(tmp_path / "surround.wav", np.ones((100, 6)))
    with pytest.raises(AudioError, match=r"surround\.wav has 6 channels.* converted to 2"):
        read_audio(path, 48_000, 2)


@pytest.mark.parametrize(
    ("source", "target"), [(44_100, 24_000), (44_100, 32_000), (44_100, 48_000), (8_000, 24_000)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_resampling_in_blocks_is_resampling_the_whole(tmp_path, source, target, channels):
    clip = NOISE[: 2 * BLOCK_SAMPLES + 12_345, :channels]
    wav = read_audio(write_wav(tmp_path / "a.wav", clip, source), target, channels)
    np.testing.assert_array_equal(wav.T, soxr.resample(clip, source, target, quality="HQ"))


@pytest.mark.parametrize(("target", "above"), [(24_000, 13_000), (32_000, 17_000)])
def test_what_lies_above_the_new_rate_does_not_alias(tmp_path, target, above):
    fade = np.hanning(88_200)
    path = write_wav(tmp_path / "above.wav", fade * tone(above, 44_100, 88_200, 0.5), 44_100)
    below = write_wav(tmp_path / "below.wav", fade * tone(9000, 44_100, 88_200, 0.5), 44_100)
    loud = level_db(read_audio(below, target, 1))
    assert loud == pytest.approx(level_db(sf.read(below)[0]), abs=0.01)
    assert level_db(read_audio(path, target, 1)) < loud - 100


def test_blocks_are_small_whatever_the_length_of_the_file(tmp_path):
    path = write_wav(tmp_path / "a.wav", NOISE, 44_100)
    assert max(len(block) for block in read_blocks(path, 24_000, 1)) <= BLOCK_SAMPLES


@pytest.mark.parametrize("keep", [0.5, -10, 60], ids=["half", "all but 10 bytes", "60 bytes"])
@pytest.mark.parametrize("extension", FORMATS)
def test_a_file_that_was_cut_is_refused(tmp_path, extension, keep):
    rate = 48_000 if extension == "opus" else 44_100
    path = write_wav(tmp_path / f"cut.{extension}", NOISE, rate, **FORMATS[extension])
    cut(path, int(keep * path.stat().st_size) if keep == 0.5 else keep)
    with pytest.raises(AudioError) as caught:
        read_audio(path, 24_000, 1)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


def _no_samples(path):
    write_wav(path, np.empty(0))


def _bad_sample(value):
    def make(path):
        clip = np.zeros(80_000)
        clip[70_000] = value
        write_wav(path, clip)

    return make


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_text("not audio\n" * 100), "cannot be read as audio"),
        (_no_samples, "holds no samples"),
        (_bad_sample(np.nan), "NaN or infinity, first at sample 70,000"),
        (_bad_sample(np.inf), "NaN or infinity, first at sample 70,000"),
        (_bad_sample(-np.inf), "NaN or infinity, first at sample 70,000"),
    ],
    ids=["missing", "empty", "text", "no samples", "nan", "inf", "-inf"],
)
def test_a_file_that_holds_no_audio_is_refused(tmp_path, make, why):
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(AudioError) as caught:
        read_audio(path, 24_000, 1)
    assert str(caught.value).startswith(f"{path} ")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "claimed", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFF00], ids=["ffmpeg", "sox", "arecord"]
)
def test_a_wav_from_a_pipe_is_read_to_its_end(tmp_path, claimed):
    """Who writes to a pipe does not know the size, and each program leaves its own."""
    clip = NOISE[:1000, 0]
    path = write_wav(tmp_path / "pipe.wav", clip, subtype="PCM_24")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = min(claimed + at - 4, 0xFFFFFFFF).to_bytes(4, "little")
    data[at : at + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(data)
    np.testing.assert_allclose(read_audio(path, 24_000, 1)[0], clip, atol=2**-22)


def _mp3_without_length(path, mode):
    """Write two seconds without the first frame, which states the length (a pipe lacks it)."""
    write_wav(path, tone(1000, 44_100, 88_200), 44_100, bitrate_mode=mode, compression_level=0.5)
    data = path.read_bytes()
    start = data.index(data[:2], 4)  # the next frame's header begins as the first one's
    assert {tag for tag in (b"Xing", b"Info") if tag in data[:start]}
    path.write_bytes(data[start:])
    return path


def test_an_mp3_that_states_no_length_is_read_to_its_end(tmp_path):
    wav = read_audio(_mp3_without_length(tmp_path / "a.mp3", "CONSTANT"), 44_100, 1)[0]
    assert 88_200 <= len(wav) <= 88_200 + 3 * 1152
    assert dominant_hz(wav[2304:-2304], 44_100) == pytest.approx(1000, abs=1)


def test_an_mp3_of_variable_rate_that_states_no_length_is_never_shortened(tmp_path):
    """libsndfile guesses the length from the size and the first frame, and stops there."""
    path = _mp3_without_length(tmp_path / "a.mp3", "VARIABLE")
    guessed = sf.info(path).frames
    if guessed >= 88_200:  # a libsndfile that counts the frames
        assert read_audio(path, 44_100, 1).shape[1] == guessed
        return
    with pytest.raises(AudioError, match="without a stated length and can be read only in part"):
        read_audio(path, 44_100, 1)


@given(
    seed=st.integers(0, 1000),
    samples=st.integers(1, 3000),
    channels=st.integers(1, 2),
    window_ms=st.integers(4, 700),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
)
@examples(100)
def test_peak_rms_is_the_predecessors_for_any_blocks(seed, samples, channels, window_ms, cuts):
    clip = np.random.default_rng(seed).normal(0, 0.1, (samples, channels)).astype(np.float32)
    clip *= np.linspace(0, 1, samples)[:, None] ** (seed % 3)
    meter = PeakRms(window_ms)  # at 1,000 Hz a millisecond is a sample
    for block in np.split(clip, sorted(min(at, samples) for at in cuts)):
        meter.add(block)
    assert meter.value == pytest.approx(peak_rms(clip, 1000, window_ms), rel=1e-9)


def test_peak_rms_of_nothing_is_zero():
    assert PeakRms(100).value == 0


@pytest.mark.parametrize(("limit", "kind"), [(1 << 32, "WAV"), (100, "RF64")])
def test_what_is_written_is_read_with_its_comment(tmp_path, monkeypatch, limit, kind):
    monkeypatch.setattr("preprocess.audio.audio_files._MAX_WAV_BYTES", limit)
    path, clip = tmp_path / "a.wav", NOISE[:1000]
    write_audio(path, [clip[:700], clip[700:]], 1000, 48_000, 2, '{"src": "1"}')
    assert sf.info(path).format == kind
    np.testing.assert_allclose(read_audio(path, 48_000, 2).T, clip, atol=2**-22)
    assert read_comment(path) == '{"src": "1"}'


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path):
    def blocks():
        yield NOISE[:100]
        raise OSError("disk full")

    path = write_wav(tmp_path / "a.wav", NOISE[:10])
    before = path.read_bytes()
    with pytest.raises(OSError, match="disk full"):
        write_audio(path, blocks(), 200, 48_000, 2, "{}")
    assert path.read_bytes() == before
    assert files_under(tmp_path) == {"a.wav"}


def test_past_4_gib_a_file_becomes_rf64_and_keeps_its_comment(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_module, "_MAX_WAV_BYTES", 1_000)
    block = tone(440, 24_000, 2_000)[:, None]
    write_audio(tmp_path / "a.wav", [block], len(block), 24_000, 1, '{"src": "x"}')
    with sf.SoundFile(tmp_path / "a.wav") as file:
        assert (file.format, file.frames) == ("RF64", 2_000)
    assert read_comment(tmp_path / "a.wav") == '{"src": "x"}'
    np.testing.assert_allclose(
        read_audio(tmp_path / "a.wav", 24_000, 1)[0], block[:, 0], atol=2**-23
    )
