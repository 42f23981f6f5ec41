"""Step 2: encodes audio to `.ecdc` token files, each with its provenance in its header."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.audio.audio_files import stated_seconds
from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.model_config import CodecConfig
from preprocess.core.errors import PreprocessError, printable
from preprocess.core.files import require_writable
from preprocess.core.jobs import Outcome, attempt
from preprocess.core.progress import Progress
from preprocess.core.report import Report
from preprocess.core.temporaries import remove_stale
from preprocess.steps.encode_jobs import EncodeConfig, Job, Plan, plan_jobs
from preprocess.steps.outputs import (
    find_leftovers,
    owns_tokens,
    report_leftovers,
)
from preprocess.steps.verify import agreement, audio_blocks, verify
from preprocess.tokens.ecdc import write_ecdc
from preprocess.tokens.specs import codec_spec

if TYPE_CHECKING:
    from preprocess.codec.encoding import Encoding


def encode(source: Path, output: Path, codec_config: CodecConfig, config: EncodeConfig) -> Report:
    """Encode all audio under `source` into the mirrored tree `output`.

    With `config.list_missing`, only print the audio files that have no current tokens.

    Raises:
        UsageError: `source` is not a folder or has no audio; `output` is inside `source` or
            contains it; or the codec lacks the bandwidth.
        PreprocessError: Another engine made some tokens, and `config.on_engine_change` is
            `"error"`.
        WeightsError: The weights cannot be found or downloaded, or do not match the codec.
    """
    report = Report("encode", output=str(output))
    plan = plan_jobs(source, output, codec_config, config, report)
    plan.refuse_foreign(report)
    return encode_plan(plan, output, codec_config, config, report)


def encode_plan(
    plan: Plan, output: Path, codec_config: CodecConfig, config: EncodeConfig, report: Report
) -> Report:
    """Carry out a plan; see `encode`."""
    jobs = plan.jobs
    engines = [job.engine for job in jobs]
    redo = other_engines(engines, jobs, config, report)
    todo = [
        job
        for job, engine in zip(jobs, engines, strict=True)
        if config.overwrite or engine is None or engine in redo
    ]
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
            report.note(agreement([job for job in todo if job.current], exact, config))
    failed = report.failed
    whole = [job for job in jobs if str(job.audio) not in failed]
    _report_leftovers(report, whole, output, plan.stems, config)
    report.finish()
    if config.verify:
        verified = verify(whole, load, codec_spec(codec_config.codec), config, report)
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


def other_engines(
    engines: Sequence[str | None], jobs: Sequence[Job], config: EncodeConfig, report: Report
) -> set[str]:
    """Return the engines whose tokens to make again, and report all engines other than this run's.

    Args:
        engines: Engine of each clip's tokens; None if they are not current.
        jobs: The clips.
        config: Settings of the step; uses `overwrite` and `on_engine_change`.
        report: Receives a note.

    Raises:
        PreprocessError: Another engine made some tokens, and `config.on_engine_change` is
            `"error"`.
    """
    if not jobs or config.overwrite:
        return set()
    own = jobs[0].origin["eng"]
    counts = Counter(engine for engine in engines if engine not in (None, own))
    if not counts:
        return set()
    names = ", ".join(f"{name or 'an unknown engine'} ({n:,})" for name, n in counts.items())
    found = f"{counts.total():,} of {len(jobs):,} clips have tokens made by {names}, not {own}"
    if config.on_engine_change == "error":
        raise PreprocessError(f"{found}; choose --on-engine-change keep or redo")
    if config.on_engine_change == "redo":
        report.note(f"{found}; they are made again")
        return {str(name) for name in counts}
    report.note(
        f"{found}; they are kept, though codes may differ in near ties "
        "(--on-engine-change redo makes them again)"
    )
    return set()


def _encode_all(jobs: Sequence[Job], codec: Codec, bandwidth_kbps: float, report: Report) -> None:
    """Encode and write each clip; a failed clip does not stop the others."""
    lengths_s = [stated_seconds(job.audio) for job in jobs]
    known = [length for length in lengths_s if length is not None]
    total_s = sum(known) if len(known) == len(jobs) else None

    def write(clip: Encoding, index: int) -> float:
        ecdc, job = clip.result(codec.spec), jobs[index]
        if job.version is not None:
            job.version.require(job.audio)
        write_ecdc(job.tokens, replace(ecdc, extra=job.origin))
        return ecdc.header.duration_s

    def finish(clip: Encoding, index: int) -> Outcome[int, float]:
        outcome = attempt(partial(write, clip), index)
        length_s = lengths_s[index] if outcome.value is None else outcome.value
        progress.update(audio_s=length_s or 0.0, failed=outcome.value is None)
        return outcome

    written: dict[int, Future[Outcome[int, float]]] = {}
    waiting: deque[Future[Outcome[int, float]]] = deque()
    with (
        Progress("encode", len(jobs), total_audio_s=total_s) as progress,
        ThreadPoolExecutor(1) as writer,
    ):
        streams = (audio_blocks(job.audio, codec) for job in jobs)
        for clip in codec.encode_streams(streams, bandwidth_kbps, on_part=progress.part):
            written[clip.index] = writer.submit(finish, clip, clip.index)
            waiting.append(written[clip.index])
            while waiting and waiting[0].done():
                waiting.popleft().result()  # raises if the disk is full, which ends the loop
    for index, job in enumerate(jobs):
        outcome = written[index].result()
        if outcome.value is None:
            report.fail(job.audio, outcome.message())
    report.add(progress)
