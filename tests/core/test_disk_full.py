"""A disk that is full or read-only stops a step at its first file, by one line that names it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocess.cli.main import main
from preprocess.core.errors import DiskError
from preprocess.core.files import require_writable, write_bytes
from preprocess.steps import encode as encode_step
from tests.helpers.commands import files_under, write_tokens, write_tone
from tests.helpers.disks import fill, remount, small_disk
from tests.helpers.formats import one_line

DEMO = ["--codec", "encodec_24khz_demo"]


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 1 MiB, which must be mounted."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def said(capsys, words: list[object], status: int = 1) -> str:
    """Run `preprocess`, and return the one line on stderr."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == status
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def audio(tmp_path) -> Path:
    for index in range(12):
        write_tone(tmp_path / f"in/{index:02}.wav", 1)
    return tmp_path / "in"


@pytest.fixture
def tokens(disk) -> Path:
    for index in range(12):
        write_tokens(disk / f"ecdc/{index:02}.ecdc", seed=index)
    return disk / "ecdc"


def test_normalize_stops_at_the_first_file(audio, disk, capsys):
    """It said `System error.` of each file, after all of them."""
    fill(disk, left=120_000)
    line = said(capsys, ["normalize", audio, disk / "out", "--jobs", 1])
    assert line == f"preprocess: error: No space left on device: {disk / 'out/01.wav'}"
    assert files_under(disk) == {"filler", "out/00.wav"}


def test_a_spill_to_the_disk_is_such_a_file(audio, disk, capsys, monkeypatch):
    monkeypatch.setattr("preprocess.steps.normalize.SPOOL_BYTES", 1000)
    fill(disk)
    line = said(capsys, ["normalize", audio, disk, "--jobs", 1])
    assert line == f"preprocess: error: No space left on device: {disk / '00.wav'}"


def test_encode_stops_before_it_has_encoded_everything(audio, disk, capsys, monkeypatch):
    """The codes of all clips were computed before the first error was looked at."""
    fill(disk)
    written = []
    write = encode_step.write_ecdc
    monkeypatch.setattr(
        encode_step, "write_ecdc", lambda path, ecdc: (written.append(path), write(path, ecdc))
    )
    line = said(capsys, ["encode", audio, disk, *DEMO])
    assert line.startswith(f"preprocess: error: No space left on device: {disk}{os.sep}")
    assert len(written) < 12


def test_annotate_stops_at_the_first_file(tokens, disk, capsys):
    fill(disk)
    line = said(capsys, ["annotate", tokens, "--constant", "name=x", "value=1", "--jobs", 1])
    assert line == f"preprocess: error: No space left on device: {tokens / '00.cond.npy'}"
    assert not [name for name in files_under(tokens) if not name.endswith(".ecdc")]


def test_build_is_one_line(tokens, disk, capsys):
    """It was a traceback of 60 lines."""
    fill(disk, left=8192)
    line = said(capsys, ["build", tokens, disk / "ds"])
    assert line == f"preprocess: error: No space left on device: {disk / 'ds'}"
    assert sorted(path.name for path in disk.iterdir()) == ["ecdc", "filler"]


@pytest.mark.parametrize("left", [60_000, 100_000, 300_000])
@pytest.mark.parametrize("processes", [1, 2])
def test_build_is_one_line_wherever_it_stops(left, processes, disk, tmp_path, capsys):
    """In the rows, or in the copies of their files: `datasets` wraps what pyarrow raises."""
    for seed in range(2):
        write_tokens(tmp_path / f"long/{seed}.ecdc", samples=320 * 50_000, seed=seed)
    fill(disk, left)
    words = ["--materialize", "copy", "--num-proc", processes]
    line = said(capsys, ["build", tmp_path / "long", disk / "ds", *words])
    assert line == f"preprocess: error: No space left on device: {disk / 'ds'}"
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_push_is_one_line(tokens, disk, tmp_path, capsys, monkeypatch):
    assert main(["build", str(tokens), str(tmp_path / "ds"), "--materialize", "none"]) == 0
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    fill(disk)
    line = said(capsys, ["push", tmp_path / "ds", "me/ds", "--dry-run"])
    assert line == f"preprocess: error: No space left on device: {disk / 'enchf-push'}"


def test_stats_and_lists_are_one_line(tokens, disk, capsys):
    main(["annotate", str(tokens), "--constant", "name=x", "value=1"])
    fill(disk)
    line = said(capsys, ["stats", tokens])
    assert line == f"preprocess: error: No space left on device: {tokens / 'stats.json'}"
    line = said(capsys, ["audit", tokens, "--export-csv", disk / "list.csv"])
    assert line == f"preprocess: error: No space left on device: {disk / 'list.csv'}"


def test_the_demo_is_one_line(disk, capsys):
    fill(disk)
    line = said(capsys, ["demo", disk / "demo"])
    assert line.startswith(f"preprocess: error: No space left on device: {disk / 'demo'}")


READ_ONLY = {
    "normalize": ["normalize", "in", "disk/out"],
    "encode": ["encode", "in", "disk/out", *DEMO],
    "annotate": ["annotate", "disk/ecdc", "--constant", "name=x", "value=1"],
    "build": ["build", "disk/ecdc", "disk/ds"],
    "stats": ["stats", "disk/ecdc"],
    "demo": ["demo", "disk/demo"],
}


@pytest.mark.parametrize("words", READ_ONLY.values(), ids=READ_ONLY)
def test_a_read_only_output_is_one_line(words, audio, tokens, disk, capsys, monkeypatch):
    monkeypatch.chdir(disk.parent)
    remount(disk, "ro")
    line = said(capsys, words)
    assert line.startswith("preprocess: error: Read-only file system: disk/")


def test_what_is_up_to_date_needs_no_space(audio, disk, capsys):
    assert main(["encode", str(audio), str(disk), *DEMO]) == 0
    fill(disk)
    remount(disk, "ro")
    assert main(["encode", str(audio), str(disk), *DEMO]) == 0
    assert "12 up to date" in capsys.readouterr().out


def test_a_folder_that_is_not_ours_to_write_is_one_line(tmp_path, monkeypatch):
    """root may write everywhere, so that the system's answer is what is made up here."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DiskError) as error:
        require_writable(tmp_path / "a/b")
    assert one_line(error) == f"Permission denied: {tmp_path / 'a/b'}"


def test_a_file_too_large_is_that_files_error(tmp_path):
    """ulimit -f, or a file system of small files: others may still fit."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            write_bytes(tmp_path / "a.ecdc", bytes(10_000))
        write_bytes(tmp_path / "b.ecdc", bytes(4000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.filename == str(tmp_path / "a.ecdc")
    assert files_under(tmp_path) == {"b.ecdc"}


def test_the_output_itself_may_be_full(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    write_tokens(tmp_path / "a.ecdc")
    words = [sys.executable, "-m", "preprocess", "migrate", str(tmp_path)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "preprocess: error: No space left on device\n")
