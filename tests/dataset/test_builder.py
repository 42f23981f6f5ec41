"""The builder: its schema, its configs, and a cache that follows the folder's content."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest

import enchf_dataset
from enchf_dataset import EncHFConfig, EncHFDataset
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.dataset.clips import DatasetError
from preprocess.dataset.options import RowOptions
from preprocess.dataset.schema import ParameterInfo, read_parameters
from preprocess.dataset.splits import find_splits
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import sidecar_paths, write_sidecar
from preprocess.tokens.ecdc import read_ecdc, write_ecdc
from tests.helpers.formats import random_ecdc
from tests.helpers.loading import (
    load_class,
    load_registered,
    load_script,
    scripts_only,
)
from tests.helpers.signals import fading_tone


@pytest.fixture(params=["class", "registered", pytest.param("script", marks=scripts_only)])
def load(request):
    """The three ways to load."""
    return {"class": load_class, "script": load_script, "registered": load_registered}[
        request.param
    ]


def test_rows_hold_tokens_and_parameters(token_folder, load):
    loaded = load(token_folder)
    assert list(loaded) == ["train"]
    assert loaded["train"]["id"][:] == ["a/take.1", "a/take.2", "b/one"]
    for row in loaded["train"]:
        path = token_folder / row["audio"]
        ecdc, sidecar = read_ecdc(path), read_sidecar(path)
        np.testing.assert_array_equal(row["codes"], ecdc.codes)
        assert list(row["features"]) == list(sidecar.parameters) == ["level", "index"]
        for name, parameter in sidecar.parameters.items():
            np.testing.assert_array_equal(
                np.float32(row["features"][name]), parameter.values.astype(np.float32)
            )
        assert (row["model"], row["bandwidth_kbps"]) == ("encodec_24khz_demo", 24.0)
        assert (row["fps"], row["sample_rate"]) == (75, 24_000)
        assert (row["audio_length"], row["n_frames"]) == (ecdc.audio_length, ecdc.codes.shape[1])
        assert (row["scales"], row["segment_frames"]) == ([], [])


def test_the_schema_is_declared(token_folder):
    features = EncHFDataset(data_dir=str(token_folder)).info.features
    assert features["codes"] == datasets.Sequence(datasets.Sequence(datasets.Value("int16")))
    assert {n: column.feature.dtype for n, column in features["features"].items()} == {
        "level": "float32",
        "index": "float32",
    }


def test_the_numpy_format_keeps_int16_where_asked(token_folder):
    dataset = load_class(token_folder)["train"].with_format(
        "numpy", columns=["codes"], output_all_columns=True, dtype=np.int16
    )
    codes = np.stack(dataset[0]["codes"])
    assert (codes.dtype, codes.shape) == (np.int16, (32, 75))


def test_without_sidecars_there_is_no_parameters_column(token_folder, load):
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


def test_a_slice_is_what_encoding_at_that_bandwidth_gives(tmp_path, demo_codec):
    wav = fading_tone(330.0, 24_000, 30_000)[None]
    write_ecdc(tmp_path / "x/a.ecdc", demo_codec.encode(wav, 24))
    for kbps in (1.5, 3, 6, 12):
        (row,) = load_class(tmp_path / "x", f"encodec_24khz_demo_{kbps:g}kbps")["train"]
        np.testing.assert_array_equal(row["codes"], demo_codec.encode(wav, kbps).codes)


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
    assert {split: rows["id"][:] for split, rows in loaded.items()} == {
        "train": ["train/take.1", "train/take.2"],
        "validation": ["val/one"],
    }


def pair(folder: Path) -> list[Path]:
    return list(sidecar_paths(folder / "b/one.ecdc"))


def edit_sidecar(folder: Path) -> None:
    write_sidecar(folder / "b/one.ecdc", {"index": np.full(78, 9.0)})


def remove_sidecar(folder: Path) -> None:
    for path in pair(folder):
        path.unlink()


def rename_sidecar(folder: Path) -> None:
    for path in pair(folder):
        path.rename(path.with_name("other" + path.name[3:]))


def edit_tokens(folder: Path) -> None:
    ecdc = read_ecdc(folder / "b/one.ecdc")
    ecdc.codes[0, 0] ^= 1
    write_ecdc(folder / "b/one.ecdc", ecdc)


def add_clip(folder: Path) -> None:
    for path in (folder / "b").glob("one.*"):
        shutil.copy(path, path.with_name("two" + path.name[3:]))


def rename_clip(folder: Path) -> None:
    for path in list((folder / "b").glob("one.*")):
        path.rename(path.with_name("new" + path.name[3:]))


def remove_clip(folder: Path) -> None:
    for path in list((folder / "b").glob("one.*")):
        path.unlink()


CHANGES = [
    edit_sidecar,
    remove_sidecar,
    rename_sidecar,
    edit_tokens,
    add_clip,
    rename_clip,
    remove_clip,
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_cache_follows_the_folder(token_folder, load, change):
    """datasets keys its cache by arguments alone, and returned yesterday's rows."""
    before = load(token_folder, missing_sidecar="empty")["train"].to_dict()
    change(token_folder)
    assert load(token_folder, missing_sidecar="empty")["train"].to_dict() != before


def test_a_sidecar_that_is_added_is_seen(token_folder, load):
    files = [(path, path.read_bytes()) for path in pair(token_folder)]
    remove_sidecar(token_folder)
    assert load(token_folder, missing_sidecar="empty")["train"][2]["features"]["index"] == []
    for path, data in files:
        path.write_bytes(data)
    assert load(token_folder, missing_sidecar="empty")["train"][2]["features"]["index"] == [2] * 78


def test_without_the_key_the_cache_would_be_stale(token_folder, monkeypatch):
    """That the tests above test something: the key of `datasets` alone sees no change."""
    monkeypatch.setattr(EncHFConfig, "create_config_id", datasets.BuilderConfig.create_config_id)
    before = load_class(token_folder)["train"].to_dict()
    edit_sidecar(token_folder)
    assert load_class(token_folder)["train"].to_dict() == before


def test_the_cache_is_of_this_version(token_folder, monkeypatch):
    ids = [EncHFDataset(data_dir=str(token_folder)).cache_dir]
    assert EncHFDataset(data_dir=str(token_folder)).cache_dir == ids[0]
    monkeypatch.setattr(enchf_dataset, "__version__", "99.0")
    assert EncHFDataset(data_dir=str(token_folder)).cache_dir != ids[0]


def test_each_option_has_rows_of_its_own(token_folder, load):
    first = load(token_folder, parameters="index")["train"]
    assert list(load(token_folder, parameters="level")["train"][0]["features"]) == ["level"]
    assert list(first[0]["features"]) == ["index"]


def test_a_relative_folder_is_not_another_projects(token_folder, load, monkeypatch):
    """The same relative `data_dir` in another working folder returned the first one's rows."""
    other = token_folder.parent / "other"
    shutil.copytree(token_folder, other / "ecdc")
    remove_clip(other / "ecdc")
    monkeypatch.chdir(token_folder.parent)
    assert len(load("ecdc")["train"]) == 3
    monkeypatch.chdir(other)
    assert len(load("ecdc")["train"]) == 2


def test_num_proc_shards_the_clips(token_folder, load):
    loaded = load(token_folder, num_proc=2)["train"]
    assert loaded["id"][:] == ["a/take.1", "a/take.2", "b/one"]
    assert [len(row["codes"][0]) for row in loaded] == [75, 77, 78]


def test_streaming(token_folder, load):
    if load is load_class:
        rows = list(EncHFDataset(data_dir=str(token_folder)).as_streaming_dataset()["train"])
    else:
        rows = list(load(token_folder, streaming=True)["train"])
    assert rows == list(load(token_folder)["train"])


def test_parameters_keep_their_meaning(token_folder, load):
    info = load(token_folder)["train"].info
    assert read_parameters(info.features) == {
        "level": ParameterInfo(units="dB", min=-60, max=0),
        "index": ParameterInfo(),
    }
    assert "level [dB, -60 to 0]" in info.description
    assert "24 kbps" in info.description


def test_the_declared_range_is_that_of_all_clips(token_folder):
    frames = {"b/one": 78, "a/take.2": 77}
    ranges = {"b/one": (-90, -10), "a/take.2": (-20, 12)}
    for name, (low, high) in ranges.items():
        level = {"values": np.full(frames[name], -15.0), "units": "dB", "min": low, "max": high}
        write_sidecar(token_folder / f"{name}.ecdc", {"level": level})
    found = read_parameters(load_class(token_folder)["train"].features)["level"]
    assert (found.min, found.max) == (-90, 12)
    write_sidecar(token_folder / "b/one.ecdc", {"level": {"values": np.zeros(78), "units": "dB"}})
    found = read_parameters(load_class(token_folder)["train"].features)["level"]
    assert (found.min, found.max) == (None, None)


@pytest.mark.parametrize("chosen", ["index,level", ["index", "level"]])
def test_parameters_are_chosen_in_order(token_folder, load, chosen):
    loaded = load(token_folder, parameters=chosen)["train"]
    assert list(loaded.features["features"]) == ["index", "level"]
    assert loaded[2]["features"]["index"] == [2] * 78


def test_the_schema_of_datasets_is_no_choice_of_parameters(token_folder):
    with pytest.raises(UsageError, match=r"choose parameters with parameters=\[...\]"):
        load_class(token_folder, features=["index"])


def test_one_chosen_parameter_does_not_care_for_the_others(token_folder):
    write_sidecar(token_folder / "b/one.ecdc", {"extra": np.zeros(78)}, drop=("level",))
    assert load_class(token_folder, parameters="index")["train"][2]["features"]["index"] == [2] * 78
    with pytest.raises(
        DatasetError, match=r"one.ecdc lacks the parameter 'level'; it has index, ex"
    ):
        load_class(token_folder, parameters="level")
    with pytest.raises(DatasetError, match=r"one.ecdc lacks the parameter 'level'"):
        load_class(token_folder, parameters="index", require_parameters="level")


def test_missing_sidecars(token_folder):
    remove_sidecar(token_folder)
    with pytest.raises(DatasetError, match=r"b/one.ecdc has no sidecar \(1 of 3 clips"):
        load_class(token_folder)
    assert load_class(token_folder, missing_sidecar="skip")["train"]["id"][:] == [
        "a/take.1",
        "a/take.2",
    ]
    batch = load_class(token_folder, missing_sidecar="empty")["train"].with_format("numpy")[:]
    assert [len(each["index"]) for each in batch["features"]] == [75, 77, 0]
    for path in token_folder.rglob("*.cond.*"):
        path.unlink()
    with pytest.raises(UsageError, match=r"no clip under .* has a sidecar"):
        load_class(token_folder, missing_sidecar="skip")
    with pytest.raises(DatasetError, match=r"take.1.ecdc lacks the parameter 'level'; it has none"):
        load_class(token_folder, require_parameters=["level"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_dtype_of_parameters(token_folder, dtype):
    loaded = load_class(token_folder, dtype=dtype)["train"]
    assert loaded.features["features"]["level"].feature.dtype == dtype
    stored = read_sidecar(token_folder / "a/take.1.ecdc").parameters["level"].values
    np.testing.assert_array_equal(loaded[0]["features"]["level"], stored.astype(dtype))


def test_a_dtype_that_cannot_hold_a_value_is_refused(token_folder):
    write_sidecar(token_folder / "b/one.ecdc", {"index": np.full(78, 1e6)}, dtype="float32")
    with pytest.raises(
        DatasetError, match=r"'index': float16 would change 1000000 to inf at frame 0"
    ):
        load_class(token_folder, dtype="float16")


@pytest.mark.parametrize(
    ("values", "narrow", "made"),
    [
        (1.7e9 + np.arange(78) / 4, "float32", "1700000000.25 to 1700000000 at frame 1"),
        (16_777_216.0 + np.arange(78), "float32", "16777217 to 16777216 at frame 1"),
        (np.full(78, 1e39), "float32", r"1e\+39 to inf at frame 0"),
        (2048.0 + np.arange(78), "float16", "2049 to 2048 at frame 1"),
    ],
)
def test_a_value_that_a_column_would_damage_is_never_changed_in_silence(
    token_folder, values, narrow, made
):
    path = token_folder / "b/one.ecdc"
    write_sidecar(path, {"index": values}, dtype="float64")
    with pytest.raises(
        DatasetError, match=rf"b/one.ecdc: parameter 'index': {narrow} would change {made}"
    ):
        load_class(token_folder, dtype=narrow)
    loaded = load_class(token_folder, dtype="float64")["train"]
    assert loaded[2]["features"]["index"] == values.tolist()


def many_clips(folder: Path, recordings: int, takes: int) -> Path:
    for recording in range(recordings):
        for take in range(takes):
            path = folder / f"rec{recording:02}_take{take}.ecdc"
            write_ecdc(path, random_ecdc("encodec_24khz_demo", 3200, 2))
    return folder


def test_clips_of_one_recording_never_fall_in_two_splits(tmp_path):
    folder = many_clips(tmp_path / "many", 60, 2)
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    options = {"split_by": "group", "fractions": fractions, "group": r"(rec\d+)_"}
    loaded = load_class(folder, **options)
    groups = {name: {i.split("_")[0] for i in rows["id"]} for name, rows in loaded.items()}
    assert set(groups) == set(fractions)
    assert sum(len(each) for each in groups.values()) == 60
    assert sum(len(rows) for rows in loaded.values()) == 120
    # A clip stays where it is when others come.
    many_clips(folder, 80, 2)
    later = load_class(folder, **options)
    assert all(set(loaded[name]["id"]) <= set(later[name]["id"]) for name in fractions)


def test_fractions_are_met():
    clips = [f"recording {index}.ecdc" for index in range(3000)]
    fractions = {"train": 0.6, "validation": 0.25, "test": 0.15}
    options = RowOptions(split_by="group", fractions=fractions)
    found = find_splits(Path(), clips, options)
    assert {name: len(rels) / 3000 for name, rels in found.items()} == pytest.approx(
        fractions, abs=0.03
    )


def test_a_clip_without_a_group_is_named(token_folder):
    with pytest.raises(DatasetError, match=r"b/one.ecdc: the group '\(take\)' does not match"):
        load_class(token_folder, split_by="group", group="(take)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_by": "random"}, "split_by: should be 'folders' or 'group', got 'random'"),
        (
            {"missing_sidecar": "drop"},
            "missing_sidecar: should be 'error', 'skip' or 'empty', got 'drop'",
        ),
        ({"dtype": "int8"}, "dtype: should be 'float16', 'float32' or 'float64'"),
        ({"split_by": "group", "fractions": {"train": 0.5}}, "must sum to 1, got 0.5"),
        ({"split_by": "group", "fractions": {"a/b": 1}}, "fractions: a/b=1"),
        ({"split_by": "group", "group": "("}, "is not a regular expression"),
        ({"split_by": "group", "group": "take"}, "has no parenthesis"),
        ({"group": "x"}, "require split_by='group'"),
        ({"parameters": "a,a"}, "appears twice"),
        ({"bandwidth": 7}, "no bandwidth of 7 kbps"),
    ],
)
def test_wrong_options_are_said_before_anything_is_read(token_folder, options, message):
    with pytest.raises(UsageError, match=message):
        load_class(token_folder, **options)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("encodec_24khz_6kbps", "not by encodec_24khz; .*: 3 with encodec_24khz_demo at 24 k"),
        ("encodec_48khz_6kbps", "was encoded by encodec_24khz_demo, not by encodec_48khz"),
    ],
)
def test_a_config_of_another_codec_says_what_it_found(token_folder, config, message):
    with pytest.raises(DatasetError, match=message):
        load_class(token_folder, config)


def test_bad_folders_say_so(tmp_path, token_folder):
    with pytest.raises(UsageError, match="nowhere does not exist"):
        load_class(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no token files"):
        load_class(tmp_path / "empty")
    with pytest.raises(ValueError, match="data_dir is missing"):
        EncHFDataset()
    (token_folder / "a").rename(token_folder / "train")
    with pytest.raises(DatasetError, match=r"b/one.ecdc is outside the split folders"):
        load_class(token_folder)


def shorten_sidecar(folder: Path) -> str:
    remove_sidecar(folder)
    for path in (folder / "a").glob("take.1.cond.*"):
        shutil.copy(path, folder / "b" / path.name.replace("take.1", "one"))
    return r"one.cond.npy has 75 frames, but .*one.ecdc has 78"


def lose_half_a_sidecar(folder: Path) -> str:
    sidecar_paths(folder / "b/one.ecdc")[1].unlink()
    return r"one.cond.json is missing"


def other_parameter(folder: Path) -> str:
    write_sidecar(folder / "b/one.ecdc", {"extra": np.zeros(78)}, drop=("index",))
    return r"one.ecdc lacks index and also has extra, unlike the clips before it"


def other_unit(folder: Path) -> str:
    write_sidecar(folder / "b/one.ecdc", {"level": {"values": np.zeros(78), "units": "LUFS"}})
    return r"one.ecdc: parameter 'level' has units 'LUFS', the clips before it 'dB'"


def cut_tokens(folder: Path) -> str:
    path = folder / "b/one.ecdc"
    path.write_bytes(path.read_bytes()[:500])
    return r"one.ecdc is truncated"


def lower_bandwidth(folder: Path) -> str:
    path = folder / "b/one.ecdc"
    write_ecdc(path, read_ecdc(path).at(8))
    return r"one.ecdc has encodec_24khz_demo tokens at 6 kbps, but the clips before it .* at 24 k"


def other_codec(folder: Path) -> str:
    write_ecdc(folder / "b/one.ecdc", random_ecdc("encodec_32khz", 78 * 640, 4))
    return r"one.ecdc has encodec_32khz tokens at 2.2 kbps, but the clips before it"


def no_columns_name(folder: Path) -> str:
    path = sidecar_paths(folder / "b/one.ecdc")[1]
    path.write_text(path.read_text().replace('"index"', '"in dex"'))
    return r"one.ecdc: its sidecar has a parameter 'in dex', which is not a valid column name"


def hostile_json(folder: Path) -> str:
    sidecar_paths(folder / "b/one.ecdc")[1].write_text("[" * 100_000)
    return r"one.cond.json is not JSON"


def hostile_array(folder: Path) -> str:
    np.save(sidecar_paths(folder / "b/one.ecdc")[0], np.array([[print]]), allow_pickle=True)
    return r"one.cond.npy"


def duplicate_id(folder: Path) -> str:
    shutil.copy(folder / "b/one.ecdc", folder / "b/one.ECDC")
    return r"would both have the id b/one"


BAD_CLIPS = [
    shorten_sidecar,
    lose_half_a_sidecar,
    other_parameter,
    other_unit,
    cut_tokens,
    lower_bandwidth,
    other_codec,
    no_columns_name,
    hostile_json,
    hostile_array,
    duplicate_id,
]


@pytest.mark.parametrize("num_proc", [None, 2])
@pytest.mark.parametrize("spoil", BAD_CLIPS)
def test_a_clip_that_does_not_fit_is_named(token_folder, spoil, num_proc):
    """By an error of ours, also from a worker, and the cache keeps nothing half built."""
    message = spoil(token_folder)
    with pytest.raises(PreprocessError) as error:
        load_class(token_folder, num_proc=num_proc)
    text = str(error.value)
    assert re.search(message, text) and "\n" not in text, text
    cache = Path(datasets.config.HF_DATASETS_CACHE)
    assert not list(cache.rglob("*.arrow")) and not list(cache.rglob("*.incomplete"))


def test_a_mixture_loads_at_the_lowest_bandwidth_by_name(token_folder):
    lower_bandwidth(token_folder)
    loaded = load_class(token_folder, "encodec_24khz_demo_6kbps")["train"]
    assert {len(row["codes"]) for row in loaded} == {8}
    with pytest.raises(
        DatasetError, match=r"one.ecdc has tokens at 6 kbps and cannot load at 12 k"
    ):
        load_class(token_folder, "encodec_24khz_demo_12kbps")


@pytest.mark.parametrize(
    "name, k", [("encodec_48khz", 16), ("encodec_32khz", 4), ("encodec_24khz", 32)]
)
def test_every_codec_builds(tmp_path, name, k):
    ecdc = random_ecdc(name, 130_000, k)
    write_ecdc(tmp_path / "x/a.ecdc", ecdc)
    (row,) = load_class(tmp_path / "x")["train"]
    np.testing.assert_array_equal(row["codes"], ecdc.codes)
    assert (row["model"], row["n_frames"]) == (name, ecdc.codes.shape[1])
    if name == "encodec_48khz":
        assert tuple(row["segment_frames"]) == ecdc.segment_frames
        np.testing.assert_array_equal(np.float32(row["scales"]), ecdc.scales)


def test_long_clips_are_written_few_at_a_time(tmp_path, monkeypatch):
    """A batch of 1,000 rows takes 4.5 GB at T = 300,000, and overflows Arrow's offsets."""
    for index in range(3):
        write_ecdc(tmp_path / f"x/{index}.ecdc", random_ecdc("encodec_24khz_demo", 9_000_000, 32))
    builder = EncHFDataset(data_dir=str(tmp_path / "x"))
    monkeypatch.setattr("preprocess.dataset.rows.BATCH_BYTES", 5_000_000)  # two such clips
    builder.download_and_prepare()
    rows = builder.as_dataset()["train"]
    assert rows[2]["n_frames"] == 28_125
    with pa.memory_map(rows.cache_files[0]["filename"]) as file:
        assert [batch.num_rows for batch in pa.ipc.open_stream(file)] == [2, 1]


def test_it_is_a_generator_based_builder_whose_examples_are_the_rows(token_folder):
    """`datasets` writes the tables; whoever asks for examples gets the same rows."""
    builder = EncHFDataset(data_dir=str(token_folder))
    assert isinstance(builder, datasets.GeneratorBasedBuilder)
    builder.download_and_prepare()
    rows = list(builder.as_dataset()["train"])
    clips = [f"{row['id']}.ecdc" for row in rows]
    assert [row for _, row in builder._generate_examples(clips)] == rows
