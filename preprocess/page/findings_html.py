"""What is wrong with a corpus, as HTML: each finding leads to the moment in its clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from preprocess.audit.findings import CHECKS, ERRORS
from preprocess.page.corpus_findings import PlacedFinding
from preprocess.page.markup import shown_name

MOST_LISTED = 200
"""Findings of one check that are listed; `preprocess audit` lists all."""


def findings_section(findings: Sequence[PlacedFinding] | None, pages: frozenset[int]) -> str:
    """Return the findings of an audit by check, errors first; nothing where there was no audit.

    Args:
        findings: What it found.
        pages: Rows that have a page of their own, to which a finding leads.
    """
    if findings is None:
        return ""
    by_check: dict[str, list[PlacedFinding]] = {}
    for finding in findings:
        by_check.setdefault(finding.check, []).append(finding)
    groups = []
    for check in sorted(by_check, key=lambda c: (c not in ERRORS, c)):
        found = by_check[check]
        kind = "error" if check in ERRORS else "warning"
        items = "".join(_finding(each, pages) for each in found[:MOST_LISTED])
        more = len(found) - MOST_LISTED
        rest = f"<p>{more:,} more: preprocess audit lists them all.</p>" if more > 0 else ""
        groups.append(
            f"<details{' open' if len(found) <= 10 else ''}><summary>"
            f'<b class="{kind}">{escape(check)}</b> {len(found):,}: '
            f"{escape(CHECKS.get(check, ''))}</summary>"
            f'<ul class="findings{" long" if len(found) > 10 else ""}">{items}</ul>{rest}</details>'
        )
    text = "".join(groups) or "<p>The audit found nothing.</p>"
    return f"<section><h2>Findings of the audit</h2>{text}</section>"


def _finding(finding: PlacedFinding, pages: frozenset[int]) -> str:
    name, row = shown_name(finding.name), finding.row
    at = "" if finding.seconds is None else f" at {finding.seconds:.3f} s"
    if row is None:
        link = name
    elif row in pages:
        moment = "" if finding.seconds is None else f"#t={finding.seconds:.3f}"
        link = f'<a href="clips/{row:06d}.html{moment}">{name}{at}</a>'
    else:
        link = f'<a href="#table" data-row="{row}">{name}</a>{at}'
    return f"<li>{link}: {escape(finding.message)}</li>"


def problems_section(problems: Mapping[str, str]) -> str:
    """Return what of a corpus could not be taken in, clip -> why; nothing where all was."""
    if not problems:
        return ""
    shown = list(problems.items())[:MOST_LISTED]
    items = "".join(f"<li>{shown_name(name)}: {escape(text)}</li>" for name, text in shown)
    more = len(problems) - len(shown)
    rest = f"<p>{more:,} more.</p>" if more else ""
    return (
        f"<section><h2>Left out</h2><p>What could not be read, or does not fit the other clips, is "
        f'not in the figures above.</p><ul class="findings">{items}</ul>{rest}</section>'
    )
