"""The page of a corpus: a folder that opens from a file, as any browser opens it.

index.html          what is known of all clips, and their table
script/             the table's scripts and style
data/               the clips' names, numbers and thumbnails, as scripts
clips/000017.html   a page for each clip of the sample
audio/000017.flac   its decoded sound
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from html import escape
from pathlib import Path

from preprocess.core.files import write_bytes
from preprocess.page.corpus_data import Corpus
from preprocess.page.corpus_files import Extras, write_data
from preprocess.page.corpus_html import Words, controls, sections

SCRIPTS = ("columns", "rows", "thumbnail", "player", "table", "start")
"""In the order in which they are loaded; the corpus's index comes before the last."""


def write_corpus_page(folder: Path, corpus: Corpus, extras: Extras, words: Words) -> Path:
    """Write index, scripts and data of a corpus's page; return the page.

    Pages and sounds of clips are written apart, before or after.
    """
    write_data(folder / "data", corpus, extras)
    scripts = Path(__file__).parent / "script" / "corpus"
    (folder / "script").mkdir(parents=True, exist_ok=True)
    for name in ("corpus.css", *(f"{script}.js" for script in SCRIPTS)):
        shutil.copyfile(scripts / name, folder / "script" / name)
    page = folder / "index.html"
    write_bytes(page, _html(corpus, words).encode("utf-8", "backslashreplace"))
    return page


def _html(corpus: Corpus, words: Words) -> str:
    sources = [f"script/{name}.js" for name in SCRIPTS]
    sources.insert(-1, "data/index.js")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(words.name)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="script/corpus.css">
<main>
{sections(corpus, words)}
{controls()}
</main>
{_script_tags(sources)}
</html>
"""


def _script_tags(sources: Iterable[str]) -> str:
    return "\n".join(f'<script src="{source}"></script>' for source in sources)
