"""The corpus: tones with known curves, and the recordings that ship, with curves measured in them.

OUTPUT/sounds/train/synthesis/0001.flac      OUTPUT/curves/train/synthesis/0001.csv
OUTPUT/sounds/train/recordings/...           OUTPUT/curves/train/recordings/...
OUTPUT/sounds/validation/synthesis/...       OUTPUT/curves/validation/synthesis/...
OUTPUT/recipe.yaml                           `preprocess run` makes the dataset of these
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf
import yaml
from measures import measured
from numpy.typing import NDArray
from sounds import (
    BRIGHTNESS,
    CODEC,
    LEVEL,
    LOUDEST_DB,
    PITCH,
    SPEC,
    WINDOW_S,
    Values,
    random_curve,
    tone,
)

from preprocess.audio.audio_files import read_audio
from preprocess.audio.peak_rms import PeakRms
from preprocess.core.files import find_files
from preprocess.core.resources import resource

COLUMNS = ("pitch", "level", "brightness")
ENCODED_KBPS = 3.0
HELD_OUT = 12
"""One clip of this many is for validation."""


def write_corpus(output: Path, clips: int, seconds: float, seed: int = 0) -> None:
    """Write sounds, curves and the recipe."""
    for index in range(clips):
        rng = np.random.default_rng([seed, index])
        split = "validation" if index % HELD_OUT == 0 else "train"
        curves, wave = random_tone(rng, round(seconds * SPEC.fps))
        _write(output, f"{split}/synthesis/{index:04}", wave, curves)
    for rel in find_files(resource("audio"), [".flac"]):
        wave = levelled(read_audio(resource("audio") / rel, SPEC.sample_rate, 1)[0])[0]
        _write(output, f"train/recordings/{rel.stem}", wave, measured(wave))
    text = yaml.safe_dump(recipe(output), sort_keys=False)
    (output / "recipe.yaml").write_text(f"# preprocess run {output}/recipe.yaml\n{text}")


def random_tone(rng: np.random.Generator, frames: int) -> tuple[Values, NDArray[np.float32]]:
    """Return three random curves `[3, T]` and the tone that follows them, as loud as all clips are."""
    curves = np.stack([random_curve(rng, frames, r) for r in (PITCH, LEVEL, BRIGHTNESS)])
    wave, gain_db = levelled(tone(*curves))
    curves[1] += gain_db
    return curves, wave


def levelled(wave: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Return a wave whose loudest window is where `preprocess normalize` leaves it, and the gain.

    So the level that a curve says is still that of the sound when it is encoded.
    """
    loudest = PeakRms(int(WINDOW_S * SPEC.sample_rate))
    loudest.add(wave[:, None])
    gain_db = LOUDEST_DB - 20 * np.log10(loudest.value)
    return (wave * 10 ** (gain_db / 20)).astype(np.float32), float(gain_db)


def recipe(output: Path) -> dict[str, object]:
    """Return the recipe of the corpus."""
    curve = {
        "root": str(output / "curves"),
        "columns": list(COLUMNS),
        "rate_hz": SPEC.fps,
        "units": {"pitch": "semitones", "level": "dB"},
        "min": {"pitch": PITCH.low, "level": -60.0, "brightness": 1.0},
        "max": {"pitch": PITCH.high, "level": 0.0, "brightness": 2.0},
    }
    kind = {"pattern": r"(?P<source>synthesis|recordings)/", "labels": {"source": [*_SOURCES]}}
    return {
        "input": str(output / "sounds"),
        "output": str(output),
        "codec": CODEC,
        "encode": {"bandwidth": ENCODED_KBPS},
        "annotate": [{"curve": curve}, {"filename": kind}],
        "audit": {"require": [*COLUMNS, "source"], "verify_ranges": False},
    }


_SOURCES = ("synthesis", "recordings")


def _write(output: Path, name: str, wave: NDArray[np.float32], curves: Values) -> None:
    """Write one sound with its curves; a cell without a value is empty."""
    sound, table = output / "sounds" / f"{name}.flac", output / "curves" / f"{name}.csv"
    for path in (sound, table):
        path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(sound, wave, SPEC.sample_rate, subtype="PCM_24")
    rows = [",".join("" if np.isnan(v) else f"{v:.6g}" for v in frame) for frame in curves.T]
    table.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
