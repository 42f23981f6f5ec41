"""Crops hold the frames that they say they hold, drawn as they should be."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, load_dataset
from torch.utils.data import DataLoader

from enchf_dataset import EncHFDataset
from preprocess.publish.parquet import write_shards
from preprocess.publish.subset import describe_saved
from preprocess.tokens.frames import frame_starts_s, n_frames, segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.train import AlignedCrops, collate
from preprocess.train.permutation import KeyedPermutation
from tests.helpers.crops import count_misaligned
from tests.helpers.rows import PARAMETERS, make_dataset, make_rows

MODELS = ("encodec_24khz", "encodec_32khz", "encodec_48khz")
SETTINGS = [
    {},
    {"frames": 100},
    {"short": "skip"},
    {"short": "loop"},
    {"sample": "frames"},
    {"sample": "tiles"},
    {"sample": "tiles", "frames": 100},
    {"sample": "tiles", "short": "skip", "frames": 100},
    {"clips_per_crop": 4},
    {"frames": None},
    {"codebooks": 2, "parameters": ["pitch"]},
    {"parameters": []},
]


@pytest.fixture(scope="module", params=MODELS)
def corpus(request, tmp_path_factory):
    """Rows of one codec, of 0.1 to 7 s, and the dataset that holds them."""
    rate = codec_spec(request.param).sample_rate
    rows = make_rows([rate // 10 + rate * i // 5 + 37 * i for i in range(35)], request.param)
    return rows, make_dataset(rows, tmp_path_factory.mktemp("corpus") / "rows.arrow")


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_no_crop_is_misaligned(corpus, options):
    rows, dataset = corpus
    crops = AlignedCrops(dataset, **{"frames": 64, **options})
    assert count_misaligned(crops, rows, 150, PARAMETERS) == (0, 150)


def test_a_shift_by_one_frame_would_be_counted(corpus):
    rows, dataset = corpus
    crops = AlignedCrops(dataset, frames=64)
    rows = [{**row, "codes": np.roll(row["codes"], 1, axis=1)} for row in rows]
    misaligned, counted = count_misaligned(crops, rows, 40, PARAMETERS)
    assert misaligned > 0.9 * counted
    shifted = {n: np.roll(v, 1) for n, v in rows[0]["features"].items()}
    rows = corpus[0]
    rows = [{**rows[0], "features": shifted}, *rows[1:]]
    assert count_misaligned(crops, rows, 35, PARAMETERS) == (1, 35)


def test_a_permutation_is_one_and_follows_from_its_key():
    for size in (1, 2, 3, 7, 10, 97, 1000, 4096, 99_991):
        drawn = KeyedPermutation(size, 0, 1)(np.arange(size))
        assert np.array_equal(np.sort(drawn), np.arange(size))
        assert np.array_equal(drawn, KeyedPermutation(size, 0, 1)(np.arange(size)))
        if size > 90:
            other = KeyedPermutation(size, 0, 2)(np.arange(size))
            assert (drawn == other).mean() < 0.1
            assert abs(np.corrcoef(drawn, np.arange(size))[0, 1]) < 0.3
    large = KeyedPermutation(10**12, 5)(np.arange(1000) * 7)
    assert len(set(large.tolist())) == 1000 and large.max() < 10**12


def test_a_permutation_is_fair():
    """Where each of ten numbers goes, over 2,000 keys: chi-squared of 81 degrees of freedom."""
    counts = np.zeros((10, 10))
    for key in range(2_000):
        counts[np.arange(10), KeyedPermutation(10, key)(np.arange(10))] += 1
    assert ((counts - 200) ** 2 / 200).sum() < 140  # p = 5e-5


def test_a_crop_follows_from_seed_epoch_and_number_alone(some_dataset):
    one, two = AlignedCrops(some_dataset, frames=64), AlignedCrops(some_dataset, frames=64)
    two.set_epoch(3)
    for i in (40, 0, 17, -1):
        assert one[3, i]["id"] == two[i]["id"] and one[3, i]["start"] == two[i]["start"]
        assert torch.equal(one[3, i]["codes"], two[i]["codes"])
    order = [(1, 5), (0, 5), (1, 6), (0, 0)]  # epochs may be mixed in a batch
    assert [c["id"] for c in one.__getitems__(order)] == [one[p]["id"] for p in order]
    other = AlignedCrops(some_dataset, frames=64, seed=1)
    assert [c["id"] for c in one] != [c["id"] for c in other]
    with pytest.raises(IndexError, match="an epoch has 41 crops"):
        one[41]


def test_each_clip_comes_once_an_epoch_and_its_starts_are_even(some_dataset):
    crops = AlignedCrops(some_dataset, frames=64)
    assert len(crops) == 41
    assert sorted(c["id"] for c in crops) == sorted(some_dataset["id"])
    longest = some_dataset[40]["n_frames"] - 64
    starts = [c["start"] for e in range(300) for c in crops.__getitems__([(e, i) for i in range(41)])
              if c["id"] == "clip40"]  # fmt: skip
    assert min(starts) >= 0 and max(starts) <= longest
    assert abs(np.mean(starts) / longest - 0.5) < 0.06 and np.std(starts) / longest > 0.25
    twice = AlignedCrops(some_dataset, frames=64, epoch_size=82)
    ids = [c["id"] for c in twice]
    assert Counter(ids) == dict.fromkeys(some_dataset["id"], 2)
    assert ids[:41] != ids[41:]


def test_by_frames_a_clip_comes_as_often_as_it_is_long(some_dataset):
    crops = AlignedCrops(some_dataset, frames=16, sample="frames", epoch_size=6_000)
    counts = Counter(c["id"] for c in crops.__getitems__(range(6_000)))
    total = sum(some_dataset["n_frames"])
    for name, frames in zip(some_dataset["id"], some_dataset["n_frames"], strict=True):
        expected = 6_000 * frames / total
        assert abs(counts[name] - expected) < 4 * expected**0.5 + 2
    assert len(AlignedCrops(some_dataset, frames=16, sample="frames")) == -(-total // 16)


@pytest.mark.parametrize("frames", [64, 150, 256, 300])
def test_tiles_show_every_frame_once(corpus, frames):
    rows, dataset = corpus
    seen = {row["id"]: np.zeros(row["n_frames"], int) for row in rows}
    crops = AlignedCrops(dataset, frames=frames, sample="tiles")
    for crop in crops:
        length = int(crop["mask"].sum())
        assert crop["mask"][:length].all()
        seen[crop["id"]][crop["start"] : crop["start"] + length] += 1
    assert all((count == 1).all() for count in seen.values())


def test_tiles_of_several_clips_show_every_frame_once(some_dataset):
    crops = AlignedCrops(some_dataset, frames=64, sample="tiles", clips_per_crop=4)
    shown = sum(int(crop["mask"].sum()) for crop in crops)
    assert shown == sum(some_dataset["n_frames"])
    assert crops[0]["start"] == list(crops[0]["start"]) and len(crops[0]["id"]) == 4


@pytest.mark.parametrize("frames", [100, 200])
def test_crops_respect_segments(tmp_path, frames):
    spec = codec_spec("encodec_48khz")
    samples = [40_000, 48_000, 95_300, 100_000, 250_123, 480_000]
    rows = make_rows(samples, spec.name)
    crops = AlignedCrops(make_dataset(rows, tmp_path / "a.arrow"), frames=frames, times=True)
    starts_of = {
        row["id"]: np.cumsum([0, *segment_frames(row["audio_length"], spec)]) for row in rows
    }
    lengths = {row["id"]: row["audio_length"] for row in rows}
    for epoch in range(30):
        for crop in crops.__getitems__([(epoch, i) for i in range(len(crops))]):
            start, n = crop["start"], int(crop["mask"].sum())
            begins = starts_of[crop["id"]]
            if frames <= 150:
                assert np.searchsorted(begins, start, "right") == np.searchsorted(
                    begins, start + n - 1, "right"
                )
            else:
                assert start in begins
            seconds = frame_starts_s(lengths[crop["id"]], spec)[start : start + n]
            assert np.array_equal(crop["times"][:n].numpy(), seconds)
            assert crop["times"][n:].isnan().all()


@pytest.mark.parametrize("model", ["encodec_24khz", "encodec_32khz"])
def test_times_are_those_of_the_frames(tmp_path, model):
    spec, samples = codec_spec(model), [100_000, 3_000, 77_777]
    dataset = make_dataset(make_rows(samples, model), tmp_path / "a.arrow")
    crops = AlignedCrops(dataset, frames=50, times=True, clips_per_crop=2)
    by_id = {f"clip{i}": frame_starts_s(n, spec) for i, n in enumerate(samples)}
    for crop in crops:
        for part, (name, start) in enumerate(zip(crop["id"], crop["start"], strict=True)):
            times = crop["times"][25 * part : 25 * part + 25].numpy()
            n = int(np.isfinite(times).sum())
            assert np.array_equal(times[:n], by_id[name][start : start + n]) and n > 4


def test_an_hour_costs_what_ten_seconds_cost(tmp_path):
    """Bytes that a crop touches: a crop of an hour reads its own frames, whatever comes before."""
    rows = make_rows([24_000 * 3600, 240_000])
    crops = AlignedCrops(make_dataset(rows, tmp_path / "a.arrow"), frames=150)
    chunks, at = crops.source.rows.find(np.array([0, 1]))
    assert all(not chunk.codes.flags.owndata for chunk in chunks)
    assert all(not values.flags.owndata for chunk in chunks for values in chunk.values)
    assert chunks[0].codes.dtype == np.int16
    assert n_frames(24_000 * 3600, codec_spec("encodec_24khz")) == chunks[0].frames[at[0]]


def test_any_way_to_the_rows_gives_the_same_crops(token_folder, tmp_path):
    builder = EncHFDataset(data_dir=str(token_folder), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    built = builder.as_dataset()["train"]
    built.save_to_disk(tmp_path / "saved")
    shards = tmp_path / "parquet"
    subset = describe_saved(tmp_path / "saved", DatasetDict({"train": built}), {})
    write_shards(built, shards, "train", subset)
    ways = {
        "builder": built,
        "folder": Dataset.load_from_disk(tmp_path / "saved"),
        "parquet": load_dataset(
            "parquet", data_files=str(shards / "*.parquet"), cache_dir=str(tmp_path / "p")
        )["train"],
        "formatted": built.with_format("torch"),
        "selected": built.select([2, 0, 1]).select([1, 2, 0]),
        "sliced": built.select(range(3)),
    }
    expected = None
    for name, dataset in ways.items():
        crops = AlignedCrops(dataset, frames=40, parameters=["level"], scale="none")
        found = [
            (c["id"], c["start"], c["codes"].tolist(), c["parameters"].tolist()) for c in crops
        ]
        expected = expected or found
        assert found == expected, name
    with_ranges = AlignedCrops(ways["folder"], frames=40, parameters=["level"])
    assert with_ranges.parameter_names == ("level",)
    values = with_ranges[0]["parameters"]
    assert 0 <= values.min() < values.max() <= 1


def test_lists_of_fixed_length_and_large_lists_are_read(some_rows, some_dataset, tmp_path):
    import pyarrow as pa

    table = some_dataset.data.table
    codes = table.column("codes").cast(pa.large_list(pa.large_list(pa.int32())))
    features = pa.struct([(n, pa.large_list(pa.float64())) for n in PARAMETERS])
    large = table.set_column(table.column_names.index("codes"), "codes", codes)
    large = large.set_column(
        large.column_names.index("features"), "features", table.column("features").cast(features)
    )
    fixed = codes.combine_chunks().cast(pa.list_(pa.list_(pa.int16()), 4))
    fixed = large.set_column(large.column_names.index("codes"), "codes", fixed)
    for changed in (large, fixed.slice(3), fixed):
        dataset = Dataset(changed.replace_schema_metadata(None))
        crops = AlignedCrops(dataset, frames=32, scale="none")
        assert count_misaligned(crops, some_rows, 60, {}) == (0, 60)


def test_crops_go_to_other_processes(some_dataset):
    crops = AlignedCrops(some_dataset, frames=64)
    crops[0]
    data = pickle.dumps(crops)
    assert len(data) < 30_000
    again = pickle.loads(data)
    assert torch.equal(again[7]["codes"], crops[7]["codes"])
    loader = DataLoader(
        crops, 8, collate_fn=collate, num_workers=1, multiprocessing_context="spawn"
    )
    assert [i for b in loader for i in b["ids"]] == [c["id"] for c in crops]


def test_importing_takes_no_more_than_torch_and_pyarrow():
    code = """
import sys
import preprocess.train
assert not {"torch", "numpy", "pyarrow"} & set(sys.modules)
from preprocess.train import AlignedCrops, ElasticLoader, StreamedCrops, collate
print(sorted({"datasets", "transformers", "pydantic", "encodec", "soundfile"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
