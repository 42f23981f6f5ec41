"""What an audit can find: the checks by name, and findings as text, JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from preprocess.core.errors import UsageError, nearest, printable

Format = Literal["text", "json", "csv"]
FORMATS: tuple[Format, ...] = ("text", "json", "csv")

ERRORS = {
    "unreadable_tokens": "a token file that cannot be read",
    "token_values": "codes outside of the codebook",
    "missing_sidecar": "a clip without a sidecar",
    "unreadable_sidecar": "a sidecar that cannot be read, or half of one",
    "misaligned": "another length or time model than the tokens'",
    "fps": "another frame rate than expected",
    "dtype": "another dtype than expected",
    "missing_parameter": "a parameter that is required, or that the other clips have",
    "extra_parameter": "a parameter that the other clips do not have",
    "parameter_name": "a parameter whose name no column can have",
    "codec": "tokens of another codec or bandwidth than the other clips'",
    "split": "a clip in none of the split folders beside it",
    "non_finite": "infinity, or NaN where the parameter does not say what NaN stands for",
    "out_of_range": "a value outside of the parameter's range",
    "description": "a unit or kind that differs from the other clips'",
    "provenance": "parameters of other tokens or other audio",
    "mixed": "tokens or parameters that other settings or code made than most clips'",
    "orphan_sidecar": "a sidecar without a token file",
    "duplicate_across_splits": "the same tokens in two splits, at any bandwidth",
    "shifted_level": "a level that lies before or behind that of the sound",
}
WARNINGS = {
    "duplicate": "the same tokens twice",
    "constant": "a parameter that never changes",
    "all_nan": "a parameter without any value in a clip",
    "length_outlier": "a clip much shorter or longer than the others",
    "shared_recording": "another crop of a recording that is in another split",
    "swapped": "two parameters that have changed places in a clip",
    "other_unit": "values in another unit than in most clips",
    "declared_range": "another declared range than in most clips",
    "shifted_onsets": "notes that begin before or behind their sound",
    "missing_audio": "a clip without its audio, where one is compared with it",
    "untied": "a sidecar that does not say which tokens it was written for",
    "engines": "tokens that different versions of torch, devices or processors computed",
}
CHECKS = {**ERRORS, **WARNINGS}


def check_name(name: str) -> str:
    """Return the name of a check as it is.

    Raises:
        UsageError: There is no such check.
    """
    if name not in CHECKS:
        hint = nearest(name, CHECKS) or f"; known: {', '.join(CHECKS)}"
        raise UsageError(f"unknown check {name!r}{hint}")
    return name


@dataclass(frozen=True)
class Finding:
    """Something wrong with one file.

    Attributes:
        check: Which check found it, a key of `CHECKS`.
        path: The file.
        message: What is wrong, with what was expected.
    """

    check: str
    path: str
    message: str


def format_findings(findings: Sequence[Finding], form: Format) -> str:
    """Return findings as JSON lines in an array, as CSV with a header, or as text."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    if form == "json":  # which has escapes of its own
        return json.dumps(rows, indent=2) + "\n"
    rows = [{key: printable(text) for key, text in row.items()} for row in rows]
    if form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, [f.name for f in dataclasses.fields(Finding)])
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()
    return "".join(f"{row['check']:<18} {row['path']}: {row['message']}\n" for row in rows)
