"""An audit that hears the audio finds parameters that lie before or behind their sound."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf

from preprocess.audio.measures import frame_rms
from preprocess.audit.lags import level_lag, onset_lag
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.frames import frame_start_samples
from preprocess.tokens.specs import codec_spec
from tests.helpers.commands import assert_says, run, write_tokens, write_wav

CODECS = ("encodec_24khz", "encodec_48khz")


def phrase(codec: str, seconds: float = 4.0, seed: int = 0):
    """Return noise `[N]` whose level moves as that of playing does."""
    rate = codec_spec(codec).sample_rate
    rng = np.random.default_rng(seed)
    count = int(seconds * rate)
    knots = rng.uniform(-50, -6, int(seconds * 6) + 2)
    level = np.interp(np.arange(count) / rate * 6, np.arange(len(knots)), knots)
    return 10 ** (level / 20) * rng.uniform(-1, 1, count)


def clicks(codec: str, times):
    """Return short decaying bursts `[N]` at times in seconds, over a faint noise."""
    rate = codec_spec(codec).sample_rate
    rng = np.random.default_rng(0)
    wav = 1e-4 * rng.standard_normal(int((times[-1] + 0.9) * rate))
    for at in times:
        start = round(at * rate)
        burst = np.exp(-np.arange(rate // 12) / (rate / 100))
        wav[start : start + len(burst)] += 0.5 * burst * rng.uniform(-1, 1, len(burst))
    return wav


def make_clip(tmp_path, codec: str, wav, name: str = "a", seed: int = 0):
    spec = codec_spec(codec)
    stereo = np.stack([wav] * spec.channels, axis=1)
    write_wav(tmp_path / f"wav/{name}.wav", stereo, spec.sample_rate)
    return write_tokens(tmp_path / f"ecdc/{name}.ecdc", codec, len(wav), seed=seed)


def level_of(codec: str, wav):
    rms = frame_rms(np.asarray(wav, np.float32)[None], codec_spec(codec))
    return 20 * np.log10(np.maximum(rms, 1e-6))


def later(values, frames: int, fill: float = -60.0):
    moved = np.full(len(values), fill)
    if frames >= 0:
        moved[frames:] = values[: len(values) - frames]
    else:
        moved[:frames] = values[-frames:]
    return moved


def audit(capsys, tmp_path, words: str = ""):
    where = f"--against-audio {tmp_path}/wav"
    result = run(capsys, f"audit @ --format json {where} {words}", tmp_path / "ecdc")
    rows = json.loads("\n".join(result.out))
    return result.status, {row["check"] for row in rows}, "\n".join(r["message"] for r in rows)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("frames", [1, -1, 3])
def test_a_level_that_is_shifted_by_a_frame_is_an_error(tmp_path, capsys, codec, frames):
    wav = phrase(codec)
    path = make_clip(tmp_path, codec, wav)
    loud = {"values": later(level_of(codec, wav), frames), "units": "dB"}
    write_sidecar(path, {"loud": loud}, dtype="float32")
    status, found, text = audit(capsys, tmp_path)
    assert (status, found) == (1, {"shifted_level"})
    where = "behind" if frames > 0 else "ahead of"
    assert_says(text, [f"{abs(frames)} frame", f"{where} the level of", "a.wav"])
    assert audit(capsys, tmp_path, "--fail-on fps")[0] == 0


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("seconds", [0.5, -0.5])
def test_a_level_that_is_shifted_by_half_a_second_is_an_error(tmp_path, capsys, codec, seconds):
    """In time, as an offset of the audio makes it: at 48 kHz that is no constant number of rows."""
    spec = codec_spec(codec)
    wav = phrase(codec)
    path = make_clip(tmp_path, codec, wav)
    moved = np.roll(wav, round(seconds * spec.sample_rate))
    write_sidecar(path, {"loud": {"values": level_of(codec, moved), "units": "dB"}}, dtype="auto")
    status, found, text = audit(capsys, tmp_path)
    assert (status, found) == (1, {"shifted_level"})
    assert_says(text, ["behind" if seconds > 0 else "ahead of"])
    said = float(text.partition("(")[2].partition(" s)")[0])
    assert abs(said - abs(seconds)) < 0.6 * spec.hop / spec.sample_rate


def test_a_record_that_says_rms_db_is_enough(tmp_path, capsys):
    wav = phrase("encodec_24khz")
    path = make_clip(tmp_path, "encodec_24khz", wav)
    run(capsys, f"annotate @ --audio-root {tmp_path}/wav --rms-db name=loud", tmp_path / "ecdc")
    assert audit(capsys, tmp_path) == (0, set(), "")
    json_path = path.with_suffix(".cond.json")
    meta = json.loads(json_path.read_text())
    values = read_sidecar(path).parameters["loud"].values
    write_sidecar(path, {"loud": later(values, 1)}, mode="overwrite")
    changed = json.loads(json_path.read_text())
    changed["provenance"]["made"][0]["producer"] = meta["provenance"]["made"][0]["producer"]
    json_path.write_text(json.dumps(changed))
    assert audit(capsys, tmp_path)[1] == {"shifted_level"}


RHYTHMS = {
    "steady": np.arange(0.31, 4, 0.7),
    "jittered": np.cumsum(np.random.default_rng(3).uniform(0.2, 0.8, 10)),
}


def onsets_at(path, times, delay: float = 0.0):
    header = run_header(path)
    starts = frame_start_samples(header.audio_length, header.spec) / header.spec.sample_rate
    ends = starts + header.spec.hop / header.spec.sample_rate
    at = times + delay
    return ((at[:, None] >= starts) & (at[:, None] < ends)).any(axis=0).astype(float)


def run_header(path):
    from preprocess.tokens.ecdc import read_header

    return read_header(path)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rhythm", RHYTHMS)
@pytest.mark.parametrize("frames", [0, 1, 38])
def test_onsets_behind_their_sound_are_a_warning(tmp_path, capsys, codec, rhythm, frames):
    times = RHYTHMS[rhythm]
    path = make_clip(tmp_path, codec, clicks(codec, times))
    delay = frames * codec_spec(codec).hop / codec_spec(codec).sample_rate
    hits = onsets_at(path, times, delay)
    gate = np.maximum(hits, later(hits, 1, 0.0))
    write_sidecar(path, {"onset": {"values": hits, "kind": "categorical"}, "gate": gate})
    status, found, text = audit(capsys, tmp_path)
    assert (status, found) == (0, {"shifted_onsets"} if frames else set())
    assert frames == 0 or text.count("behind the attacks in") == 2


def smooth(values, width: int):
    return np.convolve(values, np.ones(width) / width, "same")


def follower(values, release: float):
    out = values.copy()
    for i in range(1, len(out)):
        out[i] = max(values[i], out[i - 1] - release)
    return out


OTHER_LEVELS = {
    "of longer windows": lambda x, rng: smooth(x, 5),
    "with a slow release": lambda x, rng: follower(x, 0.5),
    "of other sound": lambda x, rng: level_of(CODECS[0], phrase(CODECS[0], seed=9)),
    "with noise": lambda x, rng: x + rng.standard_normal(len(x)),
    "in steps": lambda x, rng: 6 * np.round(x / 6),
    "a glide": lambda x, rng: np.linspace(-30, 0, len(x)),
    "one step": lambda x, rng: np.where(np.arange(len(x)) < 150, -20.0, 0.0),
    "a tremolo": lambda x, rng: 6 * np.sin(np.arange(len(x)) / 7),
    "noise": lambda x, rng: rng.standard_normal(len(x)),
    "with holes": lambda x, rng: np.where(rng.random(len(x)) < 0.2, np.nan, x),
}


@pytest.mark.parametrize("kind", OTHER_LEVELS)
@pytest.mark.parametrize("seed", range(4))
def test_other_parameters_in_db_are_no_shifted_level(kind, seed):
    level = level_of(CODECS[0], phrase(CODECS[0], seed=seed))
    made = OTHER_LEVELS[kind](level, np.random.default_rng(seed))
    assert level_lag(np.asarray(made), level, 150) is None


def test_steady_sounds_and_single_notes_say_nothing_of_time():
    rate = 24_000
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate)
    tremolo = tone * (1 + 0.5 * np.sin(2 * np.pi * 5 * np.arange(3 * rate) / rate))
    for wav in (tone, tremolo, np.zeros(3 * rate), tone * np.linspace(0, 1, 3 * rate)):
        level = level_of(CODECS[0], wav)
        for values in (np.roll(level, 1), np.linspace(-20, 0, len(level)), np.zeros(len(level))):
            found = level_lag(values, level, 100)
            assert found is None or found.there > 0.95  # what was rolled may be found
        assert onset_lag(np.eye(len(level))[40], level, 100, 11) is None


def test_slow_attacks_after_their_gates_are_as_they_should_be():
    times = RHYTHMS["jittered"]
    rate, rng = 24_000, np.random.default_rng(0)
    wav = 0.01 * rng.standard_normal(int(6 * rate))
    for at in times:
        start, size = round(at * rate), rate // 5
        wav[start : start + size] += np.hanning(2 * size)[:size] * rng.uniform(-1, 1, size)
    level = level_of(CODECS[0], wav)
    hits = np.zeros(len(level))
    hits[(times * 75).astype(int)] = 1
    assert onset_lag(hits, level, 150, 11) is None


def test_natural_recordings_have_no_shift_and_show_one(recordings, capsys):
    """Levels of all that ship, as measured, by a longer window, and a frame and 38 frames late."""
    shifted = 0
    for path in sorted(recordings.rglob("*.flac")) + sorted(recordings.rglob("*.wav")):
        wav = sf.read(path, always_2d=True)[0]
        level = level_of(CODECS[0], wav.mean(axis=1))
        assert level_lag(level, level, 150) is None
        assert level_lag(smooth(level, 4), level, 150) is None
        for frames in (1, 38):
            lag = level_lag(later(level, frames), level, 150)
            assert lag is None or lag.frames == frames
            shifted += lag is not None
    assert shifted >= 8


def test_clips_without_their_audio_are_named(tmp_path, capsys):
    wav = phrase(CODECS[0])
    path = make_clip(tmp_path, CODECS[0], wav)
    write_sidecar(path, {"loud": {"values": level_of(CODECS[0], wav), "units": "dB"}})
    (tmp_path / "wav/a.wav").rename(tmp_path / "wav/b.wav")
    status, found, text = audit(capsys, tmp_path)
    assert (status, found) == (0, {"missing_audio"})
    assert_says(text, ["has no audio in"])
    write_wav(tmp_path / "wav/a.wav", wav[:-100], 24_000)
    assert_says(audit(capsys, tmp_path)[2], ["samples at 24000 Hz, but the tokens have 96000"])
    write_wav(tmp_path / "wav/a.flac", wav, 24_000)
    assert_says(audit(capsys, tmp_path)[2], ["could both be its audio"])
    for name in ("wav/a.wav", "wav/a.flac"):
        (tmp_path / name).write_text("no sound")
        assert "missing_audio" in audit(capsys, tmp_path)[1]
        (tmp_path / name).unlink()
    result = run(capsys, "audit @ --against-audio nowhere", tmp_path / "ecdc")
    assert result.status == 2
