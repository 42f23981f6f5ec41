"""What an audit finds only by looking at all clips, or at how they were made; and its flags."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from preprocess.audit.findings import CHECKS, ERRORS, WARNINGS
from preprocess.core.files import digest_file
from preprocess.sidecar.sidecar_format import sidecar_paths
from preprocess.sidecar.writing import write_sidecar
from tests.helpers.commands import Run, assert_says, run, write_tokens, write_tone

FRAMES = 10


def annotated(root, name: str, samples: int = 3200, beside=None, **parameters):
    path = write_tokens(root / f"{name}.ecdc", samples=samples, seed=sum(map(ord, name)))
    frames = -(-samples // 320)
    parameters = parameters or {"x": np.arange(frames)}
    for part in sidecar_paths(path):
        part.unlink(missing_ok=True)
    where = None if beside is None else beside / f"{name}.ecdc"
    write_sidecar(path, parameters, beside=where, dtype="auto")
    return path


@pytest.fixture
def root(tmp_path):
    """Ten clips that are as they should be."""
    for number in range(10):
        annotated(tmp_path / "ecdc", f"clip{number}", 3200 + 320 * number)
    return tmp_path / "ecdc"


def findings(capsys, root, words: str = "", status: int | None = None) -> set[tuple[str, str]]:
    """Return check and file name of every finding."""
    result = run(capsys, f"audit @ --format json {words}", root)
    assert status in (None, result.status)
    rows = json.loads("\n".join(result.out))
    return {(row["check"], row["path"].removeprefix(str(root)).lstrip("/")) for row in rows}


def test_every_check_is_an_error_or_a_warning():
    assert not set(ERRORS) & set(WARNINGS)
    assert {*ERRORS, *WARNINGS} == set(CHECKS)


def test_the_same_tokens_twice_are_a_note_and_across_splits_an_error(root, capsys):
    shutil.rmtree(root)
    for rel in ("train/a", "train/b", "test/c"):
        annotated(root, rel)
    shutil.copy(root / "train/a.ecdc", root / "train/b.ecdc")
    write_sidecar(root / "train/b.ecdc", {"x": np.arange(FRAMES)})
    expected = {("duplicate", "train/b.ecdc")}
    assert findings(capsys, root, status=0) == expected
    # Its header says that another version made it; its tokens are the same.
    write_tokens(root / "test/c.ecdc", seed=sum(map(ord, "train/a")), by="another")
    write_sidecar(root / "test/c.ecdc", {"x": np.arange(FRAMES)})
    expected = {("duplicate_across_splits", f"train/{name}.ecdc") for name in "ab"}
    assert findings(capsys, root, status=1) == expected


def test_a_clip_much_shorter_or_longer_than_the_rest_is_a_note(root, capsys):
    annotated(root, "short", 320 * 1)
    annotated(root, "long", 320 * 200)
    expected = {("length_outlier", "short.ecdc"), ("length_outlier", "long.ecdc")}
    assert findings(capsys, root, status=0) == expected
    assert findings(capsys, root, "--length-factor 30") == set()
    assert findings(capsys, root, "--fail-on length_outlier", status=1) == expected


def test_a_parameter_that_never_changes_is_said_once(tmp_path, capsys):
    for number in range(3):
        still = np.full(FRAMES, 7)
        annotated(tmp_path, f"c{number}", still=still, place=np.full(FRAMES, number))
    result = run(capsys, "audit @", tmp_path)
    assert result.status == 0
    assert_says(result.error, ["note", "constant: 'still' is 7 in every frame of all 3 clips"])
    assert "0 errors, 1 warning" in result.out[-1]


def test_a_parameter_that_hangs_in_one_clip_is_a_note(tmp_path, capsys):
    for number in range(12):
        annotated(tmp_path, f"c{number}", x=np.arange(FRAMES) * (number != 5))
    result = run(capsys, "audit @", tmp_path)
    assert_says(result.error, ["c5.ecdc", "'x' is 0 in every frame, but varies"])


def test_nan_is_an_error_unless_the_parameter_says_what_it_stands_for(tmp_path, capsys):
    values = np.arange(FRAMES, dtype=float)
    values[3] = np.nan
    nothing = np.full(FRAMES, np.nan)
    annotated(tmp_path, "bad", x=values, y=np.arange(FRAMES))
    annotated(tmp_path, "fine", x={"values": values, "nan": "unvoiced"}, y=np.arange(FRAMES))
    annotated(tmp_path, "none", x={"values": nothing, "nan": "unvoiced"}, y=np.arange(FRAMES))
    expected = {("non_finite", "bad.cond.npy"), ("all_nan", "none.cond.npy")}
    assert findings(capsys, tmp_path, status=1) == expected


def test_units_and_kinds_that_differ_between_clips_are_errors(root, capsys):
    for rel, more in (("clip1", {"units": "Hz"}), ("clip2", {"kind": "categorical"})):
        annotated(root, rel, x={"values": np.arange(FRAMES), **more})
    expected = {("description", "clip1.ecdc"), ("description", "clip2.ecdc")}
    assert findings(capsys, root, status=1) == expected
    text = run(capsys, "audit @", root).err
    assert_says("\n".join(text), ["units of 'x': 'Hz', in most clips ''", "kind of 'x'"])


def test_a_parameter_that_most_clips_have_and_one_lacks_is_an_error(root, capsys):
    annotated(root, "clip3", y=np.arange(FRAMES))
    expected = {("missing_parameter", "clip3.ecdc"), ("extra_parameter", "clip3.ecdc")}
    assert findings(capsys, root, status=1) == expected


def test_parameters_of_other_tokens_or_other_audio_are_errors(tmp_path, capsys):
    for seed, name in enumerate("abc"):
        audio = write_tone(tmp_path / f"wav/{name}.wav", 0.2)
        src = digest_file(audio)
        write_tokens(tmp_path / f"ecdc/{name}.ecdc", samples=4800, seed=seed, src=src)
    command = f"annotate @ --audio-root {tmp_path}/wav --rms-db"
    ecdc = tmp_path / "ecdc"
    run(capsys, command, ecdc)
    assert findings(capsys, ecdc, status=0) == set()
    write_tokens(ecdc / "a.ecdc", samples=4800, seed=9)
    write_tokens(ecdc / "b.ecdc", samples=4800, seed=8, src="another")
    assert findings(capsys, ecdc, status=1) == {
        ("provenance", "a.cond.npy"),
        ("provenance", "b.cond.npy"),
    }
    run(capsys, command, ecdc)
    assert findings(capsys, ecdc) == {("provenance", "b.cond.npy")}
    assert_says(run(capsys, "audit @", ecdc).error, ["other audio than the tokens"])


def test_clips_of_other_settings_than_most_are_errors(tmp_path, capsys):
    for number in range(4):
        rec = "one" if number else "two"
        write_tokens(tmp_path / f"c{number}.ecdc", seed=number, rec=rec)
        ramp = "end=1" if number != 3 else "end=2"
        (tmp_path / "part").mkdir(exist_ok=True)
        shutil.move(tmp_path / f"c{number}.ecdc", tmp_path / "part")
        run(capsys, f"annotate @ --ramp name=x start=0 {ramp}", tmp_path / "part")
        for path in (tmp_path / "part").iterdir():
            shutil.move(path, tmp_path)
    (tmp_path / "part").rmdir()
    expected = {("mixed", "c0.ecdc"), ("mixed", "c3.ecdc")}
    assert findings(capsys, tmp_path, status=1) == expected


def test_codes_outside_of_the_codebook_are_found_in_old_files(root, capsys):
    codes = torch.full((1, 4, 10), 1024)
    torch.save({"audio_codes": codes}, root / "clip0.ecdc")
    assert findings(capsys, root, status=1) == {("token_values", "clip0.ecdc")}
    assert_says(run(capsys, "audit @", root).error, ["codes outside 0 to 1023"])


def test_old_token_files_are_audited_like_new_ones(root, capsys):
    torch.save({"audio_codes": torch.zeros((1, 2, 10), dtype=torch.int64)}, root / "old.ecdc")
    write_sidecar(root / "old.ecdc", {"x": np.arange(FRAMES)})
    assert findings(capsys, root, status=0) == set()


@pytest.fixture
def spoilt(root):
    """Two clips with a value out of range each, one without a sidecar."""
    for name in ("clip1", "clip2"):
        annotated(root, name, x={"values": np.arange(FRAMES), "min": 0, "max": 2})
    (root / "clip3.cond.npy").unlink()
    (root / "clip3.cond.json").unlink()
    return root


@pytest.mark.parametrize(
    ("fail_on", "status"),
    [
        ("", 1),
        ("--fail-on missing_sidecar", 1),
        ("--fail-on fps,dtype", 0),
        ("--fail-on fps out_of_range", 1),
    ],
)
def test_what_fails_an_audit_is_chosen(spoilt, capsys, fail_on, status):
    result = run(capsys, f"audit @ {fail_on}", spoilt)
    assert result.status == status
    assert len(result.err) == 3
    errors = [line for line in result.err if ": error: " in line]
    assert bool(errors) == bool(status)


def test_an_unknown_check_suggests_the_nearest(root, capsys):
    result = run(capsys, "audit @ --fail-on missing_sidecars", root)
    assert result.status == 2
    assert_says(result.error, ["'missing_sidecars'", "did you mean 'missing_sidecar'"])


def test_ranges_need_not_be_verified(spoilt, capsys):
    assert findings(capsys, spoilt, "--no-verify-ranges") == {("missing_sidecar", "clip3.ecdc")}


@pytest.mark.parametrize(("count", "lines"), [("1", 1), ("0", 0), ("2", 2), ("all", 3), ("-1", 3)])
def test_the_list_is_cut_where_it_is_asked_to_be(spoilt, capsys, count, lines):
    result = run(capsys, f"audit @ --list {count}", spoilt)
    listed = [line for line in result.err if "not listed" not in line]
    assert len(listed) == lines
    if lines < 3:
        assert_says(result.err[-1], [f"{3 - lines} more", "not listed"])
    assert "3 errors" in result.out[-1]
    assert run(capsys, "audit @ --list some", spoilt).status == 2


def test_all_findings_go_to_a_csv_file_whatever_is_listed(spoilt, tmp_path, capsys):
    run(capsys, f"audit @ --list 0 --export-csv {tmp_path}/out/f.csv", spoilt)
    with open(tmp_path / "out/f.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["check"] for row in rows} == {"missing_sidecar", "out_of_range"}
    assert len(rows) == 3


def test_shards_find_together_what_the_whole_finds(spoilt, capsys):
    (spoilt / "gone.cond.npy").touch()
    whole = findings(capsys, spoilt)
    shards = [findings(capsys, spoilt, f"--shard-index {i} --shard-count 3") for i in range(3)]
    assert set().union(*shards) == whole
    assert sum(map(len, shards)) == len(whole) == 4


@pytest.mark.parametrize("words", ["--shard-index 3 --shard-count 3", "--shard-index 0"])
def test_a_shard_that_is_none_is_wrong_usage(root, capsys, words):
    result = run(capsys, f"audit @ {words}", root)
    assert result.status == 2
    assert_says(result.error, ["shard_index", "shard_count"])


def test_sidecars_may_lie_in_a_folder_of_their_own(tmp_path, capsys):
    ecdc, cond = tmp_path / "ecdc", tmp_path / "cond"
    annotated(ecdc, "a/b", beside=cond)
    annotated(ecdc, "c", beside=cond)
    assert findings(capsys, ecdc, f"--cond-root {cond}", status=0) == set()
    (ecdc / "c.ecdc").unlink()
    (cond / "a/b.cond.json").unlink()
    result = run(capsys, f"audit @ --cond-root {cond}", ecdc)
    assert_says("\n".join(result.err), ["orphan_sidecar", "c.cond.npy", "b.cond.json is missing"])
    assert run(capsys, "audit @ --cond-root nowhere", ecdc).status == 2


def test_sidecars_may_end_in_another_suffix(tmp_path, capsys):
    path = write_tokens(tmp_path / "a.ecdc")
    write_sidecar(path, {"x": np.arange(FRAMES)}, suffix=".knobs.npy")
    assert (tmp_path / "a.knobs.json").exists()
    assert findings(capsys, tmp_path, "--suffix .knobs.npy", status=0) == set()
    (missing,) = findings(capsys, tmp_path, status=1)
    assert missing == ("missing_sidecar", "a.ecdc")


def test_the_folder_has_two_names_and_is_named_once(root, capsys):
    def call(words: str) -> Run:
        return run(capsys, words, root)

    assert call("audit --audio-root @").status == 0
    for words in ("audit", f"audit {root} --audio-root @"):
        assert_says(call(words).error, ["name the folder", "once"])


def test_processes_find_what_one_finds(spoilt, capsys, monkeypatch):
    (spoilt / "clip4.ecdc").write_text("no tokens")
    alone = findings(capsys, spoilt, "--jobs 1", status=1)
    monkeypatch.setattr("preprocess.steps.audit._CLIPS_A_PROCESS", 3)
    assert findings(capsys, spoilt, "--jobs 2", status=1) == alone
    assert len(alone) == 4
