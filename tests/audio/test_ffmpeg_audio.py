"""What libsndfile cannot read is read by ffmpeg, at its length, pitch and level; or it is counted."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.audio import audio_files as audio_module
from preprocess.audio import ffmpeg_audio
from preprocess.audio.audio_files import AudioError, read_audio, stated_samples
from preprocess.steps import inputs
from tests.helpers.commands import assert_says, cut, files_under, run, write_tone
from tests.helpers.signals import tone

av = pytest.importorskip("av")
CODECS = {
    "m4a": "aac",
    "m4b": "alac",
    "aac": "aac",
    "wma": "wmav2",
    "mka": "pcm_s16le",
    "webm": "libopus",
    "wv": "wavpack",
}
LOSSLESS = ("m4b", "mka", "wv")
RATE = 48_000


def write(path, clip, options=None):
    """Write `[N]` as 16-bit stereo by ffmpeg's encoder for the ending of the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.int16(np.round(np.repeat(clip, 2) * 32767))[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
    frame.sample_rate, frame.pts = RATE, 0
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=RATE, layout="stereo")
        if path.suffix == ".wv":
            stream.format = "s16p"
        elif path.suffix == ".wma":  # which has no rate of its own
            stream.bit_rate = 128_000
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=RATE)
        stream.codec_context.open()
        for part in resampler.resample(frame):
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while (part := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", CODECS)
def test_each_format_has_its_length_pitch_and_level(tmp_path, ending):
    clip = tone(1000, RATE, RATE, 0.1)
    wav = read_audio(write(tmp_path / f"a.{ending}", clip), RATE, 1)[0]
    # A bare AAC stream does not say how much of it is the encoder's padding, nor does WMA.
    slack = {"aac": 3 * 1024, "wma": 2 * 2048}.get(ending, 0)
    assert abs(len(wav) - RATE) <= slack
    middle = wav[8192:-8192]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(1000, abs=3)
    assert np.sqrt(np.mean(np.square(middle))) == pytest.approx(0.1, rel=0.02)
    if ending in LOSSLESS:
        np.testing.assert_allclose(wav, clip, atol=2**-15)


@pytest.mark.parametrize(
    ("ending", "options", "keep"),
    [
        ("m4a", {}, 0.5),
        ("m4a", {"movflags": "faststart"}, 0.5),
        ("m4a", {"movflags": "faststart"}, 60),
        ("mka", {}, 0.5),
        ("webm", {}, 0.5),
        ("webm", {}, 60),
        ("wv", {}, 0.5),
        ("aac", {}, 3),
    ],
)
def test_a_file_that_was_cut_is_refused(tmp_path, ending, options, keep):
    clip = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE)
    path = write(tmp_path / f"a.{ending}", clip, options)
    assert read_audio(path, RATE, 1).shape[1] > 1.9 * RATE
    cut(path, int(keep * path.stat().st_size) if keep == 0.5 else keep)
    with pytest.raises(AudioError) as caught:
        read_audio(path, RATE, 1)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_text("no audio\n" * 100), "cannot be read as audio"),
    ],
)
def test_what_is_no_audio_is_one_line(tmp_path, make, why):
    make(tmp_path / "a.m4a")
    with pytest.raises(AudioError, match=f"a.m4a {why}"):
        read_audio(tmp_path / "a.m4a", RATE, 1)


def test_it_states_no_length_to_verify_tokens_by(tmp_path):
    path = write(tmp_path / "a.m4a", tone(1000, RATE, RATE, 0.1))
    assert stated_samples(path, RATE) is None
    assert stated_samples(write_tone(tmp_path / "a.wav"), 24_000) == 12_000


def test_both_steps_take_it(tmp_path, capsys):
    write(tmp_path / "in/a.m4a", tone(1000, RATE, RATE // 2, 0.1))
    assert run(capsys, "normalize @ @", tmp_path / "in", tmp_path / "wav").status == 0
    assert files_under(tmp_path / "wav") == {"a.wav"}
    command = "encode @ @ --codec encodec_24khz_demo --device cpu --verify"
    assert run(capsys, command, tmp_path / "in", tmp_path / "ecdc").status == 0


def test_without_pyav_it_is_counted_and_what_to_install_said(tmp_path, capsys, monkeypatch):
    native = audio_module.LIBSNDFILE_EXTENSIONS
    for module in (inputs, ffmpeg_audio):
        monkeypatch.setattr(module, "can_read", lambda: False)
    for number in range(9):
        write(tmp_path / f"in/{number}.m4a", tone(1000, RATE, 4800, 0.1))
    write_tone(tmp_path / "in/a.wav")
    result = run(
        capsys, f"normalize @ @ --extensions {' '.join(native)}", tmp_path / "in", tmp_path / "out"
    )
    assert result.status == 0
    assert result.error.endswith("skipped, unknown suffix: 9 .m4a (to read .m4a: pip install av)")
    command = f"encode @ @ --codec encodec_24khz_demo --device cpu --extensions {' '.join(native)}"
    assert "unknown suffix: 9 .m4a" in run(capsys, command, tmp_path / "in", tmp_path / "e").error
    result = run(capsys, "normalize @ @ --extensions m4a", tmp_path / "in", tmp_path / "out2")
    assert result.status == 1
    assert_says(
        result.err[-1], ["can be read only with PyAV; type: pip install av (9 times: ", "8.m4a"]
    )
