"""The page of a corpus in a real browser, opened as a file: its table, its sound, its links."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from preprocess.cli.main import main
from preprocess.page.clip_data import Decoder
from preprocess.page.clip_sources import open_source
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.inspect_corpus import CorpusPlace, inspect_corpus
from preprocess.tokens.ecdc import write_ecdc
from tests.helpers.browser import wait
from tests.helpers.shown import tokens

HOSTILE = (
    "</script><script>alert(1)<",  # a file's name holds no slash: a folder's and a file's
    "<img src=x onerror=alert(2)>",
    "\"'&amp;`${alert(3)}",
    "\u202egnirts \u05e9\u05dc\u05d5\u05dd",
    "\U0001f3b7 trill",
)


def write_clip(root: Path, name: str, level: float, seconds: float = 0.5, bad: int | None = None):
    """Write a clip of made-up codes, whose level is one value, but for frame `bad`."""
    ecdc = tokens("encodec_24khz_demo", round(24_000 * seconds), 8)
    path = root / f"{name}.ecdc"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ecdc(path, ecdc)
    values = np.full(ecdc.codes.shape[1], level)
    if bad is not None:
        values[bad] = 10
    write_sidecar(path, {"level": {"values": values, "units": "dB", "min": -60, "max": 0}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, demo_codec) -> Path:
    """The page of 300 clips in two splits, six with a page of their own, two with findings."""
    root = tmp_path_factory.mktemp("corpus")
    for index in range(300):
        name = f"{'test' if index % 10 == 0 else 'train'}/clip {index:03d}"
        bad = {17: 10, 299: 3}.get(index)
        write_clip(root / "ecdc", name, -60 + index / 5, 0.2 + index / 1000, bad)
    place = CorpusPlace(root / "page", "clips")
    report = inspect_corpus(open_source(root / "ecdc"), place, Decoder(), 6)
    assert report.ok
    return root / "page"


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder / "index.html") as page:
        yield page


@contextmanager
def opened(browser, page_file: Path, **more):
    """Yield an open page of a corpus; at its end, nothing was asked for outside of its folder."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **more)
    try:
        page = context.new_page()
        own = page_file.parent.as_uri()
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith((own, "data:", "blob:")) else wrong.append(r.url),
        )
        page.on("dialog", lambda d: (wrong.append(f"dialog {d.message}"), d.dismiss()))
        page.goto(page_file.as_uri())
        wait(page, "document.documentElement.dataset.ready === 'yes'")
        yield page
        assert not wrong, wrong
    finally:
        context.close()


def names(page) -> list[str]:
    """Return the names in view, from top to bottom."""
    return list(
        page.evaluate(
            """() => [...corpus.table.drawn].sort((a, b) => a[0] - b[0])
                 .map(([, row]) => row.querySelector(".name").textContent)"""
        )
    )


def count(page) -> str:
    return str(page.inner_text("#count"))


def fill(page, id: str, text: str) -> None:
    page.locator(f"#{id}").fill(text)


def test_it_says_what_is_in_the_corpus(page):
    text = page.inner_text("main")
    assert "300" in page.inner_text(".tiles") and "encodec_24khz_demo" in text
    assert "6 of 300 clips have a page and sound" in text
    assert page.locator("svg.bars").count() >= 4
    assert count(page) == "300 clips"
    assert names(page)[:2] == ["test/clip 000", "test/clip 010"]


def test_only_rows_in_view_are_in_the_document(page):
    assert 10 < page.locator("#table .row").count() < 40
    page.evaluate("corpus.table.grid.scrollTop = 200 * corpus.ROW_PX")
    wait(page, "corpus.table.drawn.has(205)")
    assert page.locator("#table .row").count() < 40
    # The thumbnails of rows from 256 on are a script of their own.
    assert page.evaluate("[...corpus.chunks.keys()].join()") == "0"
    page.evaluate("corpus.table.grid.scrollTop = 1e9")
    wait(page, "Boolean(corpus.chunks.get(1))")
    assert names(page)[-1] == "train/clip 299"


def test_a_thumbnail_draws_the_curve_of_its_row(page):
    colours = "canvas => new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"
    canvas = page.locator("#table canvas").first
    assert canvas.evaluate(colours) > 1
    page.select_option("#curve", label="sound alone")
    silent = page.locator("#table .row", has_text="clip 010").locator("canvas")
    assert silent.evaluate(colours) == 1  # this one was not decoded: nothing is drawn


def test_a_title_sorts_and_sorts_back(page):
    title = page.locator("#table .head button", has_text="level")
    title.click()
    head = page.locator("#table .head [role=columnheader]", has_text="level")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page)[:3] == ["test/clip 000", "train/clip 001", "train/clip 002"]
    title.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page)[:2] == ["train/clip 299", "train/clip 298"]


def test_rows_without_a_value_come_last_either_way(page):
    title = page.locator("#table .head button", has_text="findings")
    order = "[...corpus.table.rows].map(row => corpus.index.ids[row])"
    title.click()
    title.click()
    assert page.evaluate(order)[:2] == ["train/clip 017", "train/clip 299"]
    missing = """() => {
      const index = {count: 4, split: null, columns: [{values: new Float32Array([2, NaN, 1, NaN])}]};
      return [false, true].map((way) => [...corpus.sortedRows(index, 0, way)]);
    }"""
    assert page.evaluate(missing) == [[2, 0, 1, 3], [0, 2, 1, 3]]


def test_search_and_filters_narrow_it_together(page):
    fill(page, "search", "29 CLIP")  # words in any order: 029, 129, 229, and 290 to 299
    assert count(page) == "13 of 300 clips"
    page.select_option("#split", label="train")
    assert count(page) == "12 of 300 clips"
    page.select_option("#column", label="level")
    fill(page, "low", "-1")
    fill(page, "high", "-0.6")
    assert count(page) == "3 of 300 clips"
    assert names(page) == ["train/clip 295", "train/clip 296", "train/clip 297"]
    fill(page, "search", "nothing")
    assert page.locator("#nothing").is_visible() and names(page) == []
    page.click("#filters button[type=reset]")
    wait(page, "document.getElementById('count').textContent === '300 clips'")
    page.check("#sounds")
    assert count(page) == "6 of 300 clips"
    page.check("#findings-only")
    assert names(page) == ["train/clip 017", "train/clip 299"]


def test_a_row_plays_its_own_sound_and_one_at_a_time(page):
    page.check("#sounds")
    first, second = page.locator("#table .play").nth(0), page.locator("#table .play").nth(1)
    first.click()
    wait(page, "document.querySelector('audio').currentTime > 0")
    assert page.evaluate("document.querySelector('audio').src").endswith("audio/000000.flac")
    length = page.evaluate("document.querySelector('audio').duration")
    assert length == pytest.approx(0.2, abs=0.001)
    second.click()
    row = page.evaluate("corpus.table.rows[1]")
    wait(page, f"document.querySelector('audio').src.endsWith('{row:06d}.flac')")
    assert page.locator("#player a").inner_text() == names(page)[1]
    page.click("#filters button[type=reset]")
    assert page.locator("#table .row", has_text="clip 010").locator(".play").is_disabled()


def test_the_keyboard_is_enough(page):
    page.check("#sounds")
    page.focus("#table")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    active = page.locator("#table").get_attribute("aria-activedescendant")
    assert active == "row-3"
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press(" ")
    wait(page, "document.querySelector('audio').currentTime > 0")
    name = page.locator(f"#{active} .name").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/clips/*")
    wait(page, "Boolean(window.EncHF?.page?.opened)")
    assert page.title() == name


def test_a_finding_leads_to_its_moment(page):
    link = page.locator(".findings a", has_text="clip 017")
    assert "at 0.133 s" in link.inner_text()  # frame 10 of 75 a second
    link.click()
    page.wait_for_url("**/clips/*")
    wait(page, "Boolean(window.EncHF?.page?.opened)")
    page.evaluate("EncHF.page.opened.then(() => EncHF.page.player.ready)")
    assert page.title() == "train/clip 017"
    assert page.evaluate("EncHF.page.player.time()") == pytest.approx(10 / 75, abs=1e-3)
    page.locator("nav a").click()
    page.wait_for_url("**/index.html")
    wait(page, "document.documentElement.dataset.ready === 'yes'")


def test_names_are_shown_as_they_are_and_run_nothing(browser, tmp_path):
    for index, name in enumerate(HOSTILE):
        write_clip(tmp_path / "ecdc", name, -index, bad=0)
    out = tmp_path / "page"
    status = main(["inspect", str(tmp_path / "ecdc"), "--corpus", "--out", str(out)])
    assert status == 0
    with opened(browser, out / "index.html") as page:
        assert sorted(names(page)) == sorted(HOSTILE)
        assert page.locator("#table bdi").count() == len(HOSTILE)
        for row, name in enumerate(page.evaluate("corpus.index.ids")):
            link = page.locator("#table .name a").nth(row)
            assert link.inner_text() == name
        assert {each.inner_text() for each in page.locator(".findings bdi").all()} == set(HOSTILE)
        page.locator("#table .name a").first.click()
        page.wait_for_url("**/clips/*")
        wait(page, "Boolean(window.EncHF?.page?.opened)")
        assert page.title() in HOSTILE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(browser, folder, scheme):
    """The contrast of text on its background is that of WCAG AA, 4.5."""
    contrast = """selector => {
      const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => {
        v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      let at = document.querySelector(selector);
      const text = light(getComputedStyle(at).color);
      while (getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)") at = at.parentElement;
      const back = light(getComputedStyle(at).backgroundColor);
      return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    }"""
    with opened(browser, folder / "index.html", color_scheme=scheme) as page:
        for selector in ("h1", ".card p", ".tiles dt", "#table .name a", "#table .head button"):
            assert page.evaluate(contrast, selector) >= 4.5, selector


def test_it_fits_a_phone_held_sideways(browser, folder):
    with opened(browser, folder / "index.html") as page:
        page.set_viewport_size({"width": 740, "height": 340})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#table").scroll_into_view_if_needed()
        box = page.locator("#table").bounding_box()
        assert box["width"] <= 740 and 150 < box["height"] <= 340


def test_only_a_page_of_a_corpus_is_replaced(folder, tmp_path, capsys):
    tokens_root = folder.parent / "ecdc"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    words = ["inspect", str(tokens_root), "--corpus", "--clips", "1", "--out"]
    assert main([*words, str(tmp_path / "mine")]) == 2
    assert "is no page of a corpus" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "page")]) == 0
    assert main([*words, str(tmp_path / "page")]) == 0
    assert len(list((tmp_path / "page" / "clips").iterdir())) == 1
