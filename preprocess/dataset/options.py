"""What to make of a folder of tokens: the options of the builder."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.errors import UsageError, nearest
from preprocess.sidecar.sidecar_format import TOKEN_SUFFIX

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""What `split_by="group"` deals out where nothing else is said."""


CHOICES = {
    "split_by": ("folders", "group"),
    "missing_sidecar": ("error", "skip", "empty"),
    "dtype": ("float16", "float32", "float64"),
}


@dataclass
class RowOptions:
    """What to make of a folder of tokens.

    Attributes:
        codec: The codec that the tokens must be of; None for whichever they are.
        bandwidth_kbps: Bandwidth to slice to; None for that of the files, which must be one.
        parameters: Parameters to take, in this order, as a list or a text with commas; None or
            nothing for all, in the order of the sidecars.
        require_parameters: Parameters that every clip must have, likewise.
        missing_sidecar: A clip without a sidecar, where others have one, is an `error`, is left
            out (`skip`), or has parameters of no frames (`empty`).
        dtype: Of the parameters: float16, float32 or float64.
        split_by: `folders`: the subfolders train, validation and test; `group`: by `fractions`.
        fractions: Split -> its part of the groups; they sum to 1. Default: `FRACTIONS`.
        group: Regular expression searched for in the clip's id; what its first parenthesis (or
            the one called `group`) matches is the group, and no group falls in two splits.
            Without it, each clip is its own group.
        split_name: One split for all clips, instead of `split_by`.
        suffix: Ending of the token files.
        recursive: Whether to look into subfolders.
        max_files: Use at most this many token files.
        audio_prefix: Folder that stands before the paths in the column `audio`.
        cond_root: Folder with the sidecars, mirroring that of the tokens; None where they lie
            beside these.
    """

    # Not frozen: `datasets` sets attributes of the config that inherits these fields.
    codec: str | None = None
    bandwidth_kbps: float | None = None
    parameters: Sequence[str] | str | None = None
    require_parameters: Sequence[str] | str = ()
    missing_sidecar: str = "error"
    dtype: str = "float32"
    split_by: str = "folders"
    fractions: Mapping[str, float] | None = None
    group: str | None = None
    split_name: str | None = None
    suffix: str = TOKEN_SUFFIX
    recursive: bool = True
    max_files: int | None = None
    audio_prefix: str = ""
    cond_root: str | os.PathLike[str] | None = None

    @property
    def chosen(self) -> list[str]:
        """The names in `parameters`."""
        return _names("parameters", self.parameters)

    @property
    def required(self) -> list[str]:
        """The names in `require_parameters`."""
        return _names("require_parameters", self.require_parameters)

    def sidecar_root(self, root: Path) -> Path:
        """Return the folder of the sidecars for tokens under `root`."""
        return root if self.cond_root is None else resolved(self.cond_root)


def check_options(options: RowOptions) -> None:
    """Check what can be checked without a folder.

    Raises:
        UsageError: An option has a value that it cannot have.
    """
    for name, choices in CHOICES.items():
        value = getattr(options, name)
        if value not in choices:
            hint = nearest(str(value), choices)
            raise UsageError(f"{name} {value!r} must be one of {', '.join(choices)}{hint}")
    for names in (options.chosen, options.required):
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


def _names(option: str, value: Sequence[str] | str | None) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    if not isinstance(value, (list, tuple, type(None))) or any(
        type(n) is not str for n in value or ()
    ):
        raise UsageError(
            f"{option} must be names, as a list or as one text with commas, got {value!r}"
        )
    return list(value or ())


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
