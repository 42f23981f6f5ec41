"""The same batches for any number of ranks and workers, and none lost or repeated by a kill."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from itertools import chain, islice
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from preprocess.train import AlignedCrops, ElasticBatches, ElasticLoader, TrainError, collate
from tests.helpers.rows import make_dataset, make_rows

WORLDS = (1, 2, 4, 8)
BATCH = 8


def names(batch):
    """Return which crops a batch has."""
    return list(zip(batch["ids"], batch["starts"].tolist(), strict=True))


def reference(crops, epochs, batch_size=BATCH):
    """Return the global batches of some epochs, from single crops."""
    batches = []
    for epoch in range(epochs):
        drawn = [crops[epoch, i] for i in range(len(crops))]
        pairs = [(crop["id"], crop["start"]) for crop in drawn]
        batches += [pairs[at : at + batch_size] for at in range(0, len(pairs), batch_size)]
    return batches


def loader_of(crops, world=1, rank=0, workers=0, **options):
    return ElasticLoader(
        crops, BATCH, rank=rank, world_size=world, num_workers=workers, drop_last=True, **options
    )


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_global_batches_are_the_same_for_any_world(crops, workers):
    expected = [batch for batch in reference(crops, 1) if len(batch) == BATCH]
    assert len(expected) == 5
    for world in WORLDS:
        share = BATCH // world
        for rank in range(world) if not workers else {0, world - 1}:
            batches = [names(batch) for batch in loader_of(crops, world, rank, workers)]
            assert batches == [batch[rank * share : (rank + 1) * share] for batch in expected]


def test_an_epoch_shows_every_clip_once_and_the_next_another_order(crops):
    loader = ElasticLoader(crops, BATCH)
    first, second = ([pair for batch in loader for pair in names(batch)] for _ in range(2))
    clips = sorted(f"clip{i}" for i in range(41))
    assert sorted(name for name, _ in first) == sorted(name for name, _ in second) == clips
    assert first != second
    assert loader.epoch == 2
    assert first + second == [pair for batch in reference(crops, 2) for pair in batch]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_a_hundred_kills_lose_and_repeat_nothing(crops, workers):
    """What a kill leaves is a state; prefetched batches are gone with the loader."""
    draw = random.Random(workers)
    expected = [batch for batch in reference(crops, 30) if len(batch) == BATCH]
    state, seen, kills = None, [], 0
    while kills < (100 if not workers else 10):
        world = draw.choice(WORLDS if not workers else (1, 2))
        steps = draw.randint(0, 3)
        taken = []
        for rank in range(world):
            loader = loader_of(crops, world, rank, workers)
            if state is not None:
                loader.load_state_dict(json.loads(json.dumps(state)))
            taken.append([names(b) for b in islice(loader, steps)])
            after = loader.state_dict()
        for step in range(len(taken[0])):
            seen.append([pair for rank in taken for pair in rank[step]])
        state, kills = after, kills + 1
    assert len(seen) > kills
    assert seen == expected[: len(seen)]
    assert len(json.dumps(state)) < 1024


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_dataloader_goes_on_exactly(crops, workers):
    def loader(world=1, rank=0):
        batches = ElasticBatches(crops, BATCH, rank=rank, world_size=world, drop_last=True)
        return StatefulDataLoader(
            crops, batch_sampler=batches, collate_fn=collate, num_workers=workers
        )

    expected = [batch for batch in reference(crops, 2) if len(batch) == BATCH]
    first = loader()
    seen = [names(b) for b in islice(first, 3)]
    state = first.state_dict()
    same = loader()
    same.load_state_dict(state)
    assert seen + [names(b) for b in same] == expected[:5]
    # Into another world, through the sampler.
    shares = []
    for rank in range(4):
        other = loader(4, rank)
        other.batch_sampler.load_state_dict(state)
        shares.append([names(b) for b in other])
    assert [list(chain(*step)) for step in zip(*shares, strict=True)] == expected[3:5]


def test_a_plain_dataloader_takes_the_sampler(crops):
    batches = ElasticBatches(crops, BATCH)
    loader = DataLoader(crops, batch_sampler=batches, collate_fn=collate)
    seen = [names(b) for b in islice(loader, 2)]
    state = batches.state_dict()
    again = ElasticBatches(crops, BATCH)
    again.load_state_dict(state)
    rest = [names(b) for b in DataLoader(crops, batch_sampler=again, collate_fn=collate)]
    assert seen + rest == reference(crops, 1)
    assert [names(b) for b in loader] == reference(crops, 1)  # a new pass begins anew


def test_persistent_workers_see_the_next_epoch(crops):
    loader = ElasticLoader(crops, BATCH, num_workers=1, persistent_workers=True)
    assert [names(b) for _ in range(2) for b in loader] == reference(crops, 2)
    plain = DataLoader(crops, BATCH, collate_fn=collate, num_workers=1, persistent_workers=True)
    seen = []
    for epoch in range(2):
        crops.set_epoch(epoch)
        seen += [names(b) for b in plain]
    assert seen == reference(crops, 2)


def test_whole_clips_are_bucketed_by_length_and_resume(some_dataset):
    whole = AlignedCrops(some_dataset, frames=None)
    loader = ElasticLoader(whole, BATCH)
    batches = [(names(b), b["mask"]) for b in loader]
    assert sorted(name for pairs, _ in batches for name, _ in pairs) == sorted(
        f"clip{i}" for i in range(41)
    )
    padding = sum(int((~mask).sum()) for _, mask in batches)
    unsorted = sum(int((~b["mask"]).sum()) for b in ElasticLoader(whole, BATCH, bucket=1))
    assert padding < unsorted / 2
    again = ElasticLoader(whole, BATCH)
    next(iter(again))
    resumed = ElasticLoader(whole, BATCH)
    resumed.load_state_dict(again.state_dict())
    assert [names(b) for b in resumed] == [pairs for pairs, _ in batches[1:]]


def test_real_kills_lose_and_repeat_nothing(some_rows, tmp_path):
    """A process that trains is killed at random moments, and started again in another world."""
    make_dataset(some_rows, tmp_path / "train.arrow")
    draw = random.Random(3)
    log, state = tmp_path / "log", tmp_path / "state"
    log.write_text("")
    for _ in range(3):
        words = [sys.executable, "-m", "tests.helpers.trainee", tmp_path, draw.choice((0, 2))]
        process = subprocess.Popen([*map(str, words)], cwd=Path(__file__).parents[2])
        before = len(log.read_text().splitlines())
        enough = before + draw.randint(3, 9)
        while len(log.read_text().splitlines()) < enough or not state.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    done = json.loads(state.read_text())["done"]
    # Steps behind the last state were lost with the model's, and come again: the last of each counts.
    steps = dict(lines)
    dataset = make_dataset(some_rows, tmp_path / "again.arrow")
    expected = reference(AlignedCrops(dataset, frames=64), 20)
    assert done >= 2
    for step in range(done):
        assert [tuple(pair) for pair in steps[step]] == expected[step]
        assert all(pairs == steps[step] for at, pairs in lines if at == step)


def test_another_dataset_or_other_settings_are_named(crops, some_rows, some_dataset, tmp_path):
    state = ElasticLoader(crops, BATCH).state_dict()
    rows = [dict(row) for row in some_rows]
    rows[5] = {**rows[5], "id": "renamed"}
    renamed = make_dataset(rows, tmp_path / "renamed.arrow")
    for other in (renamed, some_dataset.select(range(40)), some_dataset.shuffle(seed=1)):
        with pytest.raises(
            TrainError, match=r"^the state belongs to another dataset, with hash \w+; "
        ):
            ElasticLoader(AlignedCrops(other, frames=64), BATCH).load_state_dict(state)
    for options, text in (
        ({"frames": 32}, "frames was 64 and is now 32"),
        ({"seed": 5}, "seed was 0 and is now 5"),
        ({"sample": "frames"}, "'clips' and is now 'frames', epoch_size was 41 and is now 1"),
        ({"parameters": ["level"]}, "['level', 'pitch'] and is now ['level'], scaling"),
        ({"scale": "none"}, "'minmax' and is now 'none', scaling was"),
    ):
        changed = AlignedCrops(some_dataset, **{"frames": 64, **options})
        with pytest.raises(TrainError) as error:
            ElasticLoader(changed, BATCH).load_state_dict(state)
        assert text in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(TrainError, match="batch_size was 8 and is now 4"):
        ElasticLoader(crops, 4).load_state_dict(state)
    with pytest.raises(TrainError, match="this is not a state of batches"):
        ElasticLoader(crops, BATCH).load_state_dict({"epoch": 1})


def test_the_same_rows_in_other_files_are_the_same_dataset(
    crops, some_rows, some_dataset, tmp_path
):
    state = ElasticLoader(crops, BATCH).state_dict()
    other = make_dataset(some_rows, tmp_path / "other.arrow", batch=7)
    reordered = some_dataset.select(list(range(41)))
    for dataset in (other, reordered):
        loader = ElasticLoader(AlignedCrops(dataset, frames=64), BATCH)
        loader.load_state_dict(state)
        assert loader.state_dict() == state


def test_a_rank_without_data_is_named(crops):
    with pytest.raises(
        TrainError, match=r"a batch has 4 crops, so rank 4 of world_size=8 gets no data"
    ):
        ElasticLoader(crops, 4, world_size=8, rank=0)
    with pytest.raises(TrainError, match=r"the last batch has 1 crops, .*rank 1 .*drop_last=True"):
        ElasticLoader(crops, 8, world_size=2, rank=0)
    with pytest.raises(TrainError, match=r"an epoch of 41 crops has no batch of 64"):
        ElasticLoader(crops, 64, drop_last=True)
    with pytest.raises(TrainError, match=r"rank=2 must be from 0 to world_size - 1, which is 1"):
        ElasticLoader(crops, 8, world_size=2, rank=2)


def test_the_world_of_torchrun_is_taken(crops, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    expected = reference(crops, 1)[0]
    assert names(next(iter(ElasticLoader(crops, BATCH, drop_last=True)))) == expected[4:]
    assert torch.distributed.is_available()


def test_clips_of_one_batch_are_also_of_another_k(tmp_path):
    rows = make_rows([48_000] * 4, k=2)
    dataset = make_dataset(rows, tmp_path / "two.arrow")
    assert AlignedCrops(dataset, frames=10)[0]["codes"].shape == (2, 10)
