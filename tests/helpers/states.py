"""Working folders that steps start from, made once and copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np

from preprocess.cli.main import main
from preprocess.dataset.quiet import quiet_datasets
from preprocess.sidecar.writing import write_sidecar
from tests.helpers.commands import write_tokens, write_tone, write_wav
from tests.helpers.predecessor import old_tokens, version_1, version_2
from tests.helpers.signals import fading_tone

CODEC = ["--codec", "encodec_24khz_demo"]
ANNOTATE = ["annotate", "ecdc", "--audio-root", "normalized", "--audio", "measure=rms_db"]
RECIPE = """codec: encodec_24khz_demo
input: in
output: .
annotate: [{constant: {name: x, value: 2}}, {audio: {measure: rms_db}}]
build: {materialize: copy}
"""
SHARDS = """codec: encodec_24khz_demo
input: in
output: .
format: shards
shards: {count: 2, part_minutes: 0.01}
annotate: [{constant: {name: x, value: 2}}, {audio: {measure: rms_db}}]
"""


def _audio() -> None:
    for index, samples in enumerate((44_100, 9_000, 60_000, 20_001)):
        wave = fading_tone(220 * (index + 1), 44_100, samples)
        write_wav(Path(f"in/a/{index}.wav"), wave, 44_100)
    write_tone(Path("in/b.flac"), 0.6)


def _normalized() -> None:
    _call("normalize", "in", "normalized", *CODEC)


def _tokens() -> None:
    _call("encode", "normalized", "ecdc", *CODEC)


def _annotated() -> None:
    """Sidecars of other values than the step makes, so that it replaces them."""
    _call(*ANNOTATE, "--constant", "name=x", "value=1")


def _built() -> None:
    """A dataset of other parameters than the step makes, so that it replaces it."""
    _call("build", "ecdc", "built/ds", "--materialize", "copy")
    _call(*ANNOTATE, "--constant", "name=x", "value=2")


def _exported() -> None:
    """An export of fewer codebooks than the step makes, so that it replaces it."""
    for index, clip in enumerate(("train/a", "train/b", "validation/c")):
        path = write_tokens(Path(f"ecdc/{clip}.ecdc"), samples=24_000 * (index + 1), k=16)
        frames = 75 * (index + 1)
        write_sidecar(path, {"level": np.linspace(-60, 0, frames), "scene": np.full(frames, index)})
    _call("export", "ecdc", "out", "--for", "rnencodec", "--codebooks", "4")


def _predecessor() -> None:
    gain = np.linspace(-60, 0, 10)
    for seed, name in enumerate(("v1", "v1_odd", "s/v2", "none", "take.1")):
        old_tokens(Path(f"ecdc/{name}.ecdc"), seed=seed)
    version_1(Path("ecdc/v1.ecdc"), gain=gain)
    version_1(Path("ecdc/v1_odd.ecdc"), ".cond.cond.json", gain=gain)
    version_1(Path("ecdc/take.ecdc"), gain=gain)  # that of take.1
    version_2(Path("ecdc/s/v2.ecdc"), {"gain": {"values": gain, "units": "dB", "min": -80.0}})


def _recipe() -> None:
    Path("recipe.yaml").write_text(RECIPE)


def _planned() -> None:
    Path("recipe.yaml").write_text(SHARDS)
    _call("plan", "recipe.yaml", "--plan", "plan")


STATES: dict[str, tuple[str, Callable[[], None]]] = {
    "audio": ("", _audio),
    "normalized": ("audio", _normalized),
    "tokens": ("normalized", _tokens),
    "annotated": ("tokens", _annotated),
    "built": ("annotated", _built),
    "exported": ("", _exported),
    "predecessor": ("", _predecessor),
    "recipe": ("audio", _recipe),
    "planned": ("audio", _planned),
}
"""Working folder -> the one that it is a copy of, and what is done there."""


def state(name: str, root: Path) -> Path:
    """Return the folder `root/name`, made if it is not there."""
    folder = root / name
    if not folder.exists():
        before, make = STATES[name]
        if before:
            shutil.copytree(state(before, root), folder)
        else:
            folder.mkdir()
        with chdir(folder):
            make()
    return folder


def _call(*words: str) -> None:
    with quiet_datasets(), redirect_stdout(None):
        assert main([*words]) == 0


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
