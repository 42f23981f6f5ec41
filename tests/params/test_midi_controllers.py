"""MIDI controllers hold, have defaults, bend notes and prolong them."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.core.errors import PreprocessError, UsageError
from tests.helpers.clips import clip_of
from tests.helpers.curves import control, curve, off, on, parameters, values_of, wheel, write_midi
from tests.helpers.formats import one_line

TEMPO = 400_000  # a tick of 1/1,200 s, 16 of them a frame


def test_midi_controllers_can_be_smoothed_and_described_otherwise(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, control(1, 0)), (1.0, control(1, 127))])
    settings = {"columns": {"mod": "cc1"}, "interpolation": "linear", "max": {"mod": 200}}
    found = parameters(tmp_path, doc_string={"mod": "Wheel"}, **settings)["mod"]
    np.testing.assert_allclose(found["values"][37], 63.5, atol=1)
    assert (found["max"], found["min"], found["doc_string"]) == (200, 0, "Wheel")


RANGE_12 = [control(101, 0), control(100, 0), control(6, 12), control(38, 0)]


@pytest.mark.parametrize(
    ("before", "settings", "semitones"),
    [
        ([], {}, 2),
        (RANGE_12, {}, 12),
        ([*RANGE_12[:3], control(38, 50)], {}, 12.5),
        (RANGE_12, {"bend_range": 48}, 48),
        # Not registered, or set to none: no bend range.
        ([control(99, 0), control(98, 0), control(6, 12)], {}, 2),
        ([*RANGE_12[:2], control(101, 127), control(100, 127), control(6, 12)], {}, 2),
    ],
)
def test_pitch_is_the_note_with_its_bend(tmp_path, before, settings, semitones):
    events = [*((0.0, event) for event in before), (0.0, on(60)), (0.4, wheel(-0.5))]
    write_midi(tmp_path / "c.mid", [*events, (0.8, wheel(0.25))])
    pitch, bend = values_of(tmp_path, "pitch", "pitch_bend", **settings)
    for frame, part in ((10, 0), (40, -0.5), (70, 0.25)):
        assert pitch[frame] == 60 + part * semitones
        assert bend[frame] == part


def test_a_bend_is_that_of_the_notes_channel_while_it_sounds(tmp_path):
    events = [(0.0, on(60, channel=1)), (0.0, on(72, channel=2)), (0.1, wheel(0.5, channel=2))]
    # A hit of 5 ms whose bend is gone at the frame's centre.
    events += [(0.3, off(60, 1)), (0.3, off(72, 2)), (0.32, wheel(-1)), (0.32, on(50))]
    events += [(0.325, off(50)), (0.3251, wheel(0))]
    write_midi(tmp_path / "c.mid", events, TEMPO)
    found = parameters(tmp_path, columns=["pitch"], voices=2)
    assert [found[f"pitch_{k}"]["values"][15] for k in (1, 2)] == [73, 60]
    assert found["pitch_1"]["values"][24] == 48
    assert parameters(tmp_path, columns=["pitch"], channel=2)["pitch"]["values"][15] == 60


@pytest.mark.parametrize(
    ("after", "ends_s"),
    [
        ([], 1.0),
        ([(0.6, control(64, 63))], 0.6),
        ([(0.6, control(64, 64)), (0.8, control(64, 0))], 0.8),
        ([(0.6, control(120, 0))], 0.6),  # all sound off
        ([(0.6, control(121, 0))], 0.6),  # reset all controllers: the pedal, too
        ([(0.6, control(123, 0))], 1.0),  # all notes off: the keys alone
    ],
)
def test_the_pedal_prolongs_notes(tmp_path, after, ends_s):
    events = [(0.0, control(64, 127)), (0.0, on(60)), (0.2, off(60)), *after]
    write_midi(tmp_path / "c.mid", events, TEMPO)
    columns = ["note", "velocity", "gate", "note_count"]
    for _, parameter in parameters(tmp_path, columns=columns).items():
        sounds = np.nan_to_num(parameter["values"]) > 0
        assert np.flatnonzero(sounds).tolist() == list(range(round(75 * ends_s)))
    for gate in values_of(tmp_path, "gate", sustain=False):
        assert gate.sum() == 15


def test_a_key_struck_again_under_the_pedal_is_one_note(tmp_path):
    events = [(0.0, control(64, 127)), (0.0, on(60, 1)), (0.1, off(60)), (0.2, on(60, 2))]
    write_midi(tmp_path / "c.mid", [*events, (0.3, off(60)), (0.4, control(64, 0))], TEMPO)
    velocity, onset, count = values_of(tmp_path, "velocity", "onset", "note_count")
    assert velocity.tolist() == [1] * 15 + [2] * 15 + [0] * 45
    assert np.flatnonzero(onset).tolist() == [0, 15]
    assert count.max() == 1


DEFAULTS = {"cc1": 0, "cc7": 100, "cc10": 64, "cc11": 127, "cc64": 0, "pitch_bend": 0}


def test_a_controller_that_never_moves_has_the_default_of_the_standard(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, on(60))])
    notes: list[tuple[str, str]] = []
    found = parameters(tmp_path, columns=[*DEFAULTS, "aftertouch"], notes=notes)
    for name, value in {**DEFAULTS, "aftertouch": 0}.items():
        assert set(found[name]["values"]) == {value}
    said = " ".join(what for what, _ in notes)
    assert "cc7 never moves; 'cc7' is 100, the MIDI default" in said


@pytest.mark.parametrize("key", ["mod", "cc1"])
def test_a_default_is_what_a_controller_has_before_it_moves(tmp_path, key):
    write_midi(tmp_path / "c.mid", [(0.5, control(1, 90))])
    mod = parameters(tmp_path, columns={"mod": "cc1"}, default={key: 30})["mod"]["values"]
    assert (set(mod[:37]), set(mod[38:])) == ({30}, {90})
    # In lines between events it holds until the first, instead of drifting there.
    mod = parameters(tmp_path, columns={"mod": "cc1"}, interpolation="linear")["mod"]["values"]
    assert (set(mod[:37]), set(mod[38:])) == ({0}, {90})


def test_a_default_serves_clips_without_the_controller(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, on(60))])
    notes: list[tuple[str, str]] = []
    found = parameters(tmp_path, columns=["cc20"], default={"cc20": 7}, notes=notes)
    assert set(found["cc20"]["values"]) == {7}
    assert notes == []


def test_missing_nan_helps_a_clip_without_the_controller(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, on(60))])
    notes: list[tuple[str, str]] = []
    columns = {"knob": "cc20", "gate": "gate"}
    found = parameters(tmp_path, columns=columns, missing="nan", notes=notes)
    assert list(found) == ["knob", "gate"]
    assert np.isnan(found["knob"]["values"]).all()
    assert found["knob"]["nan"] == "no cc20 in the curve"
    assert set(found["gate"]["values"]) == {1}
    assert "no cc20 in the curve, 'knob' is NaN" in notes[0][0]


def test_a_controller_without_a_default_is_named(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, on(60)), (0.0, control(3, 1))])
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["cc20"])
    one_line(error, "c.mid", "no cc20; it has cc3", "default: {cc20: 0}", "missing: nan")
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["cc200"])
    one_line(error, "no 'cc200'", "cc127")
    write_midi(tmp_path / "c.mid", [(0.5, control(20, 1))])
    with pytest.raises(PreprocessError) as error:
        parameters(tmp_path, columns=["cc20"])
    one_line(error, "c.mid", "the first cc20 is at 0.5 s", "outside", "default: {cc20: 0}")
    parameter = parameters(tmp_path, columns=["cc20"], outside="nan")["cc20"]
    early = parameter["values"]
    assert parameter["nan"] == "no value in the curve"
    assert np.isnan(early[:37]).all()
    assert set(early[38:]) == {1}


def test_reset_all_controllers_puts_them_back(tmp_path):
    moved = [control(1, 9), control(7, 8), control(11, 7), wheel(0.5), on(60)]
    write_midi(tmp_path / "c.mid", [*((0.0, m) for m in moved), (0.5, control(121, 0))])
    columns = ("cc1", "cc7", "cc11", "pitch_bend", "pitch")
    found = values_of(tmp_path, *columns)
    assert [values[10] for values in found] == [9, 8, 7, 0.5, 61]
    assert [values[60] for values in found] == [0, 8, 127, 0, 60]


def test_a_file_is_moved_in_time_by_scale_and_offset(tmp_path):
    write_midi(tmp_path / "c.mid", [(1.0, on(60)), (1.2, off(60)), (1.2, control(1, 5))], TEMPO)
    gate, cc1 = values_of(tmp_path, "gate", "cc1", offset_s=-0.3, scale=0.5)
    assert np.flatnonzero(gate).tolist() == list(range(15, 23))
    assert (cc1[10], cc1[30]) == (0, 5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"voices": 17}, "voices"),
        ({"columns": ["gate"], "voices": 2}, "voices needs a column of note, velocity, pitch"),
        ({"columns": {"n": "note", "n_1": "gate"}, "voices": 2}, "two columns make"),
        ({"default": {"cc5": 0}}, "default names 'cc5'"),
        ({"bend_range": -1}, "bend_range"),
    ],
)
def test_wrong_settings_of_midi_are_said_before_any_clip(tmp_path, settings, words):
    write_midi(tmp_path / "c.mid", [(0.0, on(60))])
    with pytest.raises(UsageError) as error:
        curve(**{"root": tmp_path, "columns": ["note"], **settings})
    one_line(error, words)


def test_what_is_not_for_midi_or_for_midi_alone_is_one_line(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, on(60))])
    (tmp_path / "d.csv").write_text("time,note\n0,1\n1,1\n")
    producer = curve(tmp_path, columns=["note"], interpolation="mean")
    with pytest.raises(PreprocessError) as error:
        producer.parameters(clip_of(24_000, name="c"))
    one_line(error, "c.mid", "step or linear")
    producer = curve(tmp_path, columns=["note"], voices=2)
    with pytest.raises(PreprocessError) as error:
        producer.parameters(clip_of(24_000, name="d"))
    one_line(error, "d.csv", "voices")
