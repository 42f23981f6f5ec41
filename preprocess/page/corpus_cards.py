"""What is known of a corpus as cards, each a title, a line and a chart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from preprocess.core.report import plural
from preprocess.dataset.schema import describe_range
from preprocess.page.bars import bar_chart, histogram_chart
from preprocess.page.codebook_use import CodebookUse
from preprocess.page.corpus_data import Corpus
from preprocess.page.distances import Distance
from preprocess.page.markup import card, plain_table
from preprocess.stats.parameter_stats import ParameterStats

BINS = 40
MOST_BARS = 24
"""A parameter of more labels than this shows those that are most frequent."""


def length_cards(corpus: Corpus) -> str:
    """Return the splits, and how long the clips are."""
    seconds = np.array([row.seconds for row in corpus.rows])
    rows = [
        (name, f"{clips:,}", hours_text(hours)) for name, (clips, hours) in corpus.splits.items()
    ]
    table = plain_table(("split", "clips", "sound"), rows)
    what = f"{seconds.min():.3g} to {seconds.max():.3g} s, median {np.median(seconds):.3g} s"
    chart = _histogram(seconds, "s", "the clips' length", "clips")
    return card("Splits", "", table) + card("Length of the clips", what, chart)


def parameter_cards(corpus: Corpus) -> str:
    """Return the distribution of each parameter over all frames."""
    cards = []
    for name, stats in corpus.stats.items():
        total = stats.count + stats.nan_count
        chart = _distribution(name, stats, corpus)
        cards.append(card(name, "; ".join(_facts(stats, total)), chart))
    return "".join(cards)


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
        names = corpus.labels.get(name, {})
        shown = [f"{label} {names.get(label, '')}".strip() for label in chosen]
        titles = [
            f"{text}: {_share(n, stats.count)}"
            for text, n in zip(shown, chosen.values(), strict=True)
        ]
        ends = (shown[0], shown[-1] if len(shown) > 1 else "")
        return bar_chart(list(chosen.values()), titles, f"Labels of {name}", ends)
    if name in corpus.angles:
        low, period = stats.declared_min or 0.0, stats.period or 1.0
        counts = corpus.angles[name].tolist()
        return histogram_chart(counts, low, low + period, stats.units, name, "frames")
    counts = stats.histogram(BINS)
    if not counts or stats.min is None or stats.max is None:
        return ""
    return histogram_chart(counts, stats.min, stats.max, stats.units, name, "frames")


def codebook_cards(model: str, use: Sequence[CodebookUse]) -> str:
    """Return how evenly the codebooks of a codec are used."""
    size = use[0].size
    ends = ("codebook 0", f"codebook {len(use) - 1}")
    titles = [f"codebook {k}: perplexity {each.perplexity:,.0f}" for k, each in enumerate(use)]
    values = [each.perplexity for each in use]
    even = bar_chart(values, titles, "Perplexity of each codebook", ends, size)
    titles = [f"codebook {k}: {each.used:,} of {size:,} entries" for k, each in enumerate(use)]
    used = bar_chart([each.used for each in use], titles, "Entries in use", ends, size)
    what = f"how many of {size:,} entries would carry as much if all were used equally ({model})"
    table = f"<details><summary>As a table</summary>{_codebook_table(use)}</details>"
    return card("Codebooks: perplexity", what, even + table) + card(
        "Codebooks: entries in use", f"how many of {size:,} entries occur at all", used
    )


def _codebook_table(use: Sequence[CodebookUse]) -> str:
    rows = [
        (
            str(k),
            f"{each.perplexity:,.1f}",
            f"{math.log2(max(1.0, each.perplexity)):.2f}",
            f"{each.used:,}",
            str(each.top[0]),
            f"{each.top[1]:.1%}",
        )
        for k, each in enumerate(use)
    ]
    titles = ("codebook", "perplexity", "bits", "entries", "most frequent", "its share")
    return plain_table(titles, rows)


def distance_cards(distances: Sequence[Distance]) -> str:
    """Return how the decoded sound differs from the original, of the clips that have one."""
    if not distances:
        return ""
    snr = np.array([each.snr_db for each in distances if each.snr_db is not None])
    mel = np.array([each.mel_db for each in distances])
    over = f"over {len(distances):,} decoded {plural('clip', len(distances))}"
    cards = []
    if len(snr):
        text = f"median {np.median(snr):.1f} dB {over}; higher is closer to the original"
        chart = _histogram(snr, "dB", "the signal-to-noise ratio", "clips")
        cards.append(card("Signal-to-noise ratio", text, chart))
    text = f"median {np.median(mel):.1f} dB {over}, in 64 mel bands; lower is closer"
    chart = _histogram(mel, "dB", "the spectral distance", "clips")
    cards.append(card("Spectral distance", text, chart))
    return "".join(cards)


def _histogram(values: NDArray[np.float64], unit: str, what: str, each: str) -> str:
    counts, edges = np.histogram(values, min(BINS, max(1, len(values))))
    return histogram_chart(counts.tolist(), float(edges[0]), float(edges[-1]), unit, what, each)


def hours_text(hours: float) -> str:
    """Return a time in hours, minutes or seconds."""
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours >= 1 / 60 else f"{hours * 3600:.1f} s"


def _share(part: int, total: int) -> str:
    if not part or not total:
        return "none"
    share = part / total
    return f"{share:.1%}" if share >= 0.001 else f"{part:,} of {total:,}"
