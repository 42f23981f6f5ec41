"""Recipes: every setting is a key, and a wrong one is one line that names it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from preprocess.audit.audit_config import AuditConfig
from preprocess.codec.model_config import CodecConfig
from preprocess.params import Constant, Filename, Ramp, RmsDb
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.normalize import NormalizeConfig
from preprocess.steps.recipe import Recipe, read_recipe
from preprocess.tokens.specs import codec_spec
from tests.helpers.commands import assert_says, files_under, run, write_tone

SECTIONS = {
    "normalize": NormalizeConfig(target_rms=0.2, extensions=("wav",), on_clip="cut"),
    "encode": EncodeConfig(bandwidth=24, verify=True, suffix=".tok"),
    "audit": AuditConfig(require=("a", "b"), expect_fps=75, expect_dtype="float32"),
    "build": BuildConfig(bandwidth=6, split_name="train", materialize="copy"),
}
CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.yaml"))
PATHS = "input: a\noutput: b\n"


def recipe_of(tmp_path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_step_is_a_key(tmp_path, section):
    values = dataclasses.asdict(SECTIONS[section])
    lists = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
    text = yaml.safe_dump({"input": "a", "output": "b", section: lists})
    recipe = read_recipe(recipe_of(tmp_path, text))
    assert getattr(recipe, section) == SECTIONS[section]
    assert dataclasses.replace(recipe, **{section: type(SECTIONS[section])()}) == Recipe(
        input=Path("a"), output=Path("b")
    )


def test_the_top_level_has_the_paths_the_codec_and_the_jobs(tmp_path):
    codec = CodecConfig(codec="encodec_48khz", weights="w.th", device="cpu")
    text = PATHS + yaml.safe_dump({**dataclasses.asdict(codec), "jobs": 3})
    expected = Recipe(input=Path("a"), output=Path("b"), jobs=3, **dataclasses.asdict(codec))
    assert read_recipe(recipe_of(tmp_path, text)) == expected


def test_how_exactly_sidecars_hold_values_is_a_key(tmp_path):
    """An error that says to choose dtype float64 can be followed in a recipe too."""
    recipe = read_recipe(recipe_of(tmp_path, PATHS + "dtype: float64\nmax_error: 1.0e-6\n"))
    assert (recipe.dtype, recipe.max_error) == ("float64", 1e-6)


def test_annotate_is_a_list_of_producers(tmp_path):
    text = """
        annotate:
          - rms_db
          - constant: {name: x, value: 1}
          - ramp: {name: y, start: 0, end: 1, units: '%'}
          - filename: {pattern: '(?P<n>\\d+)'}
    """
    recipe = read_recipe(
        recipe_of(tmp_path, "input: a\noutput: b" + text.replace("\n        ", "\n"))
    )
    assert recipe.annotate == (
        RmsDb(),
        Constant(name="x", value=1),
        Ramp(name="y", start=0, end=1, units="%"),
        Filename(pattern=r"(?P<n>\d+)"),
    )


@pytest.mark.parametrize("section", [*SECTIONS, "annotate"])
def test_an_empty_section_is_its_defaults(tmp_path, section):
    recipe = read_recipe(recipe_of(tmp_path, f"{PATHS}{section}:\n"))
    assert recipe == Recipe(input=Path("a"), output=Path("b"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_recipe_that_ships_is_valid(path):
    recipe = read_recipe(path)
    assert codec_spec(recipe.codec).n_codebooks(recipe.encode.bandwidth) > 0
    if recipe.build.bandwidth is not None:
        assert recipe.build.bandwidth <= recipe.encode.bandwidth


def test_recipes_ship():
    assert "quickstart.yaml" in {path.name for path in CONFIGS}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["expected keys"]),
        ("- a\n", ["expected keys"]),
        ("just words\n", ["expected keys"]),
        ("output: b\n", ["'input' is missing"]),
        ("inptu: a\noutput: b\n", ["unknown key 'inptu'", "'input'"]),
        (PATHS + "encode: {bandwith: 6}\n", ["'encode.bandwith'", "'bandwidth'"]),
        (PATHS + "encode: {target_rms: 1}\n", ["'encode.target_rms'", "known: bandwidth"]),
        (PATHS + "1: 2\n", ["1", "strings"]),
        (PATHS + "encode: 5\n", ["encode", "5"]),
        (PATHS + "normalize: {target_rms: 2}\n", ["normalize.target_rms", "less than 1", "2"]),
        (PATHS + "normalize: {target_rms: loud}\n", ["normalize.target_rms", "'loud'"]),
        (PATHS + "normalize: {target_rms: .nan}\n", ["normalize.target_rms", "nan"]),
        (PATHS + "normalize: {window_ms: .inf}\n", ["normalize.window_ms", "inf"]),
        (PATHS + "normalize: {extensions: wav}\n", ["normalize.extensions", "'wav'"]),
        (PATHS + "normalize: {extensions: []}\n", ["normalize.extensions"]),
        (PATHS + "normalize: {on_clip: bend}\n", ["normalize.on_clip", "'limit'", "'bend'"]),
        (PATHS + "encode: {verify: maybe}\n", ["encode.verify", "'maybe'"]),
        (PATHS + "encode: {verify_samples: 1.5}\n", ["encode.verify_samples", "1.5"]),
        (PATHS + "jobs: 0\n", ["jobs", "1", "0"]),
        (PATHS + "jobs: 2\njobs: 3\n", ["'jobs'", "twice"]),
        (PATHS + "encode: {verify: true, verify: false}\n", ["'verify'", "twice"]),
        (PATHS + "annotate: [rampp]\n", ["'rampp'", "'ramp'"]),
        (PATHS + "annotate: [ramp]\n", ["ramp", "'name' is missing"]),
        (PATHS + "annotate: [{ramp: {nam: x}}]\n", ["ramp", "'nam'", "'name'"]),
        (PATHS + "annotate: {rms_db: {}}\n", ["annotate"]),
        (PATHS + "annotate: [{rms_db: {}, ramp: {}}]\n", ["annotate", "one producer"]),
        (PATHS + "annotate: [{constant: {name: x, value: .nan}}]\n", ["constant", "value", "nan"]),
        ("input: [a\n", ["cannot be read"]),
        ("input: 2024-13-45\noutput: b\n", ["recipe.yaml"]),
        ("input: " + "[" * 5000, ["recipe.yaml"]),
        ("input: !!python/object/apply:os.getcwd []\noutput: b\n", ["python/object"]),
    ],
)
def test_a_wrong_recipe_is_one_line_and_starts_nothing(tmp_path, capsys, monkeypatch, text, parts):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "a/tone.wav")
    result = run(capsys, "run @", recipe_of(tmp_path, text))
    assert result.status == 2
    assert_says(result.error, ["recipe.yaml", *parts])
    assert files_under(tmp_path) == {"recipe.yaml", "a/tone.wav"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("codec: encodec_24\n", ["'encodec_24'", "encodec_24khz"]),
        ("encode: {bandwidth: 5}\n", ["5 kbps", "1.5, 3, 6, 12, 24"]),
        ("codec: encodec_48khz\nencode: {bandwidth: 1.5}\n", ["1.5 kbps", "3, 6, 12, 24"]),
        ("build: {bandwidth: 5}\n", ["5 kbps", "1.5, 3, 6, 12, 24"]),
    ],
)
def test_what_no_step_could_do_is_said_before_the_first_begins(
    tmp_path, capsys, monkeypatch, text, parts
):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "a/tone.wav")
    result = run(capsys, "run @", recipe_of(tmp_path, PATHS + text))
    assert result.status == 2
    assert_says(result.error, parts)
    assert files_under(tmp_path) == {"recipe.yaml", "a/tone.wav"}


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), (b"\xff\xfe\x00", "cannot be read"), ("", "directory")],
)
def test_what_is_no_recipe_is_one_line(tmp_path, capsys, content, why):
    path = tmp_path / "recipe.yaml"
    if content:
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
    result = run(capsys, "run @", path)
    assert result.status == 2
    assert why in result.error
    assert str(path) in result.error
