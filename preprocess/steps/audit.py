"""Step 4: are the sidecars what a training run can trust? Reads bytes, never decodes tokens."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.clip_checks import Checked, ClipSummary, check_clip
from preprocess.audit.corpus_checks import check_corpus
from preprocess.audit.findings import Finding
from preprocess.core.files import find_files, require_folder
from preprocess.core.interrupts import children_ignore_interrupts
from preprocess.core.jobs import Outcome, run_items
from preprocess.core.report import Report, plural
from preprocess.dataset.clips import find_tokens
from preprocess.dataset.splits import by_folder
from preprocess.sidecar.sidecar_format import META_SUFFIX
from preprocess.steps.build_config import BuildConfig

_CLIPS_A_PROCESS = 2000
"""For fewer clips than this, a process would not be worth its start."""
_CHUNK = 250


def audit(root: Path, config: AuditConfig, jobs: int) -> tuple[Report, list[Finding]]:
    """Check the tokens and sidecars of all clips under `root`.

    Args:
        root: The folder.
        config: What to hold them to.
        jobs: How many processes may check clips at once; a script of your own that asks for more
            than one starts under `if __name__ == "__main__":`, as `multiprocessing` demands.

    Returns:
        A report and all findings. Those that `config.fail_on` names are the report's failures, the
        others its notes.

    Raises:
        UsageError: `root` is no folder, or holds no tokens.
    """
    report = Report("audit", output="")
    everything = find_tokens(root)
    if config.cond_root is not None:
        require_folder(config.cond_root, "sidecar folder")
    if config.against_audio is not None:
        require_folder(config.against_audio, "audio folder")
    tokens = [rel for rel in everything if config.has(rel)]
    findings: list[Finding] = []
    summaries: list[ClipSummary] = []
    for checked in _check_clips(root, tokens, config, jobs):
        findings += checked.findings
        if checked.summary is not None:
            summaries.append(checked.summary)
    findings += check_corpus(root, summaries, config)
    findings += _outside_splits(root, everything, config)
    findings += _orphans(root, everything, config)
    for finding in findings:
        if config.fails(finding.check):
            report.fail(finding.path, f"{finding.check}: {finding.message}")
        else:
            report.note(f"{finding.path}: {finding.check}: {finding.message}")
    report.done = len(tokens)
    report.fault = plural("error", len(report.failures))
    report.detail = "" if report.failures else "0 errors"
    if report.notes:
        report.detail += f"{', ' if report.detail else ''}{len(report.notes):,} "
        report.detail += plural("warning", len(report.notes))
    return report.finish(), findings


def _check_clips(
    root: Path, tokens: list[Path], config: AuditConfig, jobs: int
) -> Iterator[Checked]:
    """Yield what each clip's check returned, in order; of many clips, from several processes.

    Checking is Python's own work: threads would wait for each other.
    """
    count = min(jobs, len(tokens) // _CLIPS_A_PROCESS)
    step = partial(_check, root, config)
    if count < 2:
        outcomes = run_items(step, tokens, 1, "audit")
        yield from (outcome.value for outcome in outcomes if outcome.value is not None)
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as executor:
        with children_ignore_interrupts():  # this starts them
            checked = executor.map(step, tokens, chunksize=_CHUNK)
        yield from tqdm(checked, "audit", len(tokens), leave=False, disable=None, unit="file")


def _check(root: Path, config: AuditConfig, rel: Path) -> Checked:
    """Return what `check_clip` does, or the error that it raised as a finding."""
    try:
        return check_clip(root, rel, config)
    except Exception as error:  # one clip's, whatever it is
        text = Outcome(rel, None, error).message()
        return Checked([Finding("unreadable_tokens", str(root / rel), text)])


def as_built(audit: AuditConfig, build: BuildConfig, has_sidecars: bool) -> AuditConfig:
    """Return what to hold a folder to before it is built: what `build` would refuse is an error.

    Args:
        audit: What it is held to otherwise.
        build: How it is built.
        has_sidecars: Whether some clip has a sidecar; tokens alone make a dataset as well.
    """
    return replace(
        audit,
        parameters=build.parameters,
        require=tuple(
            dict.fromkeys((*audit.require, *build.parameters, *build.require_parameters))
        ),
        bandwidth=build.bandwidth,
        # In groups the subfolders mean nothing.
        split_name=build.split_name or ("train" if build.split_by == "group" else None),
        missing_sidecar=build.missing_sidecar if has_sidecars else "skip",
        cond_root=build.cond_root,
    )


def _outside_splits(root: Path, tokens: list[Path], config: AuditConfig) -> Iterator[Finding]:
    if config.split_name is not None:
        return
    splits, outside = by_folder([rel.as_posix() for rel in tokens])
    for rel in outside if splits else ():
        if config.has(Path(rel)):
            text = f"is in none of the split folders beside it ({', '.join(splits)})"
            yield Finding("split", str(root / rel), text)


def _orphans(root: Path, tokens: list[Path], config: AuditConfig) -> Iterator[Finding]:
    stems = {os.path.splitext(rel)[0] for rel in tokens}
    where = config.cond_root or root
    meta_suffix = config.suffix.removesuffix(".npy") + ".json"
    for rel in find_files(where, [config.suffix, META_SUFFIX]):
        # `.cond.cond.json` is the predecessor's name for metadata.
        endings = (config.suffix, meta_suffix, META_SUFFIX, f".cond{META_SUFFIX}")
        if not any(str(rel).removesuffix(e) in stems for e in endings) and config.has(rel):
            yield Finding("orphan_sidecar", str(where / rel), "belongs to no token file")
