"""Curves from CSV, JSON, arrays and MIDI come out at the frames, described and checked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.sidecar.reading import read_sidecar
from tests.helpers.clips import clip_of
from tests.helpers.commands import assert_says, run, write_tokens
from tests.helpers.curves import curve, parameters
from tests.helpers.formats import one_line

TIMES = np.arange(0, 1.01, 0.01)
PITCH = 440 + 100 * TIMES


def write_rows(path):
    text = "".join(f"{t:.2f},{p:.1f}\n" for t, p in zip(TIMES, PITCH, strict=True))
    path.write_text("time,pitch\n" + text)


WRITERS = {
    "c.csv": write_rows,
    "columns.json": lambda p: p.write_text(
        json.dumps({"time": TIMES.tolist(), "pitch": PITCH.tolist()})
    ),
    "rows.json": lambda p: p.write_text(
        json.dumps([{"time": t, "pitch": v} for t, v in zip(TIMES, PITCH, strict=True)])
    ),
    "rate.json": lambda p: p.write_text(json.dumps({"rate_hz": 100, "pitch": PITCH.tolist()})),
    "c.npy": lambda p: np.save(p, PITCH),
    "two.npy": lambda p: np.save(p, PITCH[:, None].astype(np.float32)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_curve(tmp_path, name):
    WRITERS[name](tmp_path / name)
    rate = {"rate_hz": 100.0} if name.endswith(".npy") else {}
    found = parameters(
        tmp_path, name.split(".")[0], columns=["pitch"], units={"pitch": "Hz"}, **rate
    )
    centres = (np.arange(75) * 320 + 160) / 24_000
    np.testing.assert_allclose(found["pitch"]["values"], 440 + 100 * centres, rtol=1e-6)
    assert (found["pitch"]["units"], found["pitch"]["kind"]) == ("Hz", "continuous")


def test_the_kind_decides_how_it_is_interpolated(tmp_path):
    (tmp_path / "c.csv").write_text("t,scene,phase\n0,0,350\n0.5,3,10\n1,3,30\n")
    settings = {"time": "t", "columns": ["scene", "phase"], "units": {"phase": "deg"}}
    kinds = {"scene": "categorical", "phase": "circular"}
    found = parameters(tmp_path, kind=kinds, **settings)
    assert set(found["scene"]["values"]) == {0, 3}
    phase = found["phase"]["values"]
    assert np.all((phase >= 350) | (phase <= 30))
    assert set(parameters(tmp_path, interpolation="step", **settings)["phase"]["values"]) <= {
        350,
        10,
        30,
    }
    turned = parameters(tmp_path, interpolation="circular", time="t", columns=["phase"])
    assert turned["phase"]["kind"] == "circular"


def test_columns_are_renamed_and_an_empty_cell_is_nan(tmp_path):
    (tmp_path / "c.csv").write_text("time,Cut Off\n0,1\n0.5,\n1,1\n")
    found = parameters(tmp_path, columns={"cutoff": "Cut Off"})
    assert np.isnan(found["cutoff"]["values"]).any()
    assert found["cutoff"]["nan"] == "no value in the curve"


@pytest.mark.parametrize(
    ("name", "content", "settings", "words"),
    [
        ("c.csv", "time,pitch\n0,1\n0.1,1\n", {}, ["pitch: the curve ends at 0.1 s", "hold"]),
        ("c.csv", "t,pitch\n0,1\n", {}, ["no column 'time'", "rate_hz", "t, pitch"]),
        ("c.csv", "time,pich\n0,1\n", {}, ["no column 'pitch'", "did you mean 'pich'"]),
        ("c.csv", "time,pitch\n0,high\n", {}, ["pitch", "has words", "'high'"]),
        ("c.csv", "time,pitch\n0,1\n1,high\n", {}, ["pitch", "'high'", "row 2"]),
        ("c.csv", "time,pitch\n1,1\n0,1\n", {}, ["go back from 1 s to 0 s"]),
        ("c.csv", "time,pitch\n0,1\n1,inf\n", {}, ["infinite"]),
        ("c.csv", "", {}, ["no rows"]),
        ("c.json", "[" * 10_000, {}, ["is not JSON"]),
        ("c.json", "{", {}, ["is not JSON"]),
        ("c.json", "3", {}, ["an object of columns"]),
        ("c.json", '{"time": 3}', {}, ["'time' must be a list"]),
        ("c.json", '{"time": [0, 1], "pitch": [1]}', {}, ["2 times, but 1 values"]),
        ("c.json", '{"time": [0], "pitch": [[1]]}', {}, ["got a list or an object in row 1"]),
        (
            "c.json",
            '{"rate_hz": "fast", "pitch": [1]}',
            {},
            ["rate_hz must be a number, got 'fast'"],
        ),
        ("c.npy", "no array", {"rate_hz": 10}, ["is not an array"]),
        ("c.mid", "MThd", {"columns": ["note"]}, ["is not a readable MIDI file"]),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, name, content, settings, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, **{"columns": ["pitch"], **settings})
    one_line(error, name, *words)


def test_arrays_are_read_without_pickles_and_of_the_right_shape(tmp_path):
    for array, settings, words in (
        (np.array([{"a": 1}], object), {"rate_hz": 10}, "is not an array"),
        (np.zeros((10, 3)), {"rate_hz": 10}, "must be [N, 1]"),
        (np.zeros(10), {}, "set rate_hz"),
        (np.array(["a"]), {"rate_hz": 10}, "numbers"),
    ):
        np.save(tmp_path / "c.npy", array, allow_pickle=True)
        with pytest.raises(PreprocessError) as error:
            parameters(tmp_path, columns=["pitch"], **settings)
        one_line(error, "c.npy", words)


def test_a_json_file_of_a_gigabyte_is_not_read(tmp_path):
    with open(tmp_path / "c.json", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["pitch"])
    one_line(error, "c.json", "64 MiB")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"columns": []}, "columns"),
        ({"columns": ["Cut Off"]}, "'Cut Off' cannot name"),
        ({"columns": ["x"], "units": {"y": "Hz"}}, "units names 'y'"),
        ({"columns": ["x"], "channel": 17}, "channel"),
        ({"columns": ["x"], "kind": {"x": "categorical"}, "interpolation": "linear"}, "step"),
        ({"columns": ["x"], "outside": "loop"}, "outside"),
        ({"columns": ["x"], "root": "nowhere"}, "nowhere does not exist"),
    ],
)
def test_wrong_settings_are_said_before_any_clip(tmp_path, settings, words):
    with pytest.raises(UsageError) as error:
        curve(**{"root": tmp_path, **settings})
    one_line(error, words)


def test_two_files_for_one_clip_are_refused(tmp_path):
    write_rows(tmp_path / "c.csv")
    write_rows(tmp_path / "c.tsv")
    with pytest.raises(UsageError) as error:
        curve(tmp_path, columns=["pitch"])
    one_line(error, "c.csv", "c.tsv", "both match c")


@pytest.fixture
def root(tmp_path):
    for name in ("a/take.1", "a/take.2"):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc", samples=24_000)
    (tmp_path / "curves/a").mkdir(parents=True)
    return tmp_path / "ecdc"


def test_files_and_clips_without_a_counterpart_are_listed(root, tmp_path, capsys):
    curves = tmp_path / "curves"
    write_rows(curves / "a/take.1.csv")
    write_rows(curves / "b.csv")
    command = f"annotate @ --curve root={curves} columns=[pitch]"
    result = run(capsys, command, root)
    assert result.status == 1
    assert_says("\n".join(result.err), ["1 curve without a clip: b", "no curve for 'a/take.2'"])
    result = run(capsys, f"{command} missing=nan", root)
    assert result.status == 0
    assert_says("\n".join(result.err), ["no curve for 1 clip: a/take.2"])
    assert read_sidecar(root / "a/take.2.ecdc").parameters["pitch"].nan == "no curve"
    write_rows(curves / "a/take.2.csv")
    assert_says(run(capsys, f"{command} missing=nan", root).out[-1], ["1 clip in", "1 up to date"])


def test_curves_may_lie_beside_the_tokens_and_their_sidecars(root, capsys):
    for name in ("a/take.1", "a/take.2"):
        write_rows(root / f"{name}.csv")
    for rate in (1, 2):  # the second time, sidecars lie there as well
        units = f"'units={{pitch: Hz{rate}}}'"
        result = run(capsys, f"annotate @ --curve root={root} columns=pitch {units}", root)
        assert (result.status, result.err) == (0, [])
        assert read_sidecar(root / "a/take.1.ecdc").parameters["pitch"].units == f"Hz{rate}"


def test_a_folder_of_other_clips_stops_before_any(root, tmp_path, capsys):
    write_rows(tmp_path / "curves/b.csv")
    result = run(capsys, f"annotate @ --curve root={tmp_path}/curves columns=[pitch]", root)
    assert result.status == 2
    assert_says(result.error, ["no curve for any clip", "'a/take.1'", "'b'"])


def test_a_users_function_gets_the_same_resampling():
    clip = clip_of(24_000)
    values = clip.at_frames(np.arange(101.0), rate_hz=100)
    np.testing.assert_allclose(values, 100 * clip.frame_centres_s, atol=1e-9)
    step = clip.at_frames([1, 2], times_s=[0, 0.5], interpolation="step")
    assert (step[0], step[-1]) == (1, 2)
    around = clip.at_frames([350, 10], times_s=[0, 1], interpolation="circular")
    assert np.all((around >= 350) | (around <= 10))
