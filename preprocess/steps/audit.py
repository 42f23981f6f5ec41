"""Step 4: checks tokens and sidecars before training. Reads bytes and never decodes tokens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.clip_checks import check_clip
from preprocess.audit.corpus_checks import check_corpus
from preprocess.audit.findings import Finding
from preprocess.audit.summaries import Checked, ClipSummary
from preprocess.core.files import find_files, require_folder
from preprocess.core.jobs import Outcome
from preprocess.core.process_pool import Processes
from preprocess.core.progress import Progress
from preprocess.core.report import Report, plural
from preprocess.dataset.clips import find_tokens
from preprocess.dataset.splits import by_folder
from preprocess.sidecar.sidecar_format import META_SUFFIX
from preprocess.steps.build_config import BuildConfig

_CLIPS_A_PROCESS = 2000
"""Starting a process takes longer than checking fewer clips than this."""
_CHUNK = 250


def audit(root: Path, config: AuditConfig, jobs: int) -> tuple[Report, list[Finding]]:
    """Check the tokens and sidecars of all clips under `root`.

    Args:
        root: The token folder.
        config: Settings of the checks.
        jobs: Most processes that check clips at once. A script that sets more than one must run
            under `if __name__ == "__main__":`, as `multiprocessing` requires.

    Returns:
        A report and all findings. Errors, as `config.fail_on` defines them, are the report's
        failures; warnings are its notes.

    Raises:
        UsageError: `root` is not a folder, or has no token files; a folder that `config` names
            does not exist; or the shard is invalid.
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
    with Progress("audit", len(tokens)) as progress:
        for checked in _check_clips(root, tokens, config, jobs):
            findings += checked.findings
            if checked.summary is not None:
                summaries.append(checked.summary)
            progress.update(failed=any(config.fails(f.check) for f in checked.findings))
    findings += check_corpus(root, summaries, config)
    findings += _outside_splits(root, everything, config)
    findings += _orphans(root, everything, config)
    report_findings(report, findings, config.fails)
    report.done = len(tokens)
    report.fault = plural("error", len(report.failures))
    report.detail = "" if report.failures else "0 errors"
    if report.notes:
        report.detail += f"{', ' if report.detail else ''}{len(report.notes):,} "
        report.detail += plural("warning", len(report.notes))
    return report.finish(), findings


def report_findings(
    report: Report, findings: Iterable[Finding], fails: Callable[[str], bool]
) -> None:
    """Record findings: those of checks that fail as failures, others as notes."""
    for finding in findings:
        text = f"{finding.check}: {finding.message}"
        if fails(finding.check):
            report.fail(finding.path, text)
        else:
            report.note(f"{finding.path}: {text}")


def _check_clips(
    root: Path, tokens: list[Path], config: AuditConfig, jobs: int
) -> Iterator[Checked]:
    """Yield the result of each clip's check, in order; many clips use several processes.

    Threads would not help: the checks run mostly Python code, which holds the interpreter's lock.
    """
    count = min(jobs, len(tokens) // _CLIPS_A_PROCESS)
    with Processes(count, "checks clips") as processes:
        yield from processes.run(partial(_check, root, config), tokens, _CHUNK)


def _check(root: Path, config: AuditConfig, rel: Path) -> Checked:
    """Return the result of `check_clip`, or the error that it raised as a finding."""
    try:
        return check_clip(root, rel, config)
    except Exception as error:  # one bad clip must not stop the others
        text = Outcome(rel, None, error).message()
        return Checked([Finding("unreadable_tokens", str(root / rel), text)])


def as_built(audit: AuditConfig, build: BuildConfig, has_sidecars: bool) -> AuditConfig:
    """Return audit settings under which everything that `build` would refuse is an error.

    Args:
        audit: The audit's own settings.
        build: Settings of the build.
        has_sidecars: Whether any clip has a sidecar; a dataset may consist of tokens alone.
    """
    return replace(
        audit,
        parameters=build.parameters,
        require=tuple(
            dict.fromkeys((*audit.require, *build.parameters, *build.require_parameters))
        ),
        bandwidth=build.bandwidth,
        # With groups, the subfolders have no meaning.
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
            text = f"is outside the split folders ({', '.join(splits)})"
            yield Finding("split", str(root / rel), text)


def _orphans(root: Path, tokens: list[Path], config: AuditConfig) -> Iterator[Finding]:
    stems = {os.path.splitext(rel)[0] for rel in tokens}
    where = config.cond_root or root
    meta_suffix = config.suffix.removesuffix(".npy") + ".json"
    for rel in find_files(where, [config.suffix, META_SUFFIX]):
        # The predecessor named the metadata `.cond.cond.json`.
        endings = (config.suffix, meta_suffix, META_SUFFIX, f".cond{META_SUFFIX}")
        if not any(str(rel).removesuffix(e) in stems for e in endings) and config.has(rel):
            yield Finding("orphan_sidecar", str(where / rel), "has no token file")
