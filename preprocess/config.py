"""The settings of every step, as frozen dataclasses.

A field, the command's flag and the recipe's key are one name: `target_rms`, `--target-rms`,
`target_rms:`. Type, bounds, default and help stand here once; `preprocess.core.flags` makes the flags
from them and checks what a user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from preprocess.audio.audio_files import EXTENSIONS
from preprocess.audit.findings import ERRORS, check_name
from preprocess.core.errors import UsageError
from preprocess.core.files import in_shard
from preprocess.core.jobs import cpu_count
from preprocess.params import Producer, parse_producer
from preprocess.sidecar.precision import MAX_ERROR, Dtype
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX


def _split_commas(value: Any) -> Any:
    """Return `a,b c` as `a`, `b`, `c`: names may be separated either way."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return tuple(name for word in value for name in word.split(",") if name)
    return value


Check = Annotated[str, AfterValidator(check_name)]
Jobs = Annotated[int, Field(ge=1, description="threads that work on files at once")]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all settings share: a key that is not a field is an error."""

    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Settings):
    """Which weights run, and where."""

    weights: Annotated[
        str | None,
        Field(
            description="a local .th or .safetensors file, or a Hub repository such as "
            "facebook/encodec_24khz; without it, the published checkpoint, downloaded once"
        ),
    ] = None
    device: Annotated[str, Field(description="torch device: auto, cpu, cuda, cuda:1, ...")] = "auto"


@dataclass(frozen=True, kw_only=True)
class CodecConfig(ModelConfig):
    """Which codec makes the tokens."""

    codec: Annotated[str, Field(description="codec, by its name in .ecdc headers")] = (
        "encodec_24khz"
    )


@dataclass(frozen=True, kw_only=True)
class NormalizeConfig(Settings):
    """How audio is brought to the codec's rate and to one level."""

    target_rms: Annotated[
        float, Field(gt=0, lt=1, description="level of the loudest window, linear")
    ] = 0.1
    window_ms: Annotated[
        float, Field(ge=1, le=60_000, description="length of the sliding window in milliseconds")
    ] = 250
    on_clip: Annotated[
        Literal["scale", "limit", "cut"],
        Field(
            description="a clip whose peaks would pass full scale is reported, and scaled down "
            "as a whole, limited by a soft knee, or cut at full scale"
        ),
    ] = "scale"
    extensions: Annotated[
        tuple[str, ...], Field(min_length=1, description="file name extensions to look for")
    ] = EXTENSIONS
    overwrite: Annotated[bool, Field(description="make outputs again that are up to date")] = False
    prune: Annotated[
        bool,
        Field(description="delete outputs whose source is gone; with --dry-run, name them"),
    ] = False
    dry_run: Annotated[bool, Field(description="say what would be done, and do nothing")] = False


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
    overwrite: Annotated[bool, Field(description="make outputs again that are up to date")] = False
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
    prune: Annotated[
        bool,
        Field(description="delete outputs whose source is gone; with --dry-run, name them"),
    ] = False
    dry_run: Annotated[bool, Field(description="say what would be done, and do nothing")] = False


@dataclass(frozen=True, kw_only=True)
class ArrayConfig(Settings):
    """How exactly sidecars hold values."""

    dtype: Annotated[
        Dtype,
        Field(
            description="of the sidecars' arrays; auto is float16 where every value survives, "
            "else float32, which refuses what it would damage"
        ),
    ] = "auto"
    max_error: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="how far a stored value may be from the one that was given, in parts of "
            "its declared or measured range; whole numbers are stored exactly",
        ),
    ] = MAX_ERROR


@dataclass(frozen=True, kw_only=True)
class AnnotateConfig(ArrayConfig):
    """How sidecars are written."""

    audio_root: Annotated[
        Path | None,
        Field(description="the normalized audio, mirroring the tokens; for audio features"),
    ] = None
    mode: Annotated[
        Literal["append", "overwrite", "replace-all"],
        Field(
            description="append: every parameter that is there stays as it is, and new ones are "
            "added; overwrite: those that this run makes are replaced, all others stay; "
            "replace-all: those of this run are the only ones afterwards, what was written by hand "
            "goes as well. A recipe that runs again also drops what it made before and no longer "
            "names"
        ),
    ] = "overwrite"
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens, if not beside them"),
    ] = None
    prune: Annotated[
        bool,
        Field(description="delete outputs whose source is gone; with --dry-run, name them"),
    ] = False
    dry_run: Annotated[bool, Field(description="say what would be done, and do nothing")] = False


@dataclass(frozen=True, kw_only=True)
class ShardConfig(Settings):
    """Which part of the clips is worked on."""

    shard_index: Annotated[
        int | None, Field(ge=0, description="take this shard of the clips alone, from 0")
    ] = None
    shard_count: Annotated[int | None, Field(ge=1, description="how many shards there are")] = None

    def has(self, rel: Path) -> bool:
        """Whether a file is of the shard; all are where there are no shards.

        Raises:
            UsageError: The shard is none of `shard_count`.
        """
        index, count = self.shard_index, self.shard_count
        if index is None and count is None:
            return True
        if index is None or count is None or index >= count:
            raise UsageError(f"shard_index {index} must be one of {count} (shard_count), from 0")
        return in_shard(rel, index, count)


@dataclass(frozen=True, kw_only=True)
class ChecksConfig(Settings):
    """What a clip must pass to come into a dataset; audit and build share it."""

    verify_ranges: Annotated[
        bool, Field(description="check that values lie within their features' ranges")
    ] = True
    range_tol: Annotated[
        float,
        Field(ge=0, description="how far a value may lie outside of its range, of the range"),
    ] = 1e-3
    fail_on: Annotated[
        tuple[Check, ...] | None,
        BeforeValidator(_split_commas),
        Field(
            description="checks that fail it, the audit's others being notes; without it, all "
            "but the warnings in docs/audit.md (duplicate, constant, length_outlier, ...)"
        ),
    ] = None

    def fails(self, check: str) -> bool:
        """Whether what `check` finds is an error."""
        return check in (ERRORS if self.fail_on is None else self.fail_on)


@dataclass(frozen=True, kw_only=True)
class AuditConfig(ShardConfig, ChecksConfig):
    """What an audit holds sidecars to."""

    expect_fps: Annotated[
        float | None, Field(gt=0, description="frame rate; without it, the codec's own")
    ] = None
    expect_dtype: Annotated[
        Literal["float16", "float32", "float64"] | None, Field(description="dtype of the arrays")
    ] = None
    require: Annotated[
        tuple[str, ...],
        BeforeValidator(_split_commas),
        Field(description="features that every clip must have"),
    ] = ()
    length_factor: Annotated[
        float,
        Field(gt=1, description="how many times shorter or longer than the median clip is odd"),
    ] = 10.0
    constant: Annotated[
        tuple[str, ...],
        BeforeValidator(_split_commas),
        Field(description="features that may be the same in all frames of a clip, or of all clips"),
    ] = ()
    min_length_s: Annotated[
        float | None,
        Field(ge=0, description="the shortest clip that is meant, instead of --length-factor"),
    ] = None
    max_length_s: Annotated[
        float | None,
        Field(gt=0, description="the longest clip that is meant, instead of --length-factor"),
    ] = None
    features: Annotated[
        tuple[str, ...],
        BeforeValidator(_split_commas),
        Field(
            description="features that the dataset will take; without it, all, which all clips have"
        ),
    ] = ()
    bandwidth: Annotated[
        float | None,
        Field(
            gt=0,
            description="bandwidth in kbps that the dataset will be sliced to; without it, "
            "all clips are of one",
        ),
    ] = None
    split: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="one split for all clips, instead of the subfolders'"),
    ] = None
    missing_sidecar: Annotated[
        Literal["error", "skip", "empty"],
        Field(description="a clip without a sidecar is an error, or is passed over"),
    ] = "error"
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens, if not beside them"),
    ] = None
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+\.npy$", description="ending of the sidecars' arrays")
    ] = ARRAY_SUFFIX
    against_audio: Annotated[
        Path | None,
        Field(
            description="folder with the normalized audio, with whose level and attacks those that "
            "the parameters say are compared"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class StatsConfig(ShardConfig):
    """Which clips are measured together."""

    split: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="one split for all clips, instead of the subfolders'"),
    ] = None
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens, if not beside them"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class MigrateConfig(Settings):
    """How an old tree is rewritten."""

    write: Annotated[bool, Field(description="do it; without this, say what would be done")] = False
    keep_originals: Annotated[
        bool, Field(description="keep what is rewritten, with .orig behind its name")
    ] = True
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens; they move beside those"),
    ] = None
    take_codec_fps: Annotated[
        bool,
        Field(description="replace a sidecar's frame rate that is not the codec's; else an error"),
    ] = False
    rename: Annotated[
        tuple[Annotated[str, Field(pattern=r"^.+=[A-Za-z_]\w*$")], ...],
        Field(description="features to rename, as OLD=NEW"),
    ] = ()

    def renamed(self, name: str) -> str:
        """Return the new name of a feature."""
        pairs = (pair.rpartition("=") for pair in self.rename)
        return next((new for old, _, new in pairs if old == name), name)


@dataclass(frozen=True, kw_only=True)
class ClipsConfig(Settings):
    """Which clips and parameters come into a dataset, and in which splits."""

    bandwidth: Annotated[
        float | None,
        Field(gt=0, description="bandwidth in kbps to slice to; without it, all codebooks"),
    ] = None
    features: Annotated[
        tuple[str, ...],
        Field(description="parameters to take, in this order; without it, all"),
    ] = ()
    split: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="name of the one split; without it, see --split-by"),
    ] = None
    split_by: Annotated[
        Literal["folders", "group"],
        Field(
            description="folders: the subfolders train, validation and test, or all clips in "
            "train; group: clips of one group fall in one split, dealt out by --fractions"
        ),
    ] = "folders"
    fractions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\w+=\d*\.?\d+$")], ...],
        Field(
            description="for --split-by group: SPLIT=PART, which sum to 1; without it, "
            "train=0.8 validation=0.1 test=0.1"
        ),
    ] = ()
    group: Annotated[
        str | None,
        Field(
            description="regular expression searched for in a clip's path; what its first "
            "parenthesis matches is the clip's group; without it, each clip is its own"
        ),
    ] = None
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+$", description="ending of the token files")
    ] = ".ecdc"
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens, if not beside them"),
    ] = None
    recursive: Annotated[bool, Field(description="look into subfolders")] = True
    max_files: Annotated[
        int | None, Field(ge=1, description="use at most this many token files")
    ] = None
    allow_mixed: Annotated[
        bool,
        Field(
            description="take clips that other settings or code made than their neighbours; the "
            "dataset and its card say so"
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class BuildConfig(ClipsConfig):
    """How token files and sidecars become a saved dataset."""

    require_features: Annotated[
        tuple[str, ...], Field(description="parameters that every clip must have")
    ] = ()
    missing_sidecar: Annotated[
        Literal["error", "skip", "empty"],
        Field(
            description="a clip without a sidecar, where others have one, is an error, is left "
            "out, or has parameters of no frames"
        ),
    ] = "error"
    dtype: Annotated[
        Literal["float16", "float32", "float64"], Field(description="of the parameters")
    ] = "float32"
    tokens_subdir: Annotated[
        str,
        Field(
            pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$",
            description="subfolder for token files and sidecars",
        ),
    ] = "tokens"
    materialize: Annotated[
        Literal["link", "copy", "none"],
        Field(description="link, copy or leave out the token files and sidecars"),
    ] = "link"
    num_proc: Annotated[int, Field(ge=1, description="processes that make rows at once")] = 1
    verify: Annotated[
        bool, Field(description="load the saved dataset again and compare it with the files")
    ] = False


EXPORT_TARGETS = ("rnencodec",)
"""Whose trainers `preprocess export` writes for."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig(ClipsConfig):
    """What the trainers of another project get to read."""

    codebooks: Annotated[
        int | None,
        Field(ge=1, description="codebooks to slice to, instead of --bandwidth; without it, all"),
    ] = None
    missing_sidecar: Annotated[
        Literal["error", "skip"],
        Field(
            description="a clip without a sidecar, where others have one, is an error, or left out"
        ),
    ] = "error"
    nan: Annotated[
        float | None,
        Field(
            allow_inf_nan=False,
            description="number in place of NaN, which the trainers do not know; without it, NaN "
            "is an error",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class PushConfig(Settings):
    """How a saved dataset is published on the Hub."""

    config: Annotated[
        tuple[str, ...],
        Field(
            description="subsets to make: a config of the builder such as encodec_24khz_6kbps "
            "slices the tokens to its bandwidth, another name takes them as they are; without it, "
            "one that is named by codec and bandwidth"
        ),
    ] = ()
    private: Annotated[bool, Field(description="make a repository that only you see")] = False
    revision: Annotated[str | None, Field(description="branch to push to; without it, main")] = None
    license: Annotated[
        str | None, Field(description="licence of the sounds as the Hub names it, such as cc0-1.0")
    ] = None
    source: Annotated[str | None, Field(description="where the sounds come from, for the card")] = (
        None
    )
    dry_run: Annotated[bool, Field(description="say what would be pushed, without a network")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class Recipe(CodecConfig, ArrayConfig):
    """The whole path in one file: from a folder of audio to a saved dataset."""

    input: Annotated[Path, Field(description="folder with audio")]
    output: Annotated[
        Path, Field(description="folder for the results: normalized, ecdc and dataset")
    ]
    jobs: Jobs = field(default_factory=cpu_count)
    prune: Annotated[
        bool, Field(description="delete outputs of all steps whose source is gone")
    ] = False
    normalize: NormalizeConfig = NormalizeConfig()
    encode: EncodeConfig = EncodeConfig()
    annotate: tuple[Annotated[Producer, BeforeValidator(parse_producer)], ...] = ()
    audit: AuditConfig = AuditConfig()
    build: BuildConfig = BuildConfig()
