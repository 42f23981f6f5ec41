"""Export for RNeNcodec: its trainers must read our files as they are, and get our numbers.

The readers here follow what its loaders (`rnencodec/audioDataLoader/audio_dataset.py`, all of its
classes) and `training/loop.py` open, look up and compute; nothing of ours takes part in them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_from_disk

from preprocess.cli import main
from preprocess.ecdc import read_ecdc, write_ecdc
from preprocess.scaling import normalise
from preprocess.sidecar import read_sidecar, write_sidecar
from preprocess.stats import read_stats
from tests.format_helpers import random_ecdc
from tests.predecessor_helpers import preprocess

SECONDS = {"train/a/take.1": 3, "train/a/take.2": 2, "train/b": 2, "validation/c": 1}
NAMES = ["pitch", "level", "scene", "phase", "gain"]


def features(clip: str, frames: int) -> dict:
    """Return one parameter of every kind: declared, measured, labels, an angle, a constant."""
    rng = np.random.default_rng(len(clip))
    return {
        "pitch": {"values": rng.uniform(60, 700, frames), "units": "Hz", "min": 50, "max": 800},
        "level": {"values": rng.normal(-20, 6, frames), "units": "dB"},
        "scene": {"values": rng.integers(0, 4, frames), "kind": "categorical"},
        "phase": {"values": rng.uniform(0, 360, frames), "units": "deg", "kind": "circular"},
        "gain": np.full(frames, 440.0),
    }


@pytest.fixture
def tokens(tmp_path) -> Path:
    """Four clips of the 24 kHz codec at 12 kbps in two splits, with five parameters."""
    root = tmp_path / "ecdc"
    for clip, seconds in SECONDS.items():
        path = root / f"{clip}.ecdc"
        path.parent.mkdir(parents=True, exist_ok=True)
        ecdc = random_ecdc("encodec_24khz", 24_000 * seconds - 13, 16)
        write_ecdc(path, ecdc)
        write_sidecar(path, features(clip, ecdc.codes.shape[1]))
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
                ours = normalise(sidecar.features[name].values, stats[name])
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
    _, out = export(tokens, "--features", "level", "pitch")
    config = json.loads((out / "conditioning_config.json").read_bytes())
    assert (config["feature_names"], config["num_features"]) == (["level", "pitch"], 2)
    assert config["fps"] == 75 and config["parameter_specs"] == {"level": None, "pitch": None}
    assert config["features"]["pitch"]["unit"] == "Hz"


def test_constant_parameters_are_columns_for_their_first_loader(tokens):
    """That one reads `row[NAME]`, one number a clip; a parameter that moves is none."""
    _, out = export(tokens)
    rows = load_from_disk(str(out))["train"]
    assert rows.column_names == ["audio", "gain"] and rows["gain"] == [440.0] * 3


@pytest.mark.parametrize("flags", [("--codebooks", "5"), ("--bandwidth", "6")])
def test_fewer_codebooks_are_the_first_ones(tokens, flags):
    status, out = export(tokens, *flags)
    theirs = TheirReading(out, "train")
    k = {"5": 5, "6": 8}[flags[1]]
    whole = read_ecdc(tokens / "train/b.ecdc").codes
    assert status == 0 and np.array_equal(theirs.codes(theirs.paths[2])[0], whole[:k])


def fails(tokens: Path, capsys, *flags: str) -> str:
    """Run an export that must fail; return its one line of error."""
    out = tokens.parent / "out"
    run = preprocess(capsys, "export", tokens, out, "--for", "rnencodec", *flags)
    assert run.status in (1, 2) and len(run.err) == 1 and not out.exists()
    assert not list(tokens.parent.glob(".*.tmp"))
    return str(run.err[0])


def test_more_codebooks_than_there_are_is_an_error_that_names_both(tokens, capsys):
    line = fails(tokens, capsys, "--codebooks", "17")
    assert "take.1.ecdc has 16 codebooks (12 kbps), fewer than the 17 asked for (12.75" in line
    assert "16 codebooks (12 kbps), fewer than the 32" in fails(tokens, capsys, "--bandwidth", "24")
    assert "give one of them" in fails(tokens, capsys, "--bandwidth", "6", "--codebooks", "8")
    assert "up to 32" in fails(tokens, capsys, "--codebooks", "33")


def test_another_codec_is_an_error_that_names_both(token_folder, capsys):
    line = fails(token_folder, capsys)
    assert "encodec_24khz_demo, but" in line and "decode with encodec_24khz alone" in line


def test_clips_of_two_bandwidths_need_a_number_of_codebooks(tokens, capsys):
    path = tokens / "train/b.ecdc"
    write_ecdc(path, random_ecdc("encodec_24khz", 47_987, 4))
    write_sidecar(path, features("train/b", 150))
    line = fails(tokens, capsys, "--allow-mixed")
    assert "has 4 codebooks, the clips before it 16" in line and "--codebooks 4" in line
    assert export(tokens, "--codebooks", "4")[0] == 0


def test_nan_is_an_error_or_the_number_that_stands_for_it(tokens, capsys):
    """Their loss would be NaN from the first batch on."""
    values = features("train/b", 150)
    values["level"] = {"values": [np.nan, -10.0] * 75, "units": "dB", "nan": "silence"}
    write_sidecar(tokens / "train/b.ecdc", values)
    assert "parameter 'level' is NaN at frame 0" in fails(tokens, capsys)
    _, out = export(tokens, "--nan", "-99")
    theirs = TheirReading(out, "train")
    array, meta = theirs.array(theirs.paths[2])
    assert array[:2, 1].tolist() == [-99, -10]
    assert meta["norm"]["min"][1] > -99, "it is no measured value"
    assert theirs.first(theirs.paths[2], ["level"])[0, 0] == 0, "clipped to the lower end"


def test_values_that_float32_rounds_are_an_error(tokens, capsys):
    for clip, seconds in SECONDS.items():
        unix = {"unix": 1.7e9 + np.arange(75 * seconds)}
        write_sidecar(tokens / f"{clip}.ecdc", unix, dtype="float64", mode="replace-all")
    line = fails(tokens, capsys)
    assert "float32 would make" in line and "subtract what all values share" in line


def test_a_range_that_their_constant_bends_is_a_note(tokens, capsys):
    """They add 1e-8 to every width: a range of 1e-7 would come out as 0 to 0.909."""
    for clip, seconds in SECONDS.items():
        tiny = {"tiny": {"values": np.linspace(0, 1e-7, 75 * seconds), "min": 0, "max": 1e-7}}
        write_sidecar(tokens / f"{clip}.ecdc", tiny, mode="replace-all")
    status, out = export(tokens)
    assert status == 0 and "'tiny' spans 1e-07" in capsys.readouterr().err
    theirs = TheirReading(out, "train")
    assert theirs.first(theirs.paths[0], ["tiny"]).max() == pytest.approx(1 / 1.1)


def test_clips_without_sidecars(tokens, capsys):
    for path in tokens.rglob("validation/c.cond.*"):
        path.unlink()
    assert "has no sidecar" in fails(tokens, capsys)
    status, out = export(tokens, "--missing-sidecar", "skip")
    assert status == 0 and list(load_from_disk(str(out))) == ["train"]
    for path in tokens.rglob("*.cond.*"):
        path.unlink()
    assert "no clip under" in fails(tokens, capsys)


def test_splits_are_those_of_build(tokens):
    split = ["--split-by", "group", "--fractions", "train=0.5", "test=0.5"]
    _, out = export(tokens, *split)
    built = tokens.parent / "built"
    assert main(["build", str(tokens), str(built), *split]) == 0
    ours, theirs = load_from_disk(str(built)), load_from_disk(str(out))
    assert {n: rows["audio"] for n, rows in ours.items()} == {
        n: rows["audio"] for n, rows in theirs.items()
    }


def test_it_is_made_again_only_where_something_changed(tokens, capsys):
    _, out = export(tokens)
    before = (out / "enchf_export.json").stat().st_ino
    export(tokens)
    assert (out / "enchf_export.json").stat().st_ino == before
    assert "4 up to date" in capsys.readouterr().out
    write_sidecar(tokens / "train/b.ecdc", {"gain": np.full(150, 441.0)})
    export(tokens)
    assert load_from_disk(str(out))["train"]["gain"] == [440, 440, 441]
    assert not list(out.parent.glob(".*.tmp"))


def test_what_it_did_not_make_is_not_replaced(tokens, capsys):
    _, out = export(tokens)
    (out / "notes.txt").write_text("mine")
    assert export(tokens, "--codebooks", "2")[0] == 2
    assert "notes.txt was not made by export" in capsys.readouterr().err
    (out / "notes.txt").rename(tokens.parent / "notes.txt")
    (out / "enchf_export.json").unlink()
    assert export(tokens, "--codebooks", "2")[0] == 2
    assert "no dataset made by export" in capsys.readouterr().err
    assert read_ecdc(out / "tokens/train/b.ecdc").codes.shape[0] == 16


def test_our_own_tools_read_an_export_back(tokens):
    """Codes, values and ranges are those that went in, and the audit passes."""
    _, out = export(tokens)
    for clip in SECONDS:
        old, new = tokens / f"{clip}.ecdc", out / f"tokens/{clip}.ecdc"
        a, b = read_ecdc(old), read_ecdc(new)
        assert np.array_equal(a.codes, b.codes) and a.audio_length == b.audio_length
        before, after = read_sidecar(old).features, read_sidecar(new).features
        for name in NAMES:
            np.testing.assert_array_equal(
                after[name].values, before[name].values.astype(np.float32)
            )
            assert (after[name].units, after[name].kind) == (before[name].units, before[name].kind)
    assert main(["audit", str(out / "tokens")]) == 0
