"""Sidecars keep every column with its meaning, fit their tokens, and are whole or not believed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.sidecar.reading import read_described, read_sidecar
from preprocess.sidecar.records import Record
from preprocess.sidecar.sidecar_files import MAX_META_BYTES
from preprocess.sidecar.writing import (
    SidecarError,
    sidecar_paths,
    write_sidecar,
    write_sidecar_features_for_rel,
)
from preprocess.stats.corpus_stats import CorpusStats
from preprocess.stats.scaling import normalise
from preprocess.tokens.ecdc import write_ecdc
from tests.helpers.formats import examples, one_line, random_ecdc

T = 75
STATISTICS = ("min", "max", "mean", "std")
RAMP = np.linspace(-60, 0, T)
LEVEL = {
    "values": RAMP,
    "units": "dB",
    "doc_string": "Level of the clip",
    "kind": "continuous",
    "min": -80,
    "max": 6,
}
LABEL = {"values": np.full(T, 7), "kind": "categorical"}
PHASE = {"values": np.linspace(0, 6.25, T), "units": "rad", "kind": "circular"}
# Every bit pattern a kept column may hold: signed zero, subnormal, NaN, largest.
ODD = np.resize(np.array([0, 0x8000, 0x0001, 0x7E01, 0x7BFF, 0x3555], np.uint16), T)


@pytest.fixture
def clip(tmp_path) -> Path:
    """A token file of 75 frames whose name has a dot in it."""
    write_ecdc(tmp_path / "take.1.ecdc", random_ecdc("encodec_24khz", 24_000, 2))
    return tmp_path / "take.1.ecdc"


def columns(clip: Path) -> dict[str, bytes]:
    """Return the bytes of each column."""
    return {name: f.values.tobytes() for name, f in read_sidecar(clip).parameters.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_header(text: str, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return an `.npy` file with a header made by hand and no data."""
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(2, "little") + text.encode()


def put(clip: Path, array: bytes | np.ndarray, meta: bytes | object) -> Path:
    """Write a sidecar by hand."""
    array_path, meta_path = sidecar_paths(clip)
    array_path.write_bytes(array if isinstance(array, bytes) else npy(array))
    meta_path.write_bytes(meta if isinstance(meta, bytes) else json.dumps(meta).encode())
    return clip


def version_2(**parameters: dict) -> dict:
    """Return the metadata that the predecessor writes."""
    return {"schema_version": 2, "fps": 75.0, "source_rate": 75.0, "features": parameters}


def assert_refused(clip: Path, *mentions: object) -> None:
    with pytest.raises(SidecarError) as error:
        read_sidecar(clip)
    one_line(error, *mentions)


# What is written is what is read


def test_values_and_their_meaning_survive(clip):
    write_sidecar(clip, {"level": LEVEL, "label": LABEL, "phase": PHASE, "bare": RAMP})
    sidecar = read_sidecar(clip)
    assert list(sidecar.parameters) == ["level", "label", "phase", "bare"]
    assert (sidecar.n_frames, sidecar.fps, sidecar.version) == (T, 75.0, 3)
    level, label, phase, bare = sidecar.parameters.values()
    assert level.values.tobytes() == RAMP.astype(np.float32).tobytes()
    assert (level.units, level.doc_string) == ("dB", "Level of the clip")
    assert [f.kind for f in (level, label, phase, bare)] == [
        "continuous",
        "categorical",
        "circular",
        "continuous",
    ]
    assert (phase.units, bare.units, bare.doc_string) == ("rad", "", "")
    assert label.values.tolist() == [7.0] * T


def test_declared_range_and_measured_one_are_both_kept(clip):
    write_sidecar(clip, {"level": LEVEL, "bare": RAMP})
    level, bare = read_sidecar(clip).parameters.values()
    assert (level.min, level.max, level.declared) == (-80, 6, True)
    assert (bare.min, bare.max, bare.declared) == (-60, 0, False)
    for parameter in (level, bare):
        assert parameter.measured["min"] == -60
        assert parameter.measured["max"] == 0
        assert parameter.measured["mean"] == parameter.mean == pytest.approx(RAMP.mean())
        assert parameter.measured["std"] == parameter.std == pytest.approx(RAMP.std())


@pytest.mark.parametrize(
    ("model", "samples"), [("encodec_24khz", 24_000), ("encodec_48khz", 47_521)]
)
def test_time_of_the_clip_is_stated(model, samples, tmp_path):
    """Without it a reader would lay 48 kHz frames on a uniform grid, which drifts."""
    clip = tmp_path / "a.ecdc"
    ecdc = random_ecdc(model, samples, 2)
    write_ecdc(clip, ecdc)
    record = Record(("x",), rec="ab", tokens="cd")
    write_sidecar(clip, {"x": np.zeros(ecdc.codes.shape[1])}, records=[record])
    sidecar = read_sidecar(clip)
    whole = {"codec": model, "hop": 320, "audio_length": samples}
    if model == "encodec_24khz":
        expected = {**whole, "sample_rate": 24_000}
    else:
        segments = {"segment_samples": 48_000, "stride_samples": 47_520}
        expected = {**whole, "sample_rate": 48_000, **segments}
    assert sidecar.time == expected
    assert sidecar.fps == (75 if model == "encodec_24khz" else 150)
    assert sidecar.records == (record,)


def test_metadata_is_strict_json_even_where_all_is_nan(clip):
    """`NaN` is no JSON: other readers than Python's would refuse the file."""

    def refuse(constant):
        raise AssertionError(constant)

    write_sidecar(clip, {"f0_hz": np.full(T, np.nan), "x": [np.nan] + [1.0] * (T - 1)})
    meta = json.loads(sidecar_paths(clip)[1].read_text(), parse_constant=refuse)
    assert [meta["features"]["f0_hz"][key] for key in STATISTICS] == [None] * 4
    assert [meta["features"]["x"][key] for key in STATISTICS] == [1, 1, 1, 0]
    assert np.isnan(read_sidecar(clip).parameters["f0_hz"].values).all()


def test_version_2_reader_reads_what_we_write(clip):
    """A reader that knows only the predecessor's format, written without ours."""
    write_sidecar(clip, {"level": LEVEL, "label": LABEL, "phase": PHASE})
    stem = str(clip)[: -len(".ecdc")]
    meta = json.loads(Path(stem + ".cond.json").read_text())
    array = np.load(stem + ".cond.npy", allow_pickle=False)
    assert array.dtype == np.float32
    assert array.shape == (T, len(meta["features"]))
    assert (meta["fps"], meta["source_rate"]) == (75.0, 75.0)
    for column, (name, wrote) in enumerate(
        {"level": LEVEL, "label": LABEL, "phase": PHASE}.items()
    ):
        entry, values = meta["features"][name], np.asarray(wrote["values"], np.float64)
        assert list(meta["features"])[column] == name
        assert np.allclose(array[:, column], values, atol=0.02)
        expected = [values.min(), values.max(), values.mean(), values.std()]
        expected[:2] = wrote.get("min", expected[0]), wrote.get("max", expected[1])
        assert [float(entry[key]) for key in STATISTICS] == pytest.approx(expected)
        assert entry["units"] == wrote.get("units", "")
        assert entry["doc_string"] == wrote.get("doc_string", "")


# Several clips, several writers


def test_names_with_dots_are_clips_of_their_own(clip):
    """`with_suffix` twice would give both takes one sidecar, or a `.cond.cond.json`."""
    other = clip.with_name("take.2.ecdc")
    write_ecdc(other, random_ecdc("encodec_24khz", 320, 2))
    write_sidecar(clip, {"x": RAMP})
    write_sidecar(other, {"y": [1.0]})
    assert sorted(contents(clip.parent)) == [
        f"take.{n}{suffix}" for n in (1, 2) for suffix in (".cond.json", ".cond.npy", ".ecdc")
    ]
    assert list(read_sidecar(clip).parameters) == ["x"]
    assert list(read_sidecar(other).parameters) == ["y"]


def write_odd(clip: Path) -> None:
    parameters = {"first": RAMP, "odd": ODD.view(np.float16), "last": LEVEL}
    write_sidecar(clip, parameters, dtype="float16", max_error=1e-3)


@pytest.mark.parametrize(
    ("mode", "replaced"), [("overwrite", True), ("append", False)], ids=["overwrite", "append"]
)
def test_other_columns_are_kept_byte_for_byte(mode, replaced, clip):
    write_odd(clip)
    before, kept = columns(clip), read_sidecar(clip).parameters
    changes = {"new": RAMP + 1, "first": RAMP * 2}
    write_sidecar(clip, changes, mode=mode, dtype="float16", max_error=1e-3)
    after = columns(clip)
    assert list(after) == ["first", "odd", "last", "new"]
    assert (after["odd"], after["last"]) == (before["odd"], before["last"])
    assert (after["first"] != before["first"]) == replaced
    for name in ("odd", "last"):
        old, new = vars(kept[name]).copy(), vars(read_sidecar(clip).parameters[name]).copy()
        del old["values"], new["values"]
        assert old == new


def test_dropped_column_goes_and_the_others_stay(clip):
    write_odd(clip)
    before = columns(clip)
    write_sidecar(clip, {}, drop=("odd",))
    assert columns(clip) == {name: before[name] for name in ("first", "last")}


def test_sidecar_without_columns_still_has_its_frames(tmp_path):
    """All parameters dropped: `[T, 0]` is no bytes, whatever T, and not a damaged file."""
    clip = tmp_path / "long.ecdc"
    write_ecdc(clip, random_ecdc("encodec_24khz", 1000 * 320, 1))
    write_sidecar(clip, {"x": np.zeros(1000)})
    write_sidecar(clip, {}, drop=("x",))
    assert (read_sidecar(clip).parameters, read_sidecar(clip).n_frames) == ({}, 1000)


def test_kept_columns_keep_their_values_when_the_array_grows_to_float32(clip):
    write_odd(clip)
    before = {n: f.values.astype(np.float32) for n, f in read_sidecar(clip).parameters.items()}
    write_sidecar(clip, {"index": 3001 + np.arange(T)}, dtype="auto")
    after = read_sidecar(clip).parameters
    assert all(np.array_equal(after[n].values, v, equal_nan=True) for n, v in before.items())
    assert after["index"].values.tolist() == list(range(3001, 3001 + T))


@pytest.mark.parametrize("name", ["other", "pitch"])
def test_float32_array_stays_float32(name, clip):
    """440.1 Hz is 440.0 in float16: writing another parameter later must not cost that."""
    write_sidecar(clip, {"pitch": np.full(T, 440.1)})
    write_sidecar(clip, {name: np.full(T, 440.1)}, dtype="float16" if name == "other" else "auto")
    values = read_sidecar(clip).parameters["pitch"].values
    assert values.dtype == np.float32
    assert values.tobytes() == np.full(T, 440.1, np.float32).tobytes()


@given(
    values=st.lists(
        st.lists(st.floats(width=16, allow_infinity=False), min_size=4, max_size=4),
        min_size=1,
        max_size=5,
    ),
    dtype=st.sampled_from(["float16", "float32", "auto"]),
)
@examples(40)
def test_any_half_precision_values_survive_in_their_order(values, dtype, tmp_path):
    parameters = {f"f{i}": column for i, column in enumerate(values)}
    clip = tmp_path / "any.ecdc"
    for path in sidecar_paths(clip):
        path.unlink(missing_ok=True)
    write_sidecar(clip, parameters, fps=75.0, dtype=dtype)
    back = read_sidecar(clip).parameters
    assert list(back) == list(parameters)
    for name, column in parameters.items():
        assert np.array_equal(back[name].values, np.array(column), equal_nan=True)


# What is refused, with nothing written


@pytest.mark.parametrize(
    ("parameters", "options", "mentions"),
    [
        ({"x": np.zeros(T - 1)}, {}, ["'x'", T - 1, T, "take.1.ecdc"]),
        ({"x": RAMP, "y": RAMP[1:]}, {}, ["different lengths", "x 75", "y 74", "take.1.ecdc"]),
        ({"x y": RAMP}, {}, ["'x y'"]),
        ({"x": np.full(T, np.inf)}, {}, ["'x'", "infinite"]),
        ({"x": np.full(T, 70_000)}, {"dtype": "float16"}, ["'x'", "dtype float32"]),
        ({"x": np.full(T, 2049)}, {"dtype": "float16"}, ["'x'", "dtype float32"]),
        ({"x": RAMP + 0.01}, {"dtype": "float16"}, ["'x'", "0.0001 of its range"]),
        ({"x": np.full(T, 1e39)}, {}, ["'x'", "1e+39 to inf", "dtype float64"]),
        ({"x": 16_777_217 + np.arange(T)}, {}, ["'x'", "16777217", "dtype float64"]),
        ({"x": {"values": RAMP, "kind": "categorical"}}, {}, ["'x'", "frame 1", "whole number"]),
        ({"x": RAMP}, {"fps": 150.0}, ["take.1.ecdc", "fps=75", "150"]),
        ({"x": RAMP}, {"mode": "apend"}, ["apend"]),
        ({"x": RAMP}, {"dtype": "float8"}, ["float8"]),
    ],
)
def test_wrong_parameters_are_one_line_and_change_nothing(parameters, options, mentions, clip):
    write_sidecar(clip, {"old": np.zeros(T)})
    before = contents(clip.parent)
    with pytest.raises(SidecarError) as error:
        write_sidecar(clip, parameters, **options)
    one_line(error, *mentions)
    assert contents(clip.parent) == before


@pytest.mark.parametrize("given", [{}, {"x": RAMP}], ids=["nothing new", "something new"])
def test_old_sidecar_of_another_length_names_both_lengths_and_both_files(given, clip):
    """The audio was encoded anew: the sidecar that is left from before does not fit it."""
    write_sidecar(clip, {"old": RAMP})
    write_ecdc(clip, random_ecdc("encodec_24khz", 24_001, 2))
    given = {name: np.append(values, 0) for name, values in given.items()}
    with pytest.raises(SidecarError) as error:
        write_sidecar(clip, given)
    one_line(error, T, T + 1, clip, sidecar_paths(clip)[0])


@pytest.mark.parametrize("fps", [None, 0, -75.0, float("nan"), float("inf")])
def test_without_tokens_the_frame_rate_must_be_given_and_make_sense(fps, tmp_path):
    with pytest.raises(SidecarError) as error:
        write_sidecar(tmp_path / "a.ecdc", {"x": RAMP}, fps=fps)
    one_line(error, "fps")
    assert contents(tmp_path) == {}


def test_a_failing_disk_leaves_the_old_pair_and_no_temporary_file(clip, monkeypatch):
    write_sidecar(clip, {"old": RAMP})
    before = contents(clip.parent)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_sidecar(clip, {"new": RAMP})
    assert contents(clip.parent) == before


# Pairs that do not belong together


def test_array_swapped_for_that_of_another_clip_is_noticed(clip):
    """Same shape, same dtype: only the hash tells."""
    other = clip.with_name("take.2.ecdc")
    write_sidecar(clip, {"x": RAMP})
    write_sidecar(other, {"x": RAMP + 1}, fps=75.0)
    array_path, meta_path = sidecar_paths(clip)
    array_path.write_bytes(sidecar_paths(other)[0].read_bytes())
    assert_refused(clip, array_path, meta_path.name)


def test_reader_between_the_two_writes_of_a_pair_waits_for_the_second(clip, monkeypatch):
    write_sidecar(clip, {"x": RAMP})
    old = [path.read_bytes() for path in sidecar_paths(clip)]
    write_sidecar(clip, {"x": RAMP + 1})
    new = [path.read_bytes() for path in sidecar_paths(clip)]
    put(clip, new[0], old[1])
    monkeypatch.setattr("preprocess.sidecar.sidecar_files.time.sleep", lambda _: put(clip, *new))
    assert read_sidecar(clip).parameters["x"].max == 1.0


@pytest.mark.parametrize("missing", [0, 1])
def test_half_a_pair_names_what_is_missing_and_can_be_written_anew(missing, clip):
    write_sidecar(clip, {"x": RAMP})
    path = sidecar_paths(clip)[missing]
    path.unlink()
    assert_refused(clip, path, "missing")
    write_sidecar(clip, {"y": RAMP})
    assert list(read_sidecar(clip).parameters) == ["y"]


# Files of other versions, and hostile ones


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_version_1_is_read(dtype, clip):
    array = np.stack([RAMP, np.arange(T)], axis=1).astype(dtype)
    norm = {"min": [-60, 0], "max": [0, 74], "mean": [-30, 37], "std": [17.5, None]}
    put(clip, array, {"names": ["level", "index"], "norm": norm, "fps": 75})
    sidecar = read_sidecar(clip)
    level, index = sidecar.parameters.values()
    assert list(sidecar.parameters) == ["level", "index"]
    assert (sidecar.version, sidecar.fps, sidecar.time) == (1, 75.0, {})
    assert index.values.tolist() == list(range(T))
    assert [getattr(level, key) for key in STATISTICS] == [-60, 0, -30, 17.5]
    assert (index.max, index.std, index.declared, index.kind) == (74, None, False, "continuous")


def test_version_1_without_statistics_is_read(clip):
    put(clip, np.ones((T, 2), np.float16), {"names": ["a", "b"]})
    sidecar = read_sidecar(clip)
    assert [(f.min, f.std) for f in sidecar.parameters.values()] == [(None, None)] * 2
    assert sidecar.fps is None


def test_version_2_is_read_and_extended(clip):
    """What a predecessor wrote stays, byte for byte, when a parameter is added."""
    entry = {"min": -80, "max": 6, "mean": -30, "std": 17, "units": "dB", "doc_string": "Level"}
    put(clip, RAMP.astype(np.float16)[:, None], version_2(level=entry))
    old = read_sidecar(clip)
    level = old.parameters["level"]
    assert (old.version, level.units, level.doc_string, level.declared) == (2, "dB", "Level", True)
    assert [getattr(level, key) for key in STATISTICS] == [-80, 6, -30, 17]
    write_sidecar(clip, {"x": PHASE}, mode="append")
    new = read_sidecar(clip)
    assert (new.version, list(new.parameters)) == (3, ["level", "x"])
    widened = new.parameters["level"].values
    assert (widened.dtype, widened.tolist()) == (np.float32, level.values.tolist())
    assert [getattr(new.parameters["level"], key) for key in STATISTICS] == [-80, 6, -30, 17]


@pytest.mark.parametrize(
    ("values", "low", "high", "declared"),
    [
        (np.full(T, 0.8), 0, 1, True),
        (np.full(T, 0.8), 0.8, 0.8, False),  # which float16 rounded, after it was measured
        (np.full(T, 0.8), float(np.float32(0.8)), float(np.float32(0.8)), False),
        (RAMP, -60, 0, False),
        (RAMP, -60, 1e-3, True),
        (RAMP, -60.01, 0, False),  # no other value of float16 than -60
        (np.full(T, 7), 7, 7, False),
        (np.full(T, np.nan), 0, 1, True),
        (RAMP, float("nan"), float("nan"), False),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_range_of_an_old_version_is_declared_if_it_is_not_the_measured_one(
    values, low, high, declared, version, clip
):
    """It was taken for measured, and normalising made 0.0 of the constant 0.8."""
    numbers = {"min": low, "max": high, "mean": 0.5, "std": 0.1}
    meta = version_2(x=numbers)
    if version == 1:
        meta = {"names": ["x"], "norm": {key: [value] for key, value in numbers.items()}}
    stored = values.astype(np.float16)
    put(clip, stored[:, None], meta)
    doubles = stored[~np.isnan(stored)].astype(np.float64)
    measured = [getattr(doubles, key)() if len(doubles) else None for key in STATISTICS]
    for parameter in (read_sidecar(clip).parameters["x"], read_described(clip)["x"]):
        assert parameter.declared == declared
        assert [parameter.measured[key] for key in STATISTICS] == pytest.approx(measured)
        assert (parameter.min, parameter.max) == ((low, high) if low == low else (None, None))
    assert len(read_described(clip)["x"].values) == 0


def test_a_range_of_zeros_that_the_values_do_not_have_is_none(clip):
    """The predecessor wrote four zeros where it knew no statistics."""
    put(clip, RAMP.astype(np.float16)[:, None], version_2(x=dict.fromkeys(STATISTICS, 0.0)))
    parameter = read_sidecar(clip).parameters["x"]
    assert (parameter.min, parameter.max, parameter.declared) == (-60, 0, False)
    assert parameter.mean == pytest.approx(-30, abs=1e-3)


def test_what_stood_in_an_old_range_is_normalised_by_it(clip):
    put(clip, np.full((T, 1), 0.8, np.float16), version_2(x={"min": 0, "max": 1}))
    stats = CorpusStats()
    stats.update(read_sidecar(clip).parameters)
    assert normalise([0.8, 0.0, 1.0], stats["x"]) == pytest.approx([0.8, 0.0, 1.0])


TIMES = 1_700_000_000 + np.arange(T) / 75


@pytest.mark.parametrize("values", [TIMES, np.full(T, 1e39), 2.0**40 + np.arange(T)])
def test_float64_is_written_read_and_kept(values, clip):
    """There was no way to write it, and a file of it was read as float32."""
    write_sidecar(clip, {"x": values}, dtype="float64")
    assert np.load(sidecar_paths(clip)[0]).dtype == np.float64
    write_sidecar(clip, {"other": RAMP})
    parameters = read_sidecar(clip).parameters
    assert parameters["x"].values.tobytes() == values.tobytes()
    assert parameters["other"].values.tobytes() == RAMP.tobytes()


def test_a_float64_array_of_the_predecessor_keeps_every_bit(clip):
    put(clip, TIMES[:, None], version_2(time={}))
    assert read_sidecar(clip).parameters["time"].values.tobytes() == TIMES.tobytes()


def test_the_type_may_become_narrower_when_all_parameters_are_written_anew(clip):
    write_sidecar(clip, {"x": RAMP}, dtype="float64")
    write_sidecar(clip, {"x": RAMP})
    assert read_sidecar(clip).parameters["x"].values.dtype == np.float32


def test_statistics_that_are_nan_are_read_as_unknown(clip):
    """Python writes NaN into JSON where a column was all NaN; the file must remain usable."""
    nan = dict.fromkeys(STATISTICS, float("nan"))
    put(clip, np.full((T, 1), np.nan, np.float16), version_2(f0_hz=nan))
    parameter = read_sidecar(clip).parameters["f0_hz"]
    assert [getattr(parameter, key) for key in STATISTICS] == [None] * 4
    write_sidecar(clip, {"x": RAMP})
    assert list(read_sidecar(clip).parameters) == ["f0_hz", "x"]


class Payload:
    """An object that makes a folder when a pickle that holds it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.mkdir, (self.marker,)


def test_array_with_a_pickle_is_refused_and_does_not_run(clip):
    marker = clip.with_name("ran")
    put(clip, np.array([[Payload(marker)]], object), version_2(x={}))
    assert_refused(clip, sidecar_paths(clip)[0], "object")
    assert not marker.exists()


def shaped(shape: str, descr: str = "'<f2'") -> bytes:
    return npy_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n")


ARRAYS = {
    "empty": b"",
    "text": b"1.0, 2.0",
    "magic only": b"\x93NUMPY",
    "huge shape": shaped("(1000000000000, 1)"),
    "shape that multiplies to the size": shaped("(-75, -1)") + b"\0" * 150,
    "endless column": shaped(f"(0, {10**30})"),
    "booleans as shape": shaped("(True, True)") + b"\0\0",
    "vector": npy(np.zeros(T, np.float16)),
    "integers": npy(np.zeros((T, 1), np.int32)),
    "cut": npy(np.zeros((T, 1), np.float16))[:-1],
    "longer than its shape": npy(np.zeros((T, 1), np.float16)) + b"\0",
    "open bracket in the header": npy_header("{'descr': '<f2', 'shape': (\n"),
    "nested header": npy_header("(" * 5000 + "\n"),
    "header that calls": npy_header("__import__('os').getcwd()\n"),
    "no such type": shaped("(1, 1)", "'nonsense'"),
    "fields": shaped("(1, 1)", "[('a', '<f2')]") + b"\0\0",
    "empty fields": shaped("(1, 1)", "[()]"),
    "version to come": npy_header("{}", version=(9, 0)),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_array_that_is_none_is_one_line_that_names_it(array, clip):
    assert_refused(put(clip, array, version_2(x={})), sidecar_paths(clip)[0])


def with_parameter(**entry: object) -> dict:
    return version_2(x=entry)


ONE_NAME = {"names": ["x"]}
METAS = {
    "empty": b"",
    "text": b"fps: 75",
    "not text": b"\xff\xfe\xfd",
    "nested": b"[" * 200_000,
    "list": [1],
    "null": None,
    "too large": b" " * MAX_META_BYTES + b"{}",
    "parameters as list": {"features": ["x"]},
    "parameter as number": {"features": {"x": 1}},
    "statistic as text": with_parameter(min="low"),
    "statistic beyond floats": with_parameter(min=10**400),
    "measured as number": with_parameter(measured=3),
    "rate as text": {**with_parameter(), "fps": "fast"},
    "rate beyond floats": {**with_parameter(), "fps": 10**400},
    "time as list": {**with_parameter(), "time": [1]},
    "provenance as text": {**with_parameter(), "provenance": "none"},
    "version to come": {**with_parameter(), "schema_version": 4},
    "endless version": {**with_parameter(), "schema_version": float("inf")},
    "names as number": {"names": 5},
    "norm as list": {**ONE_NAME, "norm": []},
    "norm as number": {**ONE_NAME, "norm": {"min": 3}},
    "norm that is too short": {"names": ["x", "y"], "norm": {"min": [1]}},
    "norm by name": {**ONE_NAME, "norm": {"min": {"x": 1}}},
    "column too few": version_2(),
    "column too many": version_2(x={}, y={}),
    "name twice": {"names": ["x", "x"]},
}


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS)
def test_metadata_that_is_none_is_one_line_that_names_it(meta, clip):
    array = np.zeros((T, 2 if meta == METAS["name twice"] else 1), np.float16)
    assert_refused(put(clip, array, meta), sidecar_paths(clip)[1].name)


@given(data=st.data())
@examples(200)
def test_no_changed_byte_gives_anything_but_a_sidecar_or_our_error(data, tmp_path):
    """Files of version 2: without a hash, the parsers stand alone."""
    clip = tmp_path / "fuzzed.ecdc"
    meta = version_2(x={"min": 0, "max": 1, "units": "dB"}, y={})
    parts = [bytearray(npy(np.zeros((3, 2), np.float16))), bytearray(json.dumps(meta).encode())]
    for part in parts:
        for _ in range(data.draw(st.integers(0, 2))):
            part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    put(clip, bytes(parts[0]), bytes(parts[1]))
    try:
        sidecar = read_sidecar(clip)
    except SidecarError as error:
        assert str(tmp_path) in str(error)
    else:
        lengths = {len(parameter.values) for parameter in sidecar.parameters.values()}
        assert lengths <= {sidecar.n_frames}


# The predecessor's function


def predecessors_parameters(frames: int) -> dict:
    return {
        "gain_db": {
            "values": np.linspace(-12, 0, frames),
            "units": "dB",
            "doc_string": "Per-frame gain in decibels",
        },
        "scene_id": {
            "values": np.full(frames, 7, np.float32),
            "min": 7,
            "max": 7,
            "doc_string": "Integer scene label",
        },
        "energy": np.random.default_rng(0).random(frames).astype(np.float32),
    }


def test_predecessors_call_writes_its_sidecar(tmp_path):
    parameters = predecessors_parameters(100)
    write_sidecar_features_for_rel(
        root=tmp_path,
        ecdc_rel=Path("ecdc/II_Double.ecdc"),
        features=parameters,
        fps=75.0,
        mode="overwrite",
        require_ecdc_exists=False,
    )
    assert sorted(contents(tmp_path)) == ["ecdc/II_Double.cond.json", "ecdc/II_Double.cond.npy"]
    sidecar = read_sidecar(tmp_path / "ecdc" / "II_Double.ecdc")
    gain, scene, energy = sidecar.parameters.values()
    assert list(sidecar.parameters) == ["gain_db", "scene_id", "energy"]
    assert (sidecar.n_frames, sidecar.fps, gain.units) == (100, 75.0, "dB")
    assert (scene.min, scene.max, scene.declared) == (7, 7, True)
    assert energy.mean == pytest.approx(parameters["energy"].mean())
    assert np.array_equal(energy.values, parameters["energy"])


@pytest.mark.parametrize(
    "relative", ["../out.ecdc", "a/../../out.ecdc", "/tmp/out.ecdc", "link/out.ecdc"]
)
def test_path_that_leaves_its_root_is_refused(relative, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(SidecarError) as error:
        write_sidecar_features_for_rel(root, relative, {"x": RAMP}, fps=75.0)
    one_line(error, relative, root)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("relative", ["take", "take.wav", "take.cond.npy"])
def test_path_that_is_no_token_file_is_refused(relative, tmp_path):
    with pytest.raises(SidecarError, match=r"must end in \.ecdc"):
        write_sidecar_features_for_rel(tmp_path, relative, {"x": RAMP}, fps=75.0)
    assert contents(tmp_path) == {}


def test_tokens_can_be_required(clip):
    """And where they exist, their length and rate rule."""
    call = write_sidecar_features_for_rel
    with pytest.raises(FileNotFoundError, match=r"take\.9\.ecdc"):
        call(clip.parent, "take.9.ecdc", {"x": RAMP}, fps=75.0, require_ecdc_exists=True)
    call(clip.parent, clip.name, {"x": RAMP}, require_ecdc_exists=True)
    assert read_sidecar(clip).fps == 75.0


def test_what_nan_stands_for_is_kept(clip):
    values = np.where(np.arange(T) % 2, np.nan, 1.0)
    write_sidecar(clip, {"pitch": {"values": values, "nan": "unvoiced"}, "level": RAMP})
    write_sidecar(clip, {"level": RAMP / 2})
    parameters = read_sidecar(clip).parameters
    assert (parameters["pitch"].nan, parameters["level"].nan) == ("unvoiced", "")


def test_both_files_are_whole_before_the_first_is_renamed(clip, monkeypatch):
    """Old metadata never stands beside a new array, and both new ones wait complete."""
    from preprocess.sidecar import sidecar_files

    write_sidecar(clip, {"x": RAMP})
    array_path, meta_path = sidecar_paths(clip)
    renamed = []

    def replace(source, target):
        if not renamed:
            waiting = [path for path in clip.parent.iterdir() if path.suffix == ".new"]
            assert sorted(len(path.read_bytes()) > 100 for path in waiting) == [True, True]
        renamed.append(Path(target))
        Path(source).rename(target)

    monkeypatch.setattr(sidecar_files.os, "replace", replace)
    write_sidecar(clip, {"x": RAMP / 2})
    assert renamed == [meta_path, array_path]
    assert read_sidecar(clip).parameters["x"].values[0] == -30


def test_a_reader_beside_a_writer_sees_one_pair_or_the_other(clip):
    """Each write changes the value and the text together; a reader must never mix them."""
    import threading

    def write(number: int) -> None:
        parameter = {"values": np.full(T, number), "doc_string": str(number)}
        write_sidecar(clip, {"x": parameter})

    write(0)
    writer = threading.Thread(target=lambda: [write(number) for number in range(1, 60)])
    writer.start()
    seen = set()
    while writer.is_alive():
        parameter = read_sidecar(clip).parameters["x"]
        assert set(parameter.values) == {float(parameter.doc_string)}
        seen.add(parameter.doc_string)
    writer.join()
    assert read_sidecar(clip).parameters["x"].doc_string == "59"
    assert len(seen) > 1
