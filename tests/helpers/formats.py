"""Token files made by hand or by encodec's own packer, and what every error message must be."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from encodec import binary
from hypothesis import HealthCheck, settings
from numpy.typing import ArrayLike

from preprocess.tokens.frames import segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc

GOLDEN = Path(__file__).parents[1] / "golden"
META_GOLDEN: list[dict[str, Any]] = json.loads((GOLDEN / "index.json").read_text())


def examples(count: int) -> settings:
    """Return settings of a property test: the same `count` examples every time, nothing stored.

    A test may write to one `tmp_path` in all of them: each overwrites what the last one left.
    Hypothesis also tries the constants of our code, of which few are, say, float16: that many are
    passed over says nothing of the test.
    """
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.filter_too_much,
        ],
    )


def random_ecdc(model: str, audio_length: int, k: int, **extra: Any) -> Ecdc:
    """Return a clip of `audio_length` samples with seeded random codes and scales."""
    spec, rng = codec_spec(model), np.random.default_rng(audio_length + k)
    frames = segment_frames(audio_length, spec)
    codes = rng.integers(0, spec.codebook_size, (k, sum(frames)), np.int16)
    scales = rng.random(len(frames), np.float32) if spec.segment_samples else None
    return Ecdc(model, codes, audio_length, frames, scales, extra)


def same_tokens(a: Ecdc, b: Ecdc) -> bool:
    """Return whether two clips hold the same, bit for bit."""
    scales = [None if ecdc.scales is None else ecdc.scales.tobytes() for ecdc in (a, b)]
    return (
        (a.model, a.audio_length, a.segment_frames, a.extra)
        == (b.model, b.audio_length, b.segment_frames, b.extra)
        and a.codes.dtype == b.codes.dtype
        and np.array_equal(a.codes, b.codes)
        and scales[0] == scales[1]
    )


def encodec_pack(values: ArrayLike, bits: int) -> bytes:
    """Pack values by encodec's own `BitPacker`."""
    stream = io.BytesIO()
    packer = binary.BitPacker(bits, stream)
    for value in np.asarray(values).tolist():
        packer.push(value)
    packer.flush()
    return stream.getvalue()


def encodec_bytes(ecdc: Ecdc) -> bytes:
    """Return the token file that encodec's own writer makes of a clip."""
    stream = io.BytesIO()
    fields = {"m": ecdc.model, "al": ecdc.audio_length, "nc": len(ecdc.codes), "lm": False}
    binary.write_ecdc_header(stream, {**fields, **ecdc.extra})
    start = 0
    for segment, frames in enumerate(ecdc.segment_frames):
        if ecdc.scales is not None:
            stream.write(struct.pack("!f", ecdc.scales[segment]))
        codes = ecdc.codes[:, start : start + frames]
        stream.write(encodec_pack(codes.T.reshape(-1), codec_spec(ecdc.model).bits))
        start += frames
    return stream.getvalue()


def token_bytes(
    header: bytes | Any,
    payload: bytes = b"",
    magic: bytes = b"ECDC",
    version: int = 0,
    size: int | None = None,
) -> bytes:
    """Return a token file made by hand, whatever its parts say."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    prefix = struct.pack("!4sBI", magic, version, len(text) if size is None else size)
    return prefix + text + payload


def one_line(error: Any, *mentions: object) -> str:
    """Return the message of a caught error: one line that mentions all of `mentions`."""
    text = str(error.value)
    assert "\n" not in text
    for mention in mentions:
        assert str(mention) in text
    return text
