"""Bar charts as SVG text: they need no script, print well, and take their colours from the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 320, 90
_FOOT = 16
"""Pixels below the bars, for the ends of the axis."""


def bar_chart(
    counts: Sequence[float],
    titles: Sequence[str],
    label: str,
    ends: tuple[str, str] | None = None,
    most: float | None = None,
) -> str:
    """Return bars from left to right as an `<svg>` element.

    Args:
        counts: Height of each bar; not negative.
        titles: What is said of each bar under the pointer.
        label: What the chart is of, for a screen reader.
        ends: Texts below the first bar and the last.
        most: Height of the chart in units of `counts`; None for that of the highest bar.
    """
    top = most or max(counts, default=0) or 1
    slot = WIDTH / max(1, len(counts))
    gap = 1 if slot > 4 else 0
    bars = []
    for index, (count, title) in enumerate(zip(counts, titles, strict=True)):
        height = min(1.0, count / top) * HEIGHT
        if count:
            height = max(height, 1.0)  # what is there is seen
        bars.append(
            f'<rect x="{index * slot:.2f}" y="{HEIGHT - height:.2f}" width="{slot - gap:.2f}" '
            f'height="{height:.2f}"><title>{escape(title)}</title></rect>'
        )
    texts = ""
    if ends is not None:
        texts = (
            f'<text x="0" y="{HEIGHT + 13}">{escape(ends[0])}</text>'
            f'<text x="{WIDTH}" y="{HEIGHT + 13}" text-anchor="end">{escape(ends[1])}</text>'
        )
    return (
        f'<svg class="bars" viewBox="0 0 {WIDTH} {HEIGHT + (_FOOT if ends else 1)}" role="img" '
        f'aria-label="{escape(label)}"><path class="floor" d="M0 {HEIGHT}.5H{WIDTH}"/>'
        f"{''.join(bars)}{texts}</svg>"
    )


def histogram_chart(
    counts: Sequence[int], low: float, high: float, unit: str, what: str, each: str
) -> str:
    """Return the bars of a histogram with even bins from `low` to `high`.

    Args:
        counts: Of each bin.
        low: Lower end of the first bin.
        high: Upper end of the last.
        unit: Of both; may be empty.
        what: What is measured.
        each: What is counted, in the plural.
    """
    suffix = f" {unit}" if unit else ""
    step = (high - low) / max(1, len(counts))
    titles = [
        f"{low + i * step:.4g} to {low + (i + 1) * step:.4g}{suffix}: {count:,} {each}"
        for i, count in enumerate(counts)
    ]
    label = f"Distribution of {what} from {low:.4g} to {high:.4g}{suffix}"
    return bar_chart(counts, titles, label, (f"{low:.4g}{suffix}", f"{high:.4g}{suffix}"))
