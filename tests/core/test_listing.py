"""No folder and no file is passed over in silence."""

from __future__ import annotations

import os

import pytest

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.listing import list_folder
from preprocess.steps.inputs import find_audio
from tests.helpers.commands import run, write_tone


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_linked_folder_is_followed_once_and_loops_end(tmp_path):
    touch(tmp_path, "in/a.wav", "in/z/b.wav", "else/c.wav", "else/deep/d.wav")
    (tmp_path / "in/first").symlink_to(tmp_path / "in/z")  # it has a path of its own
    (tmp_path / "in/more").symlink_to(tmp_path / "else")
    (tmp_path / "in/same").symlink_to(tmp_path / "else")
    (tmp_path / "in/part").symlink_to(tmp_path / "else/deep")
    (tmp_path / "else/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/up").symlink_to("..")
    found = list_folder(tmp_path / "in", ["wav"])
    assert found.files == ["a.wav", "more/c.wav", "more/deep/d.wav", "z/b.wav"]
    assert found.linked == [tmp_path / "else"]
    assert sorted(found.loops) == ["more/back", "up"]
    assert list_folder(tmp_path / "in", ["wav"], recursive=False).files == ["a.wav"]


def test_a_folder_that_is_a_link_itself_is_listed(tmp_path):
    touch(tmp_path, "real/a.wav", "real/s/b.wav")
    (tmp_path / "link").symlink_to("real")
    assert list_folder(tmp_path / "link", ["wav"]).files == ["a.wav", "s/b.wav"]


def test_normalize_takes_linked_folders(tmp_path, capsys):
    """They were passed over: a data set of links gave an empty one."""
    write_tone(tmp_path / "disk/a.wav")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path / "disk")
    result = run(capsys, "normalize @ @", tmp_path / "in", tmp_path / "out")
    assert (result.status, result.err) == (0, [])
    assert (tmp_path / "out/link/a.wav").exists()
    assert run(capsys, "normalize @ @", tmp_path / "in", tmp_path / "disk/out").status == 2


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(tmp_path, capsys, monkeypatch):
    write_tone(tmp_path / "in/a.wav")
    write_tone(tmp_path / "in/locked/b.wav")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("locked"):  # root may read every folder
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PreprocessError, match=r"folder .*in/locked cannot be read: Permission"):
        list_folder(tmp_path / "in", ["wav"])
    result = run(capsys, "normalize @ @", tmp_path / "in", tmp_path / "out")
    assert result.status == 1
    assert f"folder {tmp_path}/in/locked cannot be read: Permission denied" in result.error
    assert not (tmp_path / "out").exists()


def test_other_endings_are_counted_but_for_ours_and_hidden_files(tmp_path):
    touch(tmp_path, "in/a.wav", "in/b.WAV", "in/s/c.mid", "in/d.MID", "in/README", "in/e.flac")
    touch(tmp_path, "in/a.ecdc", "in/a.cond.npy", "in/a.cond.json", "in/.hidden", "in/.git/x.txt")
    (tmp_path / "in/s/up").symlink_to("..")
    audio = find_audio(tmp_path / "in", tmp_path / "out", ["wav"])
    assert [path.name for path in audio.files] == ["a.wav", "b.WAV"]
    assert audio.notes == [
        "skipped, unknown suffix: 2 .mid, 1 without suffix",
        "skipped, suffix not selected: 1 .flac",
        "skipped, links to a parent folder: s/up",
    ]
    assert audio.stems == {"a", "b", "e"}
    top = find_audio(tmp_path / "in", tmp_path / "out", ["wav"], recursive=False)
    assert top.notes[0] == "skipped, unknown suffix: 1 without suffix, 1 .mid"


def test_a_folder_without_audio_says_what_it_holds_instead(tmp_path):
    touch(tmp_path, *(f"in/{number}.mid" for number in range(3)))
    with pytest.raises(UsageError, match=r"no audio .* unknown suffix: 3 \.mid"):
        find_audio(tmp_path / "in", tmp_path / "out", ["wav"])
