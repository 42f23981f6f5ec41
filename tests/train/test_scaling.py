"""Parameters are scaled as the statistics say, and NaN never reaches a model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.parameters import Parameter
from preprocess.stats import CorpusStats, normalise, write_stats
from preprocess.train import AlignedCrops, TrainError, collate
from tests.helpers.rows import make_dataset, make_rows

KINDS = {
    "level": ParameterInfo(units="dB", min=-60, max=0),
    "bright": ParameterInfo(units="Hz"),
    "angle": ParameterInfo(units="deg", kind="circular"),
    "scene": ParameterInfo(kind="categorical", min=3, max=6),
}


def values_of(rows):
    """Give rows values of four kinds: some NaN, a range that is not declared, angles, labels."""
    rng = np.random.default_rng(1)
    for row in rows:
        frames = row["n_frames"]
        level = rng.uniform(-50, -10, frames)
        level[rng.random(frames) < 0.3] = np.nan
        row["features"] = {
            "level": level.astype(np.float32),
            "bright": rng.uniform(900, 1100, frames).astype(np.float32),
            "angle": rng.uniform(0, 360, frames).astype(np.float32),
            "scene": rng.choice([3.0, 4.0, 6.0, np.nan], frames).astype(np.float32),
        }
    return rows


@pytest.fixture(scope="module")
def rows():
    return values_of(make_rows([24_000] * 6, parameters=KINDS))


@pytest.fixture(scope="module")
def stats(rows):
    found = CorpusStats()
    for row in rows:
        found.update({name: described(row["features"][name], info) for name, info in KINDS.items()})
    return found


@pytest.fixture(scope="module")
def dataset(rows, tmp_path_factory):
    return make_dataset(rows, tmp_path_factory.mktemp("kinds") / "a.arrow", KINDS)


def described(values, info):
    """Return values as a parameter of a clip."""
    return Parameter.from_info(info, values)


def whole(dataset, **options):
    """Return all clips as one batch, and the raw values `[B, parameters, T]` of it."""
    crops = AlignedCrops(dataset, frames=None, **options)
    batch = collate(crops.__getitems__(list(range(len(crops)))))
    return crops, batch


def raw(rows, batch, name):
    by_id = {row["id"]: row["features"][name] for row in rows}
    return np.stack([by_id[i] for i in batch["ids"]]).astype(np.float64)


@pytest.mark.parametrize("scale", ["minmax", "zscore"])
def test_continuous_parameters_are_scaled_by_the_statistics(rows, stats, dataset, scale):
    _, batch = whole(dataset, parameters=["bright", "level"], stats=stats, scale=scale)
    for row, name in enumerate(("bright", "level")):
        expected = normalise(raw(rows, batch, name), stats[name], scale)
        known = ~np.isnan(expected)
        assert np.array_equal(batch["parameter_mask"][:, row].numpy(), known)
        got = batch["parameters"][:, row].numpy()
        assert np.allclose(got[known], expected[known], rtol=1e-6, atol=1e-7)
        assert (got[~known] == 0).all()
    assert batch["parameters"].dtype == torch.float32
    assert known.mean() == pytest.approx(0.7, abs=0.05)


def test_angles_become_sine_and_cosine_and_labels_ids(rows, stats, dataset):
    crops, batch = whole(dataset, stats=stats)
    assert crops.parameter_names == ("level", "bright", "angle.sin", "angle.cos", "scene")
    angle = np.deg2rad(raw(rows, batch, "angle"))
    assert np.allclose(batch["parameters"][:, 2], np.sin(angle), atol=1e-6)
    assert np.allclose(batch["parameters"][:, 3], np.cos(angle), atol=1e-6)
    scene = raw(rows, batch, "scene")
    ids = batch["parameters"][:, 4].numpy()
    for label, number in ((3, 0), (4, 1), (6, 2)):
        assert (ids[scene == label] == number).all()
    assert (ids[np.isnan(scene)] == 3).all()  # the number of labels, which no label has
    assert np.array_equal(batch["parameter_mask"][:, 4], ~np.isnan(scene))


def test_labels_become_rows(rows, stats, dataset):
    crops, batch = whole(dataset, parameters=["scene"], stats=stats, categorical="onehot")
    assert crops.parameter_names == ("scene=3", "scene=4", "scene=6")
    scene = raw(rows, batch, "scene")
    for row, label in enumerate((3, 4, 6)):
        assert np.array_equal(batch["parameters"][:, row].numpy(), (scene == label) * 1.0)
    assert np.array_equal(batch["parameter_mask"][:, 1], ~np.isnan(scene))


def test_without_statistics_declared_ranges_are_taken(rows, dataset):
    crops, batch = whole(dataset, parameters=["level", "angle", "scene"])
    assert crops.parameter_names == ("level", "angle.sin", "angle.cos", "scene")
    level = raw(rows, batch, "level")
    known = ~np.isnan(level)
    assert np.allclose(
        batch["parameters"][:, 0].numpy()[known], (level[known] + 60) / 60, atol=1e-6
    )
    scene = raw(rows, batch, "scene")
    assert (batch["parameters"][:, 3].numpy()[scene == 6] == 3).all()
    assert (batch["parameters"][:, 3].numpy()[np.isnan(scene)] == 4).all()


def test_statistics_are_those_of_train_of_a_file(stats, dataset, tmp_path):
    write_stats(tmp_path / "stats.json", {"train": stats, "test": CorpusStats()})
    by_file = AlignedCrops(dataset, stats=tmp_path / "stats.json", frames=32)
    by_splits = AlignedCrops(dataset, stats={"train": stats, "test": stats}, frames=32)
    mine = AlignedCrops(dataset, stats=stats, frames=32)
    assert by_file.scaler.parts == mine.scaler.parts == by_splits.scaler.parts
    write_stats(tmp_path / "stats.json", {"a": stats, "b": stats})
    with pytest.raises(
        TrainError, match=r"stats.json: there are statistics of a, b, but not of train"
    ):
        AlignedCrops(dataset, stats=str(tmp_path / "stats.json"))


def test_padding_is_no_code_and_no_value(tmp_path):
    rows = make_rows([12_000, 24_000])
    crops = AlignedCrops(make_dataset(rows, tmp_path / "a.arrow"), frames=75)
    batch = collate(list(crops))  # a list of crops gives what a batch of them gives
    fast = collate(crops.__getitems__([0, 1]))
    assert all(torch.equal(batch[name], fast[name]) for name in batch if name != "ids")
    assert batch["ids"] == fast["ids"] and sorted(batch["ids"]) == ["clip0", "clip1"]
    short = batch["ids"].index("clip0")
    frames = rows[0]["n_frames"]
    assert batch["mask"][short].tolist() == [True] * frames + [False] * (75 - frames)
    assert (batch["codes"][short, :, frames:] == 1024).all()
    assert (batch["codes"][short, :, :frames] < 1024).all()
    assert not batch["parameter_mask"][short, :, frames:].any()
    assert (batch["parameters"][short, :, frames:] == 0).all()


def test_a_clip_without_sidecar_has_no_value(tmp_path):
    rows = make_rows([24_000] * 3)
    rows[1]["features"] = {name: np.empty(0, np.float32) for name in rows[1]["features"]}
    crops = AlignedCrops(make_dataset(rows, tmp_path / "a.arrow"), frames=50)
    for crop in crops:
        assert crop["parameter_mask"].any() == (crop["id"] != "clip1")
        assert not crop["parameters"].isnan().any()
        assert crop["mask"].all()


def test_bad_input_is_one_line_that_names_it(stats, dataset, tmp_path):
    other, empty, silent = CorpusStats(), CorpusStats(), CorpusStats()
    values = np.linspace(-60, 0, 9, dtype=np.float32)
    other.update({"level": described(values, ParameterInfo(units="Pa"))})
    wider = CorpusStats()
    wider.update({"level": described(values, ParameterInfo(units="dB", min=-90, max=0))})
    silent.update({"level": described(values * np.nan, KINDS["level"])})
    few = CorpusStats()
    few.update({"scene": described(np.array([3.0, 4.0], np.float32), KINDS["scene"])})
    cases = [
        ({"parameters": ["bright"]}, "parameter 'bright' has no statistics: it declares no range"),
        ({"parameters": ["level"], "scale": "zscore"}, "'level' has no statistics: zscore needs"),
        ({"parameters": ["level"], "stats": empty}, "the statistics have no parameter, but not 'level'"),
        ({"parameters": ["bright"], "stats": other}, "the statistics have level, but not 'bright'"),
        ({"parameters": ["level"], "stats": other}, "their 'level' has units 'Pa', here it is 'dB'"),
        ({"parameters": ["level"], "stats": wider}, "their 'level' reaches to -90 by declaration"),
        ({"parameters": ["level"], "stats": silent}, "'level' has no value in any frame (all are NaN)"),
        ({"parameters": ["levle"]}, "but no 'levle' (did you mean 'level'?)"),
        ({"codebooks": 9, "parameters": []}, "codebooks=9, but the dataset has 4 of them"),
        ({"frames": 76, "parameters": []}, "a crop of 76 frames is longer than every clip: the longest"),
        ({"frames": 75.0}, "frames=75.0 must be a whole number of at least 1"),
        ({"scale": "minmaxx"}, "scale='minmaxx' must be one of minmax, zscore, none (did you"),
        ({"clips_per_crop": 3}, "clips_per_crop=3 does not divide frames=256"),
        ({"frames": None, "sample": "tiles"}, "takes whole clips, so sample='tiles' cannot be"),
        ({"sample": "tiles", "epoch_size": 5}, "so epoch_size=5 cannot be"),
    ]  # fmt: skip
    for options, text in cases:
        with pytest.raises(TrainError) as error:
            AlignedCrops(dataset, **options)
        assert text in str(error.value) and "\n" not in str(error.value)
    crops = AlignedCrops(dataset, frames=75, parameters=["scene"], stats=few)
    with pytest.raises(
        TrainError, match=r"'scene' has the label 6, which is none of the 2 known ones"
    ):
        list(crops)
    assert math.isfinite(
        float(AlignedCrops(dataset, stats=stats, frames=75)[0]["parameters"].sum())
    )


def test_datasets_that_make_no_crops_are_named(dataset, tmp_path):
    with pytest.raises(TrainError, match=r"^the split is empty"):
        AlignedCrops(dataset.select([]))
    with pytest.raises(TrainError, match="not dict; take one of train, test"):
        AlignedCrops({"train": dataset, "test": dataset})
    with pytest.raises(TrainError, match=r"lacks the column 'codes'; it has id, audio"):
        AlignedCrops(dataset.remove_columns("codes"))
    rows = make_rows([24_000] * 4)
    rows[2] = {**make_rows([32_000], "encodec_32khz")[0], "id": "stranger"}
    with pytest.raises(TrainError, match=r"different codecs: 'stranger' is of encodec_32khz"):
        AlignedCrops(make_dataset(rows, tmp_path / "codecs.arrow"))
    rows = make_rows([24_000] * 4)
    rows[3] = {**make_rows([24_000], k=2)[0], "id": "low"}
    mixed = make_dataset(rows, tmp_path / "k.arrow")
    with pytest.raises(TrainError, match=r"numbers of codebooks: 'low' has 2, those before it 4"):
        AlignedCrops(mixed)
    assert len(AlignedCrops(mixed.select([0, 1, 2]), frames=32)) == 3
    # Segments of 149 frames and of 1: a crop of 150 lies in neither.
    split = make_dataset(make_rows([47_600], "encodec_48khz"), tmp_path / "s.arrow")
    with pytest.raises(TrainError, match=r"no clip has 150 frames in one place, and short='skip'"):
        AlignedCrops(split, frames=150, short="skip")


def test_rows_that_contradict_themselves_are_named(tmp_path):
    rows = make_rows([24_000] * 3)
    rows[1]["features"]["pitch"] = rows[1]["features"]["pitch"][:-1]
    crops = AlignedCrops(make_dataset(rows, tmp_path / "a.arrow"), frames=20)
    with pytest.raises(TrainError, match=r"clip 'clip1' has 75 frames, but 74 values of 'pitch'"):
        list(crops)
    rows = make_rows([48_000] * 2, "encodec_48khz")
    rows[1]["audio_length"] = 96_000
    crops = AlignedCrops(make_dataset(rows, tmp_path / "b.arrow"), frames=20)
    with pytest.raises(TrainError, match=r"'clip1' has 152 frames, but its 96000 samples make 303"):
        list(crops)
