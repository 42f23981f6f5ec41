"""A page of a whole corpus: all clips measured, a sample of them decoded and given pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import temporary_folder, write_bytes
from preprocess.core.jobs import cpu_count
from preprocess.core.locks import only_run
from preprocess.core.progress import Progress
from preprocess.core.report import Report, plural
from preprocess.core.temporaries import remove_stale
from preprocess.page.clip_data import ClipData, Decoder
from preprocess.page.clip_sources import ClipSource
from preprocess.page.corpus_clips import ClipPages, write_clips
from preprocess.page.corpus_data import Corpus, measure_corpus
from preprocess.page.corpus_files import HAS_SOUND, Extras
from preprocess.page.corpus_findings import PlacedFinding, place_findings
from preprocess.page.corpus_html import Words
from preprocess.page.corpus_page import write_corpus_page
from preprocess.page.folder_clips import FolderClips
from preprocess.steps.audit import audit
from preprocess.steps.saved_folder import replace_folder

MARKER = "enchf_corpus.json"
"""In a corpus's page: only a folder that has it is ever replaced."""
CORPUS_CLIPS = 100
"""How many clips get sound and a page where nothing else is asked for."""


@dataclass(frozen=True)
class CorpusPlace:
    """What the page of a corpus is called, and where it goes.

    Attributes:
        out: Its folder; one that `inspect --corpus` made before is replaced.
        name: Its title.
        cond_root: Folder of the sidecars, if not beside the tokens, for the audit.
    """

    out: Path
    name: str
    cond_root: Path | None = None


def inspect_corpus(
    source: ClipSource, place: CorpusPlace, decoder: Decoder, count: int = CORPUS_CLIPS
) -> Report:
    """Write the page of all clips of `source` as a folder that opens in a browser alone.

    Args:
        source: The clips.
        place: Where to.
        decoder: Decodes the sample.
        count: How many clips are decoded and get a page: those with findings first, the others
            spread evenly.

    Raises:
        UsageError: The folder is something else.
        PreprocessError: No clip can be read.
    """
    report = Report("inspect", output=str(place.out / "index.html"))
    _check_replaceable(place.out)
    remove_stale(place.out.absolute().parent, recursive=False)
    corpus = measure_corpus(source)
    for clip, text in corpus.unreadable.items():
        report.fail(clip, text)
    if not corpus.rows:
        raise PreprocessError(next(iter(corpus.unreadable.values()), f"{source.name} has no clips"))
    findings = _audited(source, corpus, place)
    out = place.out.absolute()
    with only_run(out.with_name(f".{out.name}.lock"), place.out), temporary_folder(out) as scratch:
        new = scratch / "page"
        extras = Extras(findings=_counted(findings or ()))
        clips = _decoded(source, corpus, sample(corpus, extras.findings, count), decoder, report)
        for row, made in write_clips(ClipPages(new), clips, cpu_count()):
            extras.take(row, made)
        notes = _notes(corpus, extras)
        pages = frozenset(extras.has)
        words = Words(place.name, notes, findings, list(extras.distances.values()), pages)
        write_corpus_page(new, corpus, extras, words)
        write_bytes(new / MARKER, b"{}\n")
        place.out.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(new, place.out, scratch / "old")
    report.done = len(corpus.rows)
    report.detail = f"{len(pages):,} {plural('page', len(pages))}"
    return report.finish()


def sample(corpus: Corpus, findings: dict[int, int], count: int) -> list[int]:
    """Return the rows that get sound and a page, in order.

    Clips with findings come first, in up to half of them: these are what one wants to hear. The
    others are spread evenly over the corpus.
    """
    total = len(corpus.rows)
    if count >= total:
        return list(range(total))
    chosen = set(sorted(findings)[: max(1, count // 2)])
    others = [row for row in range(total) if row not in chosen]
    left = count - len(chosen)
    chosen.update(others[i * len(others) // left] for i in range(left))
    return sorted(chosen)


def _check_replaceable(out: Path) -> None:
    if not out.exists() or (out / MARKER).exists():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise UsageError(f"--out {out} exists and is no page of a corpus; remove it first")


def _audited(source: ClipSource, corpus: Corpus, place: CorpusPlace) -> list[PlacedFinding] | None:
    """Return what an audit finds in a folder of tokens; rows of a dataset passed theirs when built."""
    if not isinstance(source, FolderClips):
        return None
    _, findings = audit(source.root, AuditConfig(cond_root=place.cond_root), cpu_count())
    roots = [source.root, *([place.cond_root] if place.cond_root else [])]
    return place_findings(findings, corpus, roots)


def _counted(findings: Sequence[PlacedFinding]) -> dict[int, int]:
    return dict(Counter(each.row for each in findings if each.row is not None))


def _decoded(
    source: ClipSource, corpus: Corpus, rows: Sequence[int], decoder: Decoder, report: Report
) -> Iterator[tuple[int, ClipData]]:
    with Progress("inspect", len(rows), phase="pages") as progress:
        for row in rows:
            clip = corpus.rows[row].id
            try:
                yield row, decoder.add_sound(source.read(clip))
            except (PreprocessError, OSError) as error:
                report.fail(clip, error)
                progress.update(failed=True)
            else:
                progress.update()


def _notes(corpus: Corpus, extras: Extras) -> Iterator[str]:
    total, pages = len(corpus.rows), len(extras.has)
    if pages < total:
        chosen = "those with findings first, the others" if extras.findings else "they are"
        yield (
            f"{pages:,} of {total:,} clips have a page and sound: {chosen} spread evenly over the "
            f"corpus. preprocess inspect --corpus --clips N makes more."
        )
    silent = sum(not bits & HAS_SOUND for bits in extras.has.values())
    if silent:
        yield f"{silent:,} of these have no sound; their pages say why."
