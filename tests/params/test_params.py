"""Producers: each value stands in the frame that it belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.audio.measures import SILENCE_DB
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.params.clip import Clip
from preprocess.tokens.specs import codec_spec
from tests.helpers.clips import clip_of, prepared
from tests.helpers.commands import write_wav
from tests.helpers.signals import tone


def parameters_of(entry: dict, clip: Clip) -> dict:
    return dict(prepared(entry).parameters(clip))


def filename(pattern: str, name: str, **settings: dict) -> dict[str, float]:
    """Return the value of each parameter that a pattern makes of a clip's id."""
    found = parameters_of({"filename": {"pattern": pattern, **settings}}, clip_of(name=name))
    assert all(len(set(parameter["values"])) == 1 for parameter in found.values())
    assert all(len(parameter["values"]) == 10 for parameter in found.values())
    return {key: parameter["values"][0] for key, parameter in found.items()}


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (320, 1), (321, 2), (24_000, 75)])
def test_constant_is_the_value_in_every_frame(samples, frames):
    entry = {"constant": {"name": "x", "value": 2.5, "units": "Hz", "min": 0, "max": 5}}
    parameter = parameters_of(entry, clip_of(samples))["x"]
    np.testing.assert_array_equal(parameter["values"], [2.5] * frames)
    assert (parameter["units"], parameter["min"], parameter["max"]) == ("Hz", 0, 5)


@pytest.mark.parametrize(("samples", "frames"), [(320, 1), (3200, 10), (3201, 11)])
def test_ramp_goes_from_start_to_end(samples, frames):
    parameter = parameters_of({"ramp": {"name": "x", "start": 5, "end": 1}}, clip_of(samples))["x"]
    np.testing.assert_allclose(parameter["values"], np.linspace(5, 1, frames))


def test_ramp_is_linear_in_time_where_segments_overlap():
    """At 48 kHz frames 148 and 149 of a segment lie where the next one's first frames do."""
    clip = clip_of(96_000, "encodec_48khz")
    values = parameters_of({"ramp": {"name": "x", "start": 0, "end": 95_680}}, clip)["x"]["values"]
    starts = [0 + 320 * i for i in range(150)]
    starts += [47_520 + 320 * i for i in range(150)] + [95_040, 95_360, 95_680]
    np.testing.assert_allclose(values, starts, rtol=1e-12)
    assert values[150] < values[149]


@pytest.mark.parametrize(
    ("pattern", "name", "settings", "expected"),
    [
        (r"f(?P<freq>\d+)_q(?P<q>[\d.]+)", "x/f440_q0.5", {}, {"freq": 440, "q": 0.5}),
        (r"(?P<t>-?\d+)C", "room-12C", {}, {"t": -12}),
        (r"(?P<x>[-\d.e]+)$", "a_1.5e-3", {}, {"x": 0.0015}),
        (r"^(?P<k>[ab])/", "b/x", {"labels": {"k": ["a", "b"]}}, {"k": 1}),
        (r"^(?P<k>\d)", "7x", {"labels": {"k": ["5", "7"]}}, {"k": 1}),
        (r"_(?P<name>[a-z]+)(?P<value>[\d.]+)", "a_cut0.5_res2", {}, {"cut": 0.5, "res": 2}),
        (
            r"(?P<name>[a-z]+)=(?P<value>\w+)",
            "mode=on,gain=3",
            {"labels": {"mode": ["off", "on"]}},
            {"mode": 1, "gain": 3},
        ),
    ],
)
def test_filename_finds_numbers_labels_and_pairs(pattern, name, settings, expected):
    assert filename(pattern, name, **settings) == expected


@pytest.mark.parametrize(
    ("pattern", "name", "settings", "expected"),
    [
        (r"(?P<x>[\d,]+)$", "a_1,5", {}, {"x": 1.5}),
        (r"(?P<x>[\d,]+)$", "a_1,234", {"decimal": ","}, {"x": 1.234}),
        (r"_(?P<x>.+)$", "a_12%", {}, {"x": 12}),
        (r"(?P<day>\d{4}-\d\d-\d\d)", "2024-03-01_a", {}, {"day": 19_783}),
        (r"_(?P<loud>\w+)$", "a_yes", {}, {"loud": 1}),
        (r"_(?P<k>\w+)$", "a_NA", {"labels": {"k": ["odd", "NA"]}}, {"k": 1}),
        (r"_(?P<k>\w+)$", "a_tu\u0308r", {"labels": {"k": ["haus", "t\u00fcr"]}}, {"k": 1}),
        ("T\u00fcr(?P<k>.)$", "Tu\u0308r5", {}, {"k": 5}),
    ],
)
def test_a_file_name_is_read_as_a_cell_is(pattern, name, settings, expected):
    assert filename(pattern, name, **settings) == expected


def test_file_names_are_read_as_a_column(tmp_path):
    """What one name says of another: that a comma is a decimal one, and which words there are."""
    settings = {"pattern": "_(?P<x>[^_]+)_(?P<k>.+)$", "kind": {"k": "categorical"}}
    producer = prepared({"filename": settings})
    ids = ["a_1,234_wild", "b_2,5_calm", "c_NA_odd", "other"]
    assert producer.check_clips(ids) == [
        "file names: x: numbers with a decimal comma (1 empty, NA among them); "
        "k: labels 0 calm, 1 odd, 2 wild"
    ]
    found = [producer.parameters(clip_of(name=name)) for name in ids[:3]]
    np.testing.assert_array_equal([f["x"]["values"][0] for f in found], [1.234, 2.5, np.nan])
    assert [f["k"]["values"][0] for f in found] == [2, 0, 1]
    assert found[2]["x"]["nan"] == "not in the file name"
    assert found[0]["x"]["source"] == "file name: numbers with a decimal comma"
    with pytest.raises(PreprocessError, match="k: one name does not have all words"):
        producer.parameters(clip_of(name="d_3_loud"))
    other = prepared({"filename": settings})
    other.check_clips([*ids, "d_3_loud"])
    assert other.settings() != producer.settings()  # as labels moved, all are made again


@pytest.mark.parametrize(
    ("ids", "settings", "words"),
    [
        (["a_1,5", "b_1.5"], {}, ["'1.5' has a decimal point, but '1,5' a decimal comma"]),
        (["a_1,234", "b_5"], {}, ["'1,234' could be 1234 or 1.234"]),
        (["a_wild", "b_calm"], {}, ["x: has words such as 'wild', 'calm'", "labels: {x: ["]),
        (["a_1", "b_low"], {}, ["b_low: 'low' is not a number, but a_1 has '1'"]),
        (["a_1%"], {"units": {"x": "dB"}}, ["units is 'dB'", "percentages"]),
        (["a_0.5"], {"kind": {"x": "categorical"}}, ["'0.5' is categorical but not an integer"]),
    ],
)
def test_file_names_that_do_not_go_together_stop_before_any_clip(ids, settings, words):
    producer = prepared({"filename": {"pattern": "_(?P<x>.+)$", **settings}})
    with pytest.raises(UsageError) as caught:
        producer.check_clips(ids)
    assert str(caught.value).startswith("filename: x: ")
    assert all(word in str(caught.value) for word in words)


def test_labels_are_declared_as_categories():
    entry = {"filename": {"pattern": "(?P<k>[abc])", "labels": {"k": ["a", "b", "c"]}}}
    parameter = parameters_of(entry, clip_of(name="b"))["k"]
    assert (parameter["kind"], parameter["min"], parameter["max"]) == ("categorical", 0, 2)
    assert "0 a, 1 b, 2 c" in parameter["doc_string"]


@pytest.mark.parametrize(
    ("pattern", "name", "settings", "why"),
    [
        (r"(?P<x>\d+)", "take", {}, "does not match 'take'"),
        (r"(?P<x>\w+)", "loud", {}, "x: has words such as 'loud'"),
        (r"a(?P<x>\d+)?", "a", {}, "finds no x in 'a'"),
        (r"(?P<k>\w)", "c", {"labels": {"k": ["a", "b"]}}, "'c' is not one of a, b"),
    ],
)
def test_what_a_file_name_does_not_hold_names_the_clip(pattern, name, settings, why):
    with pytest.raises(PreprocessError) as caught:
        filename(pattern, name, **settings)
    assert str(caught.value).startswith(f"{name}.ecdc: ")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("no_such", "unknown producer 'no_such'"),
        ({"constnat": {}}, "did you mean 'constant'"),
        ({"constant": {"name": "x"}}, "'value' is missing"),
        ({"constant": {"name": "x", "value": "high"}}, "value"),
        ({"constant": {"name": "x", "value": float("nan")}}, "value"),
        ({"ramp": {"name": "x", "start": 0, "end": float("inf")}}, "end"),
        ({"constant": {"name": "no name", "value": 1}}, "'no name'"),
        ({"constant": {"name": "x", "value": 1, "kind": "odd"}}, "'odd'"),
        ({"rms_db": {"source": "tape"}}, "'audio' or 'tokens'"),
        ({"filename": {"pattern": "("}}, "is not a regular expression"),
        ({"filename": {"pattern": r"\d+"}}, "no named group"),
        (
            {"filename": {"pattern": "(?P<a>x)", "labels": {"b": ["y"]}}},
            "'b', which is not a group",
        ),
        ({"function": {"function": "nowhere.py:f"}}, "nowhere.py does not exist"),
        ({"constant": {}, "ramp": {}}, "expected one producer"),
        (["constant"], "expected one producer"),
    ],
)
def test_wrong_settings_are_said_before_any_clip_is_read(entry, why):
    with pytest.raises(UsageError) as caught:
        prepared(entry)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["encodec_24khz", "encodec_32khz", "encodec_48khz"])
@pytest.mark.parametrize("level", [0.5, 0.1, 0.001])
def test_rms_db_of_a_tone_is_its_level(tmp_path, model, level):
    spec = codec_spec(model)
    hertz = 2 * spec.fps  # whole periods in every hop
    wave = tone(hertz, spec.sample_rate, 2 * spec.sample_rate, level)
    path = write_wav(tmp_path / "a.wav", np.stack([wave] * spec.channels, 1), spec.sample_rate)
    clip = clip_of(len(wave), model, audio=path)
    values = parameters_of({"rms_db": {}}, clip)["rms_db"]["values"]
    assert len(values) == clip.n_frames
    np.testing.assert_allclose(values, 20 * np.log10(level), atol=0.01)


@pytest.mark.parametrize(
    ("model", "samples", "at", "frames"),
    [
        ("encodec_24khz", 24_000, 0, [0]),
        ("encodec_24khz", 24_000, 319, [0]),
        ("encodec_24khz", 24_000, 320, [1]),
        ("encodec_24khz", 24_001, 24_000, [75]),
        ("encodec_32khz", 32_000, 1279, [1]),
        ("encodec_48khz", 96_000, 1000, [3]),
        ("encodec_48khz", 96_000, 47_519, [148]),
        ("encodec_48khz", 96_000, 47_600, [148, 150]),  # under both segments
        ("encodec_48khz", 96_000, 47_999, [149, 151]),
        ("encodec_48khz", 96_000, 48_000, [151]),
        ("encodec_48khz", 96_000, 95_999, [302]),
    ],
)
def test_a_click_lies_in_the_frames_that_cover_it(tmp_path, model, samples, at, frames):
    spec = codec_spec(model)
    wave = np.zeros((samples, spec.channels))
    wave[at] = 0.5
    path = write_wav(tmp_path / "a.wav", wave, spec.sample_rate)
    values = parameters_of({"rms_db": {}}, clip_of(samples, model, audio=path))["rms_db"]["values"]
    assert np.flatnonzero(values > SILENCE_DB).tolist() == frames
    covered = min(spec.hop, samples - at // spec.hop * spec.hop) if at == samples - 1 else spec.hop
    np.testing.assert_allclose(values[frames], 20 * np.log10(0.5 / np.sqrt(covered)), atol=1e-6)


def test_silence_has_a_floor(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros(3200))
    values = parameters_of({"rms_db": {}}, clip_of(audio=path))["rms_db"]["values"]
    np.testing.assert_allclose(values, SILENCE_DB)


def _function(tmp_path, body: str) -> dict:
    path = tmp_path / "knobs.py"
    path.write_text(f"def f(clip):\n    {body}\n")
    return {"function": {"function": f"{path}:f"}}


def test_a_function_gets_the_clip_and_gives_parameters(tmp_path):
    body = "return {'t': clip.frame_starts_s, 'n': {'values': [clip.n_frames] * clip.n_frames}}"
    found = parameters_of(_function(tmp_path, body), clip_of(960))
    np.testing.assert_allclose(found["t"], [0, 320 / 24_000, 640 / 24_000])
    assert found["n"] == {"values": [3, 3, 3]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no knob')", "raised ValueError: no knob"),
        ("return {}['pitch']", "raised KeyError: 'pitch'"),
        ("return [1, 2]", "returned list, not a dict"),
        ("return None", "returned NoneType, not a dict"),
        ("return {'x': clip.audio()}", "no normalized audio was found"),
    ],
)
def test_what_fails_in_a_function_names_the_clip(tmp_path, body, why):
    with pytest.raises(PreprocessError) as caught:
        parameters_of(_function(tmp_path, body), clip_of())
    assert str(caught.value).startswith("a/b.ecdc: ")
    assert why in str(caught.value)
