"""Step 2: audio becomes `.ecdc` token files, each with its provenance in its header."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from preprocess.audio import read_blocks, stated_samples
from preprocess.codec import Codec, Wave, load_codec
from preprocess.config import CodecConfig, EncodeConfig
from preprocess.ecdc import Ecdc, EcdcError, read_ecdc, write_ecdc
from preprocess.encode_jobs import Job, Plan, plan_jobs
from preprocess.errors import printable
from preprocess.files import require_writable
from preprocess.jobs import Outcome, attempt, progress
from preprocess.outputs import (
    find_leftovers,
    owns_tokens,
    report_leftovers,
)
from preprocess.report import Report
from preprocess.specs import CodecSpec, codec_spec
from preprocess.temporaries import remove_stale

if TYPE_CHECKING:
    from preprocess.encoding import Clip

AGREEMENT_CLIPS = 4
"""How many clips an encoding in lower precision is compared on."""


def encode(source: Path, output: Path, codec_config: CodecConfig, config: EncodeConfig) -> Report:
    """Encode all audio under `source` into the mirrored tree `output`.

    With `config.list_missing`, print the audio files that have no current tokens instead.

    Raises:
        UsageError: `source` is no folder or holds no audio, or the codec lacks the bandwidth.
        WeightsError: The weights cannot be had or do not fit.
    """
    report = Report("encode", output=str(output))
    plan = plan_jobs(source, output, codec_config, config, report)
    plan.refuse_foreign(report)
    return encode_plan(plan, output, codec_config, config, report)


def encode_plan(
    plan: Plan, output: Path, codec_config: CodecConfig, config: EncodeConfig, report: Report
) -> Report:
    """Do what a plan asks for; see `encode`."""
    jobs = plan.jobs
    todo = [job for job in jobs if config.overwrite or not job.current]
    report.current = len(jobs) - len(todo)
    report.detail = f"{config.bandwidth:g} kbps"
    if config.list_missing:
        print("".join(f"{printable(str(job.audio))}\n" for job in todo), end="")
        report.detail += f", {len(todo)} missing"
        return report.finish()
    if config.dry_run:
        report.detail += f", dry run: {len(todo)} to encode"
        _report_leftovers(report, jobs, output, plan.stems, config)
        return report.finish()
    load = cache(lambda: _load(codec_config, config))
    remove_stale(output)
    if todo:
        require_writable(output)
        _encode_all(todo, load(), config.bandwidth, report)
        if config.precision != "float32":
            exact = _load(codec_config, replace(config, precision="float32", allow_tf32=False))
            report.note(_agreement(todo, exact, config))
    failed = report.failed
    whole = [job for job in jobs if str(job.audio) not in failed]
    _report_leftovers(report, whole, output, plan.stems, config)
    report.finish()
    if config.verify:
        verified = _verify(whole, load, codec_spec(codec_config.codec), config, report)
        report.detail += f", {len(whole)} checked, {verified} encoded again"
    return report


def _report_leftovers(
    report: Report, jobs: Sequence[Job], output: Path, stems: set[str], config: EncodeConfig
) -> None:
    current = (job.tokens.relative_to(output) for job in jobs)
    found = find_leftovers(output, config.suffix, current, stems, owns_tokens)
    report_leftovers(report, found, config.prune, config.dry_run)


def _load(codec_config: CodecConfig, config: EncodeConfig) -> Codec:
    model = (codec_config.codec, codec_config.weights, codec_config.device)
    return load_codec(*model, precision=config.precision, allow_tf32=config.allow_tf32)


def _encode_all(jobs: Sequence[Job], codec: Codec, bandwidth_kbps: float, report: Report) -> None:
    """Encode and write each clip; one that fails does not stop the others."""

    def write(clip: Clip, index: int) -> float:
        ecdc = clip.result(codec.spec)
        write_ecdc(jobs[index].tokens, replace(ecdc, extra=jobs[index].origin))
        return ecdc.header.duration_s

    written: dict[int, Future[Outcome[int, float]]] = {}
    waiting: deque[Future[Outcome[int, float]]] = deque()
    clips = codec.encode_streams((_blocks(job.audio, codec) for job in jobs), bandwidth_kbps)
    with progress(len(jobs), "encode") as bar, ThreadPoolExecutor(1) as writer:
        for clip in clips:
            written[clip.index] = writer.submit(attempt, partial(write, clip), clip.index)
            waiting.append(written[clip.index])
            while waiting and waiting[0].done():
                waiting.popleft().result()  # raises where the disk is full: nothing more is encoded
            bar.update()
    for index, job in enumerate(jobs):
        outcome = written[index].result()
        if outcome.value is None:
            report.fail(job.audio, outcome.message())
        else:
            report.done += 1
            report.audio_s += outcome.value


def _blocks(audio: Path, codec: Codec) -> Iterator[Wave]:
    for block in read_blocks(audio, codec.spec.sample_rate, codec.spec.channels):
        yield block.T


def _encode_sample(jobs: Sequence[Job], codec: Codec, bandwidth_kbps: float) -> list[Ecdc]:
    streams = (_blocks(job.audio, codec) for job in jobs)
    clips = sorted(codec.encode_streams(streams, bandwidth_kbps), key=lambda clip: clip.index)
    return [clip.result(codec.spec) for clip in clips]


def _agreement(jobs: Sequence[Job], exact: Codec, config: EncodeConfig) -> str:
    """Say how many codes of a sample are those of float32, by codebook."""
    written = [job for job in jobs if job.current]
    sample = random.Random(0).sample(written, min(AGREEMENT_CLIPS, len(written)))
    if not sample:
        return ""
    again = _encode_sample(sample, exact, config.bandwidth)
    pairs = [
        (read_ecdc(job.tokens).codes, own.codes) for job, own in zip(sample, again, strict=True)
    ]
    same = np.concatenate([codes == own for codes, own in pairs], axis=1).mean(axis=1)
    shares = " ".join(f"{100 * share:.1f}" for share in same)
    return f"{config.precision} gave the codes of float32 in {shares} % (by codebook, {len(sample)} clips)"


def _verify(
    jobs: list[Job],
    load: Callable[[], Codec],
    spec: CodecSpec,
    config: EncodeConfig,
    report: Report,
) -> int:
    """Check header and length of all, and the codes of a sample; return the size of the sample."""
    k = spec.n_codebooks(config.bandwidth)
    good = []
    for job in jobs:
        try:
            header = read_ecdc(job.tokens).header
        except (EcdcError, OSError) as error:
            report.fail(job.tokens, error)
            continue
        expected = (
            spec.name,
            k,
            stated_samples(job.audio, spec.sample_rate) or header.audio_length,
        )
        found = (header.model, header.n_codebooks, header.audio_length)
        if found == expected:
            good.append(job)
        else:
            report.fail(job.tokens, f"model, codebooks, samples are {found}, expected {expected}")
    sample = random.Random(0).sample(good, min(config.verify_samples, len(good)))
    again = _encode_sample(sample, load(), config.bandwidth) if sample else []
    for job, own in zip(sample, again, strict=True):
        differing = int(np.count_nonzero(own.codes != read_ecdc(job.tokens).codes))
        if differing:
            report.fail(job.tokens, f"{differing} of {own.codes.size} codes differ when encoded")
    return len(sample)
