"""A language model reads codes as one line of ids, learns from it, and makes lines that come back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from preprocess.codec.encodec_package import import_before_torchaudio
from preprocess.core.errors import UsageError
from preprocess.train.lm_view import ORDERS, LmVocabulary, from_lm, to_lm
from tests.train.test_patterns import SIZE, batch_of, batches


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@given(batch=batches)
@settings(max_examples=40, deadline=None)
def test_lines_come_back_exactly(order, ends, batch):
    vocabulary = LmVocabulary(codebooks=batch["codes"].shape[1], order=order)
    lines = to_lm(batch, vocabulary, ends)
    longest = int(batch["mask"].sum(1).max())
    for key in ("parameters", "parameter_mask"):
        back = from_lm(lines["input_ids"], vocabulary, lines[key])
        assert torch.equal(back["codes"], batch["codes"][..., :longest])
        assert torch.equal(back["mask"], batch["mask"][..., :longest])
        assert torch.equal(back["parameters"], batch[key][..., :longest])


@pytest.mark.parametrize("order", ORDERS)
@given(batch=batches)
@settings(max_examples=40, deadline=None)
def test_each_id_has_the_parameters_of_its_frame_and_none_is_padding(order, batch):
    b, k, t = batch["codes"].shape
    vocabulary = LmVocabulary(codebooks=k, codebook_size=t, order=order)
    batch["codes"] = torch.arange(t).expand(b, k, t).masked_fill(~batch["mask"][:, None], t)
    batch["parameters"] = 1.0 + torch.arange(t).expand(b, 1, t)
    batch["parameter_mask"] = (torch.arange(t) % 2 == 0).expand(b, 1, t)
    lines = to_lm(batch, vocabulary, ends=True)
    ids, real = lines["input_ids"], lines["input_ids"] > 2
    assert int(real.sum()) == k * int(batch["mask"].sum())
    frame = (ids - 3) % t
    assert torch.equal(lines["parameters"][:, 0], torch.where(real, frame + 1.0, 0.0))
    assert torch.equal(lines["parameter_mask"][:, 0], real & (frame % 2 == 0))
    assert torch.equal(lines["attention_mask"] == 1, ids != 0)
    assert torch.equal(lines["labels"] == -100, (ids == 0) | (ids == 1))
    # The attended part has no gaps, begins and ends as a line does.
    lengths = 2 + k * batch["mask"].sum(1)
    assert torch.equal(lines["attention_mask"].sum(1), lengths)
    assert torch.equal(ids[torch.arange(b), lengths - 1], torch.full((b,), 2))


def test_the_lines_are_those_that_the_module_draws():
    codes = torch.tensor([[[0, 1, 2], [0, 1, 2]], [[5, SIZE, SIZE], [6, SIZE, SIZE]]])
    batch = {"codes": codes, "mask": codes[:, 0] != SIZE}
    a, b = 3, 3 + SIZE
    short = [1, a + 5, b + 6, 2, 0, 0, 0, 0]
    flat = to_lm(batch, LmVocabulary(codebooks=2), ends=True)["input_ids"].tolist()
    assert flat == [[1, a, b, a + 1, b + 1, a + 2, b + 2, 2], short]
    coarse = LmVocabulary(codebooks=2, order="coarse_first")
    assert to_lm(batch, coarse, ends=True)["input_ids"].tolist() == [
        [1, a, a + 1, a + 2, b, b + 1, b + 2, 2],
        short,
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_a_model_of_transformers_learns_the_lines_and_makes_some(order):
    llama = import_before_torchaudio("transformers.models.llama.modeling_llama")
    vocabulary = LmVocabulary(codebooks=3, codebook_size=16, order=order)
    config = llama.LlamaConfig(
        **vocabulary.config(frames=8),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    torch.manual_seed(0)
    model = llama.LlamaForCausalLM(config)
    codes = torch.randint(0, 16, (4, 3, 8))
    mask = torch.arange(8) < torch.tensor([[8], [5], [8], [2]])
    lines = to_lm({"codes": codes, "mask": mask}, vocabulary, ends=True)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(3):
        loss = model(**lines).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Two steps of learning: from about the logarithm of the vocabulary's size down.
    assert abs(losses[0] - torch.tensor(float(vocabulary.size)).log()) < 0.3
    assert losses[2] < losses[1] < losses[0]
    made = model.generate(
        torch.full((2, 1), 1),
        attention_mask=torch.ones(2, 1, dtype=torch.long),
        max_new_tokens=6 * 3 + 1,
        do_sample=True,
        prefix_allowed_tokens_fn=lambda _, ids: list(vocabulary.allowed(len(ids), 6)),
    )
    assert made[:, -1].tolist() == [2, 2]
    back = from_lm(made, vocabulary)
    assert back["codes"].shape == (2, 3, 6)
    assert torch.equal(to_lm(back, vocabulary, ends=True)["input_ids"], made)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: LmVocabulary(codebooks=2, order="flat"), "'flat' must be one of flatten"),
        (lambda: LmVocabulary(codebooks=0), "got 0 of 1024"),
        (
            lambda: to_lm(batch_of(0, [3], 2, 1), LmVocabulary(codebooks=4)),
            r"codes \[1, 2, 3\] must have K = 4",
        ),
        (
            lambda: to_lm(
                {"codes": torch.zeros(1, 2, 3).long(), "mask": torch.tensor([[True, False, True]])},
                LmVocabulary(codebooks=2),
            ),
            "True for its frames, then False",
        ),
        (lambda: from_lm(torch.tensor([[3]]), LmVocabulary(codebooks=1)), "must begin with"),
        (
            lambda: from_lm(torch.tensor([[1, 3]]), LmVocabulary(codebooks=2)),
            "line 0 has 1 codes, no multiple of 2",
        ),
        (
            lambda: from_lm(torch.tensor([[1, 3, 4]]), LmVocabulary(codebooks=2)),
            "line 0 has the id 4 at position 2, where a code of codebook 1 must be",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(call, message):
    with pytest.raises(UsageError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
