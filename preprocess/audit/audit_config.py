"""What an audit holds clips to."""

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
    """What a clip must pass to come into a dataset; audit and build share it."""

    verify_ranges: Annotated[
        bool, Field(description="check that values lie within their parameters' ranges")
    ] = True
    range_tol: Annotated[
        float,
        Field(ge=0, description="how far a value may lie outside of its range, of the range"),
    ] = 1e-3
    fail_on: Annotated[
        tuple[Check, ...] | None,
        BeforeValidator(split_commas),
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
        BeforeValidator(split_commas),
        Field(description="parameters that every clip must have"),
    ] = ()
    length_factor: Annotated[
        float,
        Field(gt=1, description="how many times shorter or longer than the median clip is odd"),
    ] = 10.0
    constant: Annotated[
        tuple[str, ...],
        BeforeValidator(split_commas),
        Field(
            description="parameters that may be the same in all frames of a clip, or of all clips"
        ),
    ] = ()
    min_length_s: Annotated[
        float | None,
        Field(ge=0, description="the shortest clip that is meant, instead of --length-factor"),
    ] = None
    max_length_s: Annotated[
        float | None,
        Field(gt=0, description="the longest clip that is meant, instead of --length-factor"),
    ] = None
    parameters: Annotated[
        tuple[str, ...],
        BeforeValidator(split_commas),
        Field(
            description="parameters that the dataset will take; without it, all, which all clips have"
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
    split_name: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="one split for all clips, instead of the subfolders'"),
    ] = None
    missing_sidecar: Annotated[
        Literal["error", "skip", "empty"],
        Field(description="a clip without a sidecar is an error, or is passed over"),
    ] = "error"
    cond_root: CondRoot = None
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
