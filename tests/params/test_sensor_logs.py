"""Logs as instruments and people write them: their times, their words, their rates."""

from __future__ import annotations

import datetime

import numpy as np
import openpyxl
import pytest

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.sidecar.reading import read_sidecar
from preprocess.tokens.frames import n_frames
from preprocess.tokens.specs import codec_spec
from tests.helpers.commands import assert_says, run, write_tokens
from tests.helpers.curves import curve, parameters
from tests.helpers.formats import one_line

SECONDS = np.arange(0, 1.01, 0.05)
CENTRES = (np.arange(75) * 320 + 160) / 24_000
START = datetime.datetime(2024, 5, 1, 23, 59, 59, 500_000)  # midnight falls into it
UNIX = 1_714_607_999.5


def iso(seconds: float, zone: str = "", separator: str = "T") -> str:
    text = (START + datetime.timedelta(seconds=seconds)).isoformat(separator, "milliseconds")
    return text + zone


STAMPS = {
    "seconds": (lambda t: f"{t:.3f}", {}),
    "milliseconds": (lambda t: f"{1000 * t:.0f}", {"scale": 0.001}),
    "samples": (lambda t: f"{44_100 * t:.0f}", {"scale": 1 / 44_100}),
    "h:mm:ss": (lambda t: f"0:00:{t:06.3f}", {}),
    "m:ss": (lambda t: f"0:{t:06.3f}", {}),
    "iso": (iso, {}),
    "iso with a space": (lambda t: iso(t, separator=" "), {}),
    "iso in utc": (lambda t: iso(t, "Z"), {}),
    "iso in a zone": (lambda t: iso(t, "+05:30"), {}),
    "iso to the nanosecond": (lambda t: iso(t, "000000"), {}),
    "unix seconds": (lambda t: f"{UNIX + t:.3f}", {}),
    "unix milliseconds": (lambda t: f"{1000 * (UNIX + t):.0f}", {}),
    "unix microseconds": (lambda t: f"{1e6 * (UNIX + t):.0f}", {}),
    "unix nanoseconds": (lambda t: f"{round(1000 * (UNIX + t))}000000", {}),
    "unix of 1970": (lambda t: f"{1000 * t:.0f}", {"time_as": "unix_ms"}),
}


def write_log(path, stamp, values, times=SECONDS, column="time,x"):
    rows = "".join(f"{stamp(t)},{v}\n" for t, v in zip(times, values, strict=True))
    path.write_text(f"{column}\n{rows}")


@pytest.mark.parametrize("name", STAMPS)
def test_times_of_every_kind_are_the_same_curve(tmp_path, name):
    stamp, settings = STAMPS[name]
    write_log(tmp_path / "c.csv", stamp, SECONDS)
    values = parameters(tmp_path, columns=["x"], **settings)["x"]["values"]
    np.testing.assert_allclose(values, CENTRES, atol=1e-6)


def test_one_moment_in_two_zones_is_one_time(tmp_path):
    rows = "2024-05-01T12:00:00+02:00,0\n2024-05-01T10:00:00.5Z,5\n2024-05-01T08:00:01-0200,10\n"
    (tmp_path / "c.csv").write_text(f"time,x\n{rows}")
    values = parameters(tmp_path, columns=["x"])["x"]["values"]
    np.testing.assert_allclose(values, 10 * CENTRES, atol=1e-9)


def test_dates_of_excel_are_times(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["time", "x"])
    for seconds in SECONDS:
        book.active.append([START + datetime.timedelta(seconds=seconds), seconds])
    book.save(tmp_path / "c.xlsx")
    values = parameters(tmp_path, columns=["x"])["x"]["values"]
    np.testing.assert_allclose(values, CENTRES, atol=1e-3)  # Excel rounds to the millisecond


def test_offset_and_scale_place_a_log_in_its_clip(tmp_path):
    """A log in milliseconds that was started two seconds before the recording."""
    times = np.arange(0, 4, 0.1)
    write_log(tmp_path / "c.csv", lambda t: f"{1000 * t:.0f}", times, times)
    settings = {"columns": ["x"], "scale": 0.001, "offset_s": -2.0}
    np.testing.assert_allclose(parameters(tmp_path, **settings)["x"]["values"], CENTRES + 2)
    np.save(tmp_path / "d.npy", times)
    values = parameters(tmp_path, "d", rate_hz=10_000.0, scale=1000.0, offset_s=-2.0, columns=["x"])
    np.testing.assert_allclose(values["x"]["values"], CENTRES + 2)


@pytest.mark.parametrize(
    ("cells", "settings", "words"),
    [
        (["0", "soon"], {}, ["time is 'soon' in row 2", "a number, ISO 8601"]),
        (["0", ""], {}, ["time is '' in row 2"]),
        (["2024-13-01T00:00:00", "2024-05-01T00:00:01"], {}, ["'2024-13-01T00:00:00' in row 1"]),
        (["05/01/2024 12:00:00", "05/01/2024 12:00:01"], {}, ["'05/01/2024 12:00:00' in row 1"]),
        (
            ["2024-05-01T00:00:00Z", "2024-05-01T00:00:01"],
            {},
            ["only some rows of time have a time zone"],
        ),
        (["0", "1"], {"time_as": "iso"}, ["time is '0' in row 1", "expected ISO 8601"]),
        (["0", "0:01"], {"time_as": "unix_s"}, ["'0:01' in row 2", "expected a number"]),
        (["2024-05-01T00:00:01", "2024-05-01T00:00:00"], {}, ["go back from 0 s to -1 s"]),
    ],
)
def test_times_that_are_none_are_one_line(tmp_path, cells, settings, words):
    (tmp_path / "c.csv").write_text("time,x\n" + "".join(f"{cell},1\n" for cell in cells))
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["x"], **settings)
    one_line(error, "c.csv", *words)


def test_words_are_an_error_that_shows_them_and_both_ways_out(tmp_path):
    write_log(tmp_path / "c.csv", str, ["idle", "run", "stop", "idle"], range(4))
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns={"state": "x"})
    one_line(error, "c.csv: x", "has words", "'idle', 'run', 'stop'", "kind: {state: categorical}")
    one_line(error, "labels: {state: [idle, run, stop]}")


def test_words_become_the_labels_that_are_given(tmp_path):
    write_log(tmp_path / "c.csv", str, ["run", "", "none", "stop"], [0, 0.2, 0.4, 0.6])
    labels = {"x": ["stop", "run", "none"]}
    found = parameters(tmp_path, columns=["x"], labels=labels)["x"]
    assert found["values"][[0, 40, 70]].tolist() == [1, 2, 0]
    assert np.isnan(found["values"][20])
    assert (found["kind"], found["min"], found["max"]) == ("categorical", 0, 2)
    assert "0 stop, 1 run, 2 none" in found["doc_string"]
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["x"], labels={"x": ["run"]})
    one_line(error, "c.csv: x", "'stop'", "row 4", "not one of run")
    with pytest.raises(UsageError):
        parameters(tmp_path, columns=["x"], labels=labels, interpolation="mean")


def test_labels_that_are_not_given_are_those_of_all_files(tmp_path):
    """By file, `run` would be 1 in one clip and 0 in the other."""
    write_log(tmp_path / "c.csv", str, ["run", "idle"], [0, 0.5])
    write_log(tmp_path / "d.csv", str, ["stop", "run"], [0, 0.5])
    settings = {"columns": ["x"], "kind": {"x": "categorical"}}
    first = parameters(tmp_path, "c", **settings)["x"]
    second = parameters(tmp_path, "d", **settings)["x"]
    assert [first["values"][0], first["values"][-1]] == [1, 0]
    assert [second["values"][0], second["values"][-1]] == [2, 1]
    assert first["doc_string"] == second["doc_string"] == "(0 idle, 1 run, 2 stop)"
    assert curve(tmp_path, **settings).settings()["found"] == {"x": ["idle", "run", "stop"]}


def test_a_log_faster_than_the_frames_is_averaged_or_held(tmp_path):
    """Read at the centres, noise at 1 kHz stays as it is; its mean has a fourth of its spread."""
    noise = np.random.default_rng(1).normal(size=1000)
    write_log(tmp_path / "c.csv", lambda t: f"{t:.3f}", noise, np.arange(1000) / 1000)
    columns = {"columns": ["x"]}
    mean = parameters(tmp_path, interpolation="mean", **columns)["x"]["values"]
    held = parameters(tmp_path, interpolation="step", **columns)["x"]["values"]
    assert 0.2 < mean.std() / noise.std() < 0.35
    expected = [noise[-(-i * 40 // 3) : -(-(i + 1) * 40 // 3)].mean() for i in range(75)]
    np.testing.assert_allclose(mean, expected)
    np.testing.assert_array_equal(held, noise[np.floor(CENTRES * 1000 + 1e-6).astype(int)])
    turned = parameters(tmp_path, interpolation="mean", kind={"x": "circular"}, **columns)["x"]
    np.testing.assert_allclose(np.angle(np.exp(1j * turned["values"])), mean, atol=1.5)
    assert np.all((turned["values"] >= 0) & (turned["values"] < 2 * np.pi))


def test_circular_steps_lie_on_the_circle(tmp_path):
    write_log(tmp_path / "c.csv", str, [400, -20], [0, 0.5])
    settings = {"kind": {"x": "circular"}, "units": {"x": "deg"}, "interpolation": "step"}
    assert set(parameters(tmp_path, columns=["x"], **settings)["x"]["values"]) == {40, 340}


@pytest.mark.parametrize("model", ["encodec_24khz", "encodec_32khz", "encodec_48khz"])
def test_a_csv_with_a_row_a_frame_is_the_frames(tmp_path, model):
    spec = codec_spec(model)
    rows = n_frames(10 * spec.sample_rate, spec)
    values = np.random.default_rng(2).normal(size=(rows, 2))
    text = "".join(f"{a!r},{b!r}\n" for a, b in values.tolist())
    (tmp_path / "c.csv").write_text(f"loud,bright\n{text}")
    settings = {"model": model, "samples": 10 * spec.sample_rate, "rate_hz": spec.fps}
    notes: list[tuple[str, str]] = []
    found = parameters(tmp_path, columns=["loud", "bright"], notes=notes, **settings)
    np.testing.assert_array_equal(found["loud"]["values"], values[:, 0])
    np.testing.assert_array_equal(found["bright"]["values"], values[:, 1])
    assert notes == []


def test_rows_beyond_the_last_frame_are_noted_and_too_few_an_error(tmp_path):
    (tmp_path / "c.csv").write_text("x\n" + "1\n" * 80)
    notes: list[tuple[str, str]] = []
    parameters(tmp_path, columns=["x"], rate_hz=75, notes=notes)
    assert [(what.split(": ")[1], detail) for what, detail in notes] == [
        ("more rows than frames", "80 for 75")
    ]
    (tmp_path / "c.csv").write_text("x\n" + "1\n" * 70)
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["x"], rate_hz=75)
    one_line(error, "c.csv", "x: the curve has 70 values, but the clip has 75 frames")


def test_a_hole_names_its_file_and_its_time(tmp_path):
    times = np.delete(SECONDS, slice(4, 18))
    write_log(tmp_path / "c.csv", str, times, times)
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["x"])
    one_line(error, "c.csv: x: no value from 0.15 s to 0.9 s", "0.5 s", "gap", "max_gap_s")
    for gap, at_middle in (("interpolate", CENTRES[40]), ("hold", 0.15), ("nan", np.nan)):
        found = parameters(tmp_path, columns=["x"], gap=gap)["x"]
        np.testing.assert_allclose(found["values"][40], at_middle, atol=1e-9)
    assert found["nan"] == "no value in the curve"
    bridged = parameters(tmp_path, columns=["x"], max_gap_s=0.8)["x"]["values"]
    np.testing.assert_allclose(bridged, CENTRES, atol=1e-9)


@pytest.fixture
def root(tmp_path):
    for name in ("a", "b"):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc", samples=24_000)
    (tmp_path / "logs").mkdir()
    return tmp_path / "ecdc"


def test_a_log_far_longer_than_its_clip_is_noted_once(root, tmp_path, capsys):
    long = np.arange(0, 30, 0.05)
    write_log(tmp_path / "logs/a.csv", str, long, long)
    write_log(tmp_path / "logs/b.csv", str, SECONDS)
    result = run(capsys, f"annotate @ --curve root={tmp_path}/logs columns=[x]", root)
    assert result.status == 0
    assert_says(result.error, ["far longer than its clip", "1 clip: a (29.95 s for 1 s)"])
    assert_says(result.error, ["scale", "offset_s"])


def test_a_column_that_one_file_lacks_is_nan_where_that_is_wanted(root, tmp_path, capsys):
    write_log(tmp_path / "logs/a.csv", str, SECONDS)
    write_log(tmp_path / "logs/b.csv", str, SECONDS, column="time,y")
    command = f"annotate @ --curve root={tmp_path}/logs columns=[x]"
    result = run(capsys, command, root)
    assert result.status == 1
    assert_says(result.error, ["b.csv has no column 'x'"])
    result = run(capsys, f"{command} missing=nan", root)
    assert result.status == 0
    assert_says(result.error, ["no x in the curve, 'x' is NaN: 1 clip: b"])
    parameter = read_sidecar(root / "b.ecdc").parameters["x"]
    assert np.isnan(parameter.values).all()
    assert parameter.nan == "no x in the curve"
    assert not np.isnan(read_sidecar(root / "a.ecdc").parameters["x"].values).any()


def test_a_log_of_a_german_excel_is_read_as_it_was_meant(tmp_path):
    """Semicolons, decimal commas in times and values, cp1252, a line above the header."""
    rows = "".join(f"{t:.2f};{t:.2f};{100 * t:.0f} %\n".replace(".", ",") for t in SECONDS)
    text = f"Messung Nr. 3\nZeit;Größe;Öffnung\n{rows}"
    (tmp_path / "c.csv").write_bytes(text.encode("cp1252"))
    settings = {"columns": {"size": "Größe", "open": "Öffnung"}, "time": "Zeit", "header": 2}
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, **settings)
    one_line(error, "c.csv", "encoding: cp1252")
    found = parameters(tmp_path, encoding="cp1252", **settings)
    np.testing.assert_allclose(found["size"]["values"], CENTRES, atol=1e-9)
    np.testing.assert_allclose(found["open"]["values"], 100 * CENTRES, atol=1e-9)
    assert (found["open"]["units"], found["size"]["units"]) == ("%", "")
    assert found["size"]["source"] == "column 'Größe': numbers with a decimal comma"
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, encoding="cp1252", units={"open": "Hz"}, **settings)
    one_line(error, "c.csv: open", "units is 'Hz'")


def test_booleans_of_a_log_are_labels_where_that_is_asked_for(tmp_path):
    write_log(tmp_path / "c.csv", str, ["FALSE", "TRUE"], [0, 0.5])
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["x"])
    one_line(error, "c.csv: x", "Booleans", "kind: {x: categorical}", "labels: {x: [FALSE, TRUE]}")
    found = parameters(tmp_path, columns=["x"], kind={"x": "categorical"})["x"]
    assert set(found["values"]) == {0, 1}
    assert found["doc_string"] == "(0 FALSE, 1 TRUE)"
