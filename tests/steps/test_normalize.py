"""All clips come to one level and rate; what cannot is reported and stops nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile as sf

from tests.helpers.commands import (
    assert_says,
    cut,
    files_under,
    peak_rms,
    run,
    write_tone,
    write_wav,
)
from tests.helpers.signals import tone


def peaky() -> np.ndarray:
    """A quiet tone with a click that passes full scale once the tone is at an RMS of 0.1."""
    clip = tone(300, 24_000, 24_000, 0.02)
    clip[12_000:12_004] = [0.3, -0.5, 0.4, -0.2]
    return clip


@pytest.fixture
def tree(tmp_path):
    """A folder of audio in several formats, nested, with what is no audio between it."""
    root = tmp_path / "in"
    for name in ("A.WAV", "take.1.wav", "take.2.wav", "s/b.flac", "s/t/c.Ogg", "d.mp3", "s/e.AIF"):
        write_tone(root / name)
    (root / "notes.txt").write_text("not audio")
    (root / "._A.WAV").write_bytes(b"a resource fork of macOS")
    return root


@pytest.mark.parametrize("level", [0.003, 0.1, 0.6])
@pytest.mark.parametrize(("target", "window_ms"), [(0.1, 250), (0.05, 40)])
def test_the_loudest_window_lands_at_the_target(tmp_path, capsys, level, target, window_ms):
    clip = tone(441, 44_100, 88_200, level)
    clip[44_100:] *= 0.5
    write_wav(tmp_path / "in/a.wav", clip, 44_100)
    options = f"--target-rms {target} --window-ms {window_ms}"
    assert run(capsys, f"normalize @ @ {options}", tmp_path / "in", tmp_path / "out").status == 0
    out, sample_rate = sf.read(tmp_path / "out/a.wav")
    assert (sample_rate, out.shape) == (24_000, (48_000,))
    assert peak_rms(out, 24_000, window_ms) == pytest.approx(target, rel=1e-3)


@pytest.mark.parametrize(
    ("codec", "sample_rate", "channels"),
    [("encodec_24khz", 24_000, 1), ("encodec_32khz", 32_000, 1), ("encodec_48khz", 48_000, 2)],
)
def test_the_codec_says_rate_and_channels(tmp_path, capsys, codec, sample_rate, channels):
    write_tone(tmp_path / "in/mono.wav")
    write_wav(tmp_path / "in/six.wav", np.full((100, 6), 0.1))
    result = run(capsys, f"normalize @ @ --codec {codec}", tmp_path / "in", tmp_path / "out")
    info = sf.info(tmp_path / "out/mono.wav")
    assert (info.samplerate, info.channels) == (sample_rate, channels)
    assert info.frames == sample_rate // 2
    assert result.status == (1 if channels == 2 else 0)
    if channels == 2:
        assert "six.wav has 6 channels" in result.error


def test_the_tree_is_mirrored_for_all_formats(tree, tmp_path, capsys):
    result = run(capsys, "normalize @ @", tree, tmp_path / "out")
    assert result.status == 0
    assert result.error == "normalize: note: skipped, unknown suffix: 1 .txt"
    expected = {"A.wav", "take.1.wav", "take.2.wav", "s/b.wav", "s/t/c.wav", "d.wav", "s/e.wav"}
    assert files_under(tmp_path / "out") == expected
    assert "7 clips, 3.5 s of audio" in result.out[-1]


@pytest.mark.parametrize("words", ["flac ogg", ".FLAC .ogg"])
def test_extensions_choose_the_files(tree, tmp_path, capsys, words):
    assert run(capsys, f"normalize @ @ --extensions {words}", tree, tmp_path / "out").status == 0
    assert files_under(tmp_path / "out") == {"s/b.wav", "s/t/c.wav"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_file_is_reported_and_the_rest_is_done(tmp_path, capsys, jobs):
    root = tmp_path / "in"
    write_tone(root / "good.wav")
    write_tone(root / "z/good.wav")
    write_wav(root / "silent.wav", np.zeros(1000))
    write_wav(root / "dither.wav", tone(440, 24_000, 12_000, 1e-5))
    write_wav(root / "nan.wav", np.full(1000, np.nan))
    write_wav(root / "none.wav", np.empty(0))
    cut(write_tone(root / "cut.wav"), 20_000)
    cut(write_tone(root / "flac.flac"), -10)
    (root / "empty.wav").touch()
    (root / "text.mp3").write_text("no audio")
    result = run(capsys, f"normalize @ @ --jobs {jobs}", root, tmp_path / "out")
    assert result.status == 1
    assert files_under(tmp_path / "out") == {"good.wav", "z/good.wav"}
    bad = {"silent.wav", "dither.wav", "nan.wav", "none.wav", "cut.wav", "flac.flac"}
    bad |= {"empty.wav", "text.mp3"}
    prefix = f"normalize: error: {root}{os.sep}"
    assert {line.removeprefix(prefix).split()[0].rstrip(":") for line in result.err} == bad
    assert len(result.err) == len(bad)
    assert "2 clips" in result.out[-1]
    assert "8 failed" in result.out[-1]


def _normalize_peaky(tmp_path, capsys, on_clip):
    """Return source and output, the gain that the level asks for, and the line of the report."""
    source = peaky()
    write_wav(tmp_path / "in/peaky.wav", source)
    write_tone(tmp_path / "in/tame.wav")
    result = run(capsys, f"normalize @ @ --on-clip {on_clip}", tmp_path / "in", tmp_path / "out")
    assert result.status == 0
    gain = 0.1 / peak_rms(source, 24_000, 250)
    over_db = 20 * np.log10(gain * 0.5)
    assert "peaky.wav" in result.error
    assert f"{over_db:.1f} dB" in result.error
    return source, sf.read(tmp_path / "out/peaky.wav")[0], gain, result.error


def test_a_clip_that_would_clip_is_scaled(tmp_path, capsys):
    source, out, gain, line = _normalize_peaky(tmp_path, capsys, "scale")
    assert 0.99 < np.abs(out).max() <= 1
    scale = out[12_001] / source[12_001]
    np.testing.assert_allclose(out, source * scale, atol=2**-22)
    assert scale < gain
    assert f"RMS of {peak_rms(out, 24_000, 250):.3f}" in line


def test_a_clip_that_would_clip_is_limited(tmp_path, capsys):
    source, out, gain, line = _normalize_peaky(tmp_path, capsys, "limit")
    wanted = source * gain
    below = np.abs(wanted) <= 0.8
    np.testing.assert_allclose(out[below], wanted[below], atol=2**-22)
    bent = np.abs(out[~below])
    assert len(bent)
    assert (bent > 0.8).all()
    assert (bent <= 1).all()
    assert (np.sign(out) == np.sign(wanted))[~below].all()
    assert "limited" in line


def test_a_clip_that_would_clip_is_cut(tmp_path, capsys):
    source, out, gain, line = _normalize_peaky(tmp_path, capsys, "cut")
    np.testing.assert_allclose(out, np.clip(source * gain, -1, 1), atol=2**-22)
    assert "cut" in line


def _stamps(root):
    return {name: (root / name).stat().st_mtime_ns for name in sorted(files_under(root))}


def test_a_second_run_makes_nothing_again(tree, tmp_path, capsys):
    out = tmp_path / "out"
    run(capsys, "normalize @ @", tree, out)
    before = _stamps(out)
    again = run(capsys, "normalize @ @", tree, out)
    assert (again.status, _stamps(out)) == (0, before)
    assert "7 up to date" in again.out[-1]


@pytest.mark.parametrize(
    ("options", "changed", "redone"),
    [
        ("--target-rms 0.05", None, {"a.wav", "b.wav"}),
        ("--window-ms 100", None, {"a.wav", "b.wav"}),
        ("--on-clip limit", None, {"a.wav", "b.wav"}),
        ("--codec encodec_32khz", None, {"a.wav", "b.wav"}),
        ("--overwrite", None, {"a.wav", "b.wav"}),
        ("", "a.wav", {"a.wav"}),
        ("--jobs 2", None, set()),
    ],
)
def test_what_changed_is_made_again(tmp_path, capsys, options, changed, redone):
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.wav", "b.wav"):
        write_tone(source / name)
    run(capsys, "normalize @ @", source, out)
    before = _stamps(out)
    if changed:
        write_tone(source / changed, seconds=0.75)
    assert run(capsys, f"normalize @ @ {options}", source, out).status == 0
    assert {name for name, stamp in _stamps(out).items() if stamp != before[name]} == redone


@pytest.mark.parametrize("spoil", [lambda p: cut(p, 5000), lambda p: cut(p, 0)])
def test_a_damaged_output_is_made_again(tmp_path, capsys, spoil):
    source, out = write_tone(tmp_path / "in/a.wav"), tmp_path / "out/a.wav"
    run(capsys, "normalize @ @", source.parent, out.parent)
    whole = out.read_bytes()
    spoil(out)
    assert run(capsys, "normalize @ @", source.parent, out.parent).status == 0
    assert out.read_bytes() == whole


def test_a_dry_run_writes_nothing(tree, tmp_path, capsys):
    (tree / "bad.wav").touch()
    before = files_under(tmp_path)
    result = run(capsys, "normalize @ @ --dry-run", tree, tmp_path / "out")
    assert result.status == 1
    assert_says("".join(result.err), ["bad.wav is empty", "1 .txt"])
    assert "dry run" in result.out[-1]
    assert files_under(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_two_files_that_would_share_an_output_are_both_reported(tmp_path, capsys):
    for name in ("a.wav", "a.flac", "b.wav"):
        write_tone(tmp_path / "in" / name)
    result = run(capsys, "normalize @ @", tmp_path / "in", tmp_path / "out")
    assert result.status == 1
    assert len(result.err) == 2
    assert all("a.flac and a.wav" in line for line in result.err)
    assert files_under(tmp_path / "out") == {"b.wav"}


def test_one_job_and_two_make_the_same_bytes(recordings, tmp_path, capsys):
    for jobs in (1, 2):
        command = f"normalize @ @ --jobs {jobs}"
        assert run(capsys, command, recordings, tmp_path / str(jobs)).status == 0
    names = files_under(tmp_path / "1")
    assert len(names) == 9
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize(
    ("make", "words", "message"),
    [
        (None, "", "input folder {root}/in does not exist"),
        ("in", "", "input folder {root}/in is not a folder"),
        ("in/notes.txt", "", "no audio"),
        ("in/a.wav", "--codec encodec_24", "did you mean 'encodec_24khz'?"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path, capsys, make, words, message):
    if make:
        (tmp_path / make).parent.mkdir(exist_ok=True)
        (tmp_path / make).touch()
    result = run(capsys, f"normalize @ @ {words}", tmp_path / "in", tmp_path / "out")
    assert result.status == 2
    assert message.format(root=tmp_path) in result.error
    assert not (tmp_path / "out").exists()


def test_the_input_is_never_the_output(tmp_path, capsys):
    before = write_tone(tmp_path / "a.wav").read_bytes()
    assert run(capsys, "normalize @ @", tmp_path, f"{tmp_path}/../{tmp_path.name}").status == 2
    assert (tmp_path / "a.wav").read_bytes() == before


def test_a_long_file_takes_no_more_memory_than_a_block(tmp_path):
    """20 minutes of stereo are 423 MB as float32, and 115 MB as mono at 24 kHz."""
    short = write_wav(tmp_path / "short/a.wav", np.zeros((4410, 2)) + 0.1, 44_100)
    long = tmp_path / "long/a.wav"
    long.parent.mkdir()
    minute = np.random.default_rng(0).integers(-3000, 3000, (60 * 44_100, 2), np.int16)
    with sf.SoundFile(long, "w", 44_100, 2) as file:
        for _ in range(20):
            file.write(minute)
    script = """
        import resource, sys
        from preprocess.cli.main import main
        def megabytes():
            kilo = 1 << 20 if sys.platform == "darwin" else 1 << 10
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilo
        assert main(["normalize", sys.argv[1], sys.argv[3]]) == 0
        before = megabytes()
        assert main(["normalize", sys.argv[2], sys.argv[3], "--overwrite"]) == 0
        print(megabytes() - before)
    """
    words = [sys.executable, "-c", textwrap.dedent(script), short.parent, long.parent]
    done = subprocess.run([*words, tmp_path / "out"], capture_output=True, text=True, check=True)
    assert sf.info(tmp_path / "out/a.wav").frames == 20 * 60 * 24_000
    assert float(done.stdout.splitlines()[-1]) < 100
    shutil.rmtree(long.parent)
