"""Publishing a folder of shards: its own files are sent, and load as any other dataset."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.cli.main import main
from preprocess.publish.subset import read_info
from preprocess.steps.pack import pack
from preprocess.steps.pack_config import PackConfig
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.hub_client import card
from tests.helpers.packed import contents, write_clip
from tests.publish.test_push import load_elsewhere

NAME = "encodec_24khz_6kbps"


@pytest.fixture
def clips(tmp_path):
    root = tmp_path / "clips"
    for index in range(6):
        split = ("train", "train", "test")[index % 3]
        write_clip(root, f"{split}/ü {index}", 4000 + 3000 * index, k=8, seed=index)
    return root


@pytest.fixture
def shards(clips):
    pack(clips, clips.parent / "shards", PackConfig(count=2))
    return clips.parent / "shards"


def push(folder, *flags):
    return main(["push", str(folder), "me/sounds", *flags])


def files(hub):
    return hub.repos["me/sounds"].files("main")


@pytest.mark.parametrize("options", [{}, {"streaming": True}])
def test_the_files_are_sent_as_they_are(shards, clips, online, tmp_path, options):
    assert push(shards) == 0
    local = contents(shards, (".parquet",))
    assert {p: data for p, data in files(online).items() if p.endswith(".parquet")} == local
    found = load_elsewhere(online, tmp_path, "me/sounds", **options)
    assert len(found["rows"]) == 4
    assert json.loads(found["id"])["units"] == "dB"
    for row in found["rows"]:
        np.testing.assert_array_equal(row["codes"], read_ecdc(clips / row["audio"]).codes)


def test_the_card_is_that_of_the_folder_for_the_repository(shards, online):
    text = (shards / "README.md").read_text().replace("# shards\n", "# shards\n\nBy night.\n")
    (shards / "README.md").write_text(text)
    assert push(shards, "--license", "cc0-1.0") == 0
    data, text = card(online)
    assert text.startswith("\n# sounds\n\nBy night.") and data["license"] == "cc0-1.0"
    assert 'load_dataset("me/sounds", "encodec_24khz_6kbps"' in text
    assert [(c["config_name"], c["default"]) for c in data["configs"]] == [(NAME, True)]
    assert data["configs"][0]["data_files"][0] == {"split": "train", "path": "data/train-*"}
    assert read_info(files(online)["enchf.json"])[NAME].clips == 6
    assert "By night." in (shards / "README.md").read_text()  # and the local card is as it was
    assert 'load_dataset("shards"' in (shards / "README.md").read_text()


def test_another_bandwidth_is_written_again(shards, clips, online, tmp_path):
    assert push(shards, "--config", NAME, "encodec_24khz_1.5kbps") == 0
    found = load_elsewhere(online, tmp_path, "me/sounds", "encodec_24khz_1.5kbps")
    assert len(found["rows"]) == 4
    for row in found["rows"]:
        np.testing.assert_array_equal(row["codes"], read_ecdc(clips / row["audio"]).codes[:2])
        assert row["bandwidth_kbps"] == 1.5
    whole = load_elsewhere(online, tmp_path, "me/sounds", NAME)
    assert len(whole["rows"][0]["codes"]) == 8
    local = contents(shards, (".parquet",))
    assert {p: d for p, d in files(online).items() if p.startswith("data/")} == local


def test_a_second_push_replaces_the_shards(shards, clips, online):
    assert push(shards) == 0
    pack(clips, shards, PackConfig(count=3))
    assert push(shards) == 0
    local = contents(shards, (".parquet",))
    assert {p: d for p, d in files(online).items() if p.endswith(".parquet")} == local


def test_shards_take_the_place_of_a_saved_dataset(shards, clips, online, tmp_path):
    assert main(["build", str(clips), str(tmp_path / "built")]) == 0
    assert push(tmp_path / "built") == 0
    assert any(path.startswith(f"{NAME}/") for path in files(online))
    assert push(shards) == 0
    assert {p.split("/")[0] for p in files(online) if p.endswith(".parquet")} == {"data"}
    assert push(tmp_path / "built") == 0
    assert {p.split("/")[0] for p in files(online) if p.endswith(".parquet")} == {NAME}


def test_files_of_others_in_the_repository_stay(shards, online, capsys):
    assert push(shards, "--config", "mine") == 0
    before = dict(files(online))
    assert push(shards) == 1
    assert "has files of its subset 'mine' in data/" in capsys.readouterr().err
    assert files(online) == before
    assert push(shards, "--config", "mine") == 0


def test_clips_can_be_heard(tmp_path, recordings, online):
    encoded = tmp_path / "ecdc"
    flags = ["--codec", "encodec_24khz_demo"]
    assert main(["encode", str(recordings), str(encoded), *flags]) == 0
    pack(encoded, tmp_path / "shards", PackConfig())
    assert push(tmp_path / "shards", "--listen", "2") == 0
    assert "listen/page.html" in files(online)


def test_unfinished_or_changed_folders_are_refused(shards, clips, online, capsys):
    pack(clips, clips.parent / "other", PackConfig(count=2, max_files=5))
    whole = shards / "data/train-00000-of-00002.parquet"
    kept = whole.read_bytes()
    whole.write_bytes((clips.parent / "other/data/train-00001-of-00002.parquet").read_bytes())
    assert push(shards) == 1
    assert "but enchf.json states 4" in capsys.readouterr().err
    whole.write_bytes(kept)
    (shards / "enchf.json").unlink()
    assert push(shards) == 1
    assert "are not finished" in capsys.readouterr().err
