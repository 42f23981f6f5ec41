"""The clips that a folder of audio asks for: those with current tokens, and those to be encoded."""

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
from preprocess.core.files import digest_file, pair_outputs
from preprocess.core.jobs import cpu_count, run_items
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
        Field(gt=0, description="bandwidth in kbps; tokens of the highest load at every lower one"),
    ] = 6.0
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(description="arithmetic of the encoder; other than float32, codes change"),
    ] = "float32"
    allow_tf32: Annotated[
        bool, Field(description="let a GPU round the products of float32; codes change")
    ] = False
    extensions: Annotated[
        tuple[str, ...], Field(min_length=1, description="file name extensions to look for")
    ] = EXTENSIONS
    on_engine_change: Annotated[
        Literal["keep", "redo", "error"],
        Field(
            description="tokens that another version of torch, device or processor made, whose "
            "codes may differ in near ties, are kept and counted, made again, or an error"
        ),
    ] = "keep"
    recursive: Annotated[bool, Field(description="look into subfolders")] = True
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+$", description="ending of the token files")
    ] = ".ecdc"
    overwrite: Overwrite = False
    verify: Annotated[
        bool,
        Field(description="check all headers and lengths, and encode a sample again to compare"),
    ] = False
    verify_samples: Annotated[
        int, Field(ge=0, description="how many clips --verify encodes again")
    ] = 20
    list_missing: Annotated[
        bool, Field(description="print the audio files without current tokens, and do nothing")
    ] = False
    prune: Prune = False
    dry_run: DryRun = False


@dataclass(frozen=True)
class Job:
    """One clip to encode: its audio, its token file, and the provenance that it will carry."""

    audio: Path
    tokens: Path
    origin: dict[str, str]

    @property
    def current(self) -> bool:
        """Whether the token file is already what this job would write, on whatever engine."""
        return self.engine is not None

    @property
    def engine(self) -> str | None:
        """What computed the token file, if it is current; empty if it does not say."""
        try:
            stored = read_header(self.tokens).extra if self.tokens.exists() else {}
        except EcdcError:
            return None
        compared = stored
        if "ckpt" not in self.origin:  # planned without the weights: any count as the same
            compared = {key: value for key, value in stored.items() if key != "ckpt"}
        return str(stored.get("eng", "")) if is_current(compared, self.origin) else None


@dataclass(frozen=True)
class Plan:
    """What a folder of audio asks for.

    Attributes:
        jobs: The clips, current or not.
        foreign: Clips at whose place stands a token file that we have not made.
        stems: The paths, without suffix, of all audio in the folder, chosen or not.
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
    """Return what `encode` has to do; what cannot be planned becomes a failure of `report`.

    Where `config` writes nothing, weights that are not on this machine are not downloaded:
    tokens of whatever weights then count as current, which a note says.

    Raises:
        UsageError: `source` is no folder or holds no audio, or the codec lacks the bandwidth.
        WeightsError: The weights are needed and cannot be had.
    """
    spec = codec_spec(codec_config.codec)
    spec.n_codebooks(config.bandwidth)
    audio = find_audio(source, output, config.extensions, config.recursive)
    report.notes += audio.notes
    if config.dry_run or config.list_missing:
        weights = local_weights(spec, codec_config.weights)
        if weights is None:
            report.note("the weights are not on this machine: tokens of any weights count as made")
    else:
        weights = find_weights(spec, codec_config.weights)
    device = pick_device(codec_config.device)
    engine = engine_name(device, config.precision, config.allow_tf32)
    rec = tokens_digest(spec.name, config)
    made = provenance("", rec, digest_file(weights) if weights else None) | {"eng": engine}
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
    """Hash the audio `files`, and sort them into the plan."""
    pairs, clashes = pair_outputs(files, suffix)
    for rel, message in clashes:
        report.fail(source / rel, message)
    outputs = dict(pairs)
    for outcome in run_items(
        lambda rel: _made_from(source / rel), [*outputs], cpu_count(), "compare"
    ):
        audio, tokens = source / outcome.item, output / outputs[outcome.item]
        if outcome.value is None:
            report.fail(audio, outcome.message())
            continue
        job = Job(audio, tokens, {**made, **outcome.value})
        (plan.jobs if may_write_tokens(tokens) else plan.foreign).append(job)


def _made_from(audio: Path) -> dict[str, str]:
    """Return the hash of an audio file, and that of the settings which normalized it, if any."""
    comment = read_comment(audio) if audio.suffix.lower() == ".wav" else ""
    stored = parse_provenance(comment)
    norm = {"norm": str(stored["rec"])} if is_ours(stored) else {}
    return {"src": digest_file(audio), **norm}


def tokens_digest(codec: str, config: EncodeConfig) -> str:
    """Return the hash of the settings that shape tokens.

    The engine is not in it: tokens of another one are not of other settings, and are kept unless
    asked otherwise. The key and its value are those of earlier versions, whose tokens so stay.
    """
    engine = f"torch/{arithmetic(config.precision, config.allow_tf32)}"
    return settings_digest(
        step="encode", codec=codec, bandwidth_kbps=config.bandwidth, engine=engine
    )
