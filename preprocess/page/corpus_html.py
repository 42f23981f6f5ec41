"""The page of a corpus as HTML: what is known of all clips, and the controls of their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from preprocess.core.report import plural
from preprocess.dataset.schema import describe_range
from preprocess.page.bars import bar_chart, histogram_chart
from preprocess.page.codebook_use import CodebookUse
from preprocess.page.corpus_data import Corpus
from preprocess.page.corpus_files import HAS_FINDING, HAS_SOUND
from preprocess.page.corpus_findings import PlacedFinding
from preprocess.page.distances import Distance
from preprocess.page.findings_html import findings_section, problems_section
from preprocess.page.markup import card, plain_table, section, shown_name
from preprocess.stats.parameter_stats import ParameterStats
from preprocess.tokens.specs import codec_spec

BINS = 40
MOST_BARS = 24
"""A parameter of more labels than this shows those that are most frequent."""


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
    notes: Sequence[str] = ()
    findings: Sequence[PlacedFinding] | None = None
    distances: Sequence[Distance] = ()
    pages: frozenset[int] = field(default_factory=frozenset)


def sections(corpus: Corpus, words: Words) -> str:
    """Return the body of the page above the table."""
    parts = [
        f"<h1>{shown_name(words.name)}</h1>",
        "".join(f"<p>{escape(note)}</p>" for note in words.notes),
        _tiles(corpus, words),
        _lengths(corpus),
        _parameters(corpus),
        *(_codebooks(model, counts.use()) for model, counts in corpus.codes.items()),
        _distances(words.distances),
        findings_section(words.findings, words.pages),
        problems_section(corpus.problems),
    ]
    return "\n".join(part for part in parts if part)


def _tiles(corpus: Corpus, words: Words) -> str:
    kinds = Counter((row.model, row.n_codebooks) for row in corpus.rows)
    tiles = [(f"{len(corpus.rows):,}", "clips"), (_hours(corpus.hours), "of sound")]
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


def _lengths(corpus: Corpus) -> str:
    seconds = np.array([row.seconds for row in corpus.rows])
    if not len(seconds):
        return ""
    rows = [(name, f"{clips:,}", _hours(hours)) for name, (clips, hours) in corpus.splits.items()]
    table = plain_table(("split", "clips", "sound"), rows)
    what = (
        f"{seconds.min():.3g} to {seconds.max():.3g} s, "
        f"half of them longer than {np.median(seconds):.3g} s"
    )
    chart = _histogram(seconds, "s", "the clips' length", "clips")
    return section(
        "Splits and lengths", card("Splits", "", table) + card("Length of the clips", what, chart)
    )


def _parameters(corpus: Corpus) -> str:
    cards = []
    for name, stats in corpus.stats.items():
        total = stats.count + stats.nan_count
        chart = _distribution(name, stats, corpus)
        cards.append(card(name, ". ".join(_facts(stats, total)), chart))
    return section("Parameters", "".join(cards)) if cards else ""


def _facts(stats: ParameterStats, total: int) -> Iterable[str]:
    unit = f" {stats.units}" if stats.units else ""
    if stats.kind == "categorical":
        count = "over a thousand" if stats.labels is None else len(stats.labels)
        yield f"categorical, {count} labels"
    elif stats.min is not None and stats.max is not None:
        kind = "circular, " if stats.kind == "circular" else ""
        yield f"{kind}{stats.min:.4g} to {stats.max:.4g}{unit}"
        if stats.mean is not None and stats.std is not None:
            yield f"mean {stats.mean:.4g}, deviation {stats.std:.3g}"
    declared = describe_range(stats.declared_min, stats.declared_max)
    if declared:
        yield f"declared {declared}"
    yield f"{_share(stats.nan_count, total)} missing" if stats.nan_count else "none missing"


def _distribution(name: str, stats: ParameterStats, corpus: Corpus) -> str:
    if stats.labels and stats.kind == "categorical":
        chosen = dict(sorted(stats.labels.most_common(MOST_BARS)))
        titles = [f"{label}: {_share(n, stats.count)}" for label, n in chosen.items()]
        ends = (str(next(iter(chosen))), str(next(reversed(chosen))))
        return bar_chart(list(chosen.values()), titles, f"Labels of {name}", ends)
    if name in corpus.angles:
        low, period = stats.declared_min or 0.0, stats.period or 1.0
        counts = corpus.angles[name].tolist()
        return histogram_chart(counts, low, low + period, stats.units, name, "frames")
    counts = stats.histogram(BINS)
    if not counts or stats.min is None or stats.max is None:
        return ""
    return histogram_chart(counts, stats.min, stats.max, stats.units, name, "frames")


def _codebooks(model: str, use: Sequence[CodebookUse]) -> str:
    if not use:
        return ""
    size = use[0].size
    titles = [f"codebook {k}: perplexity {each.perplexity:,.0f}" for k, each in enumerate(use)]
    ends = ("codebook 0", f"codebook {len(use) - 1}")
    values = [each.perplexity for each in use]
    even = card(
        "Perplexity",
        f"How many of {size:,} entries, used alike, would carry as much. Low values say that the "
        f"clips are alike, or that the codec does not fit them.",
        bar_chart(values, titles, "Perplexity of each codebook", ends, size),
    )
    titles = [f"codebook {k}: {each.used:,} of {size:,} entries" for k, each in enumerate(use)]
    used = card(
        "Entries in use",
        f"How many of {size:,} entries occur at all.",
        bar_chart([each.used for each in use], titles, "Entries in use", ends, size),
    )
    rows = [
        (
            str(k),
            f"{each.perplexity:,.1f}",
            f"{np.log2(max(1.0, each.perplexity)):.2f}",
            f"{each.used:,}",
            str(each.top[0]),
            f"{each.top[1]:.1%}",
        )
        for k, each in enumerate(use)
    ]
    titles = ["codebook", "perplexity", "bits", "entries", "most frequent", "its share"]
    table = f"<details><summary>As a table</summary>{plain_table(titles, rows)}</details>"
    return section(f"Codebooks of {model}", even + used) + table


def _distances(distances: Sequence[Distance]) -> str:
    if not distances:
        return ""
    snr = np.array([each.snr_db for each in distances if each.snr_db is not None])
    mel = np.array([each.mel_db for each in distances])
    cards = []
    if len(snr):
        text = f"median {np.median(snr):.1f} dB; high is alike, sample by sample"
        chart = _histogram(snr, "dB", "the signal-to-noise ratio", "clips")
        cards.append(card("Signal-to-noise ratio", text, chart))
    text = f"median {np.median(mel):.1f} dB over 64 mel bands; low is alike, phase apart"
    chart = _histogram(mel, "dB", "the spectral distance", "clips")
    cards.append(card("Spectral distance", text, chart))
    count = f"<p>Measured in {len(distances):,} clips that were decoded and have an original.</p>"
    return section("Decoded sound against the original", "".join(cards), count)


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
<p><span id="count" role="status"></span> <small>In the table: up and down choose a clip, Enter \
opens its page, space plays it. A title sorts.</small></p>
<div id="table" role="grid" tabindex="0" aria-label="Clips"><div class="head" role="row"></div>\
<div class="body" role="rowgroup"></div></div>
<p id="nothing" hidden>No clip is like that.</p>
</section>
<div id="player" hidden><a></a><audio controls preload="none"></audio></div>"""


def _histogram(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], unit: str, what: str, each: str
) -> str:
    counts, edges = np.histogram(values, min(BINS, max(1, len(values))))
    return histogram_chart(counts.tolist(), float(edges[0]), float(edges[-1]), unit, what, each)


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours >= 1 / 60 else f"{hours * 3600:.1f} s"


def _share(part: int, total: int) -> str:
    if not part or not total:
        return "none"
    share = part / total
    return f"{share:.1%}" if share >= 0.001 else f"{part:,} of {total:,}"
