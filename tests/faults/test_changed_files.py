"""A file that changes between its hash and its reading is that file's failure.

Its output would carry the hash of audio that is not in it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from preprocess.core.file_version import FileChangedError, FileVersion
from preprocess.steps import encode as encode_step
from preprocess.steps import normalize as normalize_step
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.commands import files_under, run, write_tone, write_wav
from tests.helpers.signals import fading_tone

CODEC = "--codec encodec_24khz_demo"


def in_place(path: Path) -> None:
    """Other audio of the same length, at the same modification time, as a copy tool restores it."""
    stat = path.stat()
    write_wav(path, fading_tone(880, 24_000, 12_000))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replaced(path: Path) -> None:
    """Another file by that name."""
    write_wav(path.with_name("other.wav"), fading_tone(880, 24_000, 12_000)).replace(path)


def removed(path: Path) -> None:
    """No file by that name, though its reader still has it."""
    path.unlink()


CHANGES = [in_place, replaced, removed]


@pytest.fixture
def audio(tmp_path) -> Path:
    for name in ("a", "b", "c"):
        write_tone(tmp_path / f"in/{name}.wav")
    return tmp_path / "in"


def changing(monkeypatch, module: object, reader: str, change) -> None:
    """Let a file be changed when a step has hashed it, and has read its first block."""
    read = getattr(module, reader)

    def read_changed(path: Path, *arguments):
        blocks = read(path, *arguments)
        yield next(blocks)
        if path.name == "b.wav":
            change(path)
        yield from blocks

    monkeypatch.setattr(module, reader, read_changed)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", ["normalize", "encode"])
def test_the_other_clips_are_made(step, change, audio, tmp_path, capsys, monkeypatch):
    module, reader, suffix = {
        "normalize": (normalize_step, "read_blocks", ".wav"),
        "encode": (encode_step, "audio_blocks", ".ecdc"),
    }[step]
    with monkeypatch.context() as patch:
        changing(patch, module, reader, change)
        done = run(capsys, f"{step} @ @ {CODEC}", audio, tmp_path / "out")
    assert done.status == 1
    assert done.error == f"{step}: error: {audio / 'b.wav'} changed while it was read; run again"
    assert files_under(tmp_path / "out") == {f"a{suffix}", f"c{suffix}"}


def test_the_next_run_makes_the_clip_from_what_is_there_now(audio, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        changing(patch, encode_step, "audio_blocks", in_place)
        run(capsys, f"encode @ @ {CODEC}", audio, tmp_path / "out")
    again = run(capsys, f"encode @ @ {CODEC}", audio, tmp_path / "out")
    assert again.status == 0 and "2 up to date" in again.out[0]
    shutil.copytree(audio, tmp_path / "in2")
    run(capsys, f"encode @ @ {CODEC}", tmp_path / "in2", tmp_path / "out2")
    codes = [read_ecdc(tmp_path / f"{out}/b.ecdc").codes for out in ("out", "out2")]
    assert np.array_equal(*codes)


def test_a_file_that_changes_before_its_turn_is_noticed(audio, tmp_path, capsys, monkeypatch):
    """Encode hashes all files before it encodes the first, which may be hours earlier."""
    load = encode_step.load_codec

    def change_and_load(*arguments, **settings):
        replaced(audio / "c.wav")
        return load(*arguments, **settings)

    monkeypatch.setattr(encode_step, "load_codec", change_and_load)
    done = run(capsys, f"encode @ @ {CODEC}", audio, tmp_path / "out")
    assert done.error.endswith("c.wav changed while it was read; run again")


def test_other_rights_links_and_names_are_no_change(tmp_path):
    path = write_tone(tmp_path / "a.wav")
    version = FileVersion.of(path)
    path.chmod(0o600)
    os.link(path, tmp_path / "backup.wav")
    version.require(path)
    in_place(path)
    with pytest.raises(FileChangedError):
        version.require(path)
