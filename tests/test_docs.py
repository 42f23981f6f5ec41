"""The commands and the code of the README and the docs run as they are printed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import datasets
import mido
import numpy as np
import pytest
import yaml
from openpyxl import Workbook

import enchf_dataset
from preprocess.dataset.schema import read_parameters
from preprocess.params import parse_producer
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import read_header
from tests.helpers.commands import run, write_tokens, write_tone, write_wav
from tests.helpers.predecessor import version_1
from tests.helpers.signals import tone

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").exists(), reason="the documentation is not in this distribution"
)
OLD = int(datasets.__version__.split(".")[0]) < 4
CLIPS = ("a_take1", "a_take2", "b_take1")
NOT_HERE = {
    "README.md": [
        "make demo",  # tests/cli/test_demo.py
        'from datasets import load_dataset\n\nload_dataset("./',  # tests/test_readme.py, as those below
        "import enchf_dataset",
    ],
    "migrating.md": ["train_model("],  # another project's function
}
"""How blocks begin that run elsewhere, or cannot run in a test."""


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / ("" if page == "README.md" else "docs") / page).read_text("utf-8")
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [b for b in found if not b.startswith(tuple(NOT_HERE.get(page, ())))]


def commands(page: str) -> list[str]:
    """Return the lines that call `preprocess`, comments left out."""
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    words = (shlex.split(line, comments=True) for line in lines)
    return [shlex.join(w) for w in words if w and w[0] == "preprocess"]


@pytest.fixture
def project(tmp_path_factory, monkeypatch) -> Path:
    """A working folder with what the pages speak of: sounds, recipes, a spreadsheet, MIDI, tokens."""
    folder = tmp_path_factory.mktemp("project")
    for clip in CLIPS:
        write_tone(folder / f"my_sounds/{clip}.wav")
        tokens = write_tokens(folder / f"ecdc/{clip}.ecdc", samples=24_000, k=32)
        pitch = {"values": np.full(75, 440.0), "units": "Hz", "min": 50, "max": 2000}
        write_sidecar(tokens, {"pitch": pitch})
        song = mido.MidiFile(ticks_per_beat=480)
        song.tracks.append(mido.MidiTrack())
        for message in (
            mido.Message("control_change", control=1, value=64),
            mido.Message("note_on", note=60, velocity=90),
            mido.Message("note_off", note=60, time=960),
        ):
            song.tracks[0].append(message)
        (folder / "midi").mkdir(exist_ok=True)
        song.save(folder / f"midi/{clip}.mid")
    book = Workbook()
    for row in [("File", "tempo"), *((clip, 120) for clip in CLIPS)]:
        book.active.append(row)
    book.save(folder / "sounds.xlsx")
    shutil.copy(enchf_dataset.__file__, folder)
    monkeypatch.chdir(folder)
    return folder


def test_the_readmes_path_from_sounds_to_a_push(project, capsys, monkeypatch):
    (project / "configs").mkdir()
    recipe = yaml.safe_load((ROOT / "configs/encodec_24khz_6kbps.yaml").read_text("utf-8"))
    # The weights of the others cannot be had in a test.
    (project / "configs/encodec_24khz_6kbps.yaml").write_text(
        yaml.safe_dump({**recipe, "codec": "encodec_24khz_demo"})
    )
    own = next(b for b in blocks("README.md", "python") if b.startswith("# my_parameters.py"))
    helper = "def my_curve(audio, frames):\n    return [abs(audio).max()] * frames\n\n"
    (project / "my_parameters.py").write_text(helper + own)
    pushed = []
    monkeypatch.setattr("preprocess.steps.push.push", lambda *a: pushed.append(a) or _report())
    called = commands("README.md")
    assert [line.split()[1] for line in called] == ["doctor", "run", "annotate", "push"]
    for line in called[1:]:  # what doctor says depends on the machine
        assert run(capsys, line.removeprefix("preprocess ")).status == 0, line
    assert "me/sounds" in map(str, pushed[0])
    made = read_sidecar(project / "results/ecdc/a_take1.ecdc").parameters
    expected = {"tempo", "pitch", "wheel", "take", "rms_db", "f0_hz", "voiced", "brightness"}
    assert expected <= set(made)
    assert (made["take"].values[0], made["pitch"].values[0], made["wheel"].values[0]) == (1, 60, 64)


def _report() -> Any:
    from preprocess.core.report import Report

    return Report("push")


def test_the_blocks_of_dataset_md_load_what_they_say(project, capsys, token_folder):
    scope: dict[str, Any] = {"np": np}
    for block in blocks("dataset.md", "python"):
        if "./enchf_dataset.py" in block and not OLD:
            continue  # datasets 4 ended loading scripts
        if '"shards' in block:
            assert run(capsys, "pack ecdc shards").status == 0
        if "decode_row" in block:
            builder = enchf_dataset.EncHFDataset(data_dir=str(token_folder))
            builder.download_and_prepare()
            scope["dataset"] = builder.as_dataset()["train"]
        elif "dataset" in scope:
            scope["dataset"] = scope["builder"].as_dataset()["train"]
        exec(block, scope)
    assert np.array(scope["builder"].as_dataset()["train"][0]["codes"]).shape == (8, 75)
    assert read_parameters(scope["builder"].info.features)["pitch"].max == 2000
    assert scope["audio"].shape == (1, scope["dataset"][0]["audio_length"])
    assert scope["dataset"][0]["wave"].shape == scope["audio"].shape


def test_the_commands_of_dataset_md(project, capsys, monkeypatch):
    pushed = []
    monkeypatch.setattr("preprocess.steps.push.push", lambda *a: pushed.append(a) or _report())
    for line in commands("dataset.md"):
        assert run(capsys, line.removeprefix("preprocess ")).status == 0, line
    loaded = datasets.load_from_disk("dataset")
    assert sum(map(len, loaded.values())) == 3
    assert len(pushed) == 4 and pushed[-1][2].listen == 12
    for path in sorted((project / "ecdc").iterdir()):
        assert (project / "ecdc_again" / path.name).read_bytes() == path.read_bytes()


def test_the_commands_of_migrating_md(project, capsys):
    shutil.rmtree(project / "ecdc")
    for clip in CLIPS:
        write_tokens(project / f"ecdc/{clip}.ecdc", samples=24_000, k=32)
        version_1(project / f"params/{clip}.ecdc", pitch=np.full(75, 440.0), level=np.arange(75.0))
    for line in commands("migrating.md"):
        assert run(capsys, line.removeprefix("preprocess ")).status == 0, line
    assert (project / "corpus/hf_dataset/conditioning_config.json").exists()
    assert read_header(project / "ecdc/a_take1.ecdc").model == "encodec_24khz"


@pytest.mark.parametrize(
    "block", blocks("parameters.md", "yaml") if ROOT.joinpath("docs").exists() else []
)
def test_the_recipes_of_parameters_md_describe_producers(block):
    for entry in yaml.safe_load(block):
        assert parse_producer(entry).names if "table" in entry else parse_producer(entry).names()


def test_the_scaling_of_parameters_md(project, capsys):
    (project / "results").mkdir()
    shutil.move(project / "ecdc", project / "results/ecdc")
    assert run(capsys, "stats results/ecdc").status == 0
    given = np.linspace(50, 2000, 7, dtype=np.float32)
    scope: dict[str, Any] = {"values": given}
    for block in blocks("parameters.md", "python"):
        exec(block, scope)
    assert scope["scaled"].min() == 0 and scope["scaled"].max() == 1
    assert np.array_equal(scope["values"].astype(np.float32), given)


def test_the_commands_and_the_code_of_inspect_md(project, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url))
    for clip in ("low/a2", "high/e4"):
        tokens = write_tokens(project / f"results/ecdc/{clip}.ecdc", samples=24_000, k=8)
        write_sidecar(tokens, {"pitch": np.full(75, 440.0)})
    assert run(capsys, "build results/ecdc results/dataset").status == 0
    for line in commands("inspect.md"):
        line = line.replace("me/sounds", "results/dataset")  # the Hub is not here
        assert run(capsys, line.removeprefix("preprocess ")).status == 0, line
    assert len(opened) == 1 and (project / "check.html").stat().st_size > 1_000_000
    scope: dict[str, Any] = {}
    for block in blocks("inspect.md", "python"):
        exec(block, scope)


def test_the_recipe_and_the_commands_of_scale_md(project, capsys):
    (recipe,) = blocks("scale.md", "yaml")
    assert "codec: encodec_24khz\n" in recipe  # whose weights are not here
    (project / "recipe.yaml").write_text(recipe.replace("encodec_24khz", "encodec_24khz_demo"))
    for number, clip in enumerate(CLIPS):  # the same sound in two splits would be an error
        write_wav(project / f"my_sounds/{clip}.wav", tone(300 + 200 * number, 24_000, 12_000))
    for line in commands("scale.md"):
        result = run(capsys, line.removeprefix("preprocess "))
        assert result.status == 0, (line, result.err)
    loaded = datasets.load_dataset(str(project / "results/dataset"))
    assert sum(map(len, loaded.values())) == len(CLIPS)


def test_no_block_is_forgotten():
    """A page with a new kind of block, or a block in a page that no test reads, is found here."""
    read = {"dataset.md", "inspect.md", "training.md", "migrating.md", "parameters.md"}
    read |= {"scale.md", "training.md"}  # tests/test_training_doc.py
    for page in sorted((ROOT / "docs").glob("*.md")):
        languages = set(re.findall(r"^```(\w+)$", page.read_text("utf-8"), re.MULTILINE))
        assert languages <= {"python", "bash", "yaml", "json"}, page
        if page.name not in read:
            assert not languages & {"python", "bash", "yaml"}, page
