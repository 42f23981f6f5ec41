"""Outputs that are not ours are never overwritten or deleted; of ours, those without a source go."""

from __future__ import annotations

import os

import numpy as np
import pytest

from preprocess.core.errors import UsageError
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.outputs import may_write_tokens, owns_tokens, refuse_nested
from tests.helpers.commands import (
    assert_says,
    cut,
    files_under,
    run,
    write_tokens,
    write_tone,
    write_wav,
)

ENCODE = "encode @ @ --codec encodec_24khz_demo --device cpu"
OURS = {"rec": "r", "by": "enchf-dataset 0.1.0"}


@pytest.fixture
def trees(tmp_path, capsys):
    """A folder of two recordings with the outputs of all steps."""
    for name, seconds in (("s/a", 0.2), ("b", 0.3)):
        write_tone(tmp_path / f"in/{name}.wav", seconds)
    (tmp_path / "r.yaml").write_text(
        f"input: {tmp_path}/in\noutput: {tmp_path}/out\ncodec: encodec_24khz_demo\ndevice: cpu\n"
        "annotate: [{ramp: {name: x, start: 0, end: 1}}]\n"
    )
    assert run(capsys, "run @", tmp_path / "r.yaml").status == 0
    return tmp_path


@pytest.mark.parametrize("flags", ["", "--overwrite", "--dry-run"])
def test_a_users_own_wav_where_normalize_would_write_is_an_error(tmp_path, capsys, flags):
    write_tone(tmp_path / "in/a.wav")
    write_tone(tmp_path / "in/b.wav")
    mine = write_wav(tmp_path / "out/a.wav", np.full(100, 0.5)).read_bytes()
    result = run(capsys, f"normalize @ @ {flags}", tmp_path / "in", tmp_path / "out")
    assert result.status == 1
    assert_says(result.error, [f"{tmp_path}/out/a.wav was not made by normalize"])
    assert (tmp_path / "out/a.wav").read_bytes() == mine


@pytest.mark.parametrize("extra", [{}, {"by": "someone else"}])
@pytest.mark.parametrize("flags", ["", "--overwrite", "--list-missing"])
def test_tokens_without_our_provenance_are_not_overwritten(tmp_path, capsys, extra, flags):
    write_tone(tmp_path / "in/a.wav")
    path = write_tokens(tmp_path / "out/a.ecdc", "encodec_24khz_demo", **extra)
    mine = path.read_bytes()
    result = run(capsys, f"{ENCODE} {flags}", tmp_path / "in", tmp_path / "out")
    assert result.status == 1
    assert_says(result.err[0], [f"{path} was not made by encode"])
    assert path.read_bytes() == mine


def test_what_a_power_cut_leaves_of_ours_may_be_written_anew(tmp_path):
    path = write_tokens(tmp_path / "a.ecdc", **OURS)
    data = path.read_bytes()
    for keep, ours in ((len(data) - 5, True), (30, False), (6, False), (2, False), (0, False)):
        path.write_bytes(data[:keep])
        assert may_write_tokens(path)
        assert owns_tokens(path) == ours, "what cannot be told is never deleted"
    for mine in (b"my notes", b"PK\x03\x04zip", b"ECDC\0\0\0\0\3[1]"):
        path.write_bytes(mine)
        assert not may_write_tokens(path) and not owns_tokens(path)


def test_outputs_that_are_not_ours_are_not_named_for_deletion(trees, capsys):
    write_wav(trees / "out/normalized/mine.wav", np.full(100, 0.5))
    write_tokens(trees / "out/ecdc/theirs.ecdc", "encodec_24khz_demo")
    wavs, tokens = trees / "out/normalized", trees / "out/ecdc"
    command = "normalize @ @ --codec encodec_24khz_demo"
    for flags in ("", "--prune", "--prune --dry-run"):
        assert run(capsys, f"{command} {flags}", trees / "in", wavs).err == []
        assert run(capsys, f"{ENCODE} {flags}", wavs, tokens).err == []
    assert (wavs / "mine.wav").exists()
    assert (tokens / "theirs.ecdc").exists()


def test_prune_deletes_what_has_no_source_in_every_step_of_a_run(trees, capsys):
    before = files_under(trees / "out")
    (trees / "in/s/a.wav").unlink()
    gone = {"normalized/s/a.wav", "ecdc/s/a.ecdc", "ecdc/s/a.cond.npy", "ecdc/s/a.cond.json"}
    plan = run(capsys, "run @ --prune --dry-run", trees / "r.yaml")
    assert plan.status == 0
    named = {line.split()[4].removeprefix(f"{trees}/out/").rstrip(":") for line in plan.err}
    assert named == gone
    assert "4 files to delete" in plan.out[-1]
    assert files_under(trees / "out") == before
    result = run(capsys, "run @ --prune", trees / "r.yaml")
    assert result.status == 0
    left = files_under(trees / "out")
    assert not gone & left
    assert {"normalized/b.wav", "ecdc/b.ecdc", "ecdc/b.cond.npy"} <= left
    assert not (trees / "out/dataset/tokens/s/a.ecdc").is_symlink()
    assert "1 file pruned" in result.out[0] and "2 files pruned" in result.out[2]
    again = run(capsys, "run @ --prune", trees / "r.yaml")
    assert again.out[-1] == "nothing to do: every output is up to date"


def test_without_prune_they_are_named_and_with_a_dry_run_too(trees, capsys):
    (trees / "in/b.wav").unlink()
    paths = (trees / "in", trees / "out/normalized")
    command = "normalize @ @ --codec encodec_24khz_demo"
    assert_says(run(capsys, command, *paths).error, ["normalized/b.wav: the source is gone"])
    dry = run(capsys, f"{command} --prune --dry-run", *paths)
    assert_says(dry.error, [f"would delete {trees}/out/normalized/b.wav"])
    assert (trees / "out/normalized/b.wav").exists()


def test_a_source_that_fails_or_is_not_chosen_is_not_gone(trees, capsys):
    paths = (trees / "in", trees / "out/normalized")
    command = "normalize @ @ --codec encodec_24khz_demo --prune"
    cut(trees / "in/b.wav", 100)
    result = run(capsys, command, *paths)
    assert_says("\n".join(result.err), ["normalized/b.wav: from an earlier run"])
    write_tone(trees / "in/c.flac")
    assert run(capsys, f"{command} --extensions flac", *paths).status == 0
    assert (
        run(capsys, f"{ENCODE} --prune --no-recursive", *paths[1:], trees / "out/ecdc").status == 0
    )
    assert {"normalized/b.wav", "normalized/s/a.wav", "ecdc/s/a.ecdc"} <= files_under(trees / "out")


def test_a_folder_that_lost_all_its_files_prunes_nothing(trees, capsys):
    """As an unmounted disk does."""
    before = files_under(trees / "out")
    for path in (trees / "in").rglob("*.wav"):
        path.unlink()
    assert run(capsys, "run @ --prune", trees / "r.yaml").status == 2
    assert files_under(trees / "out") == before


def test_a_sidecar_with_work_by_hand_outlives_its_tokens(trees, capsys):
    root = trees / "out/ecdc"
    write_sidecar(root / "b.ecdc", {"mine": np.zeros(23)})
    (root / "b.ecdc").unlink()
    result = run(capsys, "annotate @ --prune --constant name=x value=1", root)
    assert_says(result.error, ["b.cond.json: its tokens are gone", "kept"])
    assert {"b.cond.npy", "b.cond.json"} <= files_under(root)


def test_run_takes_a_dry_run_for_prune_alone(trees, capsys):
    assert_says(
        run(capsys, "run @ --dry-run", trees / "r.yaml").error, ["--dry-run requires --prune"]
    )


def test_a_users_own_file_in_a_built_dataset_stops_its_replacement(trees, capsys):
    mine = trees / "out/dataset/thoughts.txt"
    mine.write_text("mine")
    (trees / "in/b.wav").unlink()
    result = run(capsys, "run @ --prune", trees / "r.yaml")
    assert result.status == 2
    assert f"{mine} was not made by build" in result.err[-1]
    assert mine.read_text() == "mine"


LAYOUTS = {
    "equal": ("a", "a"),
    "inside": ("a", "a/b"),
    "around": ("a/b", "a"),
    "by a link": ("a", "link/b"),
    "link around": ("a/b", "link"),
    "dots": ("a/../a/b", "a/b/../b/c"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_step_writes_into_its_input_or_around_it(tmp_path, capsys, monkeypatch, layout):
    monkeypatch.chdir(tmp_path)
    source, output = LAYOUTS[layout]
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    real = tmp_path / source
    write_tone(real / "x.wav")
    write_tokens(real / "x.ecdc")
    before = files_under(tmp_path)
    for command in ("normalize @ @", ENCODE, "build @ @"):
        result = run(capsys, command, source, output)
        assert result.status == 2
        assert_says(result.error, [f"output {output} ", "input folder"])
    assert files_under(tmp_path) == before


def test_run_and_migrate_refuse_nested_folders(trees, capsys):
    before = files_under(trees)
    result = run(capsys, "run @ --output @", trees / "r.yaml", trees / "in")
    assert result.status == 2
    assert_says(result.error, [f"{trees}/in/normalized is inside the input folder"])
    result = run(capsys, "migrate @ --cond-root @", trees / "out/ecdc", trees / "out")
    assert result.status == 2
    assert files_under(trees) == before


def test_an_output_that_a_link_in_the_input_leads_to_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match=r"is inside the input folder .*which .*in links to"):
        refuse_nested(tmp_path / "in", tmp_path / "out/x", [tmp_path / "out"])
    refuse_nested(tmp_path / "in", tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
