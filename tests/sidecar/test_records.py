"""Who made which parameter, how it is described, and the names that its files may have."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.core.files import digest_file
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.parameters import wrap
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.records import Record, merge_records, read_records
from preprocess.sidecar.sidecar_files import MAX_META_BYTES
from preprocess.sidecar.sidecar_format import MAX_PARAMETERS
from preprocess.sidecar.writing import SidecarError, sidecar_paths, write_sidecar
from preprocess.tokens.ecdc import write_ecdc
from tests.helpers.formats import random_ecdc

RAMP = np.linspace(-60, 0, 75)


@pytest.fixture
def clip(tmp_path):
    """A token file of 75 frames."""
    write_ecdc(tmp_path / "take.ecdc", random_ecdc("encodec_24khz", 24_000, 2))
    return tmp_path / "take.ecdc"


def test_parameters_written_by_hand_share_one_record_with_the_hash_of_the_tokens(clip):
    curve = Record(("pitch",), producer="curve", src="ab")
    write_sidecar(clip, {"pitch": RAMP, "knob": RAMP}, records=[curve])
    write_sidecar(clip, {"mood": RAMP})
    by_hand = Record(("knob", "mood"), tokens=digest_file(clip))
    assert sorted(read_sidecar(clip).records, key=lambda r: r.producer) == [by_hand, curve]


def test_a_producer_of_which_a_part_was_replaced_runs_again():
    old = Record(("a", "b"), producer="table", src="ab", rec="cd")
    new = Record(("b",), producer="curve", src="ef")
    assert merge_records([old], ["b"], [new]) == [
        Record(("a",), producer="table", src="", rec="cd"),
        new,
    ]
    assert merge_records([old], ["a", "b"], [new]) == [new], "nothing of it is left"


def test_a_producer_that_made_nothing_keeps_its_record_until_it_runs_again():
    idle = Record(producer="table", owner="recipe.yaml", src="ab")
    other = Record(("x",), producer="curve", owner="recipe.yaml")
    assert merge_records([idle], [], [other]) == [idle, other]
    again = Record(("y",), producer="table", owner="recipe.yaml", src="cd")
    assert merge_records([idle], [], [again]) == [again]


def test_records_are_stored_without_empty_fields_and_read_back():
    record = Record(("a",), tokens="ab", by="preprocess 0.1.0")
    stored = record.to_dict()
    assert stored == {"names": ["a"], "tokens": "ab", "by": "preprocess 0.1.0"}
    assert read_records({"made": [stored]}) == (record,)
    assert read_records(stored) == (record,), "version 0.1.0 stored one record"
    assert read_records({}) == ()
    for wrong in ({"made": ["a"]}, {"made": [{"names": "a"}]}):
        with pytest.raises(TypeError, match="no valid records"):
            read_records(wrong)


def test_the_predecessors_doubled_name_is_read_unless_it_is_another_clips(clip):
    array_path, meta_path = sidecar_paths(clip)
    doubled = clip.with_name("take.cond.cond.json")
    np.save(array_path, RAMP.astype(np.float32)[:, None])
    doubled.write_text(json.dumps({"names": ["level"], "fps": 75}))
    assert list(read_sidecar(clip).parameters) == ["level"]
    other = clip.with_name("take.cond.ecdc")
    other.touch()
    with pytest.raises(ValueError, match=rf"{meta_path.name}.* missing|missing.*{meta_path.name}"):
        read_sidecar(clip)
    other.unlink()
    meta_path.write_text(json.dumps({"names": ["own"], "fps": 75}))
    assert list(read_sidecar(clip).parameters) == ["own"]


def test_a_description_is_stored_without_what_is_empty():
    info = ParameterInfo("°", "Wheel", "circular", -180.0, 180.0)
    text = info.to_json()
    assert "°" in text
    assert json.loads(text) == {
        **{"units": "°", "doc_string": "Wheel", "kind": "circular"},
        **{"min": -180.0, "max": 180.0},
    }
    assert ParameterInfo.from_json(text) == info
    assert json.loads(ParameterInfo(min=0.0).to_json()) == {"kind": "continuous", "min": 0.0}
    for nothing in (None, "", "free text", "[1]", '{"colour": 1}'):
        assert ParameterInfo.from_json(nothing) == ParameterInfo()


@pytest.mark.parametrize(
    ("info", "declared", "period"),
    [
        (ParameterInfo(kind="circular", units="Degrees"), False, 360.0),
        (ParameterInfo(kind="circular", units="turns"), False, 1.0),
        (ParameterInfo(kind="circular", units="rad"), False, 2 * np.pi),
        (ParameterInfo(kind="circular", units="deg", min=0, max=24), True, 24),
        (ParameterInfo(kind="circular", units="deg", max=24), True, 360.0),
        (ParameterInfo(kind="circular", units="deg", min=24, max=24), True, 360.0),
        (ParameterInfo(units="deg", min=0), True, None),
    ],
)
def test_the_period_is_that_of_the_range_or_the_unit(info, declared, period):
    assert (info.is_declared, info.period) == (declared, period)


def test_wrapping_leaves_what_is_inside_as_it_is():
    inside = np.array([0.1, 0.3, 359.7, -0.0])
    assert wrap(inside, 0.0, 360.0).tobytes() == inside.tobytes()
    shifted = np.array([-179.9, 0.1, 179.9])
    assert wrap(shifted, -180.0, 360.0).tobytes() == shifted.tobytes()
    around = wrap(np.array([360.0, 370.0, -10.0, -1e-17, np.nan]), 0.0, 360.0)
    np.testing.assert_array_equal(around, [0.0, 10.0, 350.0, 0.0, np.nan])
    np.testing.assert_array_equal(wrap(np.array([180.0, 190.0]), -180.0, 360.0), [-180, -170])


def test_a_format_between_the_first_two_keeps_units_and_texts(clip):
    array_path, meta_path = sidecar_paths(clip)
    np.save(array_path, np.stack([RAMP, RAMP], 1).astype(np.float32))
    stats = {"a": {"min": -80, "max": 0}}
    meta = {"names": ["a", "b"], "stats": stats, "units": {"a": "dB"}, "docs": {"b": "Knob"}}
    meta_path.write_text(json.dumps(meta))
    level, knob = read_sidecar(clip).parameters.values()
    assert (level.units, level.doc_string, level.min, level.max) == ("dB", "", -80, 0)
    assert (knob.units, knob.doc_string, knob.declared) == ("", "Knob", False)


def test_metadata_of_unheard_size_says_how_large_it_may_be(clip):
    array_path, meta_path = sidecar_paths(clip)
    np.save(array_path, np.zeros((75, 1), np.float32))
    meta_path.write_bytes(b" " * (MAX_META_BYTES - 2) + b"{}")
    with pytest.raises(SidecarError, match="has 1 columns, but"):
        read_sidecar(clip)
    meta_path.write_bytes(b" " * (MAX_META_BYTES - 1) + b"{}")
    with pytest.raises(SidecarError, match=f"is larger than {MAX_META_BYTES >> 20} MiB$"):
        read_sidecar(clip)


@pytest.mark.parametrize("as_names", [False, True])
def test_more_parameters_than_any_sidecar_has_are_counted_not_read(clip, as_names):
    array_path, meta_path = sidecar_paths(clip)
    np.save(array_path, np.zeros((75, 1), np.float32))
    names = [f"x{i}" for i in range(MAX_PARAMETERS + 1)]
    meta = {"names": names} if as_names else {"features": {key: {} for key in names}}
    meta_path.write_text(json.dumps(meta))
    with pytest.raises(SidecarError, match=rf"names {MAX_PARAMETERS + 1:,} parameters; at most"):
        read_sidecar(clip)
