"""Settings of the audit's checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from preprocess.audit.findings import ERRORS, check_name
from preprocess.core.settings import CondRoot, Settings, ShardConfig, split_commas
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX

Check = Annotated[str, AfterValidator(check_name)]


@dataclass(frozen=True, kw_only=True)
class ChecksConfig(Settings):
    """The checks that a clip must pass to enter a dataset; shared by audit and build."""

    verify_ranges: Annotated[
        bool, Field(description="check that values are within their parameters' ranges")
    ] = True
    range_tol: Annotated[
        float,
        Field(ge=0, description="how far a value may be outside its range, as a fraction of it"),
    ] = 1e-3
    fail_on: Annotated[
        tuple[Check, ...] | None,
        BeforeValidator(split_commas),
        Field(
            description="checks that count as errors, all others being warnings; default: the "
            "errors in docs/audit.md"
        ),
    ] = None

    def fails(self, check: str) -> bool:
        """Whether a finding of `check` is an error."""
        return check in (ERRORS if self.fail_on is None else self.fail_on)


@dataclass(frozen=True, kw_only=True)
class AuditConfig(ShardConfig, ChecksConfig):
    """Settings of an audit."""

    expect_fps: Annotated[
        float | None, Field(gt=0, description="expected frame rate; default: the codec's")
    ] = None
    expect_dtype: Annotated[
        Literal["float16", "float32", "float64"] | None,
        Field(description="expected dtype of the sidecars' arrays; default: any"),
    ] = None
    require: Annotated[
        tuple[str, ...],
        BeforeValidator(split_commas),
        Field(description="parameters that every clip must have"),
    ] = ()
    length_factor: Annotated[
        float,
        Field(
            gt=1,
            description="report clips this many times shorter or longer than the median clip",
        ),
    ] = 10.0
    constant: Annotated[
        tuple[str, ...],
        BeforeValidator(split_commas),
        Field(description="parameters that may be constant within a clip, or across all clips"),
    ] = ()
    min_length_s: Annotated[
        float | None,
        Field(ge=0, description="report shorter clips, instead of using --length-factor"),
    ] = None
    max_length_s: Annotated[
        float | None,
        Field(gt=0, description="report longer clips, instead of using --length-factor"),
    ] = None
    parameters: Annotated[
        tuple[str, ...],
        BeforeValidator(split_commas),
        Field(
            description="parameters that the dataset will include; default: all, which every "
            "clip must have"
        ),
    ] = ()
    bandwidth: Annotated[
        float | None,
        Field(
            gt=0,
            description="bandwidth in kbps that the dataset will be sliced to; default: the "
            "clips' own, which must be the same for all",
        ),
    ] = None
    split_name: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="one split for all clips, instead of the subfolders"),
    ] = None
    missing_sidecar: Annotated[
        Literal["error", "skip", "empty"],
        Field(description="report clips without a sidecar as errors, or accept them"),
    ] = "error"
    cond_root: CondRoot = None
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+\.npy$", description="suffix of the sidecars' arrays")
    ] = ARRAY_SUFFIX
    against_audio: Annotated[
        Path | None,
        Field(
            description="compare levels, gates and onsets with the normalized audio in this folder"
        ),
    ] = None
