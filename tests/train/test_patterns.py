"""Patterns are the published ones, and every one of them comes back exactly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.codec.encodec_package import import_before_torchaudio
from preprocess.core.errors import UsageError
from preprocess.train import collate
from preprocess.train.patterns import PATTERNS, pattern
from preprocess.train.views import IGNORED, arrange, nar_stage, next_step, restore

SIZE = 1024
WHOLE = [name for name in PATTERNS if name not in ("ar", "nar")]


def batch_of(seed: int, lengths: list[int], k: int, parameters: int, frames: int = 0) -> dict:
    """Return a batch as collate makes it, each code and each parameter with a value of its own."""
    frames = max([*lengths, frames])
    rng = torch.Generator().manual_seed(seed)
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    codes = torch.randint(0, SIZE, (len(lengths), k, frames), generator=rng)
    shape = (len(lengths), parameters, frames)
    known = (torch.rand(shape, generator=rng) < 0.8) & mask[:, None]
    return {
        "codes": codes.masked_fill(~mask[:, None], SIZE),
        "mask": mask,
        "parameters": torch.rand(shape, generator=rng).masked_fill(~known, 0.0),
        "parameter_mask": known,
        "ids": [f"clip{row}" for row in range(len(lengths))],
    }


batches = st.builds(
    batch_of,
    seed=st.integers(0, 2**31),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    k=st.integers(2, 6),
    parameters=st.integers(1, 3),
    frames=st.integers(0, 14),
)


@pytest.mark.parametrize("name", PATTERNS)
@given(batch=batches)
@settings(max_examples=40, deadline=None)
def test_a_batch_comes_back_exactly(name, batch):
    back = restore(arrange(batch, name, padding=SIZE))
    assert list(back) == list(batch)
    held = {"ar": slice(0, 1), "nar": slice(1, None)}.get(name, slice(None))
    expected = torch.full_like(batch["codes"], SIZE)
    expected[:, held] = batch["codes"][:, held]
    assert torch.equal(back["codes"], expected)
    for key in ("mask", "parameters", "parameter_mask"):
        assert torch.equal(back[key], batch[key]), key
    assert back["ids"] == batch["ids"]


def test_crops_of_a_dataset_come_back_exactly(crops):
    batch = collate(crops.__getitems__(range(12)))
    assert not bool(batch["mask"].all())  # there is padding to lose
    for name in WHOLE:
        back = restore(arrange(batch, name, padding=crops.padding_id))
        assert back.keys() == batch.keys()
        for key, value in batch.items():
            same = torch.equal(value, back[key]) if isinstance(value, torch.Tensor) else None
            assert same or value == back[key], (name, key)


@given(batch=batches)
@settings(max_examples=40, deadline=None)
def test_ar_and_nar_together_hold_every_code_once(batch):
    ar, nar = (arrange(batch, name, padding=SIZE) for name in ("ar", "nar"))
    both = torch.cat([ar.codes, nar.codes], 1)
    assert torch.equal(both, batch["codes"])


@pytest.mark.parametrize("name", PATTERNS)
@given(batch=batches)
@settings(max_examples=40, deadline=None)
def test_mask_and_parameters_move_with_their_codes(name, batch):
    # Codes that say where they come from, and parameters that say the same of their frame.
    b, k, t = batch["codes"].shape
    where = torch.arange(k)[:, None] * t + torch.arange(t)
    batch["codes"] = where.expand(b, k, t).masked_fill(~batch["mask"][:, None], SIZE)
    frame = torch.arange(t, dtype=torch.float32)
    batch["parameters"] = (frame + 1).expand(b, 1, t).contiguous()
    batch["parameter_mask"] = (torch.arange(t) % 3 != 0).expand(b, 1, t).contiguous()
    view = arrange(batch, name, padding=SIZE)
    held = {"ar": 1, "nar": k - 1}.get(name, k)
    assert int(view.mask.sum()) == held * int(batch["mask"].sum())
    assert torch.equal(view.codes != SIZE, view.mask)  # no token from padding, none lost
    code_frame = (view.codes % t).float()
    assert torch.equal(view.parameters[:, 0][view.mask], code_frame[view.mask] + 1)
    assert torch.equal(view.parameter_mask[:, 0][view.mask], code_frame[view.mask] % 3 != 0)
    if name == "depth":  # its steps are codebooks, each of all frames
        return
    newest = torch.where(view.mask, code_frame, -1).amax(1)
    full = view.mask.any(1) & (newest == view.pattern.step_frame)
    assert bool(full.any())
    assert torch.equal(view.step_parameters[:, 0][full], newest[full] + 1)


def test_the_patterns_are_those_that_the_module_draws():
    codes = torch.tensor([[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]])
    drawn = {
        "parallel": "0 1 2 3 / 10 11 12 13 / 20 21 22 23",
        "delay": "0 1 2 3 . . / . 10 11 12 13 . / . . 20 21 22 23",
        "flatten": "0 10 20 1 11 21 2 12 22 3 13 23",
        "coarse_first": "0 1 2 3 . . . . / . . . . 10 11 12 13 / . . . . 20 21 22 23",
        "ar": "0 1 2 3",
        "nar": "10 11 12 13 / 20 21 22 23",
        "depth": "0 10 20 / 1 11 21 / 2 12 22 / 3 13 23",
    }
    assert list(drawn) == list(PATTERNS)
    for name, text in drawn.items():
        rows = [[-1 if c == "." else int(c) for c in row.split()] for row in text.split("/")]
        assert pattern(name, 3, 4).apply(codes, -1).tolist() == rows, name


def settings_of(k: int, channels: int = 1) -> SimpleNamespace:
    """Return what transformers' MusicGen needs to know to lay codes out."""
    return SimpleNamespace(num_codebooks=k, config=SimpleNamespace(audio_channels=channels))


@pytest.mark.parametrize("channels, shapes", [(1, 10_000), (2, 500)])
def test_delay_is_that_of_musicgen(channels, shapes):
    model = import_before_torchaudio("transformers.models.musicgen.modeling_musicgen")
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(shapes):
        books = int(rng.integers(1, 9))
        k = books * channels
        # MusicGen leaves sequences that are shorter than its delays as they are.
        frames, count = int(rng.integers(max(1, books - 1), 32)), int(rng.integers(1, 4))
        seen.add((count, k, frames))
        delays = [book for book in range(books) for _ in range(channels)]
        codes = torch.from_numpy(rng.integers(0, SIZE, (count, k, frames)))
        ours = pattern("delay", k, frames, delays if channels == 2 else None)
        laid_out = ours.apply(codes, SIZE)
        begun = torch.cat([torch.full((count, k, 1), SIZE), codes], 2)
        _, theirs = model.MusicgenForCausalLM.build_delay_pattern_mask(
            settings_of(k, channels), begun.view(count * k, -1), SIZE, frames + books
        )
        start = torch.full((count, k, 1), SIZE)
        assert torch.equal(torch.cat([start, laid_out], 2), theirs.view(count, k, -1))
        assert torch.equal(ours.invert(laid_out, SIZE), codes)
    assert len(seen) > min(shapes / 2, 500)


def test_musicgens_decoder_reads_a_view():
    musicgen = import_before_torchaudio("transformers.models.musicgen.modeling_musicgen")
    config = musicgen.MusicgenDecoderConfig(
        vocab_size=64,
        num_codebooks=3,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        pad_token_id=64,
        bos_token_id=64,
    )
    torch.manual_seed(0)
    model = musicgen.MusicgenForCausalLM(config)
    codes = torch.randint(0, 64, (2, 3, 9))
    batch = {"codes": codes, "mask": torch.arange(9) < torch.tensor([[9], [6]])}
    view = arrange(batch, "delay", padding=64)
    inputs, targets = next_step(view)
    logits = model(inputs.flatten(0, 1)).logits.view(2, 3, 11, 64)
    loss = torch.nn.functional.cross_entropy(logits.movedim(-1, 1), targets)
    # MusicGen shifts labels itself, and takes its loss codebook by codebook.
    theirs = model(inputs.flatten(0, 1), labels=targets.transpose(1, 2)).loss
    assert loss.item() == pytest.approx(theirs.item(), rel=0.05)


def test_what_musicgen_generates_comes_back():
    module = import_before_torchaudio("transformers.models.musicgen.modeling_musicgen")
    model = module.MusicgenForCausalLM
    begin = torch.full((2 * 4, 1), SIZE)
    _, mask = model.build_delay_pattern_mask(settings_of(4), begin, SIZE, 20)
    generated = torch.randint(0, SIZE, (8, 20))
    out = model.apply_delay_pattern_mask(generated, mask).view(2, 4, 20)[..., 1:]
    codes = pattern("delay", 4, 16).invert(out, -1)
    rows = [generated.view(2, 4, 20)[:, k, 1 + k : 17 + k] for k in range(4)]
    assert torch.equal(codes, torch.stack(rows, 1))


def test_next_step_reads_what_came_before_and_says_no_padding():
    batch = batch_of(0, [4, 2], k=2, parameters=1)
    inputs, targets = next_step(arrange(batch, "delay", padding=SIZE))
    codes = batch["codes"]
    assert inputs[:, :, 0].tolist() == [[SIZE, SIZE]] * 2
    assert torch.equal(inputs[0, 0, 1:], codes[0, 0])
    assert targets[1, 0].tolist() == [*codes[1, 0, :2].tolist(), *[IGNORED] * 3]
    assert targets[1, 1].tolist() == [IGNORED, *codes[1, 1, :2].tolist(), *[IGNORED] * 2]
    assert SIZE not in targets


def test_each_stage_of_nar_reads_the_codebooks_before_its_own():
    batch = batch_of(0, [5, 3], k=4, parameters=1)
    context, target = nar_stage(batch, 2, SIZE)
    assert torch.equal(context, batch["codes"][:, :2])
    assert torch.equal(target[0], batch["codes"][0, 2])
    assert target[1].tolist() == [*batch["codes"][1, 2, :3].tolist(), IGNORED, IGNORED]
    with pytest.raises(UsageError, match="stage 4 must be 1 to 3"):
        nar_stage(batch, 4, SIZE)


def test_index_tensors_are_made_once_a_shape():
    assert pattern("delay", 4, 33) is pattern("delay", 4, 33)
    with torch.inference_mode():
        kept = pattern("flatten", 3, 34)
    logits = torch.rand(2, 1, 102, requires_grad=True)
    kept.invert(logits, 0).sum().backward()  # an index of inference could not be kept for this
    assert torch.equal(logits.grad, torch.ones(2, 1, 102))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: pattern("dealy", 4, 8), "unknown pattern 'dealy' .did you mean 'delay'.*known"),
        (lambda: pattern("nar", 1, 8), "'nar' needs 2 codebooks or more"),
        (lambda: pattern("delay", 4, 0), "1 frame or more, got 4 and 0"),
        (lambda: pattern("delay", 3, 8, [0, 1]), r"delays \[0, 1\] must be 3 numbers"),
        (lambda: pattern("flatten", 2, 8, [0, 1]), "the pattern is 'flatten'"),
        (lambda: pattern("delay", 2, 8).apply(torch.zeros(2, 9), 0), r"takes .*2, 8.*not \[2, 9\]"),
        (lambda: arrange({}, "delay", SIZE), "a batch needs codes"),
        (
            lambda: arrange({"codes": torch.full((1, 2, 3), SIZE)}, "delay", SIZE),
            "codes must be 0 to 1023",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(call, message):
    with pytest.raises(UsageError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
