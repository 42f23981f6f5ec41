"""The example of training, in a shortened form: its corpus says what is heard, its figures have meaning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples/train"
SHORT = "--clips 24 --seconds 1 --seeds 1 --steps 12 --takes 2 --jobs 1 --frames 32"
REQUESTS = ("glide", "step", "tremolo")
pytestmark = pytest.mark.skipif(
    not EXAMPLE.exists(), reason="the examples are not in this distribution"
)


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """What a short run leaves."""
    folder = tmp_path_factory.mktemp("example") / "out"
    command = [sys.executable, str(EXAMPLE / "train.py"), "--output", str(folder), *SHORT.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(folder / "hf")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=600)
    return folder


def rows(output: Path, split: str) -> dict[str, dict]:
    """Return the rows of a split by id."""
    from datasets import load_from_disk

    return {row["id"]: row for row in load_from_disk(str(output / "dataset"))[split]}


def test_the_dataset_has_the_curves_that_its_tones_followed(output):
    from preprocess.audio.measures import frame_rms, pitch
    from preprocess.tokens import codec_spec

    spec = codec_spec("encodec_24khz_demo")
    found = {**rows(output, "train"), **rows(output, "validation")}
    tones = {name: row for name, row in found.items() if "synthesis" in name}
    assert len(tones) == 24
    assert len(found) == 24 + 9  # and the recordings that ship
    assert {name for name in tones if "validation" in name} == set(rows(output, "validation"))
    heard, known = [], []
    for name, row in tones.items():
        wave, rate = sf.read(output / f"normalized/{name}.wav", dtype="float32")
        assert rate == spec.sample_rate
        said = {key: np.array(values) for key, values in row["features"].items()}
        assert not said["source"].any()
        semitones = 69 + 12 * np.log2(pitch(wave[None], spec, 120, 700) / 440)
        level = 20 * np.log10(frame_rms(wave[None], spec))
        heard.append(np.stack([semitones, level]))
        known.append(np.stack([said["pitch"], said["level"]]))
    error = np.abs(np.concatenate(heard, 1) - np.concatenate(known, 1))
    # A step lies within a window of 25 ms and more, so a few frames hear both of its sides.
    assert np.nanmedian(error[0]) < 0.05, "semitones"
    assert np.median(error[1]) < 0.5, "dB"
    assert np.isnan(error[0]).mean() < 0.02
    recording = found["train/recordings/guit_e_slide"]["features"]
    assert set(recording["source"]) == {1}
    assert 40 < np.nanmedian(recording["pitch"]) < 90


def test_the_report_says_what_was_measured(output):
    report = json.loads((output / "report.json").read_text())
    assert report["codec"]["level"] > 0.9
    assert report["codec"]["pitch"] > 0.8
    chance = np.log(1024)
    for told in ("parameters", "shuffled", "nothing"):
        assert len(report[told]["loss"]) == 1
        assert 3 < report[told]["loss"][0] < chance, "a few steps teach it how often codes occur"
    for told in ("parameters", "shuffled"):
        for name in ("level", "pitch"):
            assert -1 <= report[told][name][0] <= 1
        assert 0 < report[told]["voiced"][0] <= 1
    assert report["settings"]["steps"] == 12


def test_it_leaves_sounds_and_a_picture(output):
    names = {path.stem for path in (output / "sounds_made").glob("*.wav")}
    made = ("codec", "parameters_0", "shuffled_0")
    assert names == {f"{request}_{by}" for request in REQUESTS for by in made}
    for name in names:
        wave, rate = sf.read(output / f"sounds_made/{name}.wav")
        assert (len(wave), rate) == (24_000, 24_000)
        assert np.abs(wave).max() > 1e-3, name
    picture = np.asarray(Image.open(output / "report.png").convert("L"))
    assert picture.shape[1] > 1000
    assert (picture < 128).mean() > 0.005, "there are lines on it"


def test_shuffled_and_nothing_are_what_they_say(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from training import told

    values = torch.arange(12.0).view(3, 2, 2)
    batch = {"parameters": values, "parameter_mask": values > 3, "codes": "left alone"}
    assert told(batch, "parameters") == batch
    other = told(batch, "shuffled")
    for row in range(3):
        assert torch.equal(other["parameters"][row], values[row - 1])
        assert torch.equal(other["parameter_mask"][row], values[row - 1] > 3)
    assert not told(batch, "nothing")["parameters"].any()
    assert not told(batch, "nothing")["parameter_mask"].any()


def test_the_notebook_turns_sliders_into_sound(output, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLE / "sliders.ipynb", as_version=4)
    stored = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("<audio" in str(each.get("data", {}).get("text/html")) for each in stored) >= 2
    assert sum("image/png" in each.get("data", {}) for each in stored) >= 2
    monkeypatch.setenv("TRAIN_OUTPUT", str(output))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLE)}})
    client.execute()
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    assert sum("<audio" in str(each.get("data", {}).get("text/html")) for each in outputs) >= 1
    text = "".join(each.get("text", "") for each in outputs)
    assert "sliders moved" in text
