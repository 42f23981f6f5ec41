"""The encode step: what it writes, what it leaves alone, and what it says of bad input."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soundfile as sf

from preprocess.cli.main import main
from preprocess.tokens.ecdc import read_ecdc, read_header
from tests.helpers.signals import fading_tone

CODEC = ["--codec", "encodec_24khz_demo", "--device", "cpu"]


@pytest.fixture
def audio(tmp_path):
    """Two good clips in nested folders, one of them of two dots in its name."""
    root = tmp_path / "audio"
    (root / "deep/er").mkdir(parents=True)
    sf.write(root / "take.1.wav", fading_tone(440, 24_000, 24_000), 24_000, subtype="PCM_24")
    sf.write(root / "deep/er/b.flac", fading_tone(880, 24_000, 7_001), 24_000)
    return root


def encode(audio, *flags):
    """Run the step and return its exit status and the tree of token files."""
    out = audio.parent / "ecdc"
    status = main(["encode", str(audio), str(out), *CODEC, *flags])
    return status, {p.relative_to(out).as_posix(): p for p in sorted(out.rglob("*.ecdc"))}


def test_the_tree_is_mirrored_and_provenance_is_in_the_header(audio, demo_codec, capsys):
    status, files = encode(audio, "--bandwidth", "24")
    assert (status, list(files)) == (0, ["deep/er/b.ecdc", "take.1.ecdc"])
    header = read_header(files["take.1.ecdc"])
    assert (header.model, header.audio_length, header.bandwidth_kbps) == (
        "encodec_24khz_demo",
        24_000,
        24,
    )
    assert set(header.extra) == {"src", "rec", "ckpt", "by", "eng"}
    assert header.extra["eng"] == demo_codec.engine
    assert re.fullmatch(r"torch\d+\.\d+-cpu-\w+-float32(-unpinned)?", demo_codec.engine)
    assert header.extra["ckpt"] == demo_codec.ckpt
    out = capsys.readouterr().out
    assert "2 clips, 1.3 s of audio" in out and "24 kbps" in out
    assert len(out.splitlines()) == 1


def test_audio_at_another_rate_is_converted(tmp_path, demo_codec):
    (tmp_path / "audio").mkdir()
    stereo = np.stack([fading_tone(440, 48_000, 48_000)] * 2, axis=1)
    sf.write(tmp_path / "audio/a.wav", stereo, 48_000, subtype="FLOAT")
    _, files = encode(tmp_path / "audio")
    assert read_header(files["a.ecdc"]).audio_length == 24_000


def test_what_is_current_is_left_alone_and_what_changed_is_made_again(audio, capsys):
    _, files = encode(audio)
    before = {name: path.stat().st_mtime_ns for name, path in files.items()}

    def changed():
        return [n for n, p in files.items() if p.stat().st_mtime_ns != before[n]]

    encode(audio)
    assert changed() == []
    assert "2 up to date" in capsys.readouterr().out
    sf.write(audio / "take.1.wav", fading_tone(330, 24_000, 24_000), 24_000)
    encode(audio)
    assert changed() == ["take.1.ecdc"]
    encode(audio, "--bandwidth", "3")
    assert changed() == ["deep/er/b.ecdc", "take.1.ecdc"]
    assert {read_header(p).n_codebooks for p in files.values()} == {4}
    before = {name: path.stat().st_mtime_ns for name, path in files.items()}
    encode(audio, "--bandwidth", "3", "--overwrite")
    assert changed() == ["deep/er/b.ecdc", "take.1.ecdc"]


def test_a_half_written_file_is_not_taken_for_done(audio):
    """The predecessor took any file that exists for finished."""
    _, files = encode(audio)
    path = files["take.1.ecdc"]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    encode(audio)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:12])
    encode(audio)
    assert path.read_bytes() == whole


def test_files_that_fail_do_not_stop_the_rest(audio, capsys):
    (audio / "empty.wav").touch()
    (audio / "text.mp3").write_text("not audio")
    sf.write(audio / "nan.wav", np.full(100, np.nan, np.float32), 24_000, subtype="FLOAT")
    status, files = encode(audio)
    assert (status, len(files)) == (1, 2)
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    for name, reason in (
        ("empty.wav", "is empty"),
        ("nan.wav", "NaN"),
        ("text.mp3", "read as audio"),
    ):
        assert any(name in line and reason in line for line in errors)
    assert not list((audio.parent / "ecdc").rglob("*.tmp"))


def test_two_files_of_one_name_are_both_refused(audio, capsys):
    sf.write(audio / "deep/er/b.wav", fading_tone(1, 24_000, 320), 24_000)
    status, files = encode(audio)
    assert (status, list(files)) == (1, ["take.1.ecdc"])
    assert capsys.readouterr().err.count("b.flac and b.wav would both become b.ecdc") == 2


def test_no_recursive_stays_at_the_top(audio):
    assert list(encode(audio, "--no-recursive")[1]) == ["take.1.ecdc"]


def test_another_suffix(audio):
    encode(audio, "--suffix", ".6kbps.ecdc")
    assert (audio.parent / "ecdc/take.1.6kbps.ecdc").exists()


def test_other_extensions_are_passed_over_if_told(audio, capsys):
    assert list(encode(audio, "--extensions", "flac")[1]) == ["deep/er/b.ecdc"]
    assert "skipped, suffix not selected: 1 .wav" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--dry-run", "--list-missing"])
def test_what_writes_nothing_needs_no_weights(audio, tmp_path, capsys, monkeypatch, flag):
    """Both ended at weights that could not be downloaded."""
    import torch

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    assert main(["encode", str(audio), str(tmp_path / "out"), flag]) == 0
    out, err = capsys.readouterr()
    assert "2 to encode" in out or str(audio / "take.1.wav") in out.split()
    assert "no weights on this machine" in err


def test_list_missing_prints_paths_and_writes_nothing(audio, capsys):
    status, files = encode(audio, "--list-missing")
    assert (status, files) == (0, {})
    assert capsys.readouterr().out.split() == [
        str(audio / "deep/er/b.flac"),
        str(audio / "take.1.wav"),
    ]
    encode(audio)
    capsys.readouterr()
    encode(audio, "--list-missing")
    assert capsys.readouterr().out == ""


def test_dry_run_writes_nothing(audio, capsys):
    status, files = encode(audio, "--dry-run")
    assert (status, files) == (0, {})
    assert "dry run: 2 to encode" in capsys.readouterr().out


def test_verify_passes_good_files_and_finds_bad_ones(audio, capsys):
    """The predecessor's verify reported every good file."""
    status, files = encode(audio, "--verify")
    assert status == 0
    assert "2 checked, 2 encoded again" in capsys.readouterr().out
    path = files["take.1.ecdc"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x80
    path.write_bytes(data)
    assert encode(audio, "--verify")[0] == 1
    assert "1 of 600 codes differ when encoded" in capsys.readouterr().err
    assert encode(audio, "--verify", "--verify-samples", "0")[0] == 0


def test_wrong_calls_say_so_in_one_line(audio, tmp_path, capsys):
    out = str(tmp_path / "out")
    (tmp_path / "nothing").mkdir()
    for arguments, message in (
        ([str(tmp_path / "nowhere"), out, *CODEC], "nowhere does not exist"),
        ([str(audio / "take.1.wav"), out, *CODEC], "is not a folder"),
        ([str(tmp_path / "nothing"), out, *CODEC], "no audio"),
        ([str(audio), out, *CODEC, "--bandwidth", "7"], "it has 1.5, 3, 6, 12, 24"),
        ([str(audio), out, "--codec", "encodec_24hz"], "did you mean 'encodec_24khz'?"),
        ([str(audio), out, *CODEC, "--device", "warp"], "device warp cannot be used"),
    ):
        assert main(["encode", *arguments]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "out").exists()


def test_weights_that_cannot_be_had_are_one_line(audio, tmp_path, capsys, monkeypatch):
    import torch

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    assert main(["encode", str(audio), str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "encodec_24khz-d7cc33bc.th" in line and "--weights" in line


def test_an_output_that_is_a_file_is_said_once(audio, capsys):
    (audio.parent / "ecdc").touch()
    assert main(["encode", str(audio), str(audio.parent / "ecdc"), *CODEC]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.endswith(f"output {audio.parent / 'ecdc'} is a file, not a folder")


def test_a_full_disk_leaves_no_file_and_the_rest_goes_on(audio, capsys, monkeypatch):
    import preprocess.tokens.ecdc

    write = preprocess.tokens.ecdc.write_bytes

    def full(path, data):
        if path.name == "take.1.ecdc":
            raise OSError(28, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(preprocess.tokens.ecdc, "write_bytes", full)
    status, files = encode(audio)
    assert (status, list(files)) == (1, ["deep/er/b.ecdc"])
    assert "No space left on device" in capsys.readouterr().err


def test_codes_do_not_depend_on_the_neighbours(audio, demo_codec):
    _, files = encode(audio)
    wav, _ = sf.read(audio / "deep/er/b.flac", dtype="float32")
    np.testing.assert_array_equal(
        read_ecdc(files["deep/er/b.ecdc"]).codes, demo_codec.encode(wav[None], 6).codes
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.unlink(), "the source is gone; use --prune"),
        (
            lambda path: path.write_text("x"),
            "from an earlier run, since the source failed or was not",
        ),
    ],
)
def test_tokens_without_a_current_source_are_named(audio, capsys, spoil, why):
    _, files = encode(audio)
    spoil(audio / "take.1.wav")
    encode(audio)
    notes = [x for x in capsys.readouterr().err.splitlines() if "note" in x]
    assert len(notes) == 1 and f"{files['take.1.ecdc']}: {why}" in notes[0]
    assert files["take.1.ecdc"].exists()


def test_precision_stands_in_the_provenance_and_its_agreement_is_said(audio, capsys):
    _, exact = encode(audio)
    before = {name: read_ecdc(path) for name, path in exact.items()}
    _, files = encode(audio, "--precision", "bfloat16")
    err = capsys.readouterr().err
    assert "note: bfloat16 codes equal those of float32 in " in err and "2 clips" in err
    for name, path in files.items():
        header = read_header(path)
        assert header.extra["eng"].endswith("-bfloat16")
        assert header.extra["rec"] != before[name].extra["rec"]
    pairs = [(read_ecdc(path).codes, before[name].codes) for name, path in files.items()]
    same = np.concatenate([a == b for a, b in pairs], axis=1).mean()
    assert 0.5 < same < 1, "rounding to 8 bits changes codes, but is no noise"
    _, files = encode(audio)
    for name, path in files.items():
        np.testing.assert_array_equal(read_ecdc(path).codes, before[name].codes)
    assert "note:" not in capsys.readouterr().err


def test_allowed_tf32_is_another_engine(audio):
    encode(audio)
    _, files = encode(audio, "--allow-tf32")
    assert read_header(files["take.1.ecdc"]).extra["eng"].endswith("-float32+tf32")
