"""What RNeNcodec's trainers read of an export: our codes, and the values that we would normalise."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_from_disk

from preprocess.cli.main import main
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from preprocess.stats.corpus_stats import read_stats
from preprocess.stats.scaling import normalise
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.export import NAMES, SECONDS, TheirReading, export, token_tree


@pytest.fixture
def tokens(tmp_path) -> Path:
    """Four clips in two splits, with five parameters."""
    return token_tree(tmp_path / "ecdc")


@pytest.mark.parametrize("split", ["train", "validation"])
def test_their_loaders_find_every_file_and_our_codes(tokens, split):
    """They called torch.load on what we write, and it refused Meta's format."""
    status, out = export(tokens)
    assert status == 0
    theirs = TheirReading(out, split)
    clips = [clip for clip in SECONDS if clip.startswith(split)]
    assert theirs.rows["audio"] == [f"tokens/{clip}.ecdc" for clip in clips]
    for clip, path in zip(clips, theirs.paths, strict=True):
        ours = read_ecdc(tokens / f"{clip}.ecdc")
        codes = theirs.codes(path)
        assert codes.shape == (1, 16, 75 * SECONDS[clip])
        # what an embedding takes
        assert codes.dtype == torch.int64 and np.array_equal(codes[0], ours.codes)
        array, meta = theirs.array(path)
        assert array.ndim == 2 and len(array) == codes.shape[-1]
        assert array.dtype == np.float32 and meta["fps"] == 75


@pytest.mark.parametrize("version", ["first", "second", "third"])
def test_their_normalised_values_are_ours(tokens, version):
    """By every version of their loaders, in an order of theirs; a constant comes out as 0."""
    _, out = export(tokens)
    assert main(["build", str(tokens), str(tokens.parent / "built")]) == 0
    stats = read_stats(tokens.parent / "built/stats.json")["train"]
    names = NAMES[::-1]
    for split in ("train", "validation"):
        theirs = TheirReading(out, split)
        for path in theirs.paths:
            clip = path.relative_to(out / "tokens").with_suffix("")
            sidecar = read_sidecar(tokens / f"{clip}.ecdc")
            got = getattr(theirs, version)(path, names)
            for j, name in enumerate(names):
                ours = normalise(sidecar.parameters[name].values, stats[name])
                np.testing.assert_allclose(got[:, j], np.clip(ours, 0, 1), atol=2e-6)
                if split == "train":
                    assert ours.min() >= 0 and ours.max() <= 1
    assert not got[:, 0].any()


def test_norm_is_of_the_split_train_in_the_order_of_the_columns(tokens):
    _, out = export(tokens)
    theirs = TheirReading(out, "train")
    metas = [theirs.array(path)[1] for path in theirs.paths]
    assert all(meta == metas[0] for meta in metas)
    norm = metas[0]["norm"]
    assert metas[0]["names"] == NAMES and all(len(norm[key]) == 5 for key in norm)
    level = np.concatenate([theirs.array(path)[0][:, 1] for path in theirs.paths]).astype(float)
    column = [norm[key][1] for key in ("min", "max", "mean", "std")]
    np.testing.assert_allclose(
        column, [level.min(), level.max(), level.mean(), level.std()], rtol=1e-6
    )
    assert [norm[key][0] for key in ("min", "max")] == [50, 800], "the declared range"
    assert [norm[key][3] for key in ("min", "max")] == [0, 360], "the circle"
    assert [norm[key][2] for key in ("mean", "std")] == [None, None], "labels have none"


def test_conditioning_config_goes_into_their_settings(tokens):
    """Their dynamic loaders refuse a range in `parameter_specs`, which they take from files."""
    _, out = export(tokens, "--parameters", "level", "pitch")
    config = json.loads((out / "conditioning_config.json").read_bytes())
    assert (config["feature_names"], config["num_features"]) == (["level", "pitch"], 2)
    assert config["fps"] == 75 and config["parameter_specs"] == {"level": None, "pitch": None}
    assert config["features"]["pitch"]["unit"] == "Hz"


def test_constant_parameters_are_columns_for_their_first_loader(tokens):
    """That one reads `row[NAME]`, one number a clip; a parameter that moves is none."""
    _, out = export(tokens)
    rows = load_from_disk(str(out))["train"]
    assert rows.column_names == ["audio", "gain"] and rows["gain"] == [440.0] * 3


@pytest.mark.parametrize(("low", "width"), [(0.0, 1e-7), (1e6, 1.0)])
def test_what_their_arithmetic_moves_is_a_note(tokens, capsys, low, width):
    """They add 1e-8 to every width, and take the difference of two float32: 440 is no such case."""
    for clip, seconds in SECONDS.items():
        values = low + width * np.random.default_rng(seconds).random(75 * seconds)
        odd = {"odd": {"values": values, "min": low, "max": low + width}}
        write_sidecar(tokens / f"{clip}.ecdc", odd, dtype="float64")
    status, out = export(tokens)
    notes = [line for line in capsys.readouterr().err.splitlines() if "shifts values" in line]
    assert status == 0 and len(notes) == 1 and "'odd'" in notes[0]
    theirs = TheirReading(out, "train")
    got = theirs.first(theirs.paths[0], ["odd"])[:, 0]
    ours = read_sidecar(tokens / "train/a/take.1.ecdc").parameters["odd"].values
    worst = np.abs(got - (ours - low) / width).max()
    assert 1e-4 < worst <= float(notes[0].split("up to ")[1].split("%")[0]) / 100


def test_torch_load_refuses_our_tokens_as_the_docs_say(tokens):
    """That is why the trainers need an export."""
    with pytest.raises(pickle.UnpicklingError, match="invalid load key, 'E'"):
        torch.load(tokens / "train/b.ecdc", weights_only=False)
