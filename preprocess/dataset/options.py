"""How a folder of tokens becomes a dataset: the options of the builder and the build step."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from preprocess.core.errors import UsageError
from preprocess.core.settings import CondRoot, Settings, split_commas
from preprocess.sidecar.sidecar_format import TOKEN_SUFFIX

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Default fractions for `split_by="group"`."""


def _parts(value: Any) -> Any:
    """Return `train=0.8 test=0.2` as a mapping from split to fraction."""
    if not isinstance(value, list | tuple):
        return value
    parts = [str(entry).partition("=")[::2] for entry in value]
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"fractions: a split appears twice: {', '.join(names)}")
    return dict(parts) or None


Names = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
RequireParameters = Annotated[Names, Field(description="parameters that every clip must have")]
MissingSidecar = Annotated[
    Literal["error", "skip", "empty"],
    Field(
        description="if only some clips have a sidecar: fail, skip the clips without one, or "
        "give them parameters of zero frames"
    ),
]


@dataclass(frozen=True, kw_only=True)
class ClipOptions(Settings):
    """Selects the clips and parameters of a dataset, and assigns clips to splits."""

    codec: Annotated[
        str | None, Field(description="codec that the tokens must have; default: any one codec")
    ] = None
    bandwidth: Annotated[
        float | None,
        Field(gt=0, description="bandwidth in kbps to slice to; default: all codebooks"),
    ] = None
    parameters: Annotated[
        Names, Field(description="parameters to include, in this order; default: all")
    ] = ()
    split_name: Annotated[
        str | None,
        Field(pattern=r"^\w+$", description="put all clips in this split; default: see --split-by"),
    ] = None
    split_by: Annotated[
        Literal["folders", "group"],
        Field(
            description="folders: use the subfolders train, validation and test, or put all clips "
            "in train; group: keep each group in one split, in the proportions of --fractions"
        ),
    ] = "folders"
    fractions: Annotated[
        Mapping[str, float] | None,
        BeforeValidator(_parts),
        Field(
            description="for --split-by group: SPLIT=FRACTION, which sum to 1; default: "
            "train=0.8 validation=0.1 test=0.1"
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(
            description="regular expression to search for in a clip's path; its first "
            "parenthesis captures the clip's group; default: each clip is its own group"
        ),
    ] = None
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+$", description="suffix of the token files")
    ] = TOKEN_SUFFIX
    cond_root: CondRoot = None
    recursive: Annotated[bool, Field(description="search subfolders")] = True
    max_files: Annotated[
        int | None, Field(ge=1, description="use at most this many token files")
    ] = None

    def sidecar_root(self, root: Path) -> Path:
        """Return the sidecar folder for tokens under `root`."""
        return root if self.cond_root is None else resolved(self.cond_root)


@dataclass(frozen=True, kw_only=True)
class RowOptions(ClipOptions):
    """The contents of a dataset's rows: the options of the builder."""

    require_parameters: RequireParameters = ()
    missing_sidecar: MissingSidecar = "error"
    dtype: Annotated[
        Literal["float16", "float32", "float64"], Field(description="dtype of the parameters")
    ] = "float32"
    audio_prefix: Annotated[
        str, Field(description="folder to prepend to the paths in the column audio")
    ] = ""


def row_options(settings: ClipOptions, **changes: Any) -> RowOptions:
    """Return the builder options among `settings`, with `changes` applied."""
    names = {field.name for field in dataclasses.fields(RowOptions)} - changes.keys()
    given = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    return RowOptions(**given, **changes)


def mutable_fields(options: type) -> type:
    """Return a mutable dataclass with the fields of `options`.

    `datasets` sets attributes of a builder's config, and a dataclass cannot inherit frozen fields.
    """
    fields = [
        (f.name, f.type, dataclasses.field(default=f.default)) for f in dataclasses.fields(options)
    ]
    return dataclasses.make_dataclass(f"Mutable{options.__name__}", fields)


def check_options(options: RowOptions) -> None:
    """Check the options without reading a folder.

    Raises:
        UsageError: An option has an invalid value, or two options conflict.
    """
    for names in (options.parameters, options.require_parameters):
        if len(set(names)) < len(names):
            raise UsageError(f"a parameter appears twice: {', '.join(names)}")
    if options.split_by != "group" and (options.group or options.fractions):
        raise UsageError("fractions and group require split_by='group'")
    if options.split_by == "group" and options.split_name:
        raise UsageError("split_by='group' cannot be combined with split_name")
    fractions = options.fractions or FRACTIONS
    for name, part in fractions.items():
        if not re.fullmatch(r"\w+(\.\w+)*", name) or not 0 <= part <= 1:
            raise UsageError(f"fractions: {name}={part} must be a split name and 0 to 1")
    if not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        raise UsageError(f"fractions must sum to 1, got {sum(fractions.values()):g}")
    group_pattern(options.group)


def group_pattern(group: str | None) -> re.Pattern[str] | None:
    """Return the compiled group pattern, or None if `group` is None.

    Raises:
        UsageError: `group` is not a valid regular expression, or has no parenthesis.
    """
    if group is None:
        return None
    try:
        pattern = re.compile(group)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"group {group!r} is not a regular expression: {error}") from None
    if not pattern.groups:
        raise UsageError(f"group {group!r} has no parenthesis to capture the group")
    return pattern


def resolved(data_dir: str | os.PathLike[str]) -> Path:
    """Return the token folder as an absolute path.

    A builder cannot do this itself: `datasets` replaces `Path` in its module with a class that is
    several times slower.
    """
    return Path(data_dir).expanduser().resolve()
