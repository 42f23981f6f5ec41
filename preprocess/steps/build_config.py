"""How token files and sidecars become a saved dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from preprocess.core.errors import UsageError
from preprocess.core.settings import CondRoot, Settings
from preprocess.dataset.options import RowOptions


@dataclass(frozen=True, kw_only=True)
class ClipsConfig(Settings):
    """Which clips and parameters come into a dataset, and in which splits."""

    bandwidth: Annotated[
        float | None,
        Field(gt=0, description="bandwidth in kbps to slice to; without it, all codebooks"),
    ] = None
    parameters: Annotated[
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
    cond_root: CondRoot = None
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

    require_parameters: Annotated[
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


def row_options(config: ClipsConfig) -> RowOptions:
    """Return the options of the builder that the settings of a build stand for.

    Raises:
        UsageError: A split is named twice.
    """
    parts = [entry.split("=") for entry in config.fractions]
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"fractions: a split is named twice: {', '.join(names)}")
    options = RowOptions(
        bandwidth_kbps=config.bandwidth,
        parameters=config.parameters,
        split_name=config.split,
        split_by=config.split_by,
        fractions={name: float(part) for name, part in parts} or None,
        group=config.group,
        suffix=config.suffix,
        recursive=config.recursive,
        max_files=config.max_files,
        cond_root=None if config.cond_root is None else str(config.cond_root.resolve()),
    )
    if isinstance(config, BuildConfig):
        options.require_parameters = config.require_parameters
        options.missing_sidecar = config.missing_sidecar
        options.dtype = config.dtype
        options.audio_prefix = "" if config.materialize == "none" else config.tokens_subdir
    return options
