"""Rows back to sound.

dataset = load_dataset("me/name", split="train")
audio = decode_row(dataset[0])          # float32 [C, N]

dataset.set_transform(decode())
dataset[0]["wave"]                      # decoded on access
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
        row: A row with `codes`, `model`, `audio_length` and, at 48 kHz, `scales`, as lists, numpy
            arrays or torch tensors.
        codec: The codec that made the tokens; without it, the codec that `model` names, loaded
            once with its published weights.

    Returns:
        float32 `[C, N]` at the row's `sample_rate`, where N is its `audio_length`.

    Raises:
        EcdcError: A column is missing, the codes do not fit their codec or length, or `codec` is
            not the one that made them.
        UsageError: `model` names an unknown codec.
        WeightsError: The weights cannot be found or downloaded.
    """
    ecdc = row_tokens(row)
    return (codec or _published(ecdc.model)).decode(ecdc)


def row_tokens(row: Mapping[str, Any]) -> Ecdc:
    """Return the tokens of a row as they were in its `.ecdc` file, at the row's bandwidth.

    Raises:
        EcdcError: A column is missing, or the codes do not fit their codec or length.
        UsageError: `model` names an unknown codec.
    """
    for name in ("codes", "model", "audio_length"):
        if name not in row:
            raise EcdcError(f"cannot decode a row without the column {name!r}")
    spec = codec_spec(str(row["model"]))
    length = int(row["audio_length"])
    try:
        codes = np.stack([np.asarray(line) for line in row["codes"]]).astype(np.int64)
    except ValueError as error:
        raise EcdcError(f"codes must be [K, T]: {error}") from None
    k_fits = codes.ndim == 2 and 1 <= codes.shape[0] <= spec.max_codebooks
    # Takes constant time, so a huge claimed length is refused before its segments are listed.
    if not k_fits or length < 1 or codes.shape[1] != n_frames(length, spec):
        raise EcdcError(
            f"codes of shape {list(codes.shape)} do not fit {length} samples of {spec.name}"
        )
    if codes.min() < 0 or codes.max() >= spec.codebook_size:
        raise EcdcError(f"codes must be 0 to {spec.codebook_size - 1}")
    frames = segment_frames(length, spec)
    scales = None
    if spec.segment_samples is not None:
        scales = np.asarray(row.get("scales", ()), np.float32)
        if scales.shape != (len(frames),):
            raise EcdcError(
                f"{len(frames)} segments need one scale each, got scales {list(scales.shape)}"
            )
    return Ecdc(spec.name, codes.astype(np.int16), length, frames, scales)


def decode(codec: Codec | None = None) -> Callable[[Mapping[str, list[Any]]], dict[str, Any]]:
    """Return a transform for `Dataset.set_transform` that adds the audio of each row.

    It adds the column `wave`, a list of float32 `[C, N]`, and leaves the other columns unchanged.

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
