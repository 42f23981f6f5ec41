"""Sidecars are written for every clip, made again when what shapes them changed, else left."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from preprocess.audio.measures import frame_rms
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import sidecar_paths, write_sidecar_features_for_rel
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.commands import (
    assert_says,
    cut,
    files_under,
    run,
    write_tokens,
    write_tone,
    write_wav,
)

X = "--constant name=x value=1"
RAMP = "--ramp name=r start=0 end=1"


def write_by_hand(root, name: str = "h"):
    write_sidecar_features_for_rel(root, "take.1.ecdc", {name: np.full(10, 7)})


@pytest.fixture
def root(tmp_path):
    """Three clips of 10, 10 and 11 frames, two of which differ after a dot only."""
    for name, samples in (("take.1", 3200), ("take.2", 3199), ("s/b", 3201)):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc", samples=samples)
    return tmp_path / "ecdc"


def values_of(root, name: str = "take.1") -> dict[str, list[float]]:
    parameters = read_sidecar(root / f"{name}.ecdc").parameters
    return {key: parameter.values.tolist() for key, parameter in parameters.items()}


def stamps(root) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in root.rglob("*.cond.*")}


def test_every_clip_gets_an_aligned_sidecar(root, capsys):
    result = run(capsys, f"annotate @ {X} units=Hz min=0 max=2 {RAMP}", root)
    assert (result.status, result.err) == (0, [])
    assert "3 clips" in result.out[-1]
    assert "2 parameters (x, r)" in result.out[-1]
    for name, frames in (("take.1", 10), ("take.2", 10), ("s/b", 11)):
        assert values_of(root, name)["x"] == [1] * frames
        np.testing.assert_allclose(values_of(root, name)["r"], np.linspace(0, 1, frames), atol=1e-3)
        array = np.load(root / f"{name}.cond.npy")
        meta = json.loads((root / f"{name}.cond.json").read_text())
        assert array.shape == (frames, 2)
        assert list(meta["features"]) == ["x", "r"]
        assert (meta["fps"], meta["source_rate"]) == (75, 75)
    parameter = read_sidecar(root / "take.1.ecdc").parameters["x"]
    assert (parameter.units, parameter.min, parameter.max, parameter.declared) == ("Hz", 0, 2, True)
    assert len(files_under(root)) == 9


def test_a_second_run_leaves_every_sidecar(root, capsys):
    run(capsys, f"annotate @ {X}", root)
    before = stamps(root)
    result = run(capsys, f"annotate @ {X} --jobs 2", root)
    assert (result.status, stamps(root)) == (0, before)
    assert "3 up to date" in result.out[-1]


@pytest.mark.parametrize(
    "words", ["--constant name=x value=2", f"{X} units=s", f"{X} {RAMP}", f"{X} --dtype float32"]
)
def test_a_changed_producer_makes_them_again(root, capsys, words):
    run(capsys, f"annotate @ {X}", root)
    before = stamps(root)
    assert run(capsys, f"annotate @ {words}", root).status == 0
    assert all(stamp != before[name] for name, stamp in stamps(root).items())


def test_changed_tokens_of_the_same_length_make_them_again(root, capsys):
    run(capsys, f"annotate @ {X}", root)
    write_tokens(root / "take.1.ecdc", samples=3200, k=4)
    assert "1 clip in" in run(capsys, f"annotate @ {X}", root).out[-1]


def test_changed_tokens_of_another_length_make_them_again(root, capsys):
    run(capsys, f"annotate @ {X}", root)
    write_tokens(root / "take.1.ecdc", samples=6400)
    assert run(capsys, f"annotate @ {X}", root).status == 0
    assert values_of(root) == {"x": [1] * 20}


def test_a_parameter_by_hand_of_another_length_names_both_lengths_and_files(root, capsys):
    write_by_hand(root)
    write_tokens(root / "take.1.ecdc", samples=6400)
    result = run(capsys, f"annotate @ {X}", root)
    assert result.status == 1
    assert_says(result.error, ["take.1.ecdc", "20", "take.1.cond.npy has 10"])


def test_changed_code_of_the_user_makes_them_again(root, tmp_path):
    path = tmp_path / "knobs.py"
    words = [sys.executable, "-m", "preprocess", "annotate", root, "--function"]
    for value in (1, 2):
        path.write_text(f"def f(clip): return {{'x': [{value}] * clip.n_frames}}\n")
        subprocess.run([*words, f"function={path}:f"], check=True, capture_output=True)
        assert values_of(root)["x"] == [value] * 10


def test_a_value_that_the_type_would_damage_is_named_with_the_ways_out(root, capsys):
    line = "--ramp name=r start=-60 end=0.1"
    assert run(capsys, f"annotate @ {line}", root).status == 0
    assert read_sidecar(root / "take.1.ecdc").parameters["r"].values.dtype == np.float32
    result = run(capsys, f"annotate @ {line} --dtype float16", root)
    assert result.status == 1
    assert_says(result.err[1], ["take.1.ecdc", "'r'", "float16 would change", "max_error"])
    assert run(capsys, f"annotate @ {line} --dtype float16 --max-error 1e-3", root).status == 0
    assert read_sidecar(root / "take.1.ecdc").parameters["r"].values.dtype == np.float16
    time = "--ramp name=r start=1700000000 end=1700000010"
    result = run(capsys, f"annotate @ {time}", root)
    assert result.status == 1
    assert_says(result.err[1], ["'r'", "float32 would change", "choose dtype float64"])
    assert run(capsys, f"annotate @ {time} --dtype float64", root).status == 0
    assert values_of(root)["r"][-1] == 1_700_000_010


def test_a_changed_error_makes_them_again(root, capsys):
    run(capsys, f"annotate @ {X}", root)
    assert "up to date" not in run(capsys, f"annotate @ {X} --max-error 0.1", root).out[-1]


def test_angles_of_tables_and_steps_are_wrapped(root, tmp_path, capsys):
    """400 and -20 degrees stayed what they were."""
    (tmp_path / "table.csv").write_text("id,row\ntake.1,400\ntake.2,-20\ns/b,0\n")
    for name in ("take.1", "take.2", "s/b"):
        curve = tmp_path / f"curves/{name}.csv"
        curve.parent.mkdir(parents=True, exist_ok=True)
        curve.write_text("time,step\n0,400\n5,-20\n")
    table = f"--table path={tmp_path}/table.csv 'kind={{row: circular}}' 'units={{row: deg}}'"
    curve = f"--curve root={tmp_path}/curves columns=step time=time interpolation=step"
    described = "'kind={step: circular}' 'units={step: deg}'"
    assert run(capsys, f"annotate @ {table} {curve} {described}", root).status == 0
    assert [values_of(root, name)["row"][0] for name in ("take.1", "take.2")] == [40, 340]
    assert set(values_of(root)["step"]) == {40}


def test_append_keeps_what_is_there(root, capsys):
    write_by_hand(root, "x")
    run(capsys, f"annotate @ {X} {RAMP} --mode append", root)
    assert values_of(root)["x"] == [7] * 10
    assert values_of(root, "take.2")["x"] == [1] * 10
    run(capsys, f"annotate @ {RAMP} --mode append", root)
    assert values_of(root)["x"] == [7] * 10, "it was written by hand, and vanished"


def test_overwrite_after_append_overwrites(root, capsys):
    run(capsys, f"annotate @ {X}", root)
    run(capsys, "annotate @ --constant name=x value=2 --mode append", root)
    assert values_of(root)["x"] == [1] * 10
    run(capsys, "annotate @ --constant name=x value=2", root)
    assert values_of(root)["x"] == [2] * 10


def test_two_producers_of_one_parameter_are_refused(root, capsys):
    result = run(capsys, f"annotate @ {X} --ramp name=x start=0 end=1", root)
    assert result.status == 2
    assert_says(result.error, ["two producers (constant and ramp) make the parameter 'x'"])
    assert not stamps(root)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("", ["at least one producer"]),
        ("--rms-db", ["rms_db", "--audio-root"]),
        ("--rms-db --audio-root no/such", ["audio root no/such does not exist"]),
        ("--constant name=x", ["constant", "'value' is missing"]),
        ("--constant nam=x value=1", ["constant", "'nam'", "'name'"]),
        ("--constant name=x value=nan", ["constant", "value", "nan"]),
        ("--constant name=x value=[1", ["value"]),
        ("--constant x", ["--constant", "KEY=VALUE", "'x'"]),
        ("--filename pattern=(", ["is not a regular expression"]),
        ("--function function=no_such_file.py:f", ["no_such_file.py does not exist"]),
    ],
)
def test_wrong_usage_is_one_line(root, capsys, words, parts):
    result = run(capsys, f"annotate @ {words}", root)
    assert result.status == 2
    assert_says(result.error, parts)
    assert not stamps(root)


@pytest.mark.parametrize("text", ["%", "dB: re full scale", "yes", "1/s", "°C", "@", "5", "#", ""])
def test_units_are_text_whatever_yaml_would_make_of_them(root, capsys, text):
    assert run(capsys, f"annotate @ {X} 'units={text}'", root).status == 0
    assert read_sidecar(root / "take.1.ecdc").parameters["x"].units == text


def test_labels_of_file_names_are_given_as_yaml(root, capsys):
    words = (r"pattern=(?P<kind>[b\d])$", 'labels={kind: [b, "1", "2"]}')
    assert run(capsys, "annotate @ --filename @ @", root, *words).status == 0
    for index, name in enumerate(("s/b", "take.1", "take.2")):
        assert set(values_of(root, name)["kind"]) == {index}


def test_level_of_the_decoded_tokens(token_folder, demo_codec, capsys):
    assert run(capsys, "annotate @ --rms-db source=tokens name=heard", token_folder).status == 0
    wave = demo_codec.decode(read_ecdc(token_folder / "b/one.ecdc"))[0]
    whole = len(wave) // 320
    levels = 10 * np.log10(np.mean(wave[: whole * 320].reshape(whole, 320) ** 2, axis=1))
    heard = values_of(token_folder, "b/one")["heard"]
    assert len(heard) == -(-len(wave) // 320)
    np.testing.assert_allclose(heard[:whole], levels, atol=0.04)  # float16 at -80


@pytest.mark.parametrize("empty", [True, False])
def test_no_tokens_are_wrong_usage(tmp_path, capsys, empty):
    if empty:
        (tmp_path / "ecdc").mkdir()
    result = run(capsys, f"annotate @ {X}", tmp_path / "ecdc")
    assert result.status == 2
    assert str(tmp_path / "ecdc") in result.error


@pytest.fixture
def audio(root, tmp_path):
    """The audio of the three clips, of the right lengths."""
    for name, samples in (("take.1", 3200), ("take.2", 3199), ("s/b", 3201)):
        write_wav(tmp_path / f"wav/{name}.wav", np.full(samples, 0.1))
    return tmp_path / "wav"


def test_audio_is_found_by_the_clips_path(root, audio, capsys):
    assert run(capsys, "annotate @ --rms-db --audio-root @", root, audio).status == 0
    for name in ("take.1", "take.2", "s/b"):
        np.testing.assert_allclose(values_of(root, name)["rms_db"], -20, atol=0.01)


def test_changed_audio_makes_its_sidecar_again(root, audio, capsys):
    run(capsys, "annotate @ --rms-db --audio-root @", root, audio)
    write_wav(audio / "s/b.wav", np.full(3201, 0.01))
    result = run(capsys, "annotate @ --rms-db --audio-root @", root, audio)
    assert "1 clip in" in result.out[-1]
    assert "2 up to date" in result.out[-1]
    np.testing.assert_allclose(values_of(root, "s/b")["rms_db"], -40, atol=0.02)


def _longer(audio):
    write_wav(audio / "take.1.wav", np.full(3500, 0.1))


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (_longer, ["{audio}/take.1.wav has 3500", "{root}/take.1.ecdc has 3200"]),
        (
            lambda audio: (audio / "take.1.wav").unlink(),
            ["{root}/take.1.ecdc", "no normalized audio"],
        ),
        (lambda audio: cut(audio / "take.1.wav", 4000), ["{audio}/take.1.wav is truncated"]),
        (
            lambda audio: write_tone(audio / "take.1.flac"),
            ["{root}/take.1.ecdc", "take.1.flac", "take.1.wav"],
        ),
    ],
    ids=["another length", "missing", "cut", "two"],
)
def test_audio_that_does_not_fit_is_reported_and_the_rest_is_done(
    root, audio, capsys, spoil, parts
):
    spoil(audio)
    result = run(capsys, "annotate @ --rms-db --audio-root @", root, audio)
    assert result.status == 1
    assert_says(result.error, [part.format(root=root, audio=audio) for part in parts])
    assert set(stamps(root)) == {"take.2.cond.npy", "take.2.cond.json", "b.cond.npy", "b.cond.json"}


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("raise ValueError('no\\nknob')", ["ValueError", "no knob"]),
        ("return {'x': [1, 2]}", ["'x' has 2 frames", "take.1.ecdc has 10"]),
        ("return {'x': [1] * 10, 'y': [1] * 9}", ["different lengths", "x 10, y 9"]),
        ("return {'x y': [1] * 10}", ["'x y'", "a name must consist of"]),
        ("return {1: [1] * 10}", ["1", "a name must consist of"]),
        ("return {'x': 'loud'}", ["'x'", "numbers"]),
        ("return {'x': [float('inf')] * 10}", ["'x'", "infinite"]),
        ("return {'x': {'value': [1] * 10}}", ["'x'", "unknown key 'value'"]),
        ("return 3", ["returned int"]),
    ],
)
def test_what_fails_in_a_users_code_is_one_line_that_names_the_clip(
    root, tmp_path, capsys, body, parts
):
    path = tmp_path / "knobs.py"
    path.write_text(
        f"def f(clip):\n    if clip.id == 'take.1': {body}\n    return {{'x': [1] * clip.n_frames}}\n"
    )
    result = run(capsys, f"annotate @ --function function={path}:f", root)
    assert result.status == 1
    assert_says(result.error, [str(root / "take.1.ecdc"), *parts])
    assert values_of(root, "take.2") == {"x": [1] * 10}
    assert not sidecar_paths(root / "take.1.ecdc")[0].exists()


def test_a_damaged_sidecar_is_reported_and_left(root, capsys):
    run(capsys, f"annotate @ {X}", root)
    cut(root / "take.1.cond.npy", -4)
    before = stamps(root)
    result = run(capsys, f"annotate @ {RAMP}", root)
    assert result.status == 1
    assert "take.1.cond.npy" in result.error
    assert stamps(root)["take.1.cond.npy"] == before["take.1.cond.npy"]


def test_damaged_tokens_are_reported_and_the_rest_is_done(root, capsys):
    cut(root / "take.1.ecdc", 20)
    result = run(capsys, f"annotate @ {X}", root)
    assert result.status == 1
    assert "take.1.ecdc is truncated" in result.error
    assert len(stamps(root)) == 4


@pytest.mark.parametrize("done", [0, 3])
def test_a_dry_run_writes_nothing(root, capsys, done):
    if done:
        run(capsys, f"annotate @ {X}", root)
    before = stamps(root)
    result = run(capsys, f"annotate @ {X} --dry-run", root)
    assert (result.status, stamps(root)) == (0, before)
    assert "dry run" in result.out[-1]
    assert ", ," not in result.out[-1]
    assert len(files_under(root)) == 3 + len(before)


def test_rms_from_tokens_is_that_of_the_decoded_audio(token_folder, demo_codec, capsys):
    """The level of what a model hears, which the codec does not keep exactly."""
    result = run(capsys, "annotate @ --rms-db source=tokens name=heard --device cpu", token_folder)
    assert (result.status, result.err) == (0, [])
    for path in sorted(token_folder.rglob("*.ecdc")):
        ecdc = read_ecdc(path)
        rms = frame_rms(demo_codec.decode(ecdc), ecdc.header.spec)
        expected = 20 * np.log10(np.maximum(rms, 1e-6))
        heard = read_sidecar(path).parameters["heard"].values
        np.testing.assert_allclose(heard, expected, atol=0.05)
        assert len(heard) == ecdc.codes.shape[1]
