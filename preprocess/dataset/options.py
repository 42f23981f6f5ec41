"""What to make of a folder of tokens: the options of the builder, and the settings of a build."""

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
"""What `split_by="group"` deals out where nothing else is said."""


def _parts(value: Any) -> Any:
    """Return `train=0.8 test=0.2` as a mapping from split to part."""
    if not isinstance(value, list | tuple):
        return value
    parts = [str(entry).partition("=")[::2] for entry in value]
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"fractions: a split is named twice: {', '.join(names)}")
    return dict(parts) or None


Names = Annotated[tuple[str, ...], BeforeValidator(split_commas)]


@dataclass(frozen=True, kw_only=True)
class ClipOptions(Settings):
    """Which clips and parameters come into a dataset, and in which splits."""

    codec: Annotated[
        str | None, Field(description="codec of the tokens; without it, whichever they are of")
    ] = None
    bandwidth: Annotated[
        float | None,
        Field(gt=0, description="bandwidth in kbps to slice to; without it, all codebooks"),
    ] = None
    parameters: Annotated[
        Names, Field(description="parameters to take, in this order; without it, all")
    ] = ()
    split_name: Annotated[
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
        Mapping[str, float] | None,
        BeforeValidator(_parts),
        Field(
            description="for --split-by group: SPLIT=PART, which sum to 1; without it, "
            "train=0.8 validation=0.1 test=0.1"
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(
            description="regular expression searched for in a clip's path; what its first "
            "parenthesis matches is the clip's group; without it, each clip is its own"
        ),
    ] = None
    suffix: Annotated[
        str, Field(pattern=r"^\.[^/\\]+$", description="ending of the token files")
    ] = TOKEN_SUFFIX
    cond_root: CondRoot = None
    recursive: Annotated[bool, Field(description="look into subfolders")] = True
    max_files: Annotated[
        int | None, Field(ge=1, description="use at most this many token files")
    ] = None

    def sidecar_root(self, root: Path) -> Path:
        """Return the folder of the sidecars for tokens under `root`."""
        return root if self.cond_root is None else resolved(self.cond_root)


@dataclass(frozen=True, kw_only=True)
class RowOptions(ClipOptions):
    """What the rows of a dataset hold: the options of the builder."""

    require_parameters: Annotated[
        Names, Field(description="parameters that every clip must have")
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
    audio_prefix: Annotated[
        str, Field(description="folder to put before the paths in the column audio")
    ] = ""


def row_options(settings: ClipOptions, **changes: Any) -> RowOptions:
    """Return those of `settings` that are options of the builder, with `changes`."""
    names = {field.name for field in dataclasses.fields(RowOptions)} - changes.keys()
    given = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    return RowOptions(**given, **changes)


def mutable_fields(options: type) -> type:
    """Return a dataclass with the fields of `options` whose attributes can be set.

    `datasets` sets attributes of a builder's config, and a dataclass cannot inherit frozen fields.
    """
    fields = [
        (f.name, f.type, dataclasses.field(default=f.default)) for f in dataclasses.fields(options)
    ]
    return dataclasses.make_dataclass(f"Mutable{options.__name__}", fields)


def check_options(options: RowOptions) -> None:
    """Check what can be checked without a folder.

    Raises:
        UsageError: An option has a value that it cannot have.
    """
    for names in (options.parameters, options.require_parameters):
        if len(set(names)) < len(names):
            raise UsageError(f"a parameter is named twice: {', '.join(names)}")
    if options.split_by != "group" and (options.group or options.fractions):
        raise UsageError("fractions and group need split_by='group'")
    if options.split_by == "group" and options.split_name:
        raise UsageError("split_by='group' and one split for all clips exclude each other")
    fractions = options.fractions or FRACTIONS
    for name, part in fractions.items():
        if not re.fullmatch(r"\w+(\.\w+)*", name) or not 0 <= part <= 1:
            raise UsageError(f"fractions: {name}={part} must be a split's name and 0 to 1")
    if not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        raise UsageError(f"fractions must sum to 1, got {sum(fractions.values()):g}")
    group_pattern(options.group)


def group_pattern(group: str | None) -> re.Pattern[str] | None:
    """Return the compiled regular expression of a group, None where there is none.

    Raises:
        UsageError: It is no regular expression, or has no parenthesis.
    """
    if group is None:
        return None
    try:
        pattern = re.compile(group)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"group {group!r} is no regular expression: {error}") from None
    if not pattern.groups:
        raise UsageError(f"group {group!r} has no parenthesis, which says what the group is")
    return pattern


def resolved(data_dir: str | os.PathLike[str]) -> Path:
    """Return the token folder as an absolute path.

    `datasets` puts a path class of its own into a builder's module, which is several times slower.
    """
    return Path(data_dir).expanduser().resolve()
