"""Each thing that can be wrong with a sidecar is found, named and makes the exit status 1."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from preprocess.sidecar.writing import write_sidecar
from tests.helpers.commands import assert_says, cut, run, write_tokens


def annotated(root, name: str, samples: int = 3200, codec: str = "encodec_24khz"):
    path = write_tokens(root / f"{name}.ecdc", codec, samples, seed=len(name))
    frames = -(-samples // 320)
    level = {"values": np.linspace(-60, 0, frames), "min": -60, "max": 0}
    write_sidecar(path, {"level": level, "x": np.arange(frames)})


@pytest.fixture
def root(tmp_path):
    """Two clips that are as they should be; tests spoil `bad`."""
    annotated(tmp_path, "good")
    annotated(tmp_path, "s/bad")
    return tmp_path


def change_array(root, change):
    """Change the array of `bad` as an editor would: the JSON no longer knows its hash."""
    array = np.load(root / "s/bad.cond.npy")
    np.save(root / "s/bad.cond.npy", change(array))
    change_meta(root, array=None)


def change_meta(root, **keys):
    path = root / "s/bad.cond.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def set_value(value):
    def change(array):
        array[3, 0] = value
        return array

    return change


def unlink(root, *names):
    for name in names:
        (root / name).unlink()


SPOILT = {
    "no sidecar": (
        "missing_sidecar",
        lambda root: unlink(root, "s/bad.cond.npy", "s/bad.cond.json"),
        "",
        ["bad.ecdc"],
    ),
    "no array": (
        "unreadable_sidecar",
        lambda root: unlink(root, "s/bad.cond.npy"),
        "",
        ["bad.cond.npy is missing"],
    ),
    "no metadata": (
        "unreadable_sidecar",
        lambda root: unlink(root, "s/bad.cond.json"),
        "",
        ["bad.cond.json is missing"],
    ),
    "array cut": ("unreadable_sidecar", lambda root: cut(root / "s/bad.cond.npy", -2), "", []),
    "metadata cut": (
        "unreadable_sidecar",
        lambda root: cut(root / "s/bad.cond.json", 50),
        "",
        ["not JSON"],
    ),
    "other array": (
        "unreadable_sidecar",
        lambda root: np.save(root / "s/bad.cond.npy", np.zeros((10, 2), np.float16)),
        "",
        [],
    ),
    "a column too many": (
        "unreadable_sidecar",
        lambda root: change_array(root, lambda a: np.hstack([a, a])),
        "",
        ["4 columns", "names 2"],
    ),
    "header cut": (
        "unreadable_tokens",
        lambda root: cut(root / "s/bad.ecdc", 20),
        "",
        ["bad.ecdc: ", "is truncated"],
    ),
    "tokens cut in half": (
        "unreadable_tokens",
        lambda root: cut(root / "s/bad.ecdc", -10),
        "",
        ["bad.ecdc: ", "is truncated"],
    ),
    "no tokens at all": (
        "unreadable_tokens",
        lambda root: (root / "s/bad.ecdc").write_text("no tokens"),
        "",
        ["bad.ecdc: ", "is not an .ecdc file"],
    ),
    "more frames": (
        "misaligned",
        lambda root: change_array(root, lambda a: np.vstack([a, a])),
        "",
        ["20 frames", "bad.ecdc has 10"],
    ),
    "of audio a sample shorter": (
        "misaligned",
        lambda root: write_tokens(root / "s/bad.ecdc", samples=3199),
        "",
        ["audio_length 3200", "3199"],
    ),
    "another rate": ("fps", lambda root: change_meta(root, fps=50), "", ["50", "75"]),
    "no rate": ("fps", lambda root: change_meta(root, fps=None), "", ["no frames", "75"]),
    "float64": (
        "dtype",
        lambda root: change_array(root, lambda a: a.astype(np.float64)),
        "--expect-dtype float32",
        ["float64", "float32"],
    ),
    "below its range": (
        "out_of_range",
        lambda root: change_array(root, set_value(-61)),
        "",
        ["'level' is -61 in frame 3", "-60 to 0"],
    ),
    "above its range": (
        "out_of_range",
        lambda root: change_array(root, set_value(1)),
        "",
        ["'level' is 1 in frame 3"],
    ),
    "nan": (
        "non_finite",
        lambda root: change_array(root, set_value(np.nan)),
        "",
        ["'level' is nan in frame 3"],
    ),
    "inf": (
        "non_finite",
        lambda root: change_array(root, set_value(-np.inf)),
        "",
        ["'level' is -inf in frame 3"],
    ),
    "orphan": (
        "orphan_sidecar",
        lambda root: (root / "s/gone.cond.json").write_text("{}"),
        "",
        ["gone.cond.json"],
    ),
}


@pytest.mark.parametrize(("check", "spoil", "words", "parts"), SPOILT.values(), ids=SPOILT)
def test_what_is_wrong_is_found_once(root, capsys, check, spoil, words, parts):
    assert run(capsys, f"audit @ {words}", root).status == 0
    spoil(root)
    result = run(capsys, f"audit @ {words}", root)
    assert result.status == 1
    assert f"{check}: " in result.error
    assert str(root / "s") in result.error
    assert_says(result.error, parts)
    assert "1 error" in result.out[-1]
    (finding,) = json.loads("\n".join(run(capsys, f"audit @ {words} --format json", root).out))
    assert finding["check"] == check
    assert finding["frame"] == (3 if check in ("out_of_range", "non_finite") else None)


def test_tokens_of_another_codec_fit_neither_their_sidecar_nor_the_other_clips(root, capsys):
    write_tokens(root / "s/bad.ecdc", "encodec_24khz_demo")
    result = run(capsys, "audit @", root)
    assert result.status == 1
    misaligned, codec = sorted(result.err)
    assert_says(misaligned, ["bad.cond.npy: misaligned", "encodec_24khz,", "encodec_24khz_demo"])
    assert_says(codec, ["bad.ecdc: codec", "encodec_24khz_demo"])


@pytest.mark.parametrize("options", ["", "--require level x", "--expect-fps 75", "--jobs 2"])
def test_a_clean_tree_is_clean(root, capsys, options):
    result = run(capsys, f"audit @ {options}", root)
    assert (result.status, result.err) == (0, [])
    assert "2 clips" in result.out[-1]
    assert "0 errors" in result.out[-1]


@pytest.mark.parametrize(
    ("options", "check", "part"),
    [
        ("--require level pitch", "missing_parameter", "'pitch'"),
        ("--expect-fps 50", "fps", "expected 50"),
        ("--expect-dtype float64", "dtype", "expected float64"),
    ],
)
def test_what_is_asked_for_is_held_against_every_clip(root, capsys, options, check, part):
    result = run(capsys, f"audit @ {options}", root)
    assert result.status == 1
    assert len(result.err) == 2
    assert all(check in line and part in line for line in result.err)


@pytest.mark.parametrize(("tolerance", "status"), [(0.001, 1), (0.1, 0)])
def test_the_range_has_a_tolerance(root, capsys, tolerance, status):
    change_array(root, set_value(1))
    assert run(capsys, f"audit @ --range-tol {tolerance}", root).status == status


def test_rounding_to_float16_is_not_out_of_range(tmp_path, capsys):
    path = write_tokens(tmp_path / "a.ecdc")
    values = np.linspace(1000.4, 2000.4, 10)
    write_sidecar(path, {"x": {"values": values, "min": 1000.4, "max": 2000.4}})
    assert run(capsys, "audit @", tmp_path).status == 0


def test_48_khz_is_held_to_its_own_time(tmp_path, capsys):
    path = write_tokens(tmp_path / "a.ecdc", "encodec_48khz", 480_000)
    write_sidecar(path, {"x": np.zeros(1515)})
    assert run(capsys, "audit @ --expect-fps 150", tmp_path).status == 0


def spoil_three(root) -> list[tuple[str, str]]:
    """Leave three findings; return check and path of each."""
    change_array(root, set_value(np.nan))
    write_tokens(root / 'odd "name", really.ecdc')
    (root / "gone.cond.npy").touch()
    return [
        ("missing_sidecar", str(root / 'odd "name", really.ecdc')),
        ("non_finite", str(root / "s/bad.cond.npy")),
        ("orphan_sidecar", str(root / "gone.cond.npy")),
    ]


@pytest.mark.parametrize(
    ("form", "parse"),
    [
        ("json", lambda lines: json.loads("\n".join(lines))),
        ("csv", lambda lines: list(csv.DictReader(lines))),
    ],
)
def test_findings_are_for_other_programs_too(root, capsys, form, parse):
    assert parse(run(capsys, f"audit @ --format {form}", root).out) == []
    expected = spoil_three(root)
    result = run(capsys, f"audit @ --format {form}", root)
    assert result.status == 1
    rows = parse(result.out)
    assert sorted((row["check"], row["path"]) for row in rows) == sorted(expected)
    assert all(row["message"] for row in rows)


def test_text_has_a_line_for_each_finding(root, capsys):
    expected = spoil_three(root)
    result = run(capsys, "audit @ --format text", root)
    assert sorted(line.split(": ")[2:4][::-1] for line in result.err) == sorted(map(list, expected))
    assert "3 errors" in result.out[-1]


def test_a_path_is_said_once_in_a_line(root, capsys):
    (root / "s/bad.ecdc").write_text("no tokens")
    line = run(capsys, "audit @", root).error
    assert line.count(str(root / "s/bad.ecdc")) == 1


@pytest.mark.parametrize("empty", [True, False])
def test_no_tokens_are_wrong_usage(tmp_path, capsys, empty):
    if empty:
        (tmp_path / "ecdc").mkdir()
    result = run(capsys, "audit @ --format json", tmp_path / "ecdc")
    assert (result.status, result.out) == (2, [])
    assert str(tmp_path / "ecdc") in result.error
