"""Streams give the crops that their clips give, whatever the shards, nodes and workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset, load_from_disk
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

from enchf_dataset import EncHFDataset
from preprocess.cli.main import main
from preprocess.train import AlignedCrops, StreamedCrops, TrainError, collate
from tests.helpers.crops import count_misaligned
from tests.helpers.hub_client import environment
from tests.helpers.rows import PARAMETERS, make_dataset, make_rows

FROM_HUB = """
import json
from datasets import load_dataset
from preprocess.train import StreamedCrops

stream = load_dataset("me/sounds", split="train", streaming=True)
crops = StreamedCrops(stream, frames=32, parameters=["level"])
found = {c["id"]: [c["start"], c["codes"].tolist(), c["parameters"].tolist()] for c in crops}
print(json.dumps(found), flush=True)
"""


class Listed:
    """What a stream gave, as `count_misaligned` wants it."""

    def __init__(self, stream):
        self.settings, self.padding_id = stream.settings, stream.padding_id
        self.parameter_names, self._crops = stream.parameter_names, list(stream)

    def __len__(self):
        return len(self._crops)

    def __getitems__(self, places):
        return [self._crops[i] for _, i in places]


def spans(crops):
    return sorted((c["id"], c["start"]) for c in crops)


@pytest.mark.parametrize(
    "options",
    [{}, {"sample": "tiles"}, {"sample": "frames"}, {"short": "skip"}, {"short": "loop"}],
    ids=str,
)
@pytest.mark.parametrize("shuffled", [False, True])
def test_no_crop_of_a_stream_is_misaligned(some_rows, some_dataset, options, shuffled):
    stream = some_dataset.to_iterable_dataset(num_shards=3)
    stream = stream.shuffle(seed=1, buffer_size=10) if shuffled else stream
    listed = Listed(StreamedCrops(stream, frames=64, **options))
    assert count_misaligned(listed, some_rows, len(listed), PARAMETERS) == (0, len(listed))
    tiles = sum(-(-row["n_frames"] // 64) for row in some_rows)
    long = sum(row["n_frames"] >= 64 for row in some_rows)
    expected = {"tiles": tiles, "skip": long}.get([*options.values(), ""][0], 41)
    if options.get("sample") == "frames":
        total = sum(row["n_frames"] for row in some_rows)
        assert abs(len(listed) - total / 64) < 15
    else:
        assert len(listed) == expected


def test_segments_and_times_of_a_stream_are_those_of_crops(tmp_path):
    rows = make_rows([48_000, 100_000, 300_001, 30_000], "encodec_48khz")
    dataset = make_dataset(rows, tmp_path / "a.arrow")
    options = {"frames": 100, "sample": "tiles", "times": True}
    found = {
        (c["id"], c["start"]): c for c in StreamedCrops(dataset.to_iterable_dataset(), **options)
    }
    expected = list(AlignedCrops(dataset, **options))
    assert len(found) == len(expected) > 10
    for crop in expected:
        same = found[crop["id"], crop["start"]]
        assert all(
            np.array_equal(crop[n], same[n], equal_nan=n == "times")
            for n in ("codes", "parameters", "mask", "parameter_mask", "times")
        )


def test_nodes_and_workers_share_the_clips(some_dataset):
    stream = some_dataset.to_iterable_dataset(num_shards=4)
    alone = spans(StreamedCrops(stream, frames=64))
    assert [name for name, _ in alone] == sorted(some_dataset["id"])
    for workers in (0, 2):
        seen = []
        for rank in range(2):
            mine = StreamedCrops(split_dataset_by_node(stream, rank, 2), frames=64)
            for batch in DataLoader(mine, 4, collate_fn=collate, num_workers=workers):
                assert batch["codes"].shape[1:] == (4, 64)
                seen += zip(batch["ids"], batch["starts"].tolist(), strict=True)
        assert sorted(seen) == alone


def test_an_epoch_has_other_crops_of_the_same_clips(some_dataset):
    crops = StreamedCrops(some_dataset.to_iterable_dataset(), frames=16)
    first = spans(crops)
    crops.set_epoch(1)
    second = spans(crops)
    assert [n for n, _ in first] == [n for n, _ in second] and first != second
    crops.set_epoch(0)
    assert spans(crops) == first


def test_the_builder_and_parquet_stream_the_same_crops(token_folder, tmp_path):
    builder = EncHFDataset(data_dir=str(token_folder), cache_dir=str(tmp_path / "cache"))
    stream = builder.as_streaming_dataset()["train"]
    streamed = list(StreamedCrops(stream, frames=32, scale="none"))
    assert len(streamed) == 3 and streamed[0]["parameters"].shape == (2, 32)
    builder.download_and_prepare()
    builder.as_dataset()["train"].to_parquet(tmp_path / "train.parquet")
    parquet = load_dataset(
        "parquet", data_files=str(tmp_path / "train.parquet"), split="train", streaming=True
    )
    again = list(StreamedCrops(parquet, frames=32, scale="none"))
    assert spans(again) == spans(streamed)
    by_id = {c["id"]: c["codes"].tolist() for c in again}
    assert all(by_id[c["id"]] == c["codes"].tolist() for c in streamed)


def test_the_hub_streams_the_crops_of_the_folder(built, online, tmp_path):
    assert main(["push", str(built), "me/sounds"]) == 0
    # Its exit status is not looked at: the interpreter may abort at the end of a Parquet stream.
    run = subprocess.run(
        [sys.executable, "-c", FROM_HUB],
        capture_output=True,
        text=True,
        env=environment(online, tmp_path),
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.strip(), run.stderr
    folder = load_from_disk(built)["train"]
    crops = StreamedCrops(folder.to_iterable_dataset(), frames=32, parameters=["level"])
    expected = {c["id"]: [c["start"], c["codes"].tolist(), c["parameters"].tolist()] for c in crops}
    assert json.loads(run.stdout.splitlines()[-1]) == expected
    assert len(expected) == 2


def test_whole_clips_of_a_stream_are_padded_to_the_longest(some_dataset):
    crops = StreamedCrops(some_dataset.to_iterable_dataset(), frames=None)
    batch = next(iter(DataLoader(crops, 5, collate_fn=collate)))
    lengths = some_dataset["n_frames"][:5]
    assert batch["mask"].sum(1).tolist() == lengths
    assert batch["codes"].shape == (5, 4, max(lengths))
    assert (batch["codes"][0, :, lengths[0] :] == 1024).all()


def test_what_does_not_fit_is_named(some_dataset, tmp_path):
    with pytest.raises(TrainError, match=r"^the stream is empty"):
        StreamedCrops(some_dataset.to_iterable_dataset().take(0))
    rows = make_rows([48_000] * 40, k=2) + [dict(r, id="other") for r in make_rows([48_000], k=4)]
    mixed = make_dataset(rows, tmp_path / "mixed.arrow", batch=100)
    with pytest.raises(TrainError, match=r"'other' has encodec_24khz with 4 codebooks|'other' has"):
        list(StreamedCrops(mixed.to_iterable_dataset(), frames=10))
