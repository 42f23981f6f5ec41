"""The end of a shards folder, made from sums over its shards and without their rows."""

from __future__ import annotations

import json

import pytest
from datasets import load_dataset

from preprocess.core.errors import PreprocessError
from preprocess.dataset.corpus import table_stats
from preprocess.dataset.schema import read_parameters
from preprocess.publish.finishing import SplitFacts, finish_files, finish_folder
from preprocess.shards.reading import ShardFolder
from preprocess.stats.corpus_stats import CorpusStats
from preprocess.steps.pack import pack
from preprocess.steps.pack_config import PackConfig
from tests.helpers.packed import contents, pack_all, write_clip


@pytest.fixture
def clips(tmp_path):
    root = tmp_path / "clips"
    for index in range(9):
        write_clip(root, f"c{index}", 4000 + 500 * index, seed=index)
    return root


def sums(folder, schema):
    """Return what a worker knows of each shard, added up."""
    facts, stats = SplitFacts(), CorpusStats()
    for path in ShardFolder.at(folder).splits["train"]:
        size = path.stat().st_size
        facts += SplitFacts(file_bytes=size)
    for table in ShardFolder.at(folder).tables("train"):
        samples = sum(table["audio_length"].to_pylist())
        facts += SplitFacts(clips=len(table), samples=samples, num_bytes=table.nbytes)
        stats.merge(table_stats(table, schema.parameters))
    return {"train": facts}, {"train": stats}


def test_shards_of_several_workers_become_the_folder_that_pack_makes(clips, tmp_path):
    schema = pack_all(clips, tmp_path / "mine", 3)
    splits, stats = sums(tmp_path / "mine", schema)
    finish_folder(tmp_path / "mine", schema, splits, stats, {"by": "x"}, name="shards")
    pack(clips, tmp_path / "shards", PackConfig(count=3))
    mine, theirs = (contents(tmp_path / n, (".parquet", ".json")) for n in ("mine", "shards"))
    assert mine.keys() == theirs.keys()
    for name in (n for n in mine if n.endswith(".parquet")):
        assert mine[name] == theirs[name]
    subsets = [json.loads(each["enchf.json"])["subsets"] for each in (mine, theirs)]
    for subset in subsets:
        (whole,) = subset.values()
        del whole["provenance"]
        for entry in whole["parameters"].values():  # sums of floats depend on their order
            statistics = entry["statistics"]
            for key in ("mean", "std"):
                statistics[key] = round(statistics[key], 6)
    assert subsets[0] == subsets[1]
    rows = load_dataset(str(tmp_path / "mine"), "encodec_24khz_3kbps")["train"]
    assert len(rows) == 9 and read_parameters(rows.features)["pitch"].max == 2000


def test_clips_without_parameters_have_a_card(tmp_path):
    root = tmp_path / "clips"
    write_clip(root, "a", dtype="")
    schema = pack_all(root, tmp_path / "out")
    splits, _ = sums(tmp_path / "out", schema)
    finish_folder(tmp_path / "out", schema, splits, {}, {})
    assert "## Parameters" not in (tmp_path / "out/README.md").read_text()
    assert load_dataset(str(tmp_path / "out"))["train"]["id"][:] == ["a"]


def test_the_marker_is_last_and_a_broken_card_is_an_error(clips, tmp_path):
    schema = pack_all(clips, tmp_path / "out")
    splits, stats = sums(tmp_path / "out", schema)
    made = finish_files("x", schema, splits, stats, {"by": "me"})
    assert list(made)[-1] == "enchf_shards.json"
    assert json.loads(made["enchf_shards.json"])["by"] == "me"
    with pytest.raises(PreprocessError, match="cannot be read"):
        finish_files("x", schema, splits, stats, {}, card="---\na: [\n---\n")
