"""The export step: what it refuses, when it runs again, and what it replaces."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from datasets import load_from_disk

from preprocess.cli.main import main
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import read_ecdc, write_ecdc
from tests.helpers.export import NAMES, SECONDS, TheirReading, export, parameters, token_tree
from tests.helpers.formats import random_ecdc
from tests.helpers.predecessor import preprocess


@pytest.fixture
def tokens(tmp_path) -> Path:
    """Four clips in two splits, with five parameters."""
    return token_tree(tmp_path / "ecdc")


@pytest.mark.parametrize("flags", [("--codebooks", "5"), ("--bandwidth", "6")])
def test_fewer_codebooks_are_the_first_ones(tokens, flags):
    status, out = export(tokens, *flags)
    theirs = TheirReading(out, "train")
    k = {"5": 5, "6": 8}[flags[1]]
    whole = read_ecdc(tokens / "train/b.ecdc").codes
    assert status == 0 and np.array_equal(theirs.codes(theirs.paths[2])[0], whole[:k])


def fails(tokens: Path, capsys, *flags: str) -> str:
    """Run an export that must fail; return its one line of error."""
    out = tokens.parent / "out"
    run = preprocess(capsys, "export", tokens, out, "--for", "rnencodec", *flags)
    assert run.status in (1, 2) and len(run.err) == 1 and not out.exists()
    assert not list(tokens.parent.glob(".*.tmp"))
    return str(run.err[0])


def test_more_codebooks_than_there_are_is_an_error_that_names_both(tokens, capsys):
    line = fails(tokens, capsys, "--codebooks", "17")
    assert "take.1.ecdc has 16 codebooks (12 kbps), fewer than the 17 requested (12.75" in line
    assert "16 codebooks (12 kbps), fewer than the 32" in fails(tokens, capsys, "--bandwidth", "24")
    assert "give only one" in fails(tokens, capsys, "--bandwidth", "6", "--codebooks", "8")
    assert "at most 32" in fails(tokens, capsys, "--codebooks", "33")


def test_another_codec_is_an_error_that_names_both(token_folder, capsys):
    line = fails(token_folder, capsys)
    assert "encodec_24khz_demo, but" in line and "decode only encodec_24khz" in line


def test_clips_of_two_bandwidths_need_a_number_of_codebooks(tokens, capsys):
    path = tokens / "train/b.ecdc"
    write_ecdc(path, random_ecdc("encodec_24khz", 47_987, 4))
    write_sidecar(path, parameters("train/b", 150))
    line = fails(tokens, capsys, "--allow-mixed")
    assert "has 4 codebooks, but the clips before it have 16" in line and "--codebooks 4" in line
    assert export(tokens, "--codebooks", "4")[0] == 0


def test_nan_is_an_error_or_the_number_that_stands_for_it(tokens, capsys):
    """Their loss would be NaN from the first batch on."""
    values = parameters("train/b", 150)
    values["level"] = {"values": [np.nan, -10.0] * 75, "units": "dB", "nan": "silence"}
    write_sidecar(tokens / "train/b.ecdc", values)
    assert "parameter 'level' is NaN at frame 0" in fails(tokens, capsys)
    _, out = export(tokens, "--nan", "-99")
    theirs = TheirReading(out, "train")
    array, meta = theirs.array(theirs.paths[2])
    assert array[:2, 1].tolist() == [-99, -10]
    assert meta["norm"]["min"][1] > -99, "it is no measured value"
    assert theirs.first(theirs.paths[2], ["level"])[0, 0] == 0, "clipped to the lower end"


def test_values_that_float32_rounds_are_an_error(tokens, capsys):
    for clip, seconds in SECONDS.items():
        unix = {"unix": 1.7e9 + np.arange(75 * seconds)}
        write_sidecar(tokens / f"{clip}.ecdc", unix, dtype="float64", mode="replace-all")
    line = fails(tokens, capsys)
    assert "float32 would change" in line and "subtract a common offset" in line


def test_a_failure_leaves_the_export_that_was_there(tokens, capsys, monkeypatch):
    _, out = export(tokens)

    def full(path: Path, *_: object) -> None:
        path.write_bytes(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("preprocess.publish.rnencodec.write_tokens", full)
    status, _ = export(tokens, "--codebooks", "2")
    assert status == 1 and "No space left on device" in capsys.readouterr().err
    assert TheirReading(out, "train").codes(out / "tokens/train/b.ecdc").shape[1] == 16
    assert [path.name for path in out.parent.iterdir()] == ["hf_dataset"]


def test_what_a_killed_run_left_goes_with_the_next(tokens):
    """Half an export lies beside its place, never in it."""
    left = tokens.parent / "corpus/.hf_dataset.00000000-1-1-00000000.tmp"
    (left / "dataset").mkdir(parents=True)
    os.utime(left, (0, 0))
    assert export(tokens)[0] == 0 and not left.exists()


def test_clips_without_sidecars(tokens, capsys):
    for path in tokens.rglob("validation/c.cond.*"):
        path.unlink()
    assert "has no sidecar" in fails(tokens, capsys)
    status, out = export(tokens, "--missing-sidecar", "skip")
    assert status == 0 and list(load_from_disk(str(out))) == ["train"]
    for path in tokens.rglob("*.cond.*"):
        path.unlink()
    assert "no clip under" in fails(tokens, capsys)


def test_splits_are_those_of_build(tokens):
    split = ["--split-by", "group", "--fractions", "train=0.5", "test=0.5"]
    _, out = export(tokens, *split)
    built = tokens.parent / "built"
    assert main(["build", str(tokens), str(built), *split]) == 0
    ours, theirs = load_from_disk(str(built)), load_from_disk(str(out))
    assert {n: rows["audio"] for n, rows in ours.items()} == {
        n: rows["audio"] for n, rows in theirs.items()
    }


def test_it_is_made_again_only_where_something_changed(tokens, capsys):
    _, out = export(tokens)
    before = (out / "enchf_export.json").stat().st_ino
    export(tokens)
    assert (out / "enchf_export.json").stat().st_ino == before
    assert "4 up to date" in capsys.readouterr().out
    write_sidecar(tokens / "train/b.ecdc", {"gain": np.full(150, 441.0)})
    export(tokens)
    assert load_from_disk(str(out))["train"]["gain"] == [440, 440, 441]
    assert not list(out.parent.glob(".*.tmp"))


def test_what_it_did_not_make_is_not_replaced(tokens, capsys):
    _, out = export(tokens)
    (out / "notes.txt").write_text("mine")
    assert export(tokens, "--codebooks", "2")[0] == 2
    assert "notes.txt was not made by export" in capsys.readouterr().err
    (out / "notes.txt").rename(tokens.parent / "notes.txt")
    (out / "enchf_export.json").unlink()
    assert export(tokens, "--codebooks", "2")[0] == 2
    assert "is not a dataset made by export" in capsys.readouterr().err
    assert read_ecdc(out / "tokens/train/b.ecdc").codes.shape[0] == 16


def test_our_own_tools_read_an_export_back(tokens):
    """Codes, values and ranges are those that went in, and the audit passes."""
    _, out = export(tokens)
    for clip in SECONDS:
        old, new = tokens / f"{clip}.ecdc", out / f"tokens/{clip}.ecdc"
        a, b = read_ecdc(old), read_ecdc(new)
        assert np.array_equal(a.codes, b.codes) and a.audio_length == b.audio_length
        before, after = read_sidecar(old).parameters, read_sidecar(new).parameters
        for name in NAMES:
            np.testing.assert_array_equal(
                after[name].values, before[name].values.astype(np.float32)
            )
            assert (after[name].units, after[name].kind) == (before[name].units, before[name].kind)
    assert main(["audit", str(out / "tokens")]) == 0


def test_clips_made_otherwise_are_refused_or_named_in_the_export(tokens, capsys):
    path = tokens / "train/b.ecdc"
    ecdc = read_ecdc(path)
    write_ecdc(path, dataclasses.replace(ecdc, extra={"rec": "other", "by": "enchf-dataset 9"}))
    write_sidecar(path, parameters("train/b", 150))
    line = fails(tokens, capsys)
    assert "tokens by other settings" in line and "--allow-mixed" in line
    status, out = export(tokens, "--allow-mixed")
    assert (
        status == 0
        and "train/b.ecdc" in json.loads((out / "enchf_export.json").read_text())["mixed"]
    )
