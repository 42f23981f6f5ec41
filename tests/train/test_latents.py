"""Latents are what the codec's own decoder gets, and recurrent trainers get them frame by frame."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.core.errors import UsageError
from preprocess.train.latents import codebook_table, next_frame, to_latents
from tests.train.test_patterns import SIZE, batch_of, batches


@pytest.fixture(scope="module")
def table(demo_codec):
    return codebook_table(demo_codec, 6)


@pytest.mark.parametrize("k", [1, 2, 6])
def test_latents_are_those_of_the_codec_bit_for_bit(k, table, demo_codec):
    codes = torch.randint(0, SIZE, (3, k, 40), generator=torch.Generator().manual_seed(k))
    ours = to_latents(codes, table)
    for row, clip in zip(ours, codes, strict=True):
        theirs = demo_codec._model.quantizer.decode(clip[:, None])  # encodec's own, [1, D, T]
        assert torch.equal(row.T, theirs[0])
    assert len(torch.unique(ours[0], dim=0)) > 30


@given(batch=batches, seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_padding_is_no_sound(table, batch, seed):
    vectors = to_latents(batch["codes"], table)
    assert torch.equal(vectors[~batch["mask"]], torch.zeros(int((~batch["mask"]).sum()), 32))
    for row, length in enumerate(batch["mask"].sum(1).tolist()):
        alone = to_latents(batch["codes"][row, :, :length], table)
        assert torch.equal(vectors[row, :length], alone)


@pytest.mark.parametrize("lead", [0, 1])
def test_each_frame_is_followed_by_the_next(lead, table):
    batch = batch_of(0, [5, 3], k=2, parameters=2)
    inputs, targets = next_frame(batch, table, lead)
    assert inputs.shape == (2, 4, 32 + 2)
    assert targets.shape == (2, 4, 2)
    assert torch.equal(inputs[..., :32], to_latents(batch["codes"], table)[:, :-1])
    for step in range(4):
        assert torch.equal(inputs[:, step, 32:], batch["parameters"][..., step + lead])
    assert torch.equal(targets[0].T, batch["codes"][0, :, 1:])
    assert targets[1].tolist() == [*batch["codes"][1, :, 1:3].T.tolist(), [-100] * 2, [-100] * 2]


def test_a_recurrent_model_learns_from_them(table):
    torch.manual_seed(0)
    inputs, targets = next_frame(batch_of(0, [12] * 4, k=2, parameters=2), table)
    cell = torch.nn.GRU(inputs.shape[2], 64, batch_first=True)
    head = torch.nn.Linear(64, 2 * SIZE)
    optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], 1e-2)
    losses = []
    for _ in range(20):
        logits = head(cell(inputs)[0]).unflatten(-1, (2, SIZE))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(6.93, abs=0.2)  # the logarithm of 1,024
    assert losses[-1] < losses[0] - 1


def test_what_does_not_fit_is_one_line(table, demo_codec):
    with pytest.raises(UsageError, match="encodec_24khz_demo has 32 codebooks, not 33"):
        codebook_table(demo_codec, 33)
    with pytest.raises(UsageError, match="need a table of 8 codebooks"):
        to_latents(torch.zeros(1, 8, 3, dtype=torch.long), table)
    with pytest.raises(UsageError, match="0 to 1023, or 1024 for padding"):
        to_latents(torch.full((1, 1), SIZE + 1), table)
    with pytest.raises(UsageError, match="2 frames or more, not 1"):
        next_frame(batch_of(0, [1], 2, 1), table)
