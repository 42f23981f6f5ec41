"""Batches as a language model reads them: one line of ids per clip.

    vocabulary = LmVocabulary(codebooks=4, codebook_size=1024)
    model = LlamaForCausalLM(LlamaConfig(**vocabulary.config(frames=256), hidden_size=512, ...))
    lines = to_lm(batch, vocabulary)
    loss = model(lines["input_ids"], lines["attention_mask"], labels=lines["labels"]).loss

The ids, here of 2 codebooks of 1,024 codes:

    0        1      2    3 ... 1026     1027 ... 2050
    padding  begin  end  codebook a     codebook b

and a line of 3 frames, `flatten` and `coarse_first`; shorter clips are padded after their end:

    begin a0 b0 a1 b1 a2 b2 end         begin a0 a1 a2 b0 b1 b2 end
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from preprocess.core.errors import UsageError, nearest
from preprocess.train.patterns import CACHED, pattern
from preprocess.train.views import IGNORED, check_batch

ORDERS = ("flatten", "coarse_first")
PADDING_ID, BEGIN_ID, END_ID = range(3)
_SPECIAL = 3


@dataclass(frozen=True, kw_only=True)
class LmVocabulary:
    """The ids of codes and special tokens.

    Attributes:
        codebooks: K.
        codebook_size: Number of codes in each codebook: 1024, or 2048 at 32 kHz.
        order: `flatten`, all codebooks of a frame before the next frame, or `coarse_first`, the
            first codebook of all frames before the others.
    """

    codebooks: int
    codebook_size: int = 1024
    order: str = "flatten"

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise UsageError(
                f"order {self.order!r} must be one of {', '.join(ORDERS)}"
                f"{nearest(self.order, ORDERS)}"
            )
        if self.codebooks < 1 or self.codebook_size < 1:
            raise UsageError(
                f"a vocabulary needs codebooks and codes, got {self.codebooks} of "
                f"{self.codebook_size}"
            )

    @property
    def size(self) -> int:
        """Number of ids."""
        return _SPECIAL + self.codebooks * self.codebook_size

    @property
    def offsets(self) -> Tensor:
        """The id of code 0 of each codebook, int64 `[K]`."""
        return _SPECIAL + self.codebook_size * torch.arange(self.codebooks)

    def config(self, frames: int) -> dict[str, int]:
        """Return arguments for the configuration of a causal model of transformers.

        Args:
            frames: Frames of the longest clip or crop.
        """
        return {
            "vocab_size": self.size,
            "pad_token_id": PADDING_ID,
            "bos_token_id": BEGIN_ID,
            "eos_token_id": END_ID,
            "max_position_embeddings": frames * self.codebooks + 2,
        }

    def allowed(self, position: int, frames: int) -> range:
        """Return the ids that are allowed at a position in the line of a clip, for generation.

        Use it as `generate(..., prefix_allowed_tokens_fn=lambda _, ids: allowed(len(ids), frames))`.

        Args:
            position: Position in the line, from 0.
            frames: Length of the clip in frames; the line ends after them.
        """
        if position == 0:
            return range(BEGIN_ID, BEGIN_ID + 1)
        if position > frames * self.codebooks:
            return range(END_ID, END_ID + 1)
        codebook = int(_line(self.order, self.codebooks, frames)[position - 1]) // frames
        first = _SPECIAL + codebook * self.codebook_size
        return range(first, first + self.codebook_size)


def to_lm(
    batch: Mapping[str, Any], vocabulary: LmVocabulary, ends: bool = False
) -> dict[str, Tensor]:
    """Return a batch as lines of ids, one per clip, without gaps.

    Args:
        batch: A batch from `collate`, with padding after each clip's frames.
        vocabulary: The ids; its K must be that of the batch.
        ends: Whether to add the end id to each line; use it for whole clips, not for crops.

    Returns:
        `input_ids` int64 `[B, L]`; `labels`, the same with -100 at the beginning and in padding
        (transformers compares them with the prediction at the previous position); `attention_mask`
        int64 `[B, L]`; and, if the batch has parameters, `parameters` float32 `[B, P, L]` and
        `parameter_mask` bool `[B, P, L]` of each id's frame, 0 and False at special tokens.

    Raises:
        UsageError: The batch has a different K, or padding before a frame.
    """
    codes, mask = check_batch(batch, vocabulary.codebook_size)
    count, k, frames = codes.shape
    if k != vocabulary.codebooks:
        raise UsageError(f"codes {list(codes.shape)} must have K = {vocabulary.codebooks}")
    lengths = [int(length) for length in mask.sum(1)]
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise UsageError("the mask of a clip must be True for its frames, then False")
    shape = (count, max(lengths, default=0) * k + (2 if ends else 1))
    # The place of the code in [K, T]; K * T for special tokens.
    index = torch.full(shape, k * frames, device=codes.device)
    special = torch.full(shape, PADDING_ID, device=codes.device)
    special[:, 0] = BEGIN_ID
    for row, length in enumerate(lengths):
        if length:
            line = _line(vocabulary.order, k, length).to(codes.device)
            index[row, 1 : 1 + len(line)] = line // length * frames + line % length
        if ends:
            special[row, 1 + length * k] = END_ID
    real = index < k * frames
    ids = (codes + vocabulary.offsets.to(codes.device)[:, None]).flatten(1)
    input_ids = torch.where(real, ids.gather(1, index.clamp_max(k * frames - 1)), special)
    attended = input_ids != PADDING_ID
    lines = {
        "input_ids": input_ids,
        "labels": input_ids.masked_fill(~attended | (input_ids == BEGIN_ID), IGNORED),
        "attention_mask": attended.long(),
    }
    for key in ("parameters", "parameter_mask"):
        if key in batch:
            lines[key] = _beside(batch[key], index % frames, real)
    return lines


def from_lm(
    input_ids: Tensor, vocabulary: LmVocabulary, parameters: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the codes of lines from `to_lm` or from a model.

    Args:
        input_ids: int64 `[B, L]`; ids after an end or padding are ignored.
        vocabulary: The ids.
        parameters: Parameters `[B, P, L]` of the ids, or their mask, to convert back, too.

    Returns:
        `codes` int64 `[B, K, T]`, padded with the codebook's size; `mask` bool `[B, T]`; and
        `parameters` `[B, P, T]`, if given.

    Raises:
        UsageError: A line does not start with the begin id, ends within a frame, or has an id of the
            wrong codebook.
    """
    k = vocabulary.codebooks
    found = [_codes_of(row, vocabulary, at) for at, row in enumerate(input_ids.cpu())]
    frames = max((codes.shape[1] for codes in found), default=0)
    codes = torch.full((len(found), k, frames), vocabulary.codebook_size)
    mask = torch.zeros((len(found), frames), dtype=torch.bool)
    back = None if parameters is None else parameters.new_zeros(*parameters.shape[:2], frames)
    for at, clip in enumerate(found):
        length = clip.shape[1]
        codes[at, :, :length], mask[at, :length] = clip, True
        if back is not None and parameters is not None and length:
            line = _line(vocabulary.order, k, length)
            first = torch.empty(length, dtype=torch.long)
            first[line[line < length]] = torch.arange(len(line))[line < length]
            back[at, :, :length] = parameters[at][:, 1 + first.to(parameters.device)]
    moved = {"codes": codes.to(input_ids.device), "mask": mask.to(input_ids.device)}
    return moved if back is None else {**moved, "parameters": back}


def _codes_of(row: Tensor, vocabulary: LmVocabulary, at: int) -> Tensor:
    """Return the codes `[K, T]` of one line."""
    k, size = vocabulary.codebooks, vocabulary.codebook_size
    if not len(row) or int(row[0]) != BEGIN_ID:
        raise UsageError(f"line {at} must begin with the id {BEGIN_ID}, not {row[:1].tolist()}")
    over = ((row == END_ID) | (row == PADDING_ID)).nonzero()
    ids = row[1 : int(over[0]) if len(over) else len(row)]
    if len(ids) % k:
        raise UsageError(f"line {at} has {len(ids)} codes, no multiple of {k} codebooks")
    frames = len(ids) // k
    if not frames:
        return torch.empty((k, 0), dtype=torch.long)
    line = _line(vocabulary.order, k, frames)
    codes = ids - vocabulary.offsets[line // frames]
    wrong = ((codes < 0) | (codes >= size)).nonzero()
    if len(wrong):
        place = int(wrong[0])
        raise UsageError(
            f"line {at} has the id {int(ids[place])} at position {place + 1}, where a code of "
            f"codebook {int(line[place]) // frames} must be"
        )
    out = torch.empty(k * frames, dtype=torch.long)
    out[line] = codes
    return out.view(k, frames)


def _beside(values: Tensor, frame: Tensor, real: Tensor) -> Tensor:
    """Return `values` `[B, P, T]` at the frame of each id `[B, L]`, 0 at special tokens."""
    index = frame[:, None].expand(-1, values.shape[1], -1)
    return values.gather(2, index).masked_fill(~real[:, None], 0)


@lru_cache(maxsize=CACHED)
def _line(order: str, codebooks: int, frames: int) -> Tensor:
    """Return the numbers `k * T + t` of the codes in the line's order, int64 `[K * T]`."""
    with torch.inference_mode(False):  # as in `preprocess.train.patterns`
        steps = pattern(order, codebooks, frames).source.t().flatten()
        return steps[steps < codebooks * frames]
