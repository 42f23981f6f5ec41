"""`preprocess stats` writes what all clips say together, by split and from shards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.sidecar.writing import write_sidecar
from preprocess.stats.corpus_stats import read_stats
from tests.helpers.commands import assert_says, cut, run, write_tokens

FRAMES = 10


@pytest.fixture
def root(tmp_path):
    """Nine clips in two splits; parameter x counts up over all of them."""
    for number in range(9):
        split = "train" if number < 6 else "test"
        path = write_tokens(tmp_path / f"ecdc/{split}/c{number}.ecdc", seed=number)
        x = np.arange(FRAMES) + FRAMES * number
        write_sidecar(path, {"x": {"values": x, "units": "s", "min": 0, "max": 100}})
    return tmp_path / "ecdc"


def test_each_split_has_its_own(root, capsys):
    result = run(capsys, "stats @ --jobs 2", root)
    assert (result.status, result.err) == (0, [])
    assert_says(result.out[-1], ["9 clips", "1 parameter", "stats.json"])
    assert_says("\n".join(result.out), ["train: 6 clips", "test: 3 clips", "median"])
    stats = read_stats(root / "stats.json")
    assert (stats["train"]["x"].count, stats["test"]["x"].count) == (60, 30)
    assert stats["train"]["x"].mean == pytest.approx(29.5)
    assert (stats["test"]["x"].min, stats["test"]["x"].max) == (60, 89)
    assert (stats["test"]["x"].declared_max, stats["test"]["x"].units) == (100, "s")


def test_all_clips_can_be_one_split_in_a_file_elsewhere(root, tmp_path, capsys):
    run(capsys, f"stats @ --split-name all --output {tmp_path}/new/s.json", root)
    assert read_stats(tmp_path / "new/s.json")["all"]["x"].count == 90
    assert not (root / "stats.json").exists()


def test_shards_merge_to_the_whole(root, tmp_path, capsys):
    parts = [tmp_path / f"{index}.json" for index in range(3)]
    for index, part in enumerate(parts):
        shard = f"--shard-index {index} --shard-count 3 --output {part}"
        assert run(capsys, f"stats @ {shard}", root).status == 0
    merged = tmp_path / "all.json"
    words = " ".join(map(str, parts))
    assert run(capsys, f"stats --merge {words} --output {merged}").status == 0
    run(capsys, "stats @", root)
    whole, together = read_stats(root / "stats.json"), read_stats(merged)
    for split in whole:
        assert together[split].clips == whole[split].clips
        assert together[split]["x"].quantiles == whole[split]["x"].quantiles
        assert together[split]["x"].std == pytest.approx(whole[split]["x"].std, rel=1e-12)


def test_clips_that_do_not_fit_are_named_and_left_out(root, capsys):
    cut(root / "train/c1.cond.npy", 50)
    write_sidecar(root / "train/c2.ecdc", {"x": {"values": np.zeros(FRAMES), "units": "ms"}})
    result = run(capsys, "stats @", root)
    assert result.status == 1
    assert_says("\n".join(result.err), ["c1.cond.npy", "c2.ecdc", "'x'", "units 'ms'"])
    assert read_stats(root / "stats.json")["train"].clips == 4


def test_a_table_of_labels_has_no_median(root, capsys):
    for path in root.rglob("*.ecdc"):
        mood = {"values": np.arange(FRAMES) % 4, "kind": "categorical"}
        write_sidecar(path, {"mood": mood})
    lines = run(capsys, "stats @ --split-name all", root).out
    assert next(line.split() for line in lines if "mood" in line) == ["mood", "90", "0", "0", "3"]
    assert next(line.split() for line in lines if " x " in line)[5] == "44.5"


def test_shards_with_quantiles_from_before_are_named(root, tmp_path, capsys):
    old = tmp_path / "old.json"
    old.write_text('{"version": 1, "splits": {}}')
    result = run(capsys, f"stats --merge {old} --output {tmp_path}/m.json")
    assert result.status == 1
    assert_says(result.error, ["old.json", "version 1", "preprocess stats"])


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("stats", ["ECDC_DIR", "--merge"]),
        ("stats @ --merge @/x.json", ["ECDC_DIR", "--merge"]),
        ("stats @ --shard-index 2 --shard-count 2", ["shard_index"]),
    ],
)
def test_wrong_calls_are_one_line(root, capsys, words, parts):
    result = run(capsys, words.replace("@/", f"{root}/"), root)
    assert result.status == 2
    assert_says(result.error, parts)


def test_what_is_merged_must_fit(root, tmp_path, capsys):
    run(capsys, "stats @", root)
    other = tmp_path / "other.json"
    other.write_text((root / "stats.json").read_text().replace('"units": "s"', '"units": "h"'))
    result = run(capsys, f"stats --merge {root}/stats.json {other} --output {tmp_path}/m.json")
    assert result.status == 1
    assert_says(result.error, ["other.json", "'x'", "units 'h'"])
    assert not (tmp_path / "m.json").exists()
    assert json.loads(other.read_text())["version"] == 2
