"""What was made by other settings or code than its neighbours never enters a dataset in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
from datasets import load_from_disk

from preprocess.audit.mixing import Makings, parameter_makers, token_group, token_makers
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.records import read_records
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.built_dataset import MARKER
from preprocess.tokens.ecdc import read_header
from preprocess.tokens.types import EcdcHeader
from tests.helpers.commands import assert_says, run, write_tokens, write_tone

OURS = {"rec": "r1", "ckpt": "w1", "by": "enchf-dataset 0.1.0"}
KNOB = """
def f(clip):
    {before}
    return {{"x": [{value}] * clip.n_frames}}
"""


def header(k=8, **extra):
    """Return the header of a clip."""
    return EcdcHeader("encodec_24khz", 3200, k, extra)


def tokens(root, **extras):
    """Write a clip for each name with the further keys of its header."""
    for seed, (name, extra) in enumerate(extras.items()):
        write_tokens(root / f"{name}.ecdc", seed=seed, **extra)
    return root


@pytest.fixture
def knob(tmp_path):
    """Three annotated clips, of which `b` fails after an edit of the function that made them."""
    root = tokens(tmp_path / "ecdc", a=OURS, b=OURS, c=OURS)
    function = tmp_path / "knob.py"

    def write(value, before="pass"):
        function.write_text(KNOB.format(value=value, before=before))
        return f"--function function={function}:f"

    return root, write


FAILS = "if clip.id == 'b': raise ValueError('no')"


def test_values_of_an_edited_function_beside_old_ones_are_refused(knob, tmp_path, capsys):
    root, write = knob
    assert run(capsys, f"annotate @ {write(1.0)}", root).status == 0
    assert run(capsys, f"annotate @ {write(2.0, FAILS)}", root).status == 1
    values = {float(read_sidecar(root / f"{n}.ecdc").parameters["x"].values[0]) for n in "abc"}
    assert values == {1.0, 2.0}
    result = run(capsys, "build @ @", root, tmp_path / "ds")
    assert result.status == 1
    assert_says(result.error, ["parameter 'x'", "in 1 of 3 clips: b.ecdc;", "--allow-mixed"])
    assert not (tmp_path / "ds").exists()
    assert "mixed: parameter 'x'" in run(capsys, "audit @", root).error
    assert run(capsys, f"annotate @ {write(2.0)}", root).status == 0
    assert run(capsys, "build @ @", root, tmp_path / "ds").status == 0
    saved = load_from_disk(str(tmp_path / "ds"))["train"]
    assert {value for row in saved for value in row["features"]["x"]} == {2.0}


def test_a_mixture_that_is_allowed_is_said_on_the_card(knob, tmp_path, capsys):
    root, write = knob
    run(capsys, f"annotate @ {write(1.0)}", root)
    run(capsys, f"annotate @ {write(2.0, FAILS)}", root)
    result = run(capsys, "build @ @ --allow-mixed", root, tmp_path / "ds")
    assert result.status == 0
    assert_says(result.error, ["build: note: mixed: parameter 'x'", "1 of 3 clips: b.ecdc"])
    from preprocess.publish.card import About, make_card
    from preprocess.steps.push_source import open_push_source

    source = open_push_source(tmp_path / "ds")
    files = {"s": source.write("s", source.whole, tmp_path)}
    card = make_card(None, About("me/s"), {"s": source.whole}, files, source.features)
    (line,) = [line for line in card.splitlines() if line.startswith("- `s`: ")]
    assert_says(
        line, [". Not all clips were made alike: parameter 'x' by other settings", "clips: b.ecdc."]
    )


def test_a_producer_that_was_added_does_not_make_the_others_differ(knob, tmp_path, capsys):
    root, write = knob
    run(capsys, f"annotate @ {write(1.0)}", root)
    broken = tmp_path / "other.py"
    broken.write_text(KNOB.replace('"x"', '"y"').format(value=3, before=FAILS))
    run(capsys, f"annotate @ {write(1.0)} --function function={broken}:f", root)
    assert run(capsys, "build @ @ --parameters x", root, tmp_path / "ds").status == 0
    assert run(capsys, "build @ @ --parameters y", root, tmp_path / "ds").status == 1  # b has none


def test_a_value_that_append_keeps_keeps_its_maker(knob, tmp_path, capsys):
    root, write = knob
    run(capsys, f"annotate @ {write(1.0)}", root)
    write_tokens(root / "d.ecdc", seed=9, **OURS)
    assert run(capsys, f"annotate @ {write(2.0)} --mode append", root).status == 0
    result = run(capsys, "build @ @", root, tmp_path / "ds")
    assert result.status == 1
    assert_says(result.error, ["parameter 'x'", "1 of 4 clips: d.ecdc"])


def test_a_parameter_written_by_hand_in_one_clip_is_no_silent_neighbour(knob, tmp_path, capsys):
    root, write = knob
    run(capsys, f"annotate @ {write(1.0)}", root)
    write_sidecar(root / "a.ecdc", {"x": np.full(10, 5.0)})
    result = run(capsys, "build @ @", root, tmp_path / "ds")
    assert result.status == 1
    assert_says(
        result.error, ["parameter 'x'", "(some have no provenance)", "1 of 3 clips", ": a.ecdc;"]
    )


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({**OURS, "rec": "r2"}, "tokens by other settings in 1 of 3 clips: c.ecdc"),
        ({**OURS, "ckpt": "w2"}, "tokens by other weights in 1 of 3 clips: c.ecdc"),
        ({**OURS, "norm": "n2"}, "audio normalized by other settings in 1 of 3 clips: c.ecdc"),
        ({}, "tokens by other settings and tokens by other weights"),
    ],
)
def test_tokens_of_another_make_are_refused(tmp_path, capsys, other, what):
    root = tokens(tmp_path / "ecdc", a=OURS, b=OURS, c=other)
    result = run(capsys, "build @ @", root, tmp_path / "ds")
    assert result.status == 1
    assert_says(result.error, [what])
    assert run(capsys, "build @ @ --allow-mixed", root, tmp_path / "ds").status == 0
    assert what in json.loads((tmp_path / "ds" / MARKER).read_bytes())["mixed"]


def test_tokens_of_two_engines_build_and_that_is_said(tmp_path, capsys):
    """They are of the same settings; `encode --on-engine-change` decides about them."""
    engines = ("torch2.13-cpu-avx2-float32", "torch2.14-cpu-avx2-float32")
    a, b = ({**OURS, "eng": engine} for engine in engines)
    root = tokens(tmp_path / "ecdc", a=a, b=b)
    result = run(capsys, "build @ @", root, tmp_path / "ds")
    assert result.status == 0
    assert_says(result.error, ["several engines", *engines])
    assert json.loads((tmp_path / "ds" / MARKER).read_bytes())["engine"] == ", ".join(engines)


def test_tokens_of_which_nothing_is_known_are_no_mixture(tmp_path, capsys):
    root = tokens(tmp_path / "ecdc", a={}, b={})
    assert run(capsys, "build @ @", root, tmp_path / "ds").status == 0
    assert "mixed" not in json.loads((tmp_path / "ds" / MARKER).read_bytes())


def test_the_minority_is_named_a_few_at_a_time():
    makings = Makings()
    for i in range(12):
        makings.add(f"c{i}", token_makers(header(rec="old" if i < 5 else "new")))
    (mixture,) = makings.mixtures()
    assert mixture.clips == ("c0", "c1", "c2", "c3", "c4")
    assert str(mixture).endswith("in 5 of 12 clips: c0, c1, c2 and 2 more")


def test_tokens_are_compared_within_their_bandwidth():
    """Whose settings name it: that they differ is another matter, and slicing makes them equal."""
    makings = Makings()
    for clip, k in (("a", 8), ("b", 8), ("c", 4)):
        makings.add(clip, token_makers(header(k, rec=f"at {k}")), token_group(header(k)))
    assert makings.mixtures() == []


def test_sidecars_from_before_makers_stood_apart_are_told_by_the_hash_of_all():
    makings = Makings()
    for clip, rec in zip("abc", "112", strict=True):
        makings.add(clip, parameter_makers(read_records({"names": ["x"], "rec": rec}), ["x", "y"]))
    assert [m.clips for m in makings.mixtures()] == [("c",)]


def test_another_level_beside_a_file_that_is_cut_now_is_seen_in_the_tokens(tmp_path, capsys):
    """The old WAV of a file that failed lies beside new ones, and was encoded like them."""
    for name, seconds in (("a", 0.4), ("b", 0.5), ("c", 0.6)):
        write_tone(tmp_path / f"in/{name}.wav", seconds)
    recipe = tmp_path / "recipe.yaml"
    text = f"input: {tmp_path}/in\noutput: {tmp_path}/out\ncodec: encodec_24khz_demo\ndevice: cpu\n"
    text += "annotate: [{ramp: {name: p, start: 0, end: 1}}]\nnormalize: {target_rms: %s}\n"
    recipe.write_text(text % 0.1)
    assert run(capsys, "run @", recipe).status == 0
    recs = {read_header(p).extra["norm"] for p in (tmp_path / "out/ecdc").glob("*.ecdc")}
    assert len(recs) == 1
    before = (tmp_path / "out/dataset" / MARKER).read_bytes()
    source = tmp_path / "in/b.wav"
    source.write_bytes(source.read_bytes()[:9000])
    recipe.write_text(text % 0.03)
    result = run(capsys, "run @", recipe)
    assert result.status == 1
    levels = {n: np.abs(sf.read(tmp_path / f"out/normalized/{n}.wav")[0]).max() for n in "abc"}
    assert levels["b"] == pytest.approx(levels["a"] / 0.3, rel=0.01)
    assert_says("\n".join(result.err), ["b.ecdc: mixed: audio normalized by other settings"])
    assert result.out[-1].startswith("build skipped: the audit found 1 error in 1 clip")
    assert result.out[-1].endswith("out/dataset is from an earlier run")
    assert (tmp_path / "out/dataset" / MARKER).read_bytes() == before
    recipe.write_text(text % 0.03 + "build: {allow_mixed: true}\n")
    assert "mixed: audio normalized" in "\n".join(run(capsys, "run @", recipe).err)
    source.unlink()
    recipe.write_text(text % 0.03 + "prune: true\n")
    assert run(capsys, "run @", recipe).status == 0
    assert len(load_from_disk(str(tmp_path / "out/dataset"))["train"]) == 2
