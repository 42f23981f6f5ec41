"""Step 4: are the sidecars what a training run can trust? Reads headers, never decodes tokens."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from preprocess.config import AuditConfig
from preprocess.dataset import find_tokens
from preprocess.ecdc import EcdcError, EcdcHeader, read_header
from preprocess.features import Feature, SidecarError
from preprocess.files import find_files
from preprocess.frames import time_model
from preprocess.jobs import run_items
from preprocess.report import Report, plural
from preprocess.sidecar import read_sidecar
from preprocess.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, Sidecar, sidecar_paths

Format = Literal["text", "json", "csv"]
FORMATS: tuple[Format, ...] = ("text", "json", "csv")


@dataclass(frozen=True)
class Finding:
    """Something wrong with one file.

    Attributes:
        check: Which check found it, such as `misaligned`.
        path: The file.
        message: What is wrong, with what was expected.
    """

    check: str
    path: str
    message: str


def audit(root: Path, config: AuditConfig, jobs: int) -> tuple[Report, list[Finding]]:
    """Check the tokens and sidecars of all clips under `root`.

    Returns:
        A report that counts each clip with a finding as failed, and all findings.

    Raises:
        UsageError: `root` is no folder, or holds no tokens.
    """
    report = Report("audit", output="")
    tokens = find_tokens(root)
    findings = []
    for outcome in run_items(lambda rel: audit_clip(root / rel, config), tokens, jobs, "audit"):
        if outcome.value is None:
            findings.append(Finding("unreadable", str(root / outcome.item), outcome.message()))
        else:
            findings += outcome.value
    findings += _orphans(root, tokens)
    report.done = len(tokens)
    report.fault = plural("error", len(findings))
    report.detail = "" if findings else "0 errors"
    report.failures = [
        (finding.path, f"{finding.check}: {finding.message}") for finding in findings
    ]
    return report.finish(), findings


def audit_clip(path: Path, config: AuditConfig) -> list[Finding]:
    """Return what is wrong with one token file and its sidecar."""
    try:
        header = read_header(path)
    except EcdcError as error:
        return [_finding("unreadable_tokens", path, error)]
    present = [part for part in sidecar_paths(path) if part.exists()]
    if not present:
        return [Finding("missing_sidecar", str(path), "has no sidecar")]
    try:
        sidecar = read_sidecar(path)
    except SidecarError as error:
        return [_finding("unreadable_sidecar", present[0], error)]
    array_path = sidecar_paths(path)[0]
    checks = [
        *(("misaligned", text) for text in _misaligned(sidecar, header, path)),
        *(("fps", text) for text in _fps(sidecar, header, config)),
        *(("dtype", text) for text in _dtype(sidecar, config)),
        *(
            ("missing_feature", f"has no {n!r}")
            for n in config.require
            if n not in sidecar.features
        ),
    ]
    findings = [Finding(check, str(array_path), text) for check, text in checks]
    for name, feature in sidecar.features.items():
        for check, text in _values(name, feature, config.range_tol):
            findings.append(Finding(check, str(array_path), text))
    return findings


def _finding(check: str, path: Path, error: Exception) -> Finding:
    """Return an error as a finding, which names the path by itself."""
    return Finding(check, str(path), str(error).removeprefix(str(path)).lstrip(": "))


def format_findings(findings: list[Finding], form: Format) -> str:
    """Return findings as JSON lines in an array, as CSV with a header, or as text."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    if form == "json":
        return json.dumps(rows, indent=2) + "\n"
    if form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, [f.name for f in dataclasses.fields(Finding)])
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()
    return "".join(f"{row['check']:<18} {row['path']}: {row['message']}\n" for row in rows)


def _misaligned(sidecar: Sidecar, header: EcdcHeader, path: Path) -> Iterator[str]:
    if sidecar.n_frames != header.n_frames:
        yield f"has {sidecar.n_frames} frames, but {path} has {header.n_frames}"
    expected = time_model(header.audio_length, header.spec)
    if sidecar.time and sidecar.time != expected:
        key = next(k for k in expected if sidecar.time.get(k) != expected[k])
        yield f"was made for {key} {sidecar.time.get(key)}, but {path} has {expected[key]}"


def _fps(sidecar: Sidecar, header: EcdcHeader, config: AuditConfig) -> Iterator[str]:
    expected = config.expect_fps or header.spec.fps
    if sidecar.fps != expected:
        stated = "no" if sidecar.fps is None else f"{sidecar.fps:g}"
        yield f"states {stated} frames per second, expected {expected:g}"


def _dtype(sidecar: Sidecar, config: AuditConfig) -> Iterator[str]:
    for feature in list(sidecar.features.values())[:1]:
        if config.expect_dtype not in (None, feature.values.dtype.name):
            yield f"is {feature.values.dtype.name}, expected {config.expect_dtype}"


def _values(name: str, feature: Feature, range_tol: float) -> Iterator[tuple[str, str]]:
    values = feature.values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        at = int(np.argmin(finite))
        yield "non_finite", f"{name!r} is {values[at]} in frame {at}, {np.sum(~finite)} such"
    if feature.min is None or feature.max is None:
        return
    # float16 rounds by 5e-4 of the value, so the tolerance is of the values' size as well.
    size = max(feature.max - feature.min, abs(feature.min), abs(feature.max))
    low, high = feature.min - range_tol * size, feature.max + range_tol * size
    outside = finite & ((values < low) | (values > high))
    if outside.any():
        at = int(np.argmax(outside))
        yield (
            "out_of_range",
            f"{name!r} is {values[at]:g} in frame {at}, outside of {feature.min:g} to "
            f"{feature.max:g}; {np.sum(outside)} such",
        )


def _orphans(root: Path, tokens: list[Path]) -> Iterator[Finding]:
    expected = {part for rel in tokens for part in sidecar_paths(rel)}
    for rel in find_files(root, [ARRAY_SUFFIX, META_SUFFIX]):
        if rel not in expected:
            yield Finding("orphan_sidecar", str(root / rel), "belongs to no token file")
