"""`preprocess finish`: from finished shards to a dataset, with its card, index and statistics.

Reads the reports of the shards and the tables of their clips, but no rows, except to confirm what
the audit suspects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from preprocess.audit.corpus_checks import check_corpus
from preprocess.audit.findings import Finding, format_findings
from preprocess.audit.mixing import tool_texts
from preprocess.core.errors import PreprocessError
from preprocess.core.files import digest_bytes
from preprocess.core.provenance import provenance
from preprocess.core.report import Report, listed, plural
from preprocess.dataset.merging import merge_parameters
from preprocess.plan.corpus_tables import ShardFiles, print_tables, read_tables
from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.making import row_schema
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedShard
from preprocess.plan.shard_report import ShardReport, read_clip_table, read_report
from preprocess.plan.summary_table import SummaryTable
from preprocess.plan.worker import planned_recipe
from preprocess.publish.finishing import CARD_NAME, SplitFacts, finish_files
from preprocess.shards.names import FOLDER, parse_name
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.corpus_stats import CorpusStats
from preprocess.steps.audit import as_built, report_findings

FINDINGS_NAME = "findings.csv"


def finish_plan(plan: PlanFolder, config: FinishConfig) -> Report:
    """Check that all shards of a plan are there, and turn their folder into a dataset.

    The folder gets a card, an index and statistics if no clip failed and the audit of the corpus
    finds no error. Files of shards that the plan does not have are removed then.

    Raises:
        PreprocessError: A shard is missing or out of date.
    """
    info = plan.info
    report = Report("finish", item="row", output=info.output)
    reports = _reports(plan)
    failed = _report_failures(plan, reports, report, config)
    mixed = _audit(plan, report, config)
    report.done = sum(one.rows for one in reports.values())
    if not report.done:
        report.fail(info.output, "no clip could be made")
    if report.failures:
        report.done = 0
        report.detail = "not finished"
        if failed and not config.allow_failed:
            report.note(
                "run --retry-failed tries clips again that failed, finish --allow-failed leaves them "
                "out"
            )
        return report.finish()
    report.notes += _remove_others(plan)
    shards_of = _by_split(info.shards)
    splits = {
        split: sum((_facts(reports[shard.name]) for shard in shards), SplitFacts())
        for split, shards in shards_of.items()
    }
    train = [reports[shard.name] for shard in shards_of.get("train", ())]
    stats = {"train": _merged_stats(train)} if train else {}
    schema = row_schema(planned_recipe(plan), _merged_infos(plan, reports))
    origin = _origin(plan, reports, mixed, failed)
    files = finish_files(_name(plan), schema, splits, stats, origin, _card(plan))
    for path, content in files.items():  # the marker comes last
        plan.dataset.write(path, content)
    counts = ", ".join(f"{split} {facts.clips:,}" for split, facts in splits.items())
    report.detail = f"{plural('split', len(splits))} {counts}"
    return report.finish()


def _facts(report: ShardReport) -> SplitFacts:
    return SplitFacts(report.rows, report.samples, report.arrow_bytes, report.bytes)


def _name(plan: PlanFolder) -> str:
    """Return a name for the card: that of the recipe's output folder."""
    parts = [part for part in str(plan.dataset).split("/") if part]
    return parts[-2] if len(parts) > 1 else parts[-1]


def _card(plan: PlanFolder) -> str | None:
    """Return the card that the dataset has; text that a user added to it is kept."""
    if not plan.dataset.exists(CARD_NAME):
        return None
    return plan.dataset.read(CARD_NAME).decode("utf-8", "replace")


def _by_split(shards: Sequence[PlannedShard]) -> dict[str, list[PlannedShard]]:
    splits: dict[str, list[PlannedShard]] = {}
    for shard in shards:
        splits.setdefault(shard.split, []).append(shard)
    return splits


def _reports(plan: PlanFolder) -> dict[str, ShardReport]:
    """Return the report on each shard.

    Raises:
        PreprocessError: A shard is missing or out of date.
    """
    found: dict[str, ShardReport] = {}
    missing = []
    for shard in plan.info.shards:
        report = read_report(plan, shard)
        if report is None or report.state != shard.state or not plan.dataset.exists(shard.path):
            missing.append(shard.name)
        else:
            found[shard.name] = report
    if missing:
        raise PreprocessError(
            f"{len(missing):,} of {len(plan.info.shards):,} {plural('shard', len(missing))} missing "
            f"or out of date ({listed(missing, 3)}): make them with preprocess run --plan {plan}"
        )
    return found


def _report_failures(
    plan: PlanFolder, reports: Mapping[str, ShardReport], report: Report, config: FinishConfig
) -> int:
    """Report the clips that failed, and return their number."""
    failed = list(plan.info.skipped)
    for shard in plan.info.shards:
        if reports[shard.name].failed:
            table = read_clip_table(plan, shard, ["id", "error"])
            failed += [(r["id"], r["error"]) for r in table.to_pylist() if r["error"]]
    for path, why in failed:
        if config.allow_failed:
            report.note(f"{path}: left out: {why}")
        else:
            report.fail(path, why)
    return len(failed)


def _audit(plan: PlanFolder, report: Report, config: FinishConfig) -> str:
    """Compare all clips; report the findings and store them; return what is mixed."""
    recipe = planned_recipe(plan)
    audit = as_built(recipe.audit, recipe.build, bool(recipe.annotate))
    summaries = SummaryTable(read_tables(plan))
    # Only clips of different splits are compared. With another assignment than by folders, the
    # folder of a clip names no split.
    has_splits = audit.split_name is None and len({s.split for s in plan.info.shards}) > 1
    prints = print_tables(plan) if has_splits else ()
    found = check_corpus(Path(), summaries, audit, ShardFiles(plan), prints)
    findings = [*_of_clips(plan), *found]
    mixed = _mixed(findings)

    def fails(check: str) -> bool:
        is_allowed = check == "mixed" and recipe.build.allow_mixed
        return audit.fails(check) and not is_allowed and not config.allow_findings

    report_findings(report, findings, fails)
    plan.store.write(FINDINGS_NAME, format_findings(findings, "csv").encode())
    return mixed


def _mixed(findings: Sequence[Finding]) -> str:
    """Return in one line how clips were made differently; empty if they were not."""
    counts = Counter(finding.message for finding in findings if finding.check == "mixed")
    return "; ".join(f"{text}: {n:,} {plural('clip', n)}" for text, n in counts.items())


def _of_clips(plan: PlanFolder) -> Iterator[Finding]:
    """Yield what the checks of single clips found, and the notes of steps, while they were made."""
    for shard in plan.info.shards:
        table = read_clip_table(plan, shard, ["id", "warnings", "notes"])
        for row in table.to_pylist():
            for check, message in [*row["warnings"], *(("note", note) for note in row["notes"])]:
                yield Finding(check, f"{row['id']}.ecdc", message)


def _merged_infos(plan: PlanFolder, reports: Mapping[str, ShardReport]) -> dict[str, ParameterInfo]:
    """Return the description of each parameter, with the range that covers all clips."""
    merged: dict[str, ParameterInfo] = {}
    for shard in plan.info.shards:
        if not reports[shard.name].rows:
            continue
        new = reports[shard.name].parameters
        merged = merge_parameters(merged, new, Path(shard.name)) if merged else dict(new)
    return {name: merged[name] for name in plan.info.parameters if name in merged}


def _merged_stats(reports: Sequence[ShardReport]) -> CorpusStats:
    stats = CorpusStats()
    for one in reports:
        stats.merge(one.corpus_stats)
    return stats


def _origin(
    plan: PlanFolder, reports: Mapping[str, ShardReport], mixed: str, failed: int
) -> dict[str, Any]:
    """Return what the dataset was made from, for the marker and the card."""
    tools: dict[str, set[str]] = {}
    for one in reports.values():
        for name, values in one.tools.items():
            tools.setdefault(name, set()).update(values)
    states = "".join(shard.state for shard in plan.info.shards)
    origin: dict[str, Any] = provenance(digest_bytes(states.encode()), plan.info.settings)
    origin |= tool_texts(tools)
    if mixed:
        origin["mixed"] = mixed
    if failed:
        origin["left out"] = f"{failed:,} {plural('clip', failed)} that failed"
    return origin


def _remove_others(plan: PlanFolder) -> list[str]:
    """Remove the shards of an earlier plan that this one does not have; return notes."""
    mine = {shard.path for shard in plan.info.shards}
    others = [e.path for e in plan.dataset.list([".parquet"], FOLDER) if e.path not in mine]
    gone = [path for path in others if parse_name(path) is not None]
    for path in gone:
        plan.dataset.delete(path)
    count = len(gone)
    text = f"removed {count:,} {plural('shard', count)} of an earlier plan: {listed(gone, 3)}"
    return [text] if gone else []
