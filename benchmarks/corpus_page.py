"""The page of a corpus in a browser: time to open, filter and sort, and pages made in a second.

`python -m benchmarks.corpus_page`; `--rows 1000` for a quick look. Bokeh's table of the same columns
is measured beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.page import make_clip
from preprocess.core.jobs import cpu_count
from preprocess.page.clip_data import ClipData
from preprocess.page.corpus_clips import ClipPages, write_clips
from preprocess.page.corpus_data import Corpus, measure_corpus
from preprocess.page.corpus_files import Extras
from preprocess.page.corpus_html import Words
from preprocess.page.corpus_page import write_corpus_page
from preprocess.sidecar.parameters import check_parameter
from preprocess.tokens.types import Ecdc

MEASURED = 1000
"""Clips that are made and measured; more rows are these again, under other names."""
ROUNDS = 5
DRAWN = "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
# What a user does -> the script that does it; each is timed until the next frame but one is drawn.
ACTIONS = {
    "search, 100 hits or so": "type('search', '12345'.slice(-4))",
    "search, all hits": "type('search', 'clip')",
    "search, nothing": "type('search', '')",
    "filter by a value": "pick('column', 1); type('low', '-35'); type('high', '-30')",
    "sort by a value": "document.querySelectorAll('#table .head button')[3].click()",
    "search in that order": "type('search', '77')",
}
HELP = """
const by = (id) => document.getElementById(id);
const type = (id, text) => { by(id).value = text; by(id).dispatchEvent(new Event('input')); };
const pick = (id, at) => { by(id).selectedIndex = at; by(id).dispatchEvent(new Event('change')); };
"""


class Clips:
    """Made-up clips of 10 s with four parameters."""

    name = "clips"

    def __init__(self, count: int) -> None:
        self.ids = [f"folder {i % 97:02d}/clip {i:06d}" for i in range(count)]
        self._rng = np.random.default_rng(0)

    def split(self, clip: str) -> str:
        """Return the split of a clip."""
        return "test" if clip.endswith("0") else "train"

    def read(self, clip: str, with_original: bool = True) -> ClipData:
        """Return a clip without sound."""
        codes = self._rng.integers(0, 1024, (8, 750)).astype(np.int16)
        names = ("level", "pitch", "brightness", "wind")
        curves = {name: self._rng.normal(-30, 5, 750).cumsum() / 100 for name in names}
        parameters = {
            name: check_parameter(name, {"values": values}) for name, values in curves.items()
        }
        return ClipData(clip, Ecdc("encodec_24khz", codes, 240_000, (750,), None), parameters)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pages", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch, "page")
        corpus = make_corpus(args.rows)
        started = time.perf_counter()
        page = write_corpus_page(folder, corpus, Extras(), Words("corpus"))
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{args.rows:,} rows: {size / 1e6:.0f} MB, written in {seconds:.1f} s")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        measure_page(browser, page)
        measure_bokeh(browser, corpus, Path(scratch, "bokeh.html"))
        browser.close()
        measure_pages(folder, args.pages)


def make_corpus(rows: int) -> Corpus:
    """Return a corpus of as many rows, all but the first ones repeated."""
    started = time.perf_counter()
    corpus = measure_corpus(Clips(min(rows, MEASURED)))
    count = len(corpus.rows)
    per_clip = (time.perf_counter() - started) / count
    print(f"measured at {1 / per_clip:,.0f} clips of 10 s a second, made-up codes included")
    names = sorted(Clips(rows).ids)
    corpus.rows = [
        dataclasses.replace(corpus.rows[i % count], id=name) for i, name in enumerate(names)
    ]
    return corpus


def measure_page(browser: Browser, path: Path) -> None:
    """Print how long our table takes for what a user does."""
    ready = "() => document.documentElement.dataset.ready === 'yes'"
    page = timed_open(browser, path, "our table", ready)
    for name, script in ACTIONS.items():
        report(name, [act(page, f"{HELP} {script}") for _ in range(ROUNDS)])
    scroll = "corpus.table.grid.scrollTop = Math.random() * 1e6"
    report("scroll to rows elsewhere", [act(page, scroll) for _ in range(ROUNDS)])


def measure_bokeh(browser: Browser, corpus: Corpus, path: Path) -> None:
    """Print the same of Bokeh's DataTable, all in one file, without thumbnails."""
    from bokeh.embed import file_html
    from bokeh.models import CDSView, ColumnDataSource, CustomJSFilter, DataTable, TableColumn
    from bokeh.resources import INLINE

    columns: dict[str, Any] = {"clip": [row.id for row in corpus.rows]}
    columns["length"] = np.array([row.seconds for row in corpus.rows], np.float32)
    for name in corpus.stats:
        columns[name] = np.array([row.values[name] for row in corpus.rows], np.float32)
    source = ColumnDataSource(columns)
    test = "return source.data.clip.map((name) => name.includes(window.wanted || ''))"
    table = DataTable(
        source=source,
        view=CDSView(filter=CustomJSFilter(code=test)),
        columns=[TableColumn(field=name, title=name) for name in columns],
        name="table",
    )
    path.write_text(file_html(table, INLINE, "table"))
    print(f"Bokeh's DataTable: one file of {path.stat().st_size / 1e6:.0f} MB")
    ready = "() => window.Bokeh?.documents.length && document.querySelector('.bk-DataTable')"
    page = timed_open(browser, path, "Bokeh's table", ready)
    script = (
        "window.wanted = '{}'; "
        "Bokeh.documents[0].get_model_by_name('table').view.filter.change.emit()"
    )
    for name, text in (("search, 100 hits or so", "2345"), ("search, all hits", "clip")):
        report(name, [act(page, script.format(text)) for _ in range(ROUNDS)])


def timed_open(browser: Browser, path: Path, name: str, ready: str) -> Page:
    """Open a page several times, print how long it takes until it is drawn, and return the last."""
    times = []
    for _ in range(ROUNDS):
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        started = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_function(ready)
        page.evaluate(DRAWN)
        times.append(1000 * (time.perf_counter() - started))
        last = page
    report(f"open {name}", times)
    return last


def act(page: Page, script: str) -> float:
    """Run a script in the page; return the ms until what it changed is drawn."""
    timed = f"async () => {{ const start = performance.now(); {script}; await {DRAWN}; return performance.now() - start; }}"
    return float(page.evaluate(timed))


def report(name: str, times: list[float]) -> None:
    """Print the median and the worst of several times."""
    print(f"  {name:<28}{statistics.median(times):>8.0f} ms, at most {max(times):.0f} ms")


def measure_pages(folder: Path, count: int) -> None:
    """Print how many pages of clips are made in a second, decoding apart."""
    clip = shorter(make_clip("encodec_24khz", noisy=True), 10)
    pages = ClipPages(folder)
    for _ in write_clips(pages, repeated(clip, 1), 1):
        pass  # figures and scripts are made once
    started, cpu = time.perf_counter(), time.process_time()
    made = sum(1 for _ in write_clips(pages, repeated(clip, count), cpu_count()))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"pages of clips of 10 s with two sounds: {made / wall:.1f} a second; "
        f"{1000 * cpu / made:.0f} ms of a core each, {cpu_count()} cores"
    )


def shorter(clip: ClipData, seconds: int) -> ClipData:
    """Return the start of a clip."""
    spec = clip.tokens.header.spec
    samples, frames = seconds * spec.sample_rate, seconds * spec.fps
    tokens = Ecdc(clip.tokens.model, clip.tokens.codes[:, :frames], samples, (frames,), None)
    parameters = {
        name: check_parameter(
            name, {"values": each.values[:frames], "units": each.units, "kind": each.kind}
        )
        for name, each in clip.parameters.items()
    }
    sounds = {name: wave[:, :samples] for name, wave in clip.sounds.items()}
    return ClipData(clip.id, tokens, parameters, sounds)


def repeated(clip: ClipData, count: int) -> Iterator[tuple[int, ClipData]]:
    """Yield a clip under several names."""
    for row in range(count):
        yield row, dataclasses.replace(clip, id=f"{clip.id} {row}")


if __name__ == "__main__":
    main()
