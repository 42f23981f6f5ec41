"""Several runs of annotate, and hands, at one tree: what stays, what is replaced, what goes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import sidecar_paths, write_sidecar
from tests.helpers.commands import assert_says, cut, run, write_tokens, write_tone

X1 = "--constant name=x value=1"
X2 = "--constant name=x value=2"
Y1 = "--constant name=y value=1"
Y2 = "--constant name=y value=2"


@pytest.fixture
def root(tmp_path):
    """One clip of 10 frames."""
    write_tokens(tmp_path / "ecdc/a.ecdc")
    return tmp_path / "ecdc"


def values(root, name: str = "a") -> dict[str, float]:
    """Return the value of each parameter in the first frame."""
    parameters = read_sidecar(root / f"{name}.ecdc").parameters
    return {key: float(parameter.values[0]) for key, parameter in parameters.items()}


def annotate(capsys, root, words: str, status: int = 0):
    result = run(capsys, f"annotate @ {words}", root)
    assert result.status == status, result.err
    return result


def write_by_hand(root, **parameters: float) -> None:
    write_sidecar(root / "a.ecdc", {name: np.full(10, v) for name, v in parameters.items()})


def test_a_curve_after_a_table_keeps_what_the_table_made(root, tmp_path, capsys):
    """The second run deleted the parameters of the first, with exit status 0."""
    (tmp_path / "a.csv").write_text("id,pitch\na,60\n")
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves/a.csv").write_text("time,cutoff\n0,5\n1,5\n")
    annotate(capsys, root, f"--table path={tmp_path}/a.csv")
    curve = f"--curve root={tmp_path}/curves columns=[cutoff]"
    result = annotate(capsys, root, f"{curve} --mode append")
    assert values(root) == {"pitch": 60, "cutoff": 5}
    assert "kept pitch" in result.out[-1]
    annotate(capsys, root, curve)
    assert values(root) == {"pitch": 60, "cutoff": 5}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("append", {"h": 7, "x": 1, "y": 1}),
        ("overwrite", {"h": 7, "x": 2, "y": 1}),
        ("replace-all", {"x": 2}),
    ],
)
def test_each_mode_does_what_it_says(root, capsys, mode, expected):
    """`h` is by hand, `x` and `y` by an earlier run; this run makes `x` anew."""
    write_by_hand(root, h=7)
    annotate(capsys, root, f"{X1} {Y1}")
    annotate(capsys, root, f"{X2} --mode {mode}")
    assert values(root) == expected


@pytest.mark.parametrize("mode", ["append", "overwrite", "replace-all"])
def test_each_mode_may_run_twice(root, capsys, mode):
    write_by_hand(root, h=7)
    annotate(capsys, root, f"{X1} {Y1}")
    annotate(capsys, root, f"{X2} --mode {mode}")
    before = [part.stat().st_mtime_ns for part in sidecar_paths(root / "a.ecdc")]
    assert "1 up to date" in annotate(capsys, root, f"{X2} --mode {mode}").out[-1]
    assert [part.stat().st_mtime_ns for part in sidecar_paths(root / "a.ecdc")] == before


def test_the_modes_are_explained_where_they_are_chosen(capsys):
    text = " ".join(run(capsys, "annotate --help").out)
    assert "{append,overwrite,replace-all}" in text
    assert_says(
        " ".join(text.split()),
        ["append: keep every existing parameter", "keep all others", "wrote others yourself"],
    )


def test_a_run_makes_again_what_another_has_replaced(root, capsys):
    annotate(capsys, root, f"{X1} {Y1}")
    annotate(capsys, root, X2)
    assert values(root) == {"x": 2, "y": 1}
    annotate(capsys, root, f"{X1} {Y1}")
    assert values(root) == {"x": 1, "y": 1}
    write_by_hand(root, x=9)
    annotate(capsys, root, X1)
    assert values(root) == {"x": 1, "y": 1}


def test_only_what_changed_is_made_again(root, tmp_path, capsys):
    """A function that takes hours need not run because a constant beside it was edited."""
    calls = tmp_path / "calls"
    code = f"def f(clip):\n    open({str(calls)!r}, 'a').write('.')\n    return {{'s': [3] * 10}}\n"
    (tmp_path / "slow.py").write_text(code)
    slow = f"--function function={tmp_path}/slow.py:f"
    annotate(capsys, root, f"{slow} {X1}")
    result = annotate(capsys, root, f"{slow} {X2}")
    assert "1 parameter (x)" in result.out[-1]
    assert (calls.read_text(), values(root)) == (".", {"s": 3, "x": 2})


def test_two_producers_of_one_parameter_are_refused_though_one_is_up_to_date(root, capsys):
    annotate(capsys, root, X1)
    result = annotate(capsys, root, f"{X1} --ramp name=x start=0 end=1", status=2)
    assert "two producers (constant and ramp) make the parameter 'x'" in result.error
    assert values(root) == {"x": 1}


def test_what_stays_from_other_tokens_is_an_error_of_the_audit(root, capsys):
    annotate(capsys, root, X1)
    annotate(capsys, root, Y1)
    write_tokens(root / "a.ecdc", seed=9)
    annotate(capsys, root, Y1)
    result = run(capsys, "audit @", root)
    assert result.status == 1
    assert_says(result.error, ["a.cond.npy: provenance: x: written for other tokens"])


def test_what_would_stay_at_another_length_says_the_way_out(root, capsys):
    annotate(capsys, root, f"{X1} {Y1}")
    write_tokens(root / "a.ecdc", samples=6400)
    result = annotate(capsys, root, X1, status=1)
    assert_says(result.error, ["a.cond.npy has 10 frames", "a.ecdc has 20", "y", "replace-all"])
    annotate(capsys, root, f"{X1} --mode replace-all")
    assert values(root) == {"x": 1}


def test_replace_all_does_not_need_to_read_what_it_replaces(root, capsys):
    annotate(capsys, root, X1)
    cut(root / "a.cond.npy", -4)
    assert "replace-all" in annotate(capsys, root, X2, status=1).error
    annotate(capsys, root, f"{X2} --mode replace-all")
    assert values(root) == {"x": 2}


def test_the_sidecars_of_0_1_0_know_what_was_made_and_what_was_not(root, capsys):
    """They had one record for all; no parameter of theirs is lost, and none counts as current."""
    write_by_hand(root, x=5, h=7)
    meta = root / "a.cond.json"
    flat = {"src": "1", "rec": "2", "by": "enchf-dataset 0.1.0", "tokens": "3", "names": ["x"]}
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "provenance": flat}))
    (record,) = read_sidecar(root / "a.ecdc").records
    assert (record.names, record.tokens, record.rec) == (("x",), "3", "2")
    annotate(capsys, root, X1)
    assert values(root) == {"x": 1, "h": 7}


# Recipes


@pytest.fixture
def recipe(tmp_path):
    """Return a function that writes and runs a recipe with the given producers."""
    write_tone(tmp_path / "in/a.wav")

    def call(capsys, *producers, name: str = "recipe.yaml", status: int = 0):
        settings = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out")}
        settings |= {"codec": "encodec_24khz_demo", "device": "cpu", "annotate": list(producers)}
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(settings))
        result = run(capsys, "run @", path)
        assert result.status == status, result.err
        return tmp_path / "out/ecdc"

    return call


def constant(name: str, value: float) -> dict:
    return {"constant": {"name": name, "value": value}}


def test_a_recipe_that_no_longer_names_a_parameter_drops_it(recipe, capsys):
    ecdc = recipe(capsys, constant("x", 1), constant("y", 1))
    write_sidecar(ecdc / "a.ecdc", {"h": np.full(38, 7)})
    annotate(capsys, ecdc, "--constant name=z value=3")
    recipe(capsys, constant("x", 1))
    assert values(ecdc) == {"x": 1, "h": 7, "z": 3}


def test_another_recipe_drops_nothing_of_the_first(recipe, capsys):
    ecdc = recipe(capsys, constant("x", 1), constant("y", 1))
    recipe(capsys, constant("z", 1), name="other/recipe.yaml")
    assert values(ecdc) == {"x": 1, "y": 1, "z": 1}
    recipe(capsys, constant("x", 1))
    assert values(ecdc) == {"x": 1, "z": 1}


def test_a_recipe_takes_over_what_a_command_made(recipe, capsys):
    """From then on it is the recipe's, and goes when it no longer names it."""
    ecdc = recipe(capsys, constant("y", 1))
    annotate(capsys, ecdc, X1)
    recipe(capsys, constant("y", 1), constant("x", 1))
    recipe(capsys, constant("y", 1))
    assert values(ecdc) == {"y": 1}


def test_a_project_that_moved_still_knows_its_parameters(recipe, capsys, tmp_path):
    recipe(capsys, constant("x", 1), constant("y", 1))
    moved = tmp_path.with_name(tmp_path.name + "_moved")
    tmp_path.rename(moved)
    text = (moved / "recipe.yaml").read_text().replace(str(tmp_path), str(moved))
    settings = {**yaml.safe_load(text), "annotate": [constant("x", 1)]}
    (moved / "recipe.yaml").write_text(yaml.safe_dump(settings))
    assert run(capsys, "run @", moved / "recipe.yaml").status == 0
    assert values(moved / "out/ecdc") == {"x": 1}


def test_append_never_drops(root, capsys):
    annotate(capsys, root, f"{X1} {Y1}")
    annotate(capsys, root, f"{Y2} --mode append --constant name=z value=3")
    assert values(root) == {"x": 1, "y": 1, "z": 3}
    annotate(capsys, root, Y2)
    assert values(root) == {"x": 1, "y": 2, "z": 3}, "append had counted as done"
