"""Rows back to sound.

dataset = load_dataset("me/name", split="train")
audio = decode_row(dataset[0])          # float32 [C, N]

dataset.set_transform(decode())
dataset[0]["wave"]                      # decoded when it is asked for
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from preprocess.tokens.frames import n_frames, segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc, EcdcError

if TYPE_CHECKING:
    from preprocess.codec.codec import Codec

Wave = NDArray[np.float32]
WAVE_COLUMN = "wave"


def decode_row(row: Mapping[str, Any], codec: Codec | None = None) -> Wave:
    """Decode one row of a dataset to audio.

    Args:
        row: With `codes`, `model`, `audio_length` and, at 48 kHz, `scales`; as lists, numpy arrays
            or torch tensors.
        codec: The codec that made the tokens; without it, the one that `model` names, loaded with
            its published weights once and then kept.

    Returns:
        float32 `[C, N]` at the row's `sample_rate`, N being its `audio_length`.

    Raises:
        EcdcError: A column is missing, the codes do not fit their codec or the length, or `codec`
            is another one.
        WeightsError: The weights cannot be had.
    """
    ecdc = row_tokens(row)
    return (codec or _published(ecdc.model)).decode(ecdc)


def row_tokens(row: Mapping[str, Any]) -> Ecdc:
    """Return the tokens of a row, as its `.ecdc` file held them, sliced as the row is.

    Raises:
        EcdcError: A column is missing, or the codes do not fit their codec or the length.
    """
    for name in ("codes", "model", "audio_length"):
        if name not in row:
            raise EcdcError(f"a row needs the column {name!r} to be decoded")
    spec = codec_spec(str(row["model"]))
    length = int(row["audio_length"])
    try:
        codes = np.stack([np.asarray(line) for line in row["codes"]]).astype(np.int64)
    except ValueError as error:
        raise EcdcError(f"codes must be [K, T]: {error}") from None
    k_fits = codes.ndim == 2 and 1 <= codes.shape[0] <= spec.max_codebooks
    # In constant time, before a length that a row claims is walked.
    if not k_fits or length < 1 or codes.shape[1] != n_frames(length, spec):
        raise EcdcError(
            f"codes of shape {list(codes.shape)} are no {spec.name} tokens of {length} samples"
        )
    if codes.min() < 0 or codes.max() >= spec.codebook_size:
        raise EcdcError(f"codes must be 0 to {spec.codebook_size - 1}")
    frames = segment_frames(length, spec)
    scales = None
    if spec.segment_samples is not None:
        scales = np.asarray(row.get("scales", ()), np.float32)
        if scales.shape != (len(frames),):
            raise EcdcError(f"{len(frames)} segments need as many scales, got {list(scales.shape)}")
    return Ecdc(spec.name, codes.astype(np.int16), length, frames, scales)


def decode(codec: Codec | None = None) -> Callable[[Mapping[str, list[Any]]], dict[str, Any]]:
    """Return a transform for `Dataset.set_transform` that adds the audio of each row.

    It leaves the columns as they are and adds `wave`, a list of float32 `[C, N]`.

    Args:
        codec: As in `decode_row`.
    """

    def transform(batch: Mapping[str, list[Any]]) -> dict[str, Any]:
        columns = dict(batch)
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        return {**columns, WAVE_COLUMN: [decode_row(row, codec) for row in rows]}

    return transform


@lru_cache(maxsize=2)
def _published(model: str) -> Codec:
    from preprocess.codec.codec import load_codec

    return load_codec(model)
