"""`wf-audio-normalize` and `wf-wav2encodec24` take the predecessor's flags and do what they said."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import torch

from preprocess.cli.wf import audio_normalize, wav2encodec24
from preprocess.codec.reference import seeded_model
from preprocess.tokens.ecdc import read_ecdc, read_header
from tests.helpers.commands import assert_says, cut, files_under, peak_rms, write_tone, write_wav
from tests.helpers.predecessor import call, old_tokens
from tests.helpers.signals import tone


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Seeded weights of the codec at full size."""
    path = tmp_path_factory.mktemp("weights") / "seeded.th"
    torch.save(seeded_model("encodec_24khz").state_dict(), path)
    return path


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """Neither published weights on the disk nor a network to get them by."""

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def wavs(tmp_path):
    """Two clips at the top, one below, and one that is no .wav."""
    root = tmp_path / "wavs"
    write_tone(root / "take.1.wav", 0.2)
    write_tone(root / "b.WAV", 0.1)
    write_tone(root / "deep/c.wav", 0.1)
    write_tone(root / "d.flac", 0.1)
    return root


@pytest.fixture
def out(tmp_path):
    return tmp_path / "ecdc"


def encode(capsys, *words):
    return call(capsys, wav2encodec24.main, *words)


def listed(result, label):
    """Return what stands behind a label, such as WRITE, in the output."""
    lines = (line.strip().replace(":", " ->", 1) for line in result.out)
    return [line.split(" -> ")[1] for line in lines if line.startswith(f"{label} -> ")]


def test_normalize_takes_the_predecessors_flags(tmp_path, capsys):
    clip = np.concatenate([tone(440, 44_100, 22_050, 0.01), tone(440, 44_100, 22_050, 0.04)])
    write_wav(tmp_path / "in/deep/a.wav", np.stack([clip, clip], axis=1), 44_100)
    write_tone(tmp_path / "in/b.flac")
    words = [tmp_path / "in", tmp_path / "out", "--target-rms", 0.05, "--window-ms", 100]
    result = call(capsys, audio_normalize.main, *words)
    assert result.status == 0
    assert files_under(tmp_path / "out") == {"deep/a.wav"}, "wav alone, as it was, but in folders"
    made, rate = sf.read(tmp_path / "out/deep/a.wav")
    assert (rate, made.ndim) == (24_000, 1)
    assert peak_rms(made, rate, 100) == pytest.approx(0.05, rel=1e-3)
    assert_says(
        "\n".join(result.out),
        [
            "Found 1 audio files",
            "Target peak windowed RMS: 0.05",
            "Window size: 100ms",
            "Successfully processed 1/1 files",
        ],
    )
    more = call(capsys, audio_normalize.main, *words, "--extensions", "wav", "flac")
    assert_says("\n".join(more.out), ["Successfully processed 2/2 files"])
    assert files_under(tmp_path / "out") == {"deep/a.wav", "b.wav"}


def test_normalize_says_what_failed(tmp_path, capsys):
    write_tone(tmp_path / "in/a.wav")
    write_wav(tmp_path / "in/silent.wav", np.zeros(4800))
    result = call(capsys, audio_normalize.main, tmp_path / "in", tmp_path / "out")
    assert result.status == 1
    assert_says("\n".join(result.out), ["processed 1/2 files", "Failed to process 1 files"])
    assert_says(result.error, ["silent.wav"])
    made, rate = sf.read(tmp_path / "out/a.wav")
    assert peak_rms(made, rate, 250) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target-rms", "loud"], "--target-rms"),
        (["--window-ms", "0"], "--window-ms"),
        (["--extensions", "mp3"], "no audio (mp3)"),
    ],
)
def test_normalize_refuses_wrong_values(wavs, out, capsys, words, message):
    result = call(capsys, audio_normalize.main, wavs, out, *words)
    assert result.status == 2
    assert_says(result.error, [message])
    assert not out.exists()


def test_a_dry_run_lists_every_file_and_needs_no_weights(wavs, out, no_weights, capsys):
    """`preprocess encode --dry-run` ended at the weights, and named no file."""
    result = encode(capsys, wavs, out, "--recursive", "--dry-run")
    assert result.status == 0
    assert_says("\n".join(result.out), [f"Found 3 wav files under {wavs}", "Planned writes: 3"])
    assert listed(result, "WRITE") == [str(out / f"{n}.ecdc") for n in ("b", "deep/c", "take.1")]
    assert_says("\n".join(result.err), ["no weights on this machine"])
    assert not out.exists()
    flat = encode(capsys, wavs, out, "--dry-run")
    assert listed(flat, "WRITE") == [str(out / f"{n}.ecdc") for n in ("b", "take.1")]


def test_a_dry_run_knows_what_is_up_to_date(wavs, out, weights, no_weights, capsys):
    assert encode(capsys, wavs, out, "--weights", weights).status == 0
    old_tokens(out / "deep/c.ecdc")
    (wavs / "b.WAV").unlink()
    write_tone(wavs / "b.WAV", 0.15)
    result = encode(capsys, wavs, out, "--recursive", "--dry-run")
    assert listed(result, "WRITE") == [str(out / "b.ecdc")], "its source has changed"
    assert listed(result, "SKIP") == [str(out / f"{n}.ecdc") for n in ("deep/c", "take.1")]
    assert_says("\n".join(result.err), ["not made by encode: 1", "deep/c.ecdc"])
    every = encode(capsys, wavs, out, "--overwrite", "--dry-run")
    assert listed(every, "WRITE") == [str(out / f"{n}.ecdc") for n in ("b", "take.1")]


def test_a_dry_run_verifies_what_is_there(wavs, out, weights, no_weights, capsys):
    encode(capsys, wavs, out, "--weights", weights)
    words = [wavs, out, "--dry-run", "--verify"]
    assert "Verify: checked 2, errors 0" in encode(capsys, *words).out
    assert "Verify: checked 1, errors 0" in encode(capsys, *words, "--verify-samples", 1).out
    cut(out / "b.ecdc", -4)
    result = encode(capsys, *words)
    assert result.status == 1
    assert "Verify: checked 2, errors 1" in result.out
    assert_says("\n".join(result.err), ["b.ecdc"])


def test_list_missing_names_what_is_missing_and_orphans(wavs, out, weights, no_weights, capsys):
    encode(capsys, wavs, out, "--weights", weights)
    (wavs / "b.WAV").unlink()
    result = encode(capsys, wavs, out, "--recursive", "--list-missing")
    assert result.status == 0
    assert_says("\n".join(result.out), ["Missing tokens: 1", "Orphans: 1"])
    assert listed(result, "MISSING") == [str(out / "deep/c.ecdc")]
    assert listed(result, "ORPHAN") == [str(out / "b.ecdc")]
    assert files_under(out) == {"take.1.ecdc", "b.ecdc"}, "it writes nothing"
    both = encode(capsys, wavs, out, "--recursive", "--list-missing", "--dry-run")
    assert_says("\n".join(both.out), ["Missing tokens: 1", "Planned writes: 1"])


def test_tokens_are_written_at_the_bandwidth_and_checked(wavs, out, weights, capsys):
    words = [wavs, out, "--weights", weights, "--bandwidth", 3, "--suffix", ".tok", "--recursive"]
    result = encode(capsys, *words, "--device", "cpu", "--verify", "--verify-samples", 2)
    assert result.status == 0
    assert files_under(out) == {"take.1.tok", "b.tok", "deep/c.tok"}
    ecdc = read_ecdc(out / "take.1.tok")
    assert (ecdc.model, ecdc.codes.shape) == ("encodec_24khz", (4, 15))
    assert_says(
        "\n".join(result.out),
        ["Using device: cpu", "Wrote  : 3", "Skipped: 0", "Failed : 0", "2 encoded again"],
    )
    again = encode(capsys, *words)
    assert_says("\n".join(again.out), ["Wrote  : 0", "Skipped: 3"])
    before = (out / "b.tok").stat().st_mtime_ns
    assert_says("\n".join(encode(capsys, *words, "--overwrite").out), ["Wrote  : 3"])
    assert (out / "b.tok").stat().st_mtime_ns != before


def test_a_gpu_that_is_not_there_is_the_cpu_with_a_note(wavs, out, weights, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = encode(capsys, wavs, out, "--weights", weights, "--device", "cuda")
    assert result.status == 0
    assert "Using device: cpu" in result.out
    assert_says("\n".join(result.err), ["note", "--device cuda", "the CPU encodes"])
    assert read_header(out / "b.ecdc").model == "encodec_24khz"


def test_the_predecessors_tokens_are_left_as_they_are(wavs, out, weights, capsys):
    old_tokens(out / "b.ecdc")
    before = (out / "b.ecdc").read_bytes()
    result = encode(capsys, wavs, out, "--weights", weights)
    assert result.status == 0
    assert_says("\n".join(result.out), ["Wrote  : 1", "Skipped: 1"])
    assert_says(result.err[-1], ["note", "not made by encode: 1", "b.ecdc"])
    forced = encode(capsys, wavs, out, "--weights", weights, "--overwrite")
    assert forced.status == 1
    assert_says(forced.err[-1], ["b.ecdc", "does not overwrite it"])
    assert (out / "b.ecdc").read_bytes() == before


def test_files_that_fail_are_counted(wavs, out, weights, capsys):
    (wavs / "b.WAV").write_text("no audio")
    result = encode(capsys, wavs, out, "--weights", weights)
    assert result.status == 1
    assert_says("\n".join(result.out), ["Wrote  : 1", "Failed : 1"])
    assert_says(result.err[-1], ["b.WAV"])


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--bandwidth", "7"], ["1.5, 3, 6, 12, 24"]),
        (["--bandwidth", "high"], ["--bandwidth"]),
        (["--verify-samples", "-1"], ["--verify-samples"]),
        (["--suffix", "tok"], ["--suffix"]),
        (["--device", "warp"], ["--device", "cuda"]),
    ],
)
def test_wrong_values_are_one_line(wavs, out, capsys, words, parts):
    result = encode(capsys, wavs, out, "--dry-run", *words)
    assert result.status == 2
    assert_says(result.error, parts)


def test_weights_are_needed_to_encode(wavs, out, no_weights, capsys):
    result = encode(capsys, wavs, out)
    assert result.status == 1
    assert_says(result.error, ["encodec_24khz-d7cc33bc.th", "--weights"])
