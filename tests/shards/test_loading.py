"""A shards folder as a dataset: by `load_dataset`, by the builder, and as crops to train on."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from datasets import load_dataset
from torch.utils.data import DataLoader

from enchf_dataset import EncHFDataset
from preprocess.codec.playback import decode_row
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.dataset.schema import read_parameters
from preprocess.shards.names import shard_name
from preprocess.sidecar.reading import read_sidecar
from preprocess.steps.pack import pack
from preprocess.steps.pack_config import PackConfig
from preprocess.tokens.ecdc import read_ecdc
from preprocess.train import AlignedCrops, StreamedCrops, collate
from tests.helpers.loading import (
    load_class,
    load_registered,
    load_script,
    scripts_only,
)
from tests.helpers.packed import write_clip


@pytest.fixture(params=[load_class, load_registered, pytest.param(load_script, marks=scripts_only)])
def load(request):
    """The ways to load with the builder."""
    return request.param


@pytest.fixture
def clips(tmp_path):
    root = tmp_path / "clips"
    for index in range(10):
        split = ("train", "train", "validation")[index % 3]
        write_clip(root, f"{split}/ü {index}", 12_000 + 9000 * index, k=8, seed=index)
    return root


@pytest.fixture
def shards(clips):
    return pack_to(clips, count=4)


def pack_to(clips, name="shards", **options):
    assert pack(clips, clips.parent / name, PackConfig(**options)).ok
    return clips.parent / name


def check_rows(rows, clips, k=8, names=("pitch", "level")):
    """Compare each row with its files."""
    for row in rows:
        ecdc, sidecar = read_ecdc(clips / row["audio"]), read_sidecar(clips / row["audio"])
        np.testing.assert_array_equal(row["codes"], ecdc.codes[:k])
        assert list(row["features"]) == list(names)
        for name in names:
            expected = sidecar.parameters[name].values
            np.testing.assert_array_equal(np.float32(row["features"][name]), expected)
        assert row["audio_length"] == ecdc.audio_length and row["n_frames"] == len(expected)
        assert row["bandwidth_kbps"] == ecdc.header.spec.bandwidth_kbps(k)


@pytest.mark.parametrize("config", [None, "encodec_24khz_6kbps"])
def test_load_dataset_reads_the_folder(clips, shards, config):
    loaded = load_dataset(str(shards), config)
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 7, "validation": 3}
    for rows in loaded.values():
        check_rows(rows, clips)
        pitch = read_parameters(rows.features)["pitch"]
        assert (pitch.units, pitch.min, pitch.max, pitch.doc_string) == ("Hz", 50, 2000, "f₀")


def test_load_dataset_streams_the_folder(clips, shards):
    rows = list(load_dataset(str(shards), split="train", streaming=True))
    assert len(rows) == 7
    check_rows(rows, clips)


def test_empty_shards_load(clips):
    """With 30 shards for 7 clips, most are empty."""
    out = pack_to(clips, count=30)
    assert len(load_dataset(str(out))["train"]) == 7
    assert len(list(load_dataset(str(out), split="train", streaming=True))) == 7
    assert len(load_class(out, num_proc=2)["train"]) == 7


def test_the_builder_reads_the_folder(clips, shards, load):
    loaded = load(shards)
    plain = load(clips)
    assert list(loaded) == list(plain) == ["train", "validation"]
    for name, rows in loaded.items():
        assert rows.features == plain[name].features
        ids = sorted(rows["id"][:])
        assert ids == sorted(plain[name]["id"][:])
        check_rows(rows, clips)
        assert read_parameters(rows.features) == read_parameters(plain[name].features)


def test_the_builder_slices_to_a_bandwidth(clips, shards, load):
    loaded = load(shards, "encodec_24khz_1.5kbps")
    assert len(loaded["train"]) == 7
    check_rows(loaded["train"], clips, k=2)
    with pytest.raises(PreprocessError, match="at 6 kbps and cannot load at 12 kbps"):
        load_class(shards, "encodec_24khz_12kbps")
    with pytest.raises(PreprocessError, match="tokens of encodec_24khz, not of encodec_48khz"):
        load_class(shards, "encodec_48khz_6kbps")


def test_the_builder_chooses_parameters_and_splits(clips, shards, load):
    loaded = load(shards, parameters=["level"], require_parameters=["pitch"], split_name="every")
    assert list(loaded) == ["every"] and len(loaded["every"]) == 10
    check_rows(loaded["every"], clips, names=("level",))
    with pytest.raises(PreprocessError, match=r"lacks the parameter 'pich' \(did you mean 'pitch"):
        load_class(shards, parameters=["pich"])
    with pytest.raises(PreprocessError, match="lacks the parameter 'x'"):
        load_class(shards, require_parameters=["x"])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_builder_converts_parameters(clips, shards, dtype):
    loaded = load_class(shards, dtype=dtype)["train"]
    assert loaded.features["features"]["pitch"].feature.dtype == dtype
    for row in loaded.with_format("numpy"):
        expected = read_sidecar(clips / row["audio"]).parameters["pitch"].values
        np.testing.assert_array_equal(row["features"]["pitch"], expected.astype(dtype))


def test_a_value_that_a_dtype_would_damage_is_named(tmp_path):
    root = tmp_path / "clips"
    write_clip(root, "a")
    path = write_clip(root, "b", seed=1, dtype="")
    frames = read_ecdc(path).codes.shape[1]
    from preprocess.sidecar.writing import write_sidecar

    write_sidecar(
        path,
        {
            "pitch": {"values": np.full(frames, 100_000.0), "units": "Hz"},
            "level": {"values": np.zeros(frames), "units": "dB"},
        },
    )
    out = pack_to(root)
    with pytest.raises(PreprocessError, match="clip 'b': parameter 'pitch': float16 would change"):
        load_class(out, dtype="float16")


@pytest.mark.parametrize(
    "option",
    [
        {"suffix": ".x"},
        {"cond_root": "x"},
        {"split_by": "group"},
        {"recursive": False},
        {"max_files": 3},
        {"missing_sidecar": "skip"},
        {"audio_prefix": "x"},
    ],
)
def test_options_of_files_are_refused(shards, option):
    with pytest.raises(UsageError, match=f"has shards, for which {next(iter(option))} has no"):
        load_class(shards, **option)


def test_processes_share_the_shards(clips, shards, load):
    loaded = load(shards, num_proc=2)["train"]
    assert loaded["id"][:] == load_class(shards)["train"]["id"][:]
    check_rows(loaded, clips)


def test_the_builder_streams_shards(clips, shards):
    stream = EncHFDataset(data_dir=str(shards)).as_streaming_dataset()["train"]
    rows = list(stream)
    assert len(rows) == 7
    check_rows(rows, clips)


def test_the_cache_follows_the_files(clips, shards, load):
    assert len(load(shards)["train"]) == 7
    write_clip(clips, "train/new", 4000, k=8, seed=50)
    pack_to(clips, count=4)
    assert len(load(shards)["train"]) == 8
    missing = shards / shard_name("train", 1, 4)
    os.rename(missing, shards / "kept")
    with pytest.raises(PreprocessError, match="lacks the shard data/train-00001-of-00004"):
        load_class(shards)
    os.rename(shards / "kept", missing)
    assert len(load(shards)["train"]) == 8


def test_clips_without_sidecars_load(clips):
    write_clip(clips, "train/bare", 4000, "", k=8)
    out = pack_to(clips, missing_sidecar="empty", count=2)
    for rows in (load_dataset(str(out))["train"], load_class(out)["train"]):
        row = next(row for row in rows if row["id"] == "train/bare")
        assert row["features"] == {"pitch": [], "level": []}


def test_segments_of_48_khz_load(tmp_path):
    root = tmp_path / "clips"
    for index in range(3):
        write_clip(root, f"c{index}", 48_000 + 60_000 * index, model="encodec_48khz", seed=index)
    out = pack_to(root)
    for rows in (load_dataset(str(out))["train"], load_class(out)["train"]):
        for row in rows:
            ecdc = read_ecdc(root / row["audio"])
            np.testing.assert_array_equal(np.float32(row["scales"]), ecdc.scales)
            assert row["segment_frames"] == list(ecdc.segment_frames)


def test_a_row_plays(recordings, demo_codec, tmp_path):
    from preprocess.tokens.ecdc import write_ecdc

    wave = np.sin(np.arange(24_000) / 10, dtype=np.float32)[None]
    ecdc = demo_codec.encode(wave, 24)
    write_ecdc(tmp_path / "clips/a.ecdc", ecdc)
    row = load_dataset(str(pack_to(tmp_path / "clips")))["train"][0]
    np.testing.assert_allclose(decode_row(row), demo_codec.decode(ecdc), atol=1e-5)


@pytest.mark.parametrize("rows", ["folder", "builder"])
def test_crops_of_shards_equal_those_of_tokens(clips, shards, rows):
    loaded = load_dataset(str(shards)) if rows == "folder" else load_class(shards)
    crops = AlignedCrops(loaded["train"], frames=20, seed=3)
    plain = AlignedCrops(load_class(clips)["train"].sort("id"), frames=20, seed=3)
    again = AlignedCrops(loaded["train"].sort("id"), frames=20, seed=3)
    assert len(crops) == len(plain) == 7
    for index in range(7):
        mine, theirs = again[index], plain[index]
        np.testing.assert_array_equal(mine["codes"], theirs["codes"])
        np.testing.assert_array_equal(mine["parameters"], theirs["parameters"])
    batch = next(iter(DataLoader(crops, batch_size=7, collate_fn=collate)))
    assert batch["codes"].shape == (7, 8, 20)


def test_crops_of_a_stream(clips, shards):
    stream = load_dataset(str(shards), split="train", streaming=True)
    crops = StreamedCrops(stream, frames=20, stats=shards / "stats.json")
    assert crops.parameter_names == ("pitch", "level")
    found = list(crops)
    assert len(found) == 7 and found[0]["codes"].shape == (8, 20)
    low, high = (np.min([c["parameters"] for c in found]), np.max([c["parameters"] for c in found]))
    assert -1e-6 <= low < high <= 1 + 1e-6


def test_a_copied_folder_loads_elsewhere(clips, shards, tmp_path):
    there = shutil.copytree(shards, tmp_path / "else where")
    shutil.rmtree(shards)
    assert len(load_dataset(str(there))["train"]) == 7
    check_rows(load_class(there)["validation"], clips)
