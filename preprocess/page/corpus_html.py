"""The page of a corpus as HTML: what is known of all clips, and the controls of their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from preprocess.core.report import plural
from preprocess.page.corpus_cards import (
    codebook_cards,
    distance_cards,
    hours_text,
    length_cards,
    parameter_cards,
)
from preprocess.page.corpus_data import Corpus
from preprocess.page.corpus_files import HAS_FINDING, HAS_SOUND
from preprocess.page.corpus_findings import PlacedFinding
from preprocess.page.distances import Distance
from preprocess.page.findings_html import findings_section, problems_section
from preprocess.page.markup import section, shown_name
from preprocess.tokens.specs import codec_spec


@dataclass(frozen=True)
class Words:
    """What a page says that is not measured.

    Attributes:
        name: Of the corpus.
        notes: Sentences below the title, such as how many clips have sound.
        findings: What an audit found; None where none could be made.
        distances: Of the clips that were decoded and have an original.
        pages: Rows that have a page of their own.
    """

    name: str
    notes: Iterable[str] = ()
    findings: Sequence[PlacedFinding] | None = None
    distances: Sequence[Distance] = ()
    pages: frozenset[int] = field(default_factory=frozenset)


def sections(corpus: Corpus, words: Words) -> str:
    """Return the body of the page above the table."""
    parts = [
        f"<h1>{shown_name(words.name)}</h1>",
        "".join(f"<p>{escape(note)}</p>" for note in words.notes),
        _tiles(corpus, words),
        section("All clips", _clip_cards(corpus, words)),
        section("Parameters", parameter_cards(corpus)) if corpus.stats else "",
        findings_section(words.findings, words.pages),
        problems_section({**corpus.unreadable, **corpus.problems}),
    ]
    return "\n".join(part for part in parts if part)


def _clip_cards(corpus: Corpus, words: Words) -> str:
    books = (codebook_cards(model, counts.use()) for model, counts in corpus.codes.items())
    return "".join([length_cards(corpus), *books, distance_cards(words.distances)])


def _tiles(corpus: Corpus, words: Words) -> str:
    kinds = Counter((row.model, row.n_codebooks) for row in corpus.rows)
    tiles = [(f"{len(corpus.rows):,}", "clips"), (hours_text(corpus.hours), "of sound")]
    for (model, k), count in kinds.items():
        kbps = f"{codec_spec(model).bandwidth_kbps(k):g} kbps"
        share = "" if len(kinds) == 1 else f", {count:,} clips"
        tiles.append((kbps, f"{model}, {k} codebooks{share}"))
    tiles.append((str(len(corpus.stats)), plural("parameter", len(corpus.stats))))
    if words.findings is not None:
        found = len(words.findings)
        tiles.append((f"{found:,}", f"{plural('finding', found)} of the audit"))
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for v, k in tiles)
    return f'<dl class="tiles">{items}</dl>'


def controls() -> str:
    """Return the table's controls, and its empty frame, which scripts fill."""
    return f"""<section><h2 id="clips">Clips</h2>
<form id="filters">
<label>Search names<input id="search" type="search" autocomplete="off" spellcheck="false"></label>
<label>Split<select id="split"><option value="-1">all</option></select></label>
<fieldset><label>Where<select id="column"><option value="-1">any value</option></select></label>
<label>from<input id="low" type="number" step="any"></label>
<label>to<input id="high" type="number" step="any"></label></fieldset>
<label class="box"><input id="sounds" type="checkbox" value="{HAS_SOUND}">with sound</label>
<label class="box"><input id="findings-only" type="checkbox" value="{HAS_FINDING}">with \
findings</label>
<label>Curve<select id="curve"></select></label>
<button type="reset">Show all</button>
</form>
<p><span id="count" role="status"></span> <small>Click a title to sort. In the table, arrow \
keys choose a clip, Space plays it, and Enter opens its page.</small></p>
<div id="table" role="grid" tabindex="0" aria-label="Clips"><div class="head" role="row"></div>\
<div class="body" role="rowgroup"></div></div>
<p id="nothing" hidden>No clip matches.</p>
</section>
<div id="player" hidden><a></a><audio controls preload="none"></audio></div>"""
