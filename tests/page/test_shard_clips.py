"""Clips of a folder of shards, on pages and as text."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.cli.main import main
from preprocess.core.errors import PreprocessError
from preprocess.page.clip_sources import open_source
from preprocess.page.row_sources import ShardClips
from preprocess.shards.reading import read_row
from preprocess.sidecar.reading import read_sidecar
from preprocess.steps.pack import pack
from preprocess.steps.pack_config import PackConfig
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.packed import write_clip


@pytest.fixture
def clips(tmp_path):
    root = tmp_path / "clips"
    for index in range(5):
        split = ("train", "test")[index % 2]
        write_clip(root, f"{split}/c{index}", 4000 + 2000 * index, seed=index)
    pack(root, tmp_path / "shards", PackConfig(count=2))
    return root


def test_a_clip_is_read_from_its_shard(clips, tmp_path):
    source = open_source(tmp_path / "shards")
    assert isinstance(source, ShardClips) and len(source.ids) == 5
    for name in source.ids:
        clip = source.read(name)
        np.testing.assert_array_equal(clip.tokens.codes, read_ecdc(clips / f"{name}.ecdc").codes)
        expected = read_sidecar(clips / f"{name}.ecdc").parameters["pitch"]
        np.testing.assert_array_equal(clip.parameters["pitch"].values, expected.values)
        assert clip.parameters["pitch"].units == "Hz" and clip.parameters["pitch"].min == 50
        assert source.split(name) == name.split("/")[0]


def test_inspect_and_plot_show_shards(clips, tmp_path, capsys):
    shards = str(tmp_path / "shards")
    assert main(["inspect", shards, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 5
    picture = tmp_path / "picture.svg"
    assert main(["plot", shards, "train/c2", str(picture)]) == 0
    assert "pitch" in picture.read_text()


def test_a_row_that_is_not_there_is_an_error(clips, tmp_path):
    path = next((tmp_path / "shards/data").iterdir())
    with pytest.raises(PreprocessError, match="has no row"):
        read_row(path, 1000)
