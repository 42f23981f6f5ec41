"""A hash of a dataset: of its clips' names and lengths, and of samples of what they hold.

The same for one dataset in other files or batches: built, from Parquet, selected or not.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from preprocess.train.arrow_rows import ArrowRows

_SAMPLED_ROWS, _SAMPLED_FRAMES = 32, 64


def dataset_digest(
    rows: ArrowRows, ids: pa.ChunkedArray | None, frames: NDArray[np.int64], facts: str
) -> str:
    """Return the hash, 16 digits.

    Args:
        rows: Views of the rows.
        ids: Names of the clips that are shown, in order.
        frames: T of each `[N]`.
        facts: What else tells datasets apart.
    """
    whole = blake2b(facts.encode(), digest_size=8)
    whole.update(frames.astype("<i8").tobytes())
    if ids is not None:
        for part in _texts(ids):
            whole.update(part)
    sampled = np.unique(np.linspace(0, len(frames) - 1, _SAMPLED_ROWS).astype(np.int64))
    chunks, at = rows.find(sampled)
    for chunk, row in zip(chunks, at.tolist(), strict=True):
        codes = chunk.codes[chunk.codes_at[row] :][: min(_SAMPLED_FRAMES, int(chunk.frames[row]))]
        whole.update(codes.astype("<i4").tobytes())
        for values, starts, lacks in zip(chunk.values, chunk.values_at, chunk.lacks, strict=True):
            if lacks is None or not lacks[row]:
                some = values[starts[row] :][: min(_SAMPLED_FRAMES, int(chunk.frames[row]))]
                whole.update(some.astype("<f4").tobytes())
    return whole.hexdigest()


def _texts(ids: pa.ChunkedArray) -> list[bytes]:
    """Return the bytes of all names, and then their lengths, whatever the chunks."""
    texts, lengths = [], []
    for chunk in ids.chunks:
        chunk = chunk.cast(pa.large_string())
        ends = np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset :][: len(chunk) + 1]
        if len(chunk):
            texts.append(memoryview(chunk.buffers()[2])[ends[0] : ends[-1]].tobytes())
            lengths.append(np.diff(ends))
    return [*texts, np.concatenate(lengths).astype("<i8").tobytes() if lengths else b""]
