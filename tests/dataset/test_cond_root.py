"""Sidecars in a folder of their own, through every step; and sidecars of version 1, whole."""

from __future__ import annotations

import json
import shutil

import datasets
import numpy as np
import pytest

from enchf_dataset import EncHFDataset
from preprocess.sidecar.reading import read_sidecar
from tests.helpers.commands import assert_says, files_under, run, write_tokens


@pytest.fixture
def trees(tmp_path):
    """Two clips, and an empty folder for their sidecars."""
    for seed, name in enumerate(("a", "s/b")):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc", seed=seed)
    (tmp_path / "cond").mkdir()
    return tmp_path / "ecdc", tmp_path / "cond"


@pytest.fixture
def annotated(trees, capsys):
    ecdc, cond = trees
    command = "annotate @ --ramp name=x start=0 end=1 --cond-root @"
    assert run(capsys, command, ecdc, cond).status == 0
    return trees


def loaded(ecdc, cond, cache) -> datasets.Dataset:
    builder = EncHFDataset(data_dir=str(ecdc), cond_root=str(cond), cache_dir=str(cache))
    builder.download_and_prepare()
    return builder.as_dataset(split="train")


def test_annotate_writes_there(annotated, capsys):
    ecdc, cond = annotated
    assert files_under(ecdc) == {"a.ecdc", "s/b.ecdc"}
    assert files_under(cond) == {f"{n}.cond.{e}" for n in ("a", "s/b") for e in ("npy", "json")}
    command = "annotate @ --ramp name=x start=0 end=1 --cond-root @"
    assert "2 up to date" in run(capsys, command, ecdc, cond).out[-1]


def test_the_audit_that_passes_is_a_build_that_works(annotated, capsys, tmp_path):
    ecdc, cond = annotated
    assert run(capsys, "audit @ --cond-root @", ecdc, cond).status == 0
    out = tmp_path / "ds"
    assert run(capsys, "build @ @ --cond-root @ --verify", ecdc, out, cond).status == 0
    row = datasets.load_from_disk(str(out))["train"].with_format("numpy")[0]
    np.testing.assert_allclose(row["features"]["x"], np.linspace(0, 1, 10), atol=1e-3)
    assert read_sidecar(out / "tokens/s/b.ecdc").n_frames == 10


@pytest.mark.parametrize("how", ["link", "copy"])
def test_build_puts_the_sidecars_beside_the_tokens(annotated, capsys, tmp_path, how):
    ecdc, cond = annotated
    out = tmp_path / "deep/er/ds"
    command = f"build @ @ --cond-root @ --materialize {how}"
    assert run(capsys, command, ecdc, out, cond).status == 0
    files = files_under(out / "tokens")
    assert files == files_under(ecdc) | files_under(cond)
    assert (out / "tokens/a.cond.npy").is_symlink() == (how == "link")


def test_stats_reads_there(annotated, capsys, tmp_path):
    ecdc, cond = annotated
    result = run(capsys, "stats @ --cond-root @ --output @", ecdc, cond, tmp_path / "stats.json")
    assert result.status == 0
    stored = json.loads((tmp_path / "stats.json").read_text())
    assert "x" in json.dumps(stored)
    assert "2 clips" in result.out[-1]


def test_the_builder_reads_there_and_sees_what_is_edited(annotated, capsys, tmp_path):
    ecdc, cond = annotated
    first = loaded(ecdc, cond, tmp_path / "cache")
    assert first[0]["features"]["x"][-1] == 1
    run(capsys, "annotate @ --ramp name=x start=0 end=2 --cond-root @", ecdc, cond)
    second = loaded(ecdc, cond, tmp_path / "cache")
    assert second[0]["features"]["x"][-1] == 2, "yesterday's rows"


@pytest.mark.parametrize("command", ["audit", "stats", "build"])
def test_a_folder_that_is_none_is_wrong_usage(trees, capsys, tmp_path, command):
    ecdc, _ = trees
    words = f"{command} @ {tmp_path}/ds" if command == "build" else f"{command} @"
    result = run(capsys, f"{words} --cond-root nowhere", ecdc)
    assert result.status == 2
    assert_says(result.error, ["sidecar folder", "nowhere does not exist"])


@pytest.mark.parametrize("how", ["link", "copy"])
def test_version_1_trees_link_and_copy_whole(tmp_path, capsys, how):
    """The metadata `NAME.cond.cond.json` stayed behind: the linked sidecars were half."""
    ecdc = tmp_path / "ecdc"
    for seed, name in enumerate("ab"):
        write_tokens(ecdc / f"{name}.ecdc", seed=seed)
        np.save(ecdc / f"{name}.cond.npy", np.arange(10, dtype=np.float16)[:, None])
        norm = {"min": [0], "max": [9], "mean": [4.5], "std": [3]}
        meta = {"names": ["x"], "norm": norm, "fps": 75}
        (ecdc / f"{name}.cond.cond.json").write_text(json.dumps(meta))
    assert run(capsys, "audit @", ecdc).status == 0
    out = tmp_path / "ds"
    assert run(capsys, f"build @ @ --materialize {how}", ecdc, out).status == 0
    assert files_under(out / "tokens") == files_under(ecdc)
    if how == "copy":
        shutil.rmtree(ecdc)
    for name in "ab":
        assert read_sidecar(out / f"tokens/{name}.ecdc").parameters["x"].max == 9
