"""The audit's checks by name, and its findings as text, JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from preprocess.core.errors import UsageError, nearest, printable

Format = Literal["text", "json", "csv"]
FORMATS: tuple[Format, ...] = ("text", "json", "csv")

ERRORS = {
    "unreadable_tokens": "a token file that cannot be read",
    "token_values": "codes outside the codebook",
    "missing_sidecar": "a clip without a sidecar",
    "unreadable_sidecar": "a sidecar that cannot be read, or lacks one of its two files",
    "misaligned": "a length or time model that differs from the tokens'",
    "fps": "a frame rate other than expected",
    "dtype": "a dtype other than expected",
    "missing_parameter": "a parameter that is required, or that most clips have, is missing",
    "extra_parameter": "a parameter that most clips lack",
    "parameter_name": "a parameter whose name is not a valid column name",
    "codec": "tokens of another codec or bandwidth than most clips'",
    "split": "a clip outside the split folders that others are in",
    "non_finite": "infinity, or NaN in a parameter that does not define what NaN means",
    "out_of_range": "a value outside the parameter's range",
    "description": "a unit or kind that differs from most clips'",
    "provenance": "parameters made from other tokens or other audio",
    "mixed": "tokens or parameters made by other settings or code than most clips'",
    "orphan_sidecar": "a sidecar without a token file",
    "duplicate_across_splits": "the same tokens in two splits, at any bandwidth",
    "shifted_level": "a level ahead of or behind the sound's",
}
WARNINGS = {
    "duplicate": "the same tokens twice",
    "constant": "a parameter that never changes",
    "all_nan": "a parameter that is NaN in every frame of a clip",
    "length_outlier": "a clip much shorter or longer than the others",
    "shared_recording": "a crop of a recording that is in another split",
    "swapped": "two parameters swapped in a clip",
    "other_unit": "values in another unit than most clips'",
    "declared_range": "a declared range that differs from most clips'",
    "shifted_onsets": "onsets ahead of or behind the sound's",
    "missing_audio": "a clip without the audio to compare it with",
    "untied": "a sidecar that does not name the tokens it was written for",
    "engines": "tokens computed by different versions of torch, devices or processors",
}
CHECKS = {**ERRORS, **WARNINGS}


def check_name(name: str) -> str:
    """Return `name` if it is the name of a check.

    Raises:
        UsageError: It is not.
    """
    if name not in CHECKS:
        hint = nearest(name, CHECKS) or f"; known: {', '.join(CHECKS)}"
        raise UsageError(f"unknown check {name!r}{hint}")
    return name


class Fault(NamedTuple):
    """What is wrong with a sidecar: the check, in words, and the first frame that shows it."""

    check: str
    text: str
    frame: int | None = None


@dataclass(frozen=True)
class Finding:
    """Something wrong with one file.

    Attributes:
        check: The check that found it, a key of `CHECKS`.
        path: The file.
        message: What is wrong, and what was expected.
        frame: The first frame that shows it; None if it concerns the whole file.
    """

    check: str
    path: str
    message: str
    frame: int | None = None


def format_findings(findings: Sequence[Finding], form: Format) -> str:
    """Return findings as a JSON array, as CSV with a header, or as text, one line each."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    if form == "json":  # JSON escapes unprintable characters itself
        return json.dumps(rows, indent=2) + "\n"
    rows = [{k: printable(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    if form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, [f.name for f in dataclasses.fields(Finding)])
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()
    return "".join(f"{row['check']:<18} {row['path']}: {row['message']}\n" for row in rows)
