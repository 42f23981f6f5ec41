"""Verifies token files against their audio: headers and lengths of all, codes of a sample."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from preprocess.audio.audio_files import read_blocks, stated_samples
from preprocess.codec.codec import Codec, Wave
from preprocess.core.report import Report
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.tokens.ecdc import read_ecdc
from preprocess.tokens.specs import CodecSpec
from preprocess.tokens.types import Ecdc, EcdcError

if TYPE_CHECKING:
    from preprocess.steps.encode_jobs import Job

AGREEMENT_CLIPS = 4
"""Number of clips on which lower precision is compared with float32."""


def audio_blocks(audio: Path, codec: Codec) -> Iterator[Wave]:
    """Yield an audio file in blocks `[C, n]` of float32 at the codec's rate and channels."""
    for block in read_blocks(audio, codec.spec.sample_rate, codec.spec.channels):
        yield block.T


def verify(
    jobs: Sequence[Job],
    load: Callable[[], Codec],
    spec: CodecSpec,
    config: EncodeConfig,
    report: Report,
) -> int:
    """Check the header and length of all clips, and the codes of a sample.

    Differences in tokens of another engine than this run's are reported as a rate, not as failures.

    Args:
        jobs: The clips.
        load: Returns the codec; called only if there is a sample.
        spec: The codec's specification.
        config: Settings of the step; uses `bandwidth` and `verify_samples`.
        report: Receives failures and notes.

    Returns:
        The number of clips in the sample.
    """
    good = [job for job in jobs if _is_whole(job, spec, config, report)]
    sample = random.Random(0).sample(good, min(config.verify_samples, len(good)))
    again = _encode_sample(sample, load(), config.bandwidth) if sample else []
    across: dict[str, list[int]] = {}
    for job, own in zip(sample, again, strict=True):
        stored = read_ecdc(job.tokens)
        differing = int(np.count_nonzero(own.codes != stored.codes))
        engine = str(stored.extra.get("eng", "")) or "an unknown engine"
        if engine != job.origin["eng"]:
            counts = across.setdefault(engine, [0, 0])
            counts[0] += differing
            counts[1] += own.codes.size
        elif differing:
            report.fail(job.tokens, f"{differing} of {own.codes.size} codes differ when encoded")
    for engine, (differing, size) in across.items():
        report.note(
            f"{differing:,} of {size:,} codes differ between engines: "
            f"{engine} before, {sample[0].origin['eng']} now"
        )
    return len(sample)


def agreement(written: Sequence[Job], exact: Codec, config: EncodeConfig) -> str:
    """Return a note on how many codes of a sample match those of float32, by codebook."""
    sample = random.Random(0).sample(list(written), min(AGREEMENT_CLIPS, len(written)))
    if not sample:
        return ""
    again = _encode_sample(sample, exact, config.bandwidth)
    pairs = [
        (read_ecdc(job.tokens).codes, own.codes) for job, own in zip(sample, again, strict=True)
    ]
    same = np.concatenate([codes == own for codes, own in pairs], axis=1).mean(axis=1)
    shares = " ".join(f"{100 * share:.1f}" for share in same)
    return (
        f"{config.precision} codes equal those of float32 in {shares} % "
        f"(by codebook, {len(sample)} clips)"
    )


def _is_whole(job: Job, spec: CodecSpec, config: EncodeConfig, report: Report) -> bool:
    """Whether a token file is readable and has the length of its audio; report it if not."""
    try:
        header = read_ecdc(job.tokens).header
    except (EcdcError, OSError) as error:
        report.fail(job.tokens, error)
        return False
    k = spec.n_codebooks(config.bandwidth)
    expected = (spec.name, k, stated_samples(job.audio, spec.sample_rate) or header.audio_length)
    found = (header.model, header.n_codebooks, header.audio_length)
    if found != expected:
        report.fail(job.tokens, f"model, codebooks, samples are {found}, expected {expected}")
    return found == expected


def _encode_sample(jobs: Sequence[Job], codec: Codec, bandwidth_kbps: float) -> list[Ecdc]:
    streams = (audio_blocks(job.audio, codec) for job in jobs)
    return codec.encode_in_order(streams, bandwidth_kbps)
