"""Plans encoding: which clips of an audio folder have current tokens, and which need encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from preprocess.audio.audio_files import EXTENSIONS, read_comment
from preprocess.codec.engine import arithmetic, engine_name, pick_device
from preprocess.codec.model_config import CodecConfig
from preprocess.codec.weights import find_weights, local_weights
from preprocess.core.file_version import FileVersion
from preprocess.core.files import digest_file, pair_outputs
from preprocess.core.jobs import cpu_count, run_items
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
from preprocess.steps.inputs import find_audio
from preprocess.steps.outputs import ForeignOutputError, may_write_tokens
from preprocess.tokens.ecdc import read_header
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import EcdcError


@dataclass(frozen=True, kw_only=True)
class EncodeConfig(Settings):
    """How audio becomes tokens."""

    bandwidth: Annotated[
        float,
        Field(
            gt=0,
            description="bandwidth in kbps; tokens at the highest can be loaded at any lower one",
        ),
    ] = 6.0
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(description="precision of the encoder; bfloat16 changes codes"),
    ] = "float32"
    allow_tf32: Annotated[bool, Field(description="allow TF32 on a GPU, which changes codes")] = (
        False
    )
    extensions: Annotated[
        tuple[str, ...], Field(min_length=1, description="file name extensions to look for")
    ] = EXTENSIONS
    on_engine_change: Annotated[
        Literal["keep", "redo", "error"],
        Field(
            description="tokens made by another torch version, device or processor may differ in "
            "near ties: keep and count them, make them again, or fail"
        ),
    ] = "keep"
    recursive: Annotated[bool, Field(description="search subfolders")] = True
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+$", description="suffix of the token files")
    ] = ".ecdc"
    overwrite: Overwrite = False
    verify: Annotated[
        bool,
        Field(description="check all headers and lengths, and compare a sample with new encodings"),
    ] = False
    verify_samples: Annotated[
        int, Field(ge=0, description="number of clips that --verify encodes again")
    ] = 20
    list_missing: Annotated[
        bool, Field(description="only print the audio files without current tokens")
    ] = False
    prune: Prune = False
    dry_run: DryRun = False


@dataclass(frozen=True)
class Job:
    """One clip to encode.

    Attributes:
        audio: The audio file.
        tokens: The token file.
        origin: The provenance that the token file will carry.
        version: The audio file's content when it was hashed; None to not check it again.
    """

    audio: Path
    tokens: Path
    origin: dict[str, str]
    version: FileVersion | None = None

    @property
    def current(self) -> bool:
        """Whether the token file is up to date, regardless of its engine."""
        return self.engine is not None

    @property
    def engine(self) -> str | None:
        """The engine of the token file, empty if unknown; None if the file is not current."""
        try:
            stored = read_header(self.tokens).extra if self.tokens.exists() else {}
        except EcdcError:
            return None
        compared = stored
        if "ckpt" not in self.origin:  # planned without the weights: accept any
            compared = {key: value for key, value in stored.items() if key != "ckpt"}
        return str(stored.get("eng", "")) if is_current(compared, self.origin) else None


@dataclass(frozen=True)
class Plan:
    """The clips of an audio folder, sorted by what encoding them needs.

    Attributes:
        jobs: The clips to encode or already current.
        foreign: Clips whose token file was not made by `encode`.
        stems: Paths without suffix of all audio in the folder, whether selected or not.
    """

    jobs: list[Job]
    foreign: list[Job]
    stems: set[str]

    def refuse_foreign(self, report: Report) -> None:
        """Record each foreign file as a failure."""
        for job in self.foreign:
            report.fail(job.audio, ForeignOutputError(job.tokens, "encode"))


def plan_jobs(
    source: Path, output: Path, codec_config: CodecConfig, config: EncodeConfig, report: Report
) -> Plan:
    """Return the plan of `encode`; clips that cannot be planned become failures of `report`.

    A run that writes nothing does not download weights: tokens made with any weights then count as
    current, and a note says so.

    Raises:
        UsageError: `source` is not a folder or has no audio; `output` is inside `source` or
            contains it; or the codec lacks the bandwidth.
        WeightsError: The weights are needed but cannot be found or downloaded.
    """
    spec = codec_spec(codec_config.codec)
    spec.n_codebooks(config.bandwidth)
    audio = find_audio(source, output, config.extensions, config.recursive)
    report.notes += audio.notes
    if config.dry_run or config.list_missing:
        weights = local_weights(spec, codec_config.weights)
        if weights is None:
            report.note("no weights on this machine: tokens made with any weights count as current")
    else:
        weights = find_weights(spec, codec_config.weights)
    made = made_by(digest_file(weights) if weights else None, codec_config, config)
    plan = Plan([], [], audio.stems)
    _add_jobs(plan, source, output, audio.files, config.suffix, made, report)
    return plan


def _add_jobs(
    plan: Plan,
    source: Path,
    output: Path,
    files: Sequence[Path],
    suffix: str,
    made: dict[str, str],
    report: Report,
) -> None:
    """Hash the audio `files` and add their jobs to the plan."""
    pairs, clashes = pair_outputs(files, suffix)
    for rel, message in clashes:
        report.fail(source / rel, message)
    outputs = dict(pairs)
    with Progress("encode", len(outputs), phase="compare", at_once=cpu_count()) as progress:
        for outcome in run_items(lambda rel: made_from(source / rel), [*outputs], cpu_count()):
            audio, tokens = source / outcome.item, output / outputs[outcome.item]
            progress.update(failed=outcome.value is None)
            if outcome.value is None:
                report.fail(audio, outcome.message())
                continue
            version, norm = outcome.value
            job = Job(audio, tokens, {**made, "src": version.digest, **norm}, version)
            (plan.jobs if may_write_tokens(tokens) else plan.foreign).append(job)


def made_from(audio: Path) -> tuple[FileVersion, dict[str, str]]:
    """Return an audio file's version and, if `normalize` made it, the hash of its settings."""
    version = FileVersion.of(audio)
    comment = read_comment(audio) if audio.suffix.lower() == ".wav" else ""
    stored = parse_provenance(comment)
    norm = {"norm": str(stored["rec"])} if is_ours(stored) else {}
    return version, norm


def made_by(
    checkpoint: str | None, codec_config: CodecConfig, config: EncodeConfig
) -> dict[str, str]:
    """Return the provenance that all token files of a run share; `made_from` adds the rest.

    Args:
        checkpoint: Hash of the weights; None if they are not known.
        codec_config: Names the codec and the device.
        config: Names bandwidth and arithmetic.
    """
    engine = engine_name(pick_device(codec_config.device), config.precision, config.allow_tf32)
    rec = tokens_digest(codec_config.codec, config)
    return provenance("", rec, checkpoint) | {"eng": engine}


def tokens_digest(codec: str, config: EncodeConfig) -> str:
    """Return the hash of the settings that affect tokens.

    It does not include the engine's versions or device: a change of engine keeps tokens unless the
    user asks otherwise. The key `engine` and its value stay compatible with earlier versions, so
    their tokens stay current.
    """
    engine = f"torch/{arithmetic(config.precision, config.allow_tf32)}"
    return settings_digest(
        step="encode", codec=codec, bandwidth_kbps=config.bandwidth, engine=engine
    )
