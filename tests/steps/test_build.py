"""The build step: what is saved, what stands beside it, and when it is made again."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from datasets import load_from_disk

from preprocess.cli.main import main
from preprocess.codec.playback import decode_row
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import sidecar_paths, write_sidecar
from preprocess.stats.corpus_stats import read_stats
from preprocess.steps.built_dataset import MARKER
from preprocess.tokens.ecdc import read_ecdc


def build(token_folder, *flags):
    """Run the step and return its exit status and the folder it made."""
    out = token_folder.parent / "built/dataset"
    return main(["build", str(token_folder), str(out), *flags]), out


def test_rows_hold_tokens_and_parameters_not_only_paths(token_folder, capsys):
    """The predecessor stored paths alone, so that a pushed dataset held no tokens."""
    status, out = build(token_folder, "--verify")
    assert status == 0
    assert "3 rows" in capsys.readouterr().out
    saved = load_from_disk(str(out))
    shutil.rmtree(out / "tokens")
    shutil.rmtree(token_folder / "a")
    row = saved["train"][2]
    ecdc, sidecar = (
        read_ecdc(token_folder / "b/one.ecdc"),
        read_sidecar(token_folder / "b/one.ecdc"),
    )
    np.testing.assert_array_equal(row["codes"], ecdc.codes)
    np.testing.assert_array_equal(
        np.float32(row["features"]["level"]), sidecar.parameters["level"].values.astype(np.float32)
    )


@pytest.mark.parametrize("how", ["link", "copy", "none"])
def test_tokens_and_sidecars_are_materialized(token_folder, how):
    status, out = build(token_folder, "--materialize", how, "--tokens-subdir", "files", "--verify")
    assert status == 0
    paths = load_from_disk(str(out))["train"]["audio"]
    if how == "none":
        assert paths[0] == "a/take.1.ecdc" and not (out / "files").exists()
        return
    assert paths == ["files/a/take.1.ecdc", "files/a/take.2.ecdc", "files/b/one.ecdc"]
    for path in paths:
        for part in (out / path, *sidecar_paths(out / path)):
            original = token_folder / part.relative_to(out / "files")
            assert part.read_bytes() == original.read_bytes()
            assert part.is_symlink() == (how == "link")


def test_links_still_hold_when_the_whole_tree_moves(token_folder):
    build(token_folder)
    moved = token_folder.parent.rename(token_folder.parent.with_name("moved"))
    assert (moved / "built/dataset/tokens/b/one.ecdc").read_bytes()[:4] == b"ECDC"


def test_one_split_of_a_given_name(token_folder):
    assert list(load_from_disk(str(build(token_folder, "--split-name", "test")[1]))) == ["test"]


def test_subfolders_are_splits(token_folder):
    (token_folder / "a").rename(token_folder / "train")
    (token_folder / "b").rename(token_folder / "test")
    saved = load_from_disk(str(build(token_folder)[1]))
    assert {name: len(rows) for name, rows in saved.items()} == {"train": 2, "test": 1}


def test_a_lower_bandwidth(token_folder):
    _, out = build(token_folder, "--bandwidth", "3", "--verify")
    row = load_from_disk(str(out))["train"][0]
    assert (len(row["codes"]), row["bandwidth_kbps"]) == (4, 3.0)


def test_a_dataset_that_is_current_is_left_alone_and_a_stale_one_replaced(token_folder, capsys):
    _, out = build(token_folder)
    before = (out / MARKER).stat().st_mtime_ns
    build(token_folder)
    assert (out / MARKER).stat().st_mtime_ns == before
    assert "3 up to date" in capsys.readouterr().out
    for path in (token_folder / "b").iterdir():
        path.unlink()
    build(token_folder)
    assert len(load_from_disk(str(out))["train"]) == 2
    build(token_folder, "--bandwidth", "6")
    assert len(load_from_disk(str(out))["train"][0]["codes"]) == 8
    assert sorted(p.name for p in out.parent.iterdir()) == ["dataset"]


def test_a_changed_option_makes_it_again(token_folder):
    _, out = build(token_folder)
    build(token_folder, "--parameters", "index")
    row = load_from_disk(str(out))["train"][2]
    assert row["features"] == {"index": [2.0] * 78}


def test_float64_reaches_rows_statistics_and_sound(token_folder, capsys):
    """Unix times a frame apart, in every reader of a sidecar."""
    for path in token_folder.rglob("*.ecdc"):
        frames = read_sidecar(path).n_frames
        write_sidecar(path, {"time": 1.7e9 + np.arange(frames) / 64}, dtype="float64")
    assert main(["audit", str(token_folder), "--expect-dtype", "float64"]) == 0
    assert main(["stats", str(token_folder)]) == 0
    status, out = build(token_folder, "--dtype", "float64", "--verify")
    assert status == 0
    rows = load_from_disk(str(out))["train"]
    assert rows[0]["features"]["time"] == (1.7e9 + np.arange(75) / 64).tolist()
    whole, built = (read_stats(at / "stats.json")["train"]["time"] for at in (token_folder, out))
    assert built.quantiles == whole.quantiles
    assert whole.quantiles["p50"] == 1.7e9 + 38 / 64
    assert decode_row(rows[0]).shape == (1, rows[0]["audio_length"])
    assert build(token_folder)[0] == 1
    assert "float32 would change 1700000000.015625 to 1700000000" in capsys.readouterr().err


def test_a_dataset_with_statistics_from_before_is_made_again(token_folder, monkeypatch):
    """A push refuses its stats.json, and told to build again what was up to date."""
    monkeypatch.setattr("preprocess.steps.build.STATS_VERSION", 1)
    _, out = build(token_folder)
    (out / "stats.json").write_text('{"version": 1, "splits": {}}')
    monkeypatch.undo()
    build(token_folder)
    assert read_stats(out / "stats.json")["train"].clips == 3


def test_statistics_are_those_of_the_training_split(token_folder):
    (token_folder / "a").rename(token_folder / "train")
    (token_folder / "b").rename(token_folder / "test")
    values = np.where(np.arange(75) < 5, np.nan, np.linspace(-60, 0, 75))
    level = {"values": values, "units": "dB", "min": -60, "max": 0, "nan": "silence"}
    write_sidecar(token_folder / "train/take.1.ecdc", {"level": level})
    _, out = build(token_folder)
    stats = read_stats(out / "stats.json")
    assert list(stats) == ["train"] and stats["train"].clips == 2
    index, level = stats["train"]["index"], stats["train"]["level"]
    assert (index.count, index.min, index.max, index.mean) == (152, 0, 1, pytest.approx(77 / 152))
    assert (level.nan_count, level.count, level.units) == (5, 147, "dB")
    assert level.quantiles["p50"] == pytest.approx(-28.8, abs=1)
    assert (level.declared_min, level.declared_max) == (-60, 0)


def test_a_split_by_group(token_folder, capsys):
    flags = ["--split-by", "group", "--group", "^(.)/", "--fractions", "train=0.3", "rest=0.7"]
    status, out = build(token_folder, *flags)
    assert status == 0, capsys.readouterr().err
    saved = load_from_disk(str(out))
    groups = [{name[0] for name in rows["id"]} for rows in saved.values()]
    assert sum(map(len, groups)) == 2 and set.union(*groups) == {"a", "b"}


def test_the_first_files_without_subfolders(token_folder, capsys):
    assert build(token_folder, "--no-recursive")[0] == 2
    assert "no token files (.ecdc)" in capsys.readouterr().err
    for path in (token_folder / "a").iterdir():
        path.rename(token_folder / path.name)
    _, out = build(token_folder, "--no-recursive", "--max-files", "1")
    assert load_from_disk(str(out))["train"]["id"][:] == ["take.1"]


def test_several_processes_make_the_same(token_folder):
    _, out = build(token_folder, "--num-proc", "2")
    parallel = load_from_disk(str(out))["train"].to_dict()
    shutil.rmtree(out)
    build(token_folder)
    assert load_from_disk(str(out))["train"].to_dict() == parallel


@pytest.mark.parametrize("how", ["link", "copy", "none"])
def test_wf_build_dataset_gives_what_it_gave(token_folder, tmp_path, how):
    from preprocess.cli.wf.build_dataset import main as wf_build_dataset

    out = tmp_path / "hf"
    flags = ["--split", "valid", "--recursive", "--tokens-subdir", "t", "--materialize", how]
    assert wf_build_dataset([str(token_folder), str(out), *flags, "--verify"]) == 0
    saved = load_from_disk(str(out))
    assert list(saved) == ["valid"]
    base = token_folder if how == "none" else out
    for row in saved["valid"]:
        path = base / row["audio"]
        assert path.is_symlink() == (how == "link")
        np.testing.assert_array_equal(row["codes"], read_ecdc(path).codes)
        assert all(part.exists() for part in sidecar_paths(path))


def test_wf_build_dataset_looks_into_subfolders_only_if_told(token_folder, tmp_path, capsys):
    from preprocess.cli.wf.build_dataset import main as wf_build_dataset

    assert wf_build_dataset([str(token_folder), str(tmp_path / "hf")]) == 2
    assert "no token files (.ecdc)" in capsys.readouterr().err
    for path in token_folder.rglob("*.ecdc"):
        path.rename(path.with_suffix(".tok"))
    flags = ["--recursive", "--suffix", ".tok", "--max-files", "2"]
    assert wf_build_dataset([str(token_folder), str(tmp_path / "hf"), *flags]) == 0
    saved = load_from_disk(str(tmp_path / "hf"))["train"]
    assert saved["audio"][:] == ["tokens/a/take.1.tok", "tokens/a/take.2.tok"]


def test_verify_finds_codes_that_are_not_the_files(token_folder, capsys):
    _, out = build(token_folder, "--materialize", "none")
    marker = json.loads((out / MARKER).read_bytes())
    from preprocess.dataset.clips import manifest_digest
    from preprocess.tokens.ecdc import write_ecdc

    path = token_folder / "b/one.ecdc"
    ecdc = read_ecdc(path)
    ecdc.codes[0, 0] ^= 1
    write_ecdc(path, ecdc)
    marker["src"] = manifest_digest(token_folder)  # as if it had been built from this
    (out / MARKER).write_text(json.dumps(marker))
    assert build(token_folder, "--materialize", "none", "--verify")[0] == 1
    assert "the codes of b/one differ from those of" in capsys.readouterr().err


def spoil_tokens(folder):
    path = folder / "b/one.ecdc"
    path.write_bytes(path.read_bytes()[:200])
    return "one.ecdc is truncated"


def spoil_sidecar(folder):
    (folder / "b/one.cond.json").unlink()
    return "one.cond.json is missing"


@pytest.mark.parametrize("spoil", [spoil_tokens, spoil_sidecar])
def test_a_bad_clip_is_one_line_and_nothing_is_written(token_folder, capsys, spoil):
    message = spoil(token_folder)
    status, out = build(token_folder)
    assert status == 1
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert re.search(message, line)
    assert list(out.parent.glob("*")) == []


def test_a_folder_that_is_no_built_dataset_is_not_touched(token_folder, capsys):
    out = token_folder.parent / "built/dataset"
    out.mkdir(parents=True)
    (out / "thesis.doc").touch()
    assert build(token_folder)[0] == 2
    assert "exists and is not a built dataset" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["thesis.doc"]
    assert main(["build", str(token_folder), str(token_folder)]) == 2
    assert main(["build", str(token_folder), str(token_folder.parent)]) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--bandwidth", "7"], "no bandwidth of 7 kbps"),
        (["--split-name", "a/b"], "--split-name: "),
        (["--tokens-subdir", "../x"], "--tokens-subdir: "),
        (["--materialize", "move"], "--materialize"),
        (["--split-by", "group", "--fractions", "train=x"], "--fractions"),
        (["--split-by", "group", "--fractions", "train=0.5"], "must sum to 1"),
        (["--num-proc", "0"], "--num-proc"),
    ],
)
def test_wrong_options_are_one_line(token_folder, capsys, flags, message):
    try:
        status, _ = build(token_folder, *flags)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
