"""Step 1: converts audio to WAV at the codec's rate and channels, with all clips at one level."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from preprocess.audio.audio_files import (
    EXTENSIONS,
    AudioError,
    Block,
    read_blocks,
    read_comment,
    write_audio,
)
from preprocess.audio.peak_rms import PeakRms
from preprocess.core.errors import disk_errors
from preprocess.core.file_version import FileVersion
from preprocess.core.files import pair_outputs
from preprocess.core.jobs import run_items
from preprocess.core.progress import Progress
from preprocess.core.provenance import (
    is_current,
    is_ours,
    parse_provenance,
    provenance,
    settings_digest,
)
from preprocess.core.report import Report
from preprocess.core.settings import DryRun, Overwrite, Prune, Settings
from preprocess.core.temporaries import remove_stale
from preprocess.steps.inputs import find_audio
from preprocess.steps.outputs import ForeignOutputError, find_leftovers, report_leftovers
from preprocess.tokens.specs import CodecSpec, codec_spec

SUFFIX = ".wav"
SILENCE_RMS = 2**-15
"""One 16-bit step: anything quieter is only dither."""
CEILING = 0.999
"""The highest peak of a clip that was scaled or limited, linear."""
KNEE = 0.8
"""Amplitude at which the limiter begins to act, linear."""
SPOOL_BYTES = 32 << 20
_FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class NormalizeConfig(Settings):
    """How audio is converted to the codec's rate and to one level."""

    target_rms: Annotated[
        float, Field(gt=0, lt=1, description="level of the loudest window, linear")
    ] = 0.1
    window_ms: Annotated[
        float, Field(ge=1, le=60_000, description="length of the sliding window in milliseconds")
    ] = 250
    on_clip: Annotated[
        Literal["scale", "limit", "cut"],
        Field(
            description="if a clip's peaks would exceed full scale: scale it down, limit it with a "
            "soft knee, or cut it at full scale; in any case report it"
        ),
    ] = "scale"
    extensions: Annotated[
        tuple[str, ...], Field(min_length=1, description="file name extensions to look for")
    ] = EXTENSIONS
    overwrite: Overwrite = False
    prune: Prune = False
    dry_run: DryRun = False


@dataclass(frozen=True)
class Normalized:
    """The result for one file.

    Attributes:
        duration_s: Length of the clip in seconds; 0 if it was current.
        current: Whether the output was up to date and left unchanged.
        note: A text to report, such as a peak that would have clipped; else empty.
    """

    duration_s: float = 0.0
    current: bool = False
    note: str = ""


def normalize(source: Path, output: Path, codec: str, config: NormalizeConfig, jobs: int) -> Report:
    """Normalize all audio under `source` into the mirrored tree `output`.

    Raises:
        UsageError: `source` is not a folder or has no audio, or `output` is inside `source` or
            contains it.
        PreprocessError: A subfolder of `source` cannot be read.
    """
    report = Report("normalize", output=str(output))
    spec = codec_spec(codec)
    audio = find_audio(source, output, config.extensions)
    report.notes += audio.notes
    pairs, clashes = pair_outputs(audio.files, SUFFIX)
    for rel, message in clashes:
        report.fail(source / rel, message)

    if not config.dry_run:
        remove_stale(output)

    def step(pair: tuple[Path, Path]) -> Normalized:
        return normalize_file(source / pair[0], output / pair[1], spec, config)

    with Progress("normalize", len(pairs), at_once=jobs) as progress:
        for outcome in run_items(step, pairs, jobs):
            result = outcome.value
            if result is None:
                report.fail(source / outcome.item[0], outcome.message())
                progress.update(failed=True)
                continue
            progress.update(audio_s=result.duration_s, current=result.current)
            report.note(result.note and f"{source / outcome.item[0]}: {result.note}")
    report.add(progress)
    failed = report.failed
    current = (target for rel, target in pairs if str(source / rel) not in failed)
    leftovers = find_leftovers(output, SUFFIX, current, audio.stems, owns_wav)
    report_leftovers(report, leftovers, config.prune, config.dry_run)
    report.detail = "dry run: nothing written" if config.dry_run else ""
    return report.finish()


def normalize_file(
    source: Path, target: Path, spec: CodecSpec, config: NormalizeConfig
) -> Normalized:
    """Convert one file to the codec's rate and channels and to `config.target_rms`.

    The gain depends on the loudest window of the resampled clip. The resampled blocks are kept in
    memory, or beyond 32 MiB on disk next to the target, to resample only once.

    Raises:
        AudioError: The file cannot be read, is silent, or is shorter than one sample.
        FileChangedError: The file changed while it was read.
        ForeignOutputError: `target` exists and was not made by this step.
    """
    version = FileVersion.of(source)
    origin = provenance(version.digest, normalize_digest(spec, config))
    if not config.overwrite and is_current(_stored(target), origin):
        return Normalized(current=True)
    if target.exists() and target.stat().st_size and not owns_wav(target):
        raise ForeignOutputError(target, "normalize")
    folder = None if config.dry_run else _made(target)
    # On Linux the temporary file has no name, so it vanishes with its process.
    with disk_errors(target), tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=folder) as spool:
        samples, rms, peak = _measure(source, spec, config.window_ms, spool)
        version.require(source)
        gain, note = _gain(rms, peak, config)
        duration_s = samples / spec.sample_rate
        if not config.dry_run:
            spool.seek(0)
            limit = config.on_clip == "limit" and gain * peak > 1.0
            blocks = _levelled(spool, spec.channels, gain, limit)
            comment = json.dumps(origin)
            write_audio(target, blocks, samples, spec.sample_rate, spec.channels, comment)
    return Normalized(duration_s, note=note)


def normalize_digest(spec: CodecSpec, config: NormalizeConfig) -> str:
    """Return the hash of the settings that affect normalized audio."""
    return settings_digest(
        step="normalize",
        sample_rate=spec.sample_rate,
        channels=spec.channels,
        target_rms=config.target_rms,
        window_ms=config.window_ms,
        on_clip=config.on_clip,
    )


def owns_wav(path: Path) -> bool:
    """Whether a WAV file is ours, even if it is truncated."""
    return is_ours(parse_provenance(read_comment(path, even_truncated=True)))


def _stored(target: Path) -> dict[str, Any]:
    return parse_provenance(read_comment(target)) if target.exists() else {}


def _made(target: Path) -> str:
    """Create the folder of an output and return its path."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    return str(target.parent)


def _measure(
    source: Path, spec: CodecSpec, window_ms: float, spool: IO[bytes]
) -> tuple[int, float, float]:
    """Write the resampled clip to `spool`; return its length in samples, peak RMS and peak."""
    meter = PeakRms(int(spec.sample_rate * window_ms / 1000))
    samples, peak = 0, 0.0
    for block in read_blocks(source, spec.sample_rate, spec.channels):
        meter.add(block)
        peak = max(peak, float(np.abs(block).max()))
        spool.write(block.tobytes())
        samples += len(block)
    if not samples:
        raise AudioError(f"{source} is too short for one sample at {spec.sample_rate} Hz")
    if meter.value < SILENCE_RMS:
        raise AudioError(f"{source} is silent: its loudest window has an RMS of {meter.value:.1e}")
    return samples, meter.value, peak


def _gain(rms: float, peak: float, config: NormalizeConfig) -> tuple[float, str]:
    """Return the linear gain, and a note, empty if nothing needs reporting."""
    gain = config.target_rms / rms
    if gain * peak <= 1.0:
        return gain, ""
    over_db = 20 * np.log10(gain * peak)
    note = f"its peak would exceed full scale by {over_db:.1f} dB: "
    if config.on_clip == "scale":
        level = CEILING / peak * rms
        return CEILING / peak, note + f"scaled to an RMS of {level:.3f} instead"
    return gain, note + ("limited" if config.on_clip == "limit" else "cut at full scale")


def _levelled(spool: IO[bytes], channels: int, gain: float, limit: bool) -> Iterator[Block]:
    while data := spool.read((1 << 16) * _FLOAT_BYTES * channels):
        block = np.frombuffer(data, np.float32).reshape(-1, channels) * np.float32(gain)
        if limit:
            block = _limit(block)
        yield np.clip(block, -1.0, 1.0)


def _limit(block: Block) -> Block:
    """Compress amplitudes above the knee towards the ceiling; leave the rest unchanged."""
    room = CEILING - KNEE
    bent = KNEE + room * np.tanh((np.abs(block) - KNEE) / room)
    return np.where(np.abs(block) > KNEE, np.copysign(bent, block), block).astype(np.float32)
