"""An audit finds values that fit the other clips only in another column, unit or range."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from tests.helpers.commands import assert_says, run, write_tokens

CLIPS, FRAMES = 24, 60


def wander(rng, low: float, high: float, frames: int = FRAMES):
    """Return values from nearly `low` to nearly `high` that move at random."""
    steps = np.cumsum(rng.standard_normal(frames))
    steps = (steps - steps.min()) / (np.ptp(steps) or 1)
    margin = 0.1 * (high - low) * rng.random(2)
    return low + margin[0] + (high - low - margin.sum()) * steps


def parameters(rng, frames: int = FRAMES):
    return {
        "cutoff": {"values": wander(rng, 200, 8000, frames), "units": "Hz"},
        "level": {"values": wander(rng, -60, -6, frames), "units": "dB"},
        "gain": wander(rng, 0.05, 0.9, frames),
        "phase": {"values": wander(rng, 0, 359, frames), "kind": "circular", "units": "deg"},
        "bright": wander(rng, 0.0, 0.4, frames),
        "noisy": wander(rng, 0.6, 1.0, frames),
    }


@pytest.fixture
def root(tmp_path):
    """Clips with parameters of very different sizes."""
    for number in range(CLIPS):
        path = write_tokens(tmp_path / f"c{number:02d}.ecdc", samples=320 * FRAMES, seed=number)
        write_sidecar(path, parameters(np.random.default_rng(number)), dtype="auto")
    return tmp_path


def change(root, clip: str, **made):
    """Replace values of parameters of a clip, leaving what is said of them."""
    path = root / f"{clip}.ecdc"
    old = read_sidecar(path).parameters
    new = {
        name: {
            "values": made.get(name, parameter.values),
            "units": parameter.units,
            "kind": parameter.kind,
        }
        for name, parameter in old.items()
    }
    write_sidecar(path, new, dtype="float32")


def values(root, clip: str, name: str):
    return read_sidecar(root / f"{clip}.ecdc").parameters[name].values.astype(np.float64)


def audit(capsys, root, words: str = "") -> tuple[int, set[tuple[str, str]], str]:
    """Return the exit status, check and file name of every finding, and their messages."""
    result = run(capsys, f"audit @ --format json {words}", root)
    rows = json.loads("\n".join(result.out))
    found = {(row["check"], row["path"].removeprefix(str(root)).lstrip("/")) for row in rows}
    return result.status, found, "\n".join(row["message"] for row in rows)


def test_clips_that_are_as_they_should_be_have_no_findings(root, capsys):
    assert audit(capsys, root) == (0, set(), "")


@pytest.mark.parametrize(("a", "b"), [("cutoff", "gain"), ("level", "gain"), ("bright", "noisy")])
def test_columns_that_changed_places_are_named(root, capsys, a, b):
    of_a, of_b = values(root, "c07", a), values(root, "c07", b)
    change(root, "c07", **{a: of_b, b: of_a})
    status, found, text = audit(capsys, root)
    assert (status, found) == (0, {("swapped", "c07.ecdc")})
    assert_says(text, [repr(a), repr(b), "swapped"])
    assert audit(capsys, root, "--fail-on swapped")[0] == 1


def test_two_columns_of_one_range_are_told_apart_by_their_values_alone(tmp_path, capsys):
    """Where both move over the same range nothing tells, and nothing is said."""
    for number in range(CLIPS):
        path = write_tokens(tmp_path / f"c{number:02d}.ecdc", samples=320 * FRAMES, seed=number)
        rng = np.random.default_rng(number)
        both = [wander(rng, 0, 1), wander(rng, 0, 1)][:: -1 if number == 7 else 1]
        write_sidecar(path, dict(zip("ab", both, strict=True)), dtype="auto")
    assert audit(capsys, tmp_path)[1] == set()


UNITS = {
    "Hz in kHz": ("cutoff", lambda x: x / 1000, "1,000 times too small"),
    "a tenth": ("cutoff", lambda x: x / 10, "10 times too small"),
    "percent": ("gain", lambda x: x * 100, "100 times too large"),
    "radians": ("phase", np.radians, "radians for degrees"),
    "turns": ("phase", lambda x: x / 360, "turns for degrees"),
    "linear for dB": ("level", lambda x: 10 ** (x / 20), "linear, but is in dB in most clips"),
    "power for dB": ("level", lambda x: 10 ** (x / 10), "linear, but is in dB in most clips"),
    "dB for linear": ("gain", lambda x: 20 * np.log10(x), "like dB, but is linear in most clips"),
}


@pytest.mark.parametrize("unit", UNITS)
def test_another_unit_in_one_clip_is_found_with_what_it_may_be(root, capsys, unit):
    name, convert, said = UNITS[unit]
    change(root, "c11", **{name: convert(values(root, "c11", name))})
    status, found, text = audit(capsys, root)
    assert (status, found) == (0, {("other_unit", "c11.ecdc")})
    assert_says(text, [repr(name), said])


def test_two_clips_in_fifty_may_have_the_same_mistake(tmp_path, capsys):
    for number in range(50):
        path = write_tokens(tmp_path / f"c{number:02d}.ecdc", samples=320 * FRAMES, seed=number)
        made = parameters(np.random.default_rng(number))
        if number in (3, 30):
            made["cutoff"]["values"] /= 1000
        write_sidecar(path, made, dtype="auto")
    expected = {("other_unit", "c03.ecdc"), ("other_unit", "c30.ecdc")}
    assert audit(capsys, tmp_path)[1] == expected


def test_a_fourth_of_the_clips_is_no_mistake(tmp_path, capsys):
    for number in range(CLIPS):
        path = write_tokens(tmp_path / f"c{number:02d}.ecdc", samples=320 * FRAMES, seed=number)
        low = number % 4 == 0
        x = wander(np.random.default_rng(number), 1, 9) * (1 if low else 1000)
        write_sidecar(path, {"x": x, "y": 1000 * low + np.arange(FRAMES)}, dtype="auto")
    assert audit(capsys, tmp_path)[1] == set()


def test_another_declared_range_is_a_warning(root, capsys):
    for number in range(CLIPS):
        top = 4 if number == 5 else 2
        gain = {"values": values(root, f"c{number:02d}", "gain"), "min": 0, "max": top}
        write_sidecar(root / f"c{number:02d}.ecdc", {"gain": gain}, mode="overwrite")
    status, found, text = audit(capsys, root)
    assert (status, found) == (0, {("declared_range", "c05.ecdc")})
    assert_says(text, ["'gain' is declared from 0 to 4, in most clips from 0 to 2"])


def test_declared_ranges_that_all_differ_are_said_once(root, capsys):
    for number in range(CLIPS):
        gain = {"values": values(root, f"c{number:02d}", "gain"), "min": 0, "max": 1 + number}
        write_sidecar(root / f"c{number:02d}.ecdc", {"gain": gain}, mode="overwrite")
    status, found, text = audit(capsys, root)
    assert (status, found) == (0, {("declared_range", "")})
    assert_says(text, ["'gain' has 24 declared ranges in 24 clips"])


def constants(rng, number):
    label = number % 12 == 3
    return {
        "flute": np.full(FRAMES, float(not label)),
        "piano": np.full(FRAMES, float(label)),
        "pitch": np.full(FRAMES, 440.0 * 2.0 ** rng.integers(-3, 4)),
        "rate": np.full(FRAMES, 10.0 if number == 4 else 1.0),
    }


def glides(rng, number):
    low, high = np.sort(rng.random(2))
    mirrored = np.linspace(low, high, FRAMES)
    return {
        "dry": mirrored,
        "wet": 1 - mirrored,
        "hz": np.geomspace(20 + 100 * low, 20 + 18_000 * high, FRAMES),
        "time": np.arange(FRAMES) / 75,
        "azimuth": {"values": np.linspace(0, 360 * high, FRAMES) % 360, "kind": "circular"},
    }


def noise(rng, number):
    size = 10 ** rng.uniform(-3, 0)
    return {
        "rms": size * rng.random(FRAMES),
        "db": {"values": 20 * np.log10(size * rng.uniform(0.1, 1, FRAMES)), "units": "dB"},
        "slope": size * rng.standard_normal(FRAMES),
        "eq": {"values": rng.uniform(-12, 12, FRAMES), "units": "dB"},
    }


def rhythms(rng, number):
    gate = (rng.random(FRAMES) < 0.2).astype(float)
    return {
        "gate": {"values": gate, "kind": "categorical"},
        "velocity": {"values": gate * rng.integers(1, 128), "min": 0, "max": 127},
        "note": {"values": np.where(gate > 0, rng.integers(30, 90), np.nan), "nan": "no note"},
        "onset_gain": np.where(gate > 0, 10 ** rng.uniform(-2, 0), 0),
    }


@pytest.mark.parametrize("clips", [3, 12, 60])
@pytest.mark.parametrize("make", [constants, glides, noise, rhythms, lambda r, n: parameters(r)])
def test_good_corpora_of_all_kinds_have_no_warning_of_their_values(tmp_path, capsys, make, clips):
    for number in range(clips):
        path = write_tokens(tmp_path / f"c{number:02d}.ecdc", samples=320 * FRAMES, seed=number)
        made = make(np.random.default_rng([clips, number]), number)
        write_sidecar(path, made, dtype="float32")
    found = audit(capsys, tmp_path)[1]
    # A constant in a clip while it moves in others is another check's.
    assert {check for check, _ in found} <= {"constant"}
