"""Pieces of HTML that pages share; whatever text they are given is shown as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def shown_name(text: str) -> str:
    """Return a name as it is: what would turn the direction of writing does so in it alone."""
    return f"<bdi>{escape(text)}</bdi>"


def section(title: str, cards: str, before: str = "") -> str:
    """Return a section of cards with a title, after the HTML `before`."""
    return f'<section><h2>{escape(title)}</h2>{before}<div class="cards">{cards}</div></section>'


def card(title: str, text: str, content: str) -> str:
    """Return a card: a title, a line of text, and HTML."""
    said = f"<p>{escape(text)}</p>" if text else ""
    return f'<div class="card"><h3>{shown_name(title)}</h3>{said}{content}</div>'


def plain_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts, whose first column is to the left and all others to the right."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
