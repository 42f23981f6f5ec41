"""A file that is no file, or that names another: pipes, devices, links and paths that lead away."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from fuzz import seeds
from fuzz.guard import watched
from fuzz.readers import READERS
from preprocess.audio.audio_files import read_audio
from preprocess.core.errors import PreprocessError
from preprocess.core.locks import locked
from preprocess.core.untrusted import is_inside
from preprocess.dataset.saved import load_saved
from preprocess.params.curves import CurveFormat, read_curves
from preprocess.params.midi_file import MidiSettings, read_performance
from preprocess.params.tables import read_table
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar, write_sidecar_features_for_rel
from preprocess.stats.corpus_stats import read_stats
from preprocess.steps.look_clips import dataset_clips
from preprocess.steps.recipe import read_recipe
from preprocess.tokens.ecdc import read_ecdc, read_header
from tests.helpers.commands import run, write_tokens

linux = pytest.mark.skipif(sys.platform != "linux", reason="has other devices")


@pytest.fixture
def ends():
    """Fail a test that waits for a pipe or reads an endless file."""

    def stop(*_):
        raise TimeoutError("it reads an endless file, or waits for a pipe")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _sidecar_array(path: Path) -> object:
    path.with_name("a.cond.json").write_bytes(seeds.metadata()[1])
    return read_sidecar(path.with_name("a.ecdc"))


def _sidecar_meta(path: Path) -> object:
    path.with_name("a.cond.npy").write_bytes(seeds.array())
    return read_sidecar(path.with_name("a.ecdc"))


CURVE = {"pitch": "pitch"}
OPENED = {
    "tokens.ecdc": read_ecdc,
    "header.ecdc": read_header,
    "a.cond.npy": _sidecar_array,
    "a.cond.json": _sidecar_meta,
    "a.csv": read_table,
    "a.json": lambda path: read_curves(path, CURVE, CurveFormat()),
    "a.npy": lambda path: read_curves(path, CURVE, CurveFormat(rate_hz=1.0)),
    "a.mid": lambda path: read_performance(path, MidiSettings()),
    "a.wav": lambda path: read_audio(path, 24_000, 1),
    "stats.json": read_stats,
}


@linux
@pytest.mark.parametrize("name", OPENED)
@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/random"])
def test_a_pipe_or_a_device_is_refused_at_once(name, kind, tmp_path, ends):
    """A pipe was waited for, and a link to /dev/zero filled the memory."""
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    with pytest.raises(PreprocessError) as error:
        OPENED[name](path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@linux
def test_a_recipe_is_read_only_so_far(tmp_path, ends):
    (tmp_path / "recipe.yaml").symlink_to("/dev/zero")
    with pytest.raises(PreprocessError):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_lock_that_is_a_link_makes_no_file_elsewhere(tmp_path):
    """A folder with a link of the lock's name had a file made where the link led."""
    folder, target = tmp_path / "in", tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "lock").symlink_to(target)
    with pytest.raises(OSError), locked(folder / "lock"):
        pass
    assert not target.exists()


@pytest.mark.parametrize(
    "name", ["a.cond.npy", "a.cond.json", ".a.cond.npy.new", ".a.cond.json.new"]
)
def test_writing_a_sidecar_replaces_a_link_and_not_its_target(name, tmp_path):
    folder, target = tmp_path / "in", tmp_path / "precious"
    write_tokens(folder / "a.ecdc", samples=1280)
    target.write_text("precious")
    (folder / name).symlink_to(target)
    with watched(tmp_path):
        write_sidecar(folder / "a.ecdc", {"level": np.zeros(4)}, mode="replace-all")
    assert target.read_text() == "precious"
    assert list(read_sidecar(folder / "a.ecdc").parameters) == ["level"]
    assert not (folder / "a.cond.npy").is_symlink()


@pytest.mark.parametrize(
    "rel", ["../b.ecdc", "/tmp/b.ecdc", "out/b.ecdc", "x/../../b.ecdc", "b\0.ecdc"]
)
def test_a_sidecar_is_not_written_outside_its_root(rel, tmp_path):
    root, away = tmp_path / "root", tmp_path / "away"
    root.mkdir()
    away.mkdir()
    (root / "out").symlink_to(away)
    with pytest.raises((PreprocessError, ValueError)):
        write_sidecar_features_for_rel(root, rel, {"level": [1.0]}, fps=75)
    assert not list(away.iterdir()) and not (tmp_path / "b.cond.npy").exists()


AWAY = ["../x", "a/../../x", "/etc/passwd", "C:/x", "C:\\x", "..\\x", "\\\\host\\x", "a\0b", ".."]


@pytest.mark.parametrize("name", AWAY)
def test_a_path_in_a_file_that_leads_away_is_found(name):
    assert not is_inside(name)


@pytest.mark.parametrize("name", ["a", "a/b.ecdc", "a..b", "...", "tokens/take.1.ecdc", "\u00e9 x"])
def test_a_path_in_a_file_that_stays_is_taken(name):
    assert is_inside(name)


def test_a_dataset_shows_no_token_file_outside_of_its_folder(tmp_path):
    """The rows of a dataset from elsewhere could name any file of its reader's disk."""
    from datasets import Dataset, DatasetDict

    write_tokens(tmp_path / "secret.ecdc")
    folder = tmp_path / "data"
    rows = Dataset.from_dict({"audio": ["../secret.ecdc"], "id": ["a"]})
    DatasetDict({"train": rows}).save_to_disk(str(folder))
    with pytest.raises(PreprocessError) as error:
        dataset_clips(folder, "train")
    assert "outside of the dataset's folder" in str(error.value)


@pytest.mark.parametrize("split", ["../secret", "/tmp", "..", "a/b", "a\0b", 5, None, "", "x\ny"])
def test_a_dataset_has_no_split_outside_of_its_folder(split, tmp_path):
    """`push` read it there, and wrote its shards beside the folder for them."""
    from datasets import Dataset

    Dataset.from_dict({"id": ["a"]}).save_to_disk(str(tmp_path / "secret"))
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [split]}))
    with pytest.raises(PreprocessError) as error:
        load_saved(folder)
    assert "which is not a name" in str(error.value) and "\n" not in str(error.value)


def test_a_dataset_has_no_rows_outside_of_its_folder(tmp_path):
    from datasets import Dataset

    for name in ("secret", "data"):
        Dataset.from_dict({"id": [name]}).save_to_disk(str(tmp_path / name))
    state = tmp_path / "data" / "state.json"
    stored = json.loads(state.read_text())
    assert load_saved(tmp_path / "data")["id"] == ["data"]
    stored["_data_files"] = [{"filename": "../secret/data-00000-of-00001.arrow"}]
    state.write_text(json.dumps(stored))
    with pytest.raises(PreprocessError) as error:
        load_saved(tmp_path / "data")
    assert "names a file outside" in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", "[" * 100_000])
@pytest.mark.parametrize("name", ["state.json", "dataset_info.json"])
def test_a_damaged_dataset_is_one_line(text, name, tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"id": ["a"]}).save_to_disk(str(tmp_path / "data"))
    (tmp_path / "data" / name).write_text(text)
    with pytest.raises(PreprocessError) as error:
        load_saved(tmp_path / "data")
    assert "is not a saved dataset" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("subdir", ["../..", "/etc", 5, None, ["a"], "a\0b"])
def test_a_marker_leads_to_no_other_folder(subdir, tmp_path):
    from preprocess.steps.saved_folder import read_marker, tokens_subdir

    (tmp_path / "m.json").write_text(json.dumps({"tokens_subdir": subdir}))
    assert tokens_subdir(read_marker(tmp_path, "m.json")) == "tokens"


def test_a_table_names_clips_and_no_files(tmp_path):
    """Keys are compared with the clips' names; none is opened."""
    (tmp_path / "inside").mkdir()
    rows = "".join(f"{key},1\n" for key in ("../../etc/passwd", "/etc/shadow", "a\\..\\b"))
    from fuzz.guard import check

    check(READERS["csv"], f"id,level\n{rows}".encode(), tmp_path / "inside")


@pytest.mark.parametrize("path", ["a\\0b", "\\0"])
@pytest.mark.parametrize("key", ["input", "output"])
def test_a_null_character_in_a_recipe_is_one_line(path, key, tmp_path, capsys):
    """It passed the checks, and the first step ended in a ValueError of the system's call."""
    other = "output" if key == "input" else "input"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f'{key}: "{path}"\n{other}: {tmp_path}\n')
    result = run(capsys, "run @", recipe)
    assert result.status == 2
    assert len(result.err) == 1 and "null character" in result.err[0]
