"""The builder: its schema, its configs, and a cache that follows the folder's content."""

from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import load_dataset

import enchf_dataset
from enchf_dataset import EncHFDataset
from preprocess.dataset import DatasetError
from preprocess.ecdc import read_ecdc
from preprocess.errors import UsageError
from preprocess.sidecar import read_sidecar, write_sidecar

SCRIPT = enchf_dataset.__file__
OLD = int(datasets.__version__.split(".")[0]) < 4
scripts_only = pytest.mark.skipif(not OLD, reason="datasets 4 ended loading scripts")


def load_class(folder, config="auto", **options):
    """Load by the class itself, which works in every version of datasets."""
    builder = EncHFDataset(config_name=config, data_dir=str(folder), **options)
    builder.download_and_prepare()
    return builder.as_dataset()


def load_script(folder, config="auto", **options):
    """Load by the call that users make."""
    return load_dataset(SCRIPT, config, data_dir=str(folder), trust_remote_code=True, **options)


@pytest.fixture(params=["class", pytest.param("script", marks=scripts_only)])
def load(request):
    """Both ways to load."""
    return {"class": load_class, "script": load_script}[request.param]


def test_rows_hold_tokens_and_parameters(token_folder, load):
    loaded = load(token_folder)
    assert list(loaded) == ["train"]
    assert loaded["train"]["id"] == ["a/take.1", "a/take.2", "b/one"]
    for row in loaded["train"]:
        path = token_folder / row["audio"]
        ecdc, sidecar = read_ecdc(path), read_sidecar(path)
        np.testing.assert_array_equal(row["codes"], ecdc.codes)
        assert list(row["features"]) == list(sidecar.features) == ["level", "index"]
        for name, feature in sidecar.features.items():
            np.testing.assert_array_equal(
                np.float32(row["features"][name]), feature.values.astype(np.float32)
            )
        assert (row["model"], row["bandwidth_kbps"]) == ("encodec_24khz_demo", 24.0)
        assert (row["fps"], row["sample_rate"]) == (75, 24_000)
        assert (row["audio_length"], row["n_frames"]) == (ecdc.audio_length, ecdc.codes.shape[1])
        assert (row["scales"], row["segment_frames"]) == ([], [])


def test_the_schema_is_declared(token_folder):
    features = EncHFDataset(data_dir=str(token_folder)).info.features
    int16_rows = datasets.Sequence(datasets.Sequence(datasets.Value("int16")))
    floats = datasets.Sequence(datasets.Value("float32"))
    assert features["codes"] == int16_rows
    assert features["features"] == {"level": floats, "index": floats}


def test_the_numpy_format_keeps_int16_where_asked(token_folder):
    dataset = load_class(token_folder)["train"].with_format(
        "numpy", columns=["codes"], output_all_columns=True, dtype=np.int16
    )
    codes = np.stack(dataset[0]["codes"])
    assert (codes.dtype, codes.shape) == (np.int16, (32, 75))


def test_without_sidecars_there_is_no_features_column(token_folder, load):
    for path in token_folder.rglob("*.cond.*"):
        path.unlink()
    assert "features" not in load(token_folder)["train"].column_names


@pytest.mark.parametrize(("kbps", "k"), [(1.5, 2), (3, 4), (6, 8), (12, 16), (24, 32)])
def test_a_named_config_slices_to_its_bandwidth(token_folder, kbps, k):
    loaded = load_class(token_folder, f"encodec_24khz_demo_{kbps:g}kbps")["train"]
    for row in loaded:
        np.testing.assert_array_equal(
            row["codes"], read_ecdc(token_folder / row["audio"]).codes[:k]
        )
        assert row["bandwidth_kbps"] == kbps


def test_every_codec_and_bandwidth_has_a_config():
    names = set(EncHFDataset.builder_configs)
    assert names == {
        "auto",
        *(f"encodec_24khz_{kbps}kbps" for kbps in ("1.5", "3", "6", "12", "24")),
        *(f"encodec_24khz_demo_{kbps}kbps" for kbps in ("1.5", "3", "6", "12", "24")),
        *(f"encodec_48khz_{kbps}kbps" for kbps in ("3", "6", "12", "24")),
        "encodec_32khz_2.2kbps",
    }
    assert EncHFDataset.DEFAULT_CONFIG_NAME == "auto"


def test_subfolders_are_splits(token_folder, load):
    (token_folder / "a").rename(token_folder / "train")
    (token_folder / "b").rename(token_folder / "val")
    loaded = load(token_folder)
    assert {split: rows["id"] for split, rows in loaded.items()} == {
        "train": ["train/take.1", "train/take.2"],
        "validation": ["val/one"],
    }


def edit_sidecar(folder: Path) -> None:
    write_sidecar(folder / "b/one.ecdc", {"index": np.full(78, 9.0)})


def add_clip(folder: Path) -> None:
    for path in (folder / "b").glob("one.*"):
        shutil.copy(path, path.with_name("two" + path.name[3:]))


def rename_clip(folder: Path) -> None:
    for path in list((folder / "b").glob("one.*")):
        path.rename(path.with_name("new" + path.name[3:]))


def remove_clip(folder: Path) -> None:
    for path in list((folder / "b").glob("one.*")):
        path.unlink()


@pytest.mark.parametrize("change", [edit_sidecar, add_clip, rename_clip, remove_clip])
def test_the_cache_follows_the_folder(token_folder, load, change):
    """datasets keys its cache by arguments alone, and returned yesterday's rows."""
    before = load(token_folder)["train"].to_dict()
    change(token_folder)
    assert load(token_folder)["train"].to_dict() != before


def test_a_relative_folder_is_not_another_projects(token_folder, load, monkeypatch):
    """The same relative `data_dir` in another working folder returned the first one's rows."""
    other = token_folder.parent / "other"
    shutil.copytree(token_folder, other / "ecdc")
    remove_clip(other / "ecdc")
    monkeypatch.chdir(token_folder.parent)
    assert len(load("ecdc")["train"]) == 3
    monkeypatch.chdir(other)
    assert len(load("ecdc")["train"]) == 2


def test_num_proc_shards_the_clips(token_folder):
    builder = EncHFDataset(data_dir=str(token_folder))
    builder.download_and_prepare(num_proc=2)
    assert builder.as_dataset()["train"]["id"] == ["a/take.1", "a/take.2", "b/one"]


def test_streaming(token_folder):
    builder = EncHFDataset(data_dir=str(token_folder))
    rows = list(builder.as_streaming_dataset()["train"])
    assert [row["id"] for row in rows] == ["a/take.1", "a/take.2", "b/one"]
    np.testing.assert_array_equal(rows[2]["codes"], read_ecdc(token_folder / "b/one.ecdc").codes)


def cause(error: BaseException) -> str:
    """Return the message of what datasets wrapped."""
    return str(error.__cause__ or error)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("encodec_24khz_6kbps", "was coded by encodec_24khz_demo, not by encodec_24khz"),
        ("encodec_48khz_6kbps", "was coded by encodec_24khz_demo, not by encodec_48khz"),
    ],
)
def test_a_config_of_another_codec_says_what_it_found(token_folder, config, message):
    with pytest.raises(DatasetError, match=message):
        load_class(token_folder, config)


def test_bad_folders_say_so(tmp_path, token_folder):
    with pytest.raises(UsageError, match="nowhere does not exist"):
        load_class(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no tokens"):
        load_class(tmp_path / "empty")
    with pytest.raises(ValueError, match="needs data_dir"):
        EncHFDataset()
    (token_folder / "a").rename(token_folder / "train")
    with pytest.raises(DatasetError, match=r"b/one.ecdc is in none of the split folders"):
        load_class(token_folder)


def shorten_sidecar(folder: Path) -> str:
    for path in (folder / "b").glob("*.cond.*"):
        path.unlink()
    for path in (folder / "a").glob("take.1.cond.*"):
        shutil.copy(path, folder / "b" / path.name.replace("take.1", "one"))
    return r"one.cond.npy has 75 frames, but .*one.ecdc has 78"


def lose_sidecar(folder: Path) -> str:
    for path in (folder / "b").glob("*.cond.*"):
        path.unlink()
    return r"one.ecdc has no sidecar; the clips before it have index, level"


def other_feature(folder: Path) -> str:
    write_sidecar(folder / "b/one.ecdc", {"extra": np.zeros(78)}, drop=("index",))
    return r"one.ecdc lacks index and also has extra, unlike the clips before it"


def cut_tokens(folder: Path) -> str:
    path = folder / "b/one.ecdc"
    path.write_bytes(path.read_bytes()[:500])
    return r"one.ecdc is cut short"


def lower_bandwidth(folder: Path) -> str:
    from preprocess.ecdc import write_ecdc

    path = folder / "b/one.ecdc"
    write_ecdc(path, read_ecdc(path).at(8))
    return r"one.ecdc is at 6 kbps, which cannot load at 24 kbps"


@pytest.mark.parametrize(
    "spoil", [shorten_sidecar, lose_sidecar, other_feature, cut_tokens, lower_bandwidth]
)
def test_a_clip_that_does_not_fit_is_named(token_folder, spoil):
    message = spoil(token_folder)
    with pytest.raises(Exception) as error:
        load_class(token_folder)
    import re

    assert re.search(message, cause(error.value)), cause(error.value)
