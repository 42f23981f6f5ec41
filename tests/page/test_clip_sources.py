"""Clips from everywhere: folders, saved datasets, Parquet files, the Hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from datasets import load_from_disk

from preprocess.cli.main import main
from preprocess.core.errors import UsageError
from preprocess.page.clip_data import Decoder
from preprocess.page.clip_sources import open_source
from preprocess.page.notebook import find_clip, show
from preprocess.tokens.ecdc import read_ecdc, write_ecdc
from tests.helpers.commands import write_wav
from tests.helpers.hub_server import HubServer
from tests.helpers.signals import fading_tone


def the_same(a, b) -> None:
    """Check that two clips hold the same tokens and parameters, and mean the same by them."""
    assert a.id == b.id and a.tokens.audio_length == b.tokens.audio_length
    np.testing.assert_array_equal(a.tokens.codes, b.tokens.codes)
    assert list(a.parameters) == list(b.parameters)
    for name, one in a.parameters.items():
        other = b.parameters[name]
        np.testing.assert_allclose(one.values, other.values)
        assert one.info == other.info
        assert one.measured == pytest.approx(other.measured)


@pytest.fixture
def built(token_folder, tmp_path):
    assert main(["build", str(token_folder), str(tmp_path / "built")]) == 0
    return tmp_path / "built"


def test_a_built_dataset_shows_what_its_folder_does_though_no_token_file_is_left(
    built, token_folder
):
    folder = open_source(token_folder)
    expected = {clip: folder.read(clip) for clip in folder.ids}
    shutil.rmtree(token_folder)
    saved = open_source(built)
    assert sorted(saved.ids) == sorted(expected) == ["a/take.1", "a/take.2", "b/one"]
    for clip, data in expected.items():
        the_same(saved.read(clip), data)


def test_a_row_and_a_dataset_are_shown_in_a_notebook(built):
    rows = load_from_disk(str(built))["train"]
    one = open_source(built).read("b/one")
    the_same(find_clip(rows, "b/one", None), one)
    the_same(find_clip(rows, 2, None), one)
    row = find_clip(rows[2], None, None)
    np.testing.assert_array_equal(row.tokens.codes, one.tokens.codes)
    html = show(rows, "b/one", height=300).data
    assert html.startswith('<div><iframe srcdoc="&lt;!doctype html&gt;') and 'height="300"' in html
    assert "b/one" in html and "<script" not in html
    with pytest.raises(UsageError, match=r"3 clips, numbered from 0; no clip has number 7"):
        find_clip(rows, 7, None)
    with pytest.raises(UsageError, match=r"no clip 'b/on' \(did you mean 'b/one'\?\)"):
        find_clip(rows, "b/on", None)


def test_a_pushed_dataset_is_shown_from_the_hub_and_from_its_files(built, tmp_path):
    page = tmp_path / "page.html"
    with HubServer() as hub:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        online = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_XET": "1"}
        environment = {**kept, **online, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        for words in (["push", built, "me/sounds"], ["inspect", "me/sounds", "--out", page]):
            command = [sys.executable, "-m", "preprocess", *map(str, words)]
            run = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert run.returncode == 0, run.stderr
        files = hub.repos["me/sounds"].files("main")
    assert page.read_text(encoding="utf-8").count('json" id="clip-') == 3
    for name, data in files.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(data)
    parquet, saved = open_source(tmp_path / "files"), open_source(built)
    assert sorted(parquet.ids) == sorted(saved.ids)
    for clip in saved.ids:
        the_same(parquet.read(clip), saved.read(clip))


def test_the_original_is_the_audio_of_that_name_and_length(token_folder, demo_codec):
    clip = "b/one"
    ecdc = read_ecdc(token_folder / f"{clip}.ecdc")
    audio = token_folder.parent / "normalized" / f"{clip}.wav"
    audio.parent.mkdir(parents=True)
    wave = fading_tone(1320, 24_000, ecdc.audio_length)
    write_wav(audio, wave)
    found = open_source(token_folder).read(clip)
    np.testing.assert_allclose(found.sounds["original"][0], wave, atol=1e-6)
    both = Decoder(device="cpu").add_sound(found)
    assert list(both.sounds) == ["original", "decoded"] and not both.notes
    np.testing.assert_array_equal(both.sounds["decoded"], demo_codec.decode(ecdc))
    write_wav(audio, wave[:-10])
    short = open_source(token_folder).read(clip)
    assert not short.sounds and "samples, but its tokens" in short.notes[0]


def test_an_original_that_was_changed_after_it_was_encoded_is_said_to_be(token_folder):
    path = token_folder / "b/one.ecdc"
    ecdc = read_ecdc(path)
    ecdc.extra["src"] = "0" * 16
    write_ecdc(path, ecdc)
    audio = token_folder / "originals/b/one.wav"
    audio.parent.mkdir(parents=True)
    write_wav(audio, fading_tone(1320, 24_000, ecdc.audio_length))
    found = open_source(token_folder, audio_root=token_folder / "originals").read("b/one")
    assert "original" in found.sounds
    assert found.notes == (f"{audio} was changed after it was encoded",)


def test_a_clip_whose_weights_are_not_at_hand_is_shown_without_sound(token_folder, monkeypatch):
    clip = open_source(token_folder).read("b/one")
    found = Decoder(weights="/nowhere/weights.th", device="cpu").add_sound(clip)
    assert not found.sounds and found.parameters
    assert (
        found.notes[0].startswith("no decoded sound: ") and "/nowhere/weights.th" in found.notes[0]
    )


def test_a_damaged_sidecar_is_said_and_the_rest_shown(token_folder):
    (token_folder / "b/one.cond.json").write_text("{")
    found = open_source(token_folder).read("b/one")
    assert found.tokens.codes.shape[0] == 32 and not found.parameters
    assert "one.cond.json is not JSON" in found.notes[0]
    for path in (token_folder / "b").glob("*.cond.*"):
        path.unlink()
    assert "no sidecar" in open_source(token_folder).read("b/one").notes[0]


@pytest.mark.parametrize(
    ("source", "says"),
    [("no/such/place", "does not exist"), ("file", "is a file"), ("empty", "no tokens")],
)
def test_what_holds_no_clips_is_refused(tmp_path, monkeypatch, source, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=says):
        open_source(source)
