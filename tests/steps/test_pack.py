"""Packing into shards and unpacking again: what is in the folder, and that nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from preprocess.cli.main import main
from preprocess.shards.reading import ShardFolder
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.sidecar_format import sidecar_paths
from preprocess.sidecar.writing import write_sidecar
from preprocess.stats.corpus_stats import read_stats
from preprocess.steps import pack as pack_step
from preprocess.steps import unpack as unpack_step
from preprocess.steps.pack import pack
from preprocess.steps.pack_config import PackConfig
from preprocess.steps.unpack import unpack
from preprocess.tokens.ecdc import read_ecdc, read_header
from tests.helpers.packed import contents, tokens, write_clip

GOLDEN = Path(__file__).parents[1] / "golden"


def run(*arguments):
    return main([str(argument) for argument in arguments])


def packed(root, *flags):
    """Pack a folder, check that it worked, and return the shards folder."""
    out = root.parent / "shards"
    assert run("pack", root, out, *flags) == 0
    return out


def unpacked(shards):
    """Unpack shards, check that it worked, and return the token folder."""
    out = shards.parent / "back"
    assert run("unpack", shards, out) == 0
    return out


def files(folder):
    """Return the files of a shards folder, by path."""
    return contents(folder, (".parquet", ".md", ".json"))


@pytest.fixture
def clips(tmp_path):
    root = tmp_path / "clips"
    for index in range(12):
        split = ("train", "train", "validation")[index % 3]
        write_clip(root, f"{split}/a b/ü {index}", 2000 + 900 * index, seed=index)
    return root


def test_a_folder_has_shards_card_index_statistics_and_marker(clips, capsys):
    out = packed(clips, "--count", "2")
    line = capsys.readouterr().out
    assert "12 rows" in line and "4 shards" in line and "train 8, validation 4" in line
    names = [f"data/{s}-0000{i}-of-00002.parquet" for s in ("train", "validation") for i in (0, 1)]
    assert list(files(out)) == sorted(
        [*names, "README.md", "enchf.json", "enchf_shards.json", "stats.json"]
    )
    (name, subset), *others = json.loads((out / "enchf.json").read_text())["subsets"].items()
    assert name == "encodec_24khz_3kbps" and not others
    assert {s: v["clips"] for s, v in subset["splits"].items()} == {"train": 8, "validation": 4}
    samples = sum(read_header(path).audio_length for path in (clips / "train").rglob("*.ecdc"))
    assert subset["splits"]["train"]["hours"] == pytest.approx(samples / 24_000 / 3600)
    assert subset["parameters"]["pitch"]["units"] == "Hz"
    stats = read_stats(out / "stats.json")
    assert stats.keys() == {"train"} and stats["train"].clips == 8
    values = [read_sidecar(p).parameters["pitch"].values for p in (clips / "train").rglob("*.ecdc")]
    assert stats["train"]["pitch"].mean == pytest.approx(np.concatenate(values).mean())
    assert subset["parameters"]["pitch"]["statistics"]["mean"] == stats["train"]["pitch"].mean


def test_other_programs_read_the_files(clips):
    out = packed(clips, "--count", "3")
    frames = [pl.read_parquet(f"{out}/data/*.parquet").to_dicts()]
    frames.append(pd.read_parquet(out / "data").to_dict("records"))
    for rows in frames:
        assert len(rows) == 12
        for row in rows:
            ecdc = read_ecdc(clips / row["audio"])
            np.testing.assert_array_equal(np.stack(row["codes"]), ecdc.codes)
            expected = read_sidecar(clips / row["audio"]).parameters["level"].values
            np.testing.assert_array_equal(np.float32(row["features"]["level"]), expected)


@pytest.mark.parametrize("count", [1, 5])
def test_every_byte_comes_back(tmp_path, count):
    """Each kind of tokens in its folder: dtypes, clips without parameters, odd names, 48 kHz."""
    root = tmp_path / "clips"
    for index, dtype in enumerate(("float16", "float32", "float64", "")):
        write_clip(root, f"a/x{dtype}.1", 3000 + index, dtype, seed=index)
        write_clip(root, f"a/x{dtype}.2", 7000 + index, dtype, seed=9 + index, src="x", note="ü")
    write_clip(root, "日本 語/f₀ (1)", 1)
    shards = packed(root, "--missing-sidecar", "empty", "--count", count)
    back = unpacked(shards)
    assert contents(back, (".ecdc", ".npy")) == contents(root, (".ecdc", ".npy"))
    there = dict(contents(back))
    del there[unpack_step.MARKER]
    assert there == contents(root) and len(there) == 9 * 3 - 2 * 2


def test_sidecars_of_another_folder_and_suffixes_in_capitals_come_back(tmp_path):
    root, cond = tmp_path / "clips", tmp_path / "cond"
    for index in range(3):
        path = write_clip(root, f"a/c{index}", seed=index)
        (cond / "a").mkdir(parents=True, exist_ok=True)
        for part in sidecar_paths(path):
            part.rename(cond / "a" / part.name)
        if index:
            path.rename(path.with_suffix(".ECDC"))
    back = unpacked(packed(root, "--cond-root", cond))
    suffixes = (".ecdc", ".ECDC", ".npy")
    assert contents(back, suffixes) == {**contents(root, suffixes), **contents(cond, suffixes)}
    assert len(contents(back, (".ECDC",))) == 2


def test_scales_of_48_khz_come_back(tmp_path, capsys):
    root = tmp_path / "clips"
    for index, samples in enumerate((1000, 48_000, 200_000)):
        write_clip(root, f"c{index}", samples, model="encodec_48khz", k=16, seed=index)
    for path in GOLDEN.glob("m48*.ecdc"):  # written by encodec itself
        if read_header(path).n_codebooks == 16:
            shutil.copy(path, root)
    back = unpacked(packed(root, "--missing-sidecar", "empty"))
    assert contents(back, (".ecdc", ".npy")) == contents(root, (".ecdc", ".npy"))
    assert (root / "m48_100000_16.ecdc").exists() and "note" not in capsys.readouterr().err


def test_old_sidecars_and_odd_arrays_come_back(tmp_path):
    """Versions 1 and 2, arrays in Fortran order or with a header of numpy's version 2."""
    root = tmp_path / "clips"
    for index in range(3):
        path = write_clip(root, f"c{index}", seed=index)
        array, meta = sidecar_paths(path)
        values = np.load(array)
        if index == 0:
            np.save(array, np.asfortranarray(values))
        elif index == 1:
            with open(array, "wb") as file:
                np.lib.format.write_array(file, values, version=(2, 0))
        columns = {k: [50.0, -60.0] for k in ("min", "max", "mean", "std")}
        old = {"names": ["pitch", "level"], "norm": columns, "fps": 75}
        if index == 2:
            entry = {"min": 1, "max": 2, "doc_string": "ü"}
            old = {"schema_version": 2, "fps": 75, "features": {"pitch": entry, "level": entry}}
        meta.write_text(json.dumps(old, indent=index, ensure_ascii=False) + "\n")
    shards = packed(
        root, "--fail-on", "unreadable_tokens", "--parameters", "pitch,level", "--allow-mixed"
    )
    back = unpacked(shards)
    there = dict(contents(back))
    del there[unpack_step.MARKER]
    assert there == contents(root)


def test_tokens_of_torch_become_ecdc_with_the_same_codes(tmp_path, capsys):
    root = tmp_path / "clips"
    root.mkdir()
    codes = tokens(3000, k=8).codes
    torch.save({"audio_codes": torch.from_numpy(codes)[None, None].long()}, root / "old.ecdc")
    shutil.copy(GOLDEN / "m24_24000_8.ecdc", root)
    shards = packed(root)
    assert "tokens become Meta's .ecdc with the same codes (1 clip)" in capsys.readouterr().err
    back = unpacked(shards)
    assert (back / "old.ecdc").read_bytes().startswith(b"ECDC")
    np.testing.assert_array_equal(read_ecdc(back / "old.ecdc").codes, codes)
    golden = (GOLDEN / "m24_24000_8.ecdc").read_bytes()
    assert (back / "m24_24000_8.ecdc").read_bytes() == golden


def test_what_was_left_out_is_said_and_the_rest_is_whole(clips, capsys):
    flags = ("--bandwidth", "1.5", "--parameters", "level", "--dtype", "float16")
    shards = packed(clips, *flags)
    said = capsys.readouterr().err
    assert "codebooks after the first 2 are left out (12 clips)" in said
    assert "parameters that were not chosen are left out (12 clips)" in said
    assert "values of parameters are rounded to float16 (12 clips)" in said
    back = unpacked(shards)
    said = capsys.readouterr().err
    assert "codebooks after the first 2 were left out (12 clips)" in said
    assert "parameters were left out or rounded (12 clips)" in said
    for path in clips.rglob("*.ecdc"):
        before, after = read_ecdc(path), read_ecdc(back / path.relative_to(clips))
        np.testing.assert_array_equal(after.codes, before.codes[:2])
        assert after.header.n_codebooks == 2 and after.extra == before.extra
        old = read_sidecar(path).parameters["level"]
        new = read_sidecar(back / path.relative_to(clips))
        assert list(new.parameters) == ["level"]
        assert new.parameters["level"].values.dtype == np.float16
        np.testing.assert_array_equal(new.parameters["level"].values, np.float16(old.values))
        assert (new.parameters["level"].min, new.parameters["level"].units) == (-60, "dB")
    # What unpack wrote can be packed and audited like any other folder.
    assert run("audit", back, "--fail-on", "unreadable_tokens,unreadable_sidecar,misaligned") == 0


def test_one_clip_of_float64_makes_the_columns_wide(tmp_path, monkeypatch):
    root = tmp_path / "clips"
    for index in range(6):
        write_clip(root, f"c{index}", dtype="float64" if index == 4 else "float32", seed=index)
    monkeypatch.setattr("preprocess.shards.packing._MOST_ROWS", 2)
    shards = packed(root, "--count", "2")
    assert ShardFolder.at(shards).dtype == "float64"
    subset = json.loads((shards / "enchf.json").read_text())["subsets"]["encodec_24khz_3kbps"]
    assert subset["splits"]["train"]["clips"] == 6  # none is counted twice
    assert contents(unpacked(shards), (".ecdc", ".npy")) == contents(root, (".ecdc", ".npy"))


def test_the_shards_do_not_depend_on_processes_or_order(clips, monkeypatch):
    one = packed(clips, "--count", "3", "--jobs", "1")
    before = files(one)
    shutil.rmtree(one)
    monkeypatch.setattr(pack_step, "LEAST_CLIPS", 1)
    monkeypatch.setattr("preprocess.shards.packing._MOST_ROWS", 2)
    several = pack(clips, one, PackConfig(count=3), jobs=2)
    assert several.done == 12
    after = files(one)
    assert before.keys() == after.keys()
    for name in (name for name in before if name.endswith(".parquet")):
        assert after[name] == before[name], name


def test_unpacking_in_processes_gives_the_same_files(clips, monkeypatch):
    shards = packed(clips, "--count", "3")
    monkeypatch.setattr(unpack_step, "LEAST_CLIPS", 1)
    assert unpack(shards, clips.parent / "back", jobs=2).done == 12
    there = dict(contents(clips.parent / "back"))
    del there[unpack_step.MARKER]
    assert there == contents(clips)


def test_a_run_makes_only_what_changed(clips, capsys):
    out = packed(clips, "--count", "4")
    before = files(out)
    assert packed(clips, "--count", "4") == out and "12 up to date" in capsys.readouterr().out
    write_clip(clips, "train/new", 2000, seed=99)
    packed(clips, "--count", "4")
    after = files(out)
    changed = [n for n in before if n.endswith(".parquet") and before[n] != after[n]]
    assert len(changed) == 1 and changed[0].startswith("data/train-")


def test_statistics_are_those_of_build(tmp_path, monkeypatch):
    """Declared ranges differ between clips: those of angles change their period."""
    monkeypatch.setattr("preprocess.shards.packing._MOST_ROWS", 2)
    root = tmp_path / "clips"
    for index in range(7):
        path = write_clip(root, f"{('train', 'test')[index % 2]}/c{index}", dtype="", seed=index)
        frames = read_header(path).n_frames
        values = np.random.default_rng(index).uniform(0, 90, frames)
        angle = {"values": values, "kind": "circular", "min": 0, "max": 90 * (1 + index)}
        height = {"values": values, "units": "m", "min": -index, "max": 100}
        write_sidecar(path, {"angle": angle, "height": height, "free": values})
    assert run("build", root, tmp_path / "built") == 0
    built = read_stats(tmp_path / "built/stats.json")["train"]
    own = read_stats(packed(root) / "stats.json")["train"]
    assert own.clips == built.clips == 4
    for name in ("angle", "height", "free"):
        mine, theirs = own[name].to_dict(), built[name].to_dict()
        assert mine.pop("mean") == pytest.approx(theirs.pop("mean"))
        assert mine.pop("std") == pytest.approx(theirs.pop("std"))
        for key in ("declared_min", "declared_max", "min", "max", "count", "quantiles", "period"):
            assert mine.get(key) == theirs.get(key), (name, key)
    assert own["angle"].period == 630 and own["height"].declared_min == -6


def test_text_that_a_user_adds_to_the_card_stays(clips):
    out = packed(clips)
    card = out / "README.md"
    card.write_text(card.read_text().replace("# shards", "# My sounds\n\nRecorded at night."))
    write_clip(clips, "train/new", 2000, seed=99)
    packed(clips)
    assert "Recorded at night." in card.read_text() and "train 9" in card.read_text()


def test_what_pack_did_not_make_is_never_replaced(clips, capsys):
    out = clips.parent / "shards"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert run("pack", clips, out) == 2
    assert "exists and is not a dataset made by pack" in capsys.readouterr().err
    (out / "mine.txt").unlink()
    packed(clips)
    for name in ("mine.txt", "data/mine.txt", "tokens"):
        (out / name).write_text("mine")
        write_clip(clips, "train/new", 2000 + len(name), seed=99)
        assert run("pack", clips, out) == 2
        assert f"{name} was not made by pack" in capsys.readouterr().err
        (out / name).unlink()
    assert run("pack", clips, clips / "inside") == 2


def test_pack_refuses_what_build_refuses(clips, capsys):
    first = sorted(clips.rglob("*.npy"))[0]
    values = np.load(first)
    values[0] = np.nan
    np.save(first, values)
    out = clips.parent / "shards"
    assert run("pack", clips, out) == 1
    assert first.name in capsys.readouterr().err and not out.exists()
    assert not list(clips.parent.glob(".*"))


def test_mixed_clips_are_refused_or_said(clips, capsys):
    write_clip(clips, "train/other", 2000, rec="other", by="enchf-dataset 0")
    for index in range(2):
        write_clip(clips, f"train/same{index}", 2000, rec="same", by="enchf-dataset 0", seed=index)
    out = clips.parent / "shards"
    assert run("pack", clips, out) == 1
    assert "is mixed" in capsys.readouterr().err and not out.exists()
    packed(clips, "--allow-mixed")
    assert "mixed" in json.loads((out / "enchf_shards.json").read_text())
    assert "Not all clips were made alike" in (out / "README.md").read_text()


def test_unpack_skips_and_never_replaces_what_was_changed(clips, capsys):
    shards = packed(clips)
    back = unpacked(shards)
    assert unpacked(shards) == back and "12 up to date" in capsys.readouterr().out
    write_clip(clips, "train/new", 2000, seed=99)
    packed(clips)
    unpacked(shards)
    assert (back / "train/new.ecdc").exists()
    (back / "train/new.cond.json").write_text("{}")
    shutil.rmtree(shards)
    packed(clips)
    assert run("unpack", shards, back) == 2
    assert "was changed since unpack made it" in capsys.readouterr().err
    assert run("unpack", shards, clips) == 2
    assert "was not made by unpack" in capsys.readouterr().err


def rewrite(shards, change):
    """Change the rows of the only shard, as a hostile or careless author would."""
    path = shards / "data/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows[1])
    pq.write_table(type(table).from_pylist(rows, table.schema), path)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "C:/x", "..\\x", "a\0b", "", None])
def test_nothing_is_written_outside_of_the_output(tmp_path, capsys, name):
    root = tmp_path / "clips"
    for index in range(3):
        write_clip(root, f"c{index}", seed=index)
    shards = packed(root)
    rewrite(shards, lambda row: row.update(id=name, audio=f"{name}.ecdc"))
    before = sorted(os.walk(tmp_path))
    assert run("unpack", shards, tmp_path / "deep/back") == 1
    assert "cannot be unpacked" in capsys.readouterr().err
    assert sorted(os.walk(tmp_path)) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(id="c0"), "it is there twice"),
        (lambda row: row.update(audio_length=10**15), "do not fit an audio_length"),
        (lambda row: row.update(audio_length=None), "empty column"),
        (lambda row: row.update(codes=[[1, 2], [3]]), "different numbers of codes"),
        (lambda row: row["codes"][0].__setitem__(0, 5000), "codes must be 0 to 1023"),
        (lambda row: row.update(model="x"), "unknown codec"),
        (lambda row: row["provenance"].update(tokens="[" * 9999), "no header of tokens"),
        (lambda row: row["provenance"].update(tokens='{"m": "x"}'), "unknown codec"),
        (lambda row: row["provenance"].update(sidecar="[" * 9999), "not a JSON object"),
        (lambda row: row["provenance"].update(dtype="object"), "dtype must be"),
        (lambda row: row["features"]["pitch"].__setitem__(0, 7.0), "not those that the metadata"),
        (lambda row: row["features"]["pitch"].pop(), "are expected"),
    ],
)
def test_rows_that_were_tampered_with_are_refused(tmp_path, capsys, change, message):
    root = tmp_path / "clips"
    for index in range(3):
        write_clip(root, f"c{index}", seed=index)
    shards = packed(root)
    rewrite(shards, change)
    assert run("unpack", shards, tmp_path / "back") == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "back").exists() and not list(tmp_path.glob(".*"))


def test_other_parquet_is_refused(clips, capsys):
    shards = packed(clips)
    for path in (shards / "data").iterdir():
        pq.write_table(pq.read_table(path).drop_columns("provenance"), path)
    assert run("unpack", shards, clips.parent / "back") == 1
    assert "has no column 'provenance'" in capsys.readouterr().err
    assert run("unpack", clips, clips.parent / "back") == 1
    assert "has no shards" in capsys.readouterr().err
