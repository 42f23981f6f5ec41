"""A tree of tokens to export, and its reading as the trainers of RNeNcodec read an export.

The readers follow what its loaders (`rnencodec/audioDataLoader/audio_dataset.py`, all of their
classes) and `training/loop.py` open, look up and compute; nothing of ours takes part in them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from datasets import load_from_disk

from preprocess.cli.main import main
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import write_ecdc
from tests.helpers.formats import random_ecdc

SECONDS = {"train/a/take.1": 3, "train/a/take.2": 2, "train/b": 2, "validation/c": 1}
NAMES = ["pitch", "level", "scene", "phase", "gain"]


def parameters(clip: str, frames: int) -> dict:
    """Return one parameter of every kind: declared, measured, labels, an angle, a constant."""
    rng = np.random.default_rng(len(clip))
    return {
        "pitch": {"values": rng.uniform(60, 700, frames), "units": "Hz", "min": 50, "max": 800},
        "level": {"values": rng.normal(-20, 6, frames), "units": "dB"},
        "scene": {"values": rng.integers(0, 4, frames), "kind": "categorical"},
        "phase": {"values": rng.uniform(0, 360, frames), "units": "deg", "kind": "circular"},
        "gain": np.full(frames, 440.0),
    }


def token_tree(root: Path) -> Path:
    """Write four clips of the 24 kHz codec at 12 kbps in two splits, with five parameters."""
    for clip, seconds in SECONDS.items():
        path = root / f"{clip}.ecdc"
        path.parent.mkdir(parents=True, exist_ok=True)
        ecdc = random_ecdc("encodec_24khz", 24_000 * seconds - 13, 16)
        write_ecdc(path, ecdc)
        write_sidecar(path, parameters(clip, ecdc.codes.shape[1]))
    return root


def export(tokens: Path, *flags: str) -> tuple[int, Path]:
    """Run the step as the training loop wants its folder called; return status and folder."""
    out = tokens.parent / "corpus/hf_dataset"
    return main(["export", str(tokens), str(out), "--for", "rnencodec", *flags]), out


class TheirReading:
    """What the trainers read of a folder, in the order in which they do."""

    def __init__(self, folder: Path, split: str) -> None:
        # training/loop.py looks in `hf_dataset` of the folder that it is given
        self.config = json.loads((folder / "conditioning_config.json").read_text("utf-8"))
        self.rows = load_from_disk(str(folder))[split]
        self.paths = []
        for row in self.rows:
            places = [folder / row["audio"], folder / split / row["audio"], Path(row["audio"])]
            self.paths.append(next(place for place in places if place.exists()))

    def codes(self, path: Path) -> torch.Tensor:
        """`[1, K, T]`: the singleton of segments goes, that of the batch stays."""
        # Once as torch.load does by itself, once as they ask it to.
        assert set(torch.load(path)) == {"audio_codes", "audio_scales", "audio_length"}
        codes = torch.load(path, map_location="cpu", weights_only=False)["audio_codes"]
        assert codes.dim() == 4 and codes.shape[:2] == (1, 1)
        return codes.squeeze(1)

    def array(self, path: Path) -> tuple[np.ndarray, dict]:
        """Values `[T, D]` and metadata: both by the suffix of the token file's path."""
        array_path = path.with_suffix(".cond.npy")
        meta = json.loads(array_path.with_suffix(".json").read_text("utf-8"))
        return np.load(array_path, mmap_mode="r"), meta

    def first(self, path: Path, names: list[str]) -> np.ndarray:
        """By `names` and `norm` of the sidecar."""
        array, meta = self.array(path)
        at = {name: i for i, name in enumerate(meta["names"])}
        low, high = meta["norm"]["min"], meta["norm"]["max"]
        return scaled(array, [(at[n], low[at[n]], high[at[n]]) for n in names])

    def second(self, path: Path, names: list[str]) -> np.ndarray:
        """By `features` of the sidecar, whose order is that of the columns."""
        array, meta = self.array(path)
        at = {name: i for i, name in enumerate(meta["features"])}
        ends = [(at[n], meta["features"][n]["min"], meta["features"][n]["max"]) for n in names]
        return scaled(array, ends)

    def third(self, path: Path, names: list[str]) -> np.ndarray:
        """By `features` of the configuration; it names all columns that there are."""
        array, _ = self.array(path)
        columns, described = self.config["feature_names"], self.config["features"]
        assert array.shape[1] == len(columns) == self.config["num_features"]
        ends = [(columns.index(n), described[n]["min"], described[n]["max"]) for n in names]
        return scaled(array, ends)


def scaled(array: np.ndarray, ends: list[tuple[int, float, float]]) -> np.ndarray:
    """Bring columns to 0 to 1 in float32, clipped; a range without a width is left alone."""
    out = np.zeros((len(array), len(ends)), np.float32)
    for j, (column, low, high) in enumerate(ends):
        assert isinstance(low, float | int) and isinstance(high, float | int)
        x = array[:, column].astype(np.float32)
        if high != low:
            x = np.clip((x - low) / (high - low + 1e-8), 0.0, 1.0)
        out[:, j] = x
    return out
