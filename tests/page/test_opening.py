"""What a page shows before Bokeh has started, and clips that are opened while another is drawn."""

from __future__ import annotations

import numpy as np

from tests.helpers.browser import opened
from tests.helpers.shown import clip, parameter, ramp, write_page

# Notes the time and what the page shows when Bokeh's script begins.
WHEN_BOKEH_STARTS = """
Object.defineProperty(window, "Bokeh", {
  configurable: true,
  set(bokeh) {
    window.before = [performance.now(), document.body.innerText];
    Object.defineProperty(window, "Bokeh", { value: bokeh });
  },
});
"""


def test_text_and_controls_are_painted_before_bokeh_starts(browser, tmp_path):
    shown = clip("bell", parameters=parameter("pitch", [1.0] * 300), sounds={"decoded": ramp(4)})
    path = write_page(tmp_path / "page.html", shown)
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script(WHEN_BOKEH_STARTS)
        page.goto(path.as_uri())
        page.evaluate("EncHF.page.opened")
        started_ms, text = page.evaluate("before")
        painted_ms = page.evaluate(
            """() => new Promise((resolve) => new PerformanceObserver(
                 (list) => resolve(list.getEntriesByName("first-contentful-paint")[0].startTime)
               ).observe({ type: "paint", buffered: true }))"""
        )
        heights = page.evaluate(
            """() => Object.keys(EncHF.page.view.plots).map((track) =>
                 [EncHF.page.view.stage.spec.heights[track], EncHF.page.view.plots[track].offsetHeight])"""
        )
    assert painted_ms < started_ms
    assert "encodec_24khz" in text and "pitch" in text and "Tokens" in text
    # The tracks have their places from the start, so nothing moves when they are drawn.
    assert len(heights) == 5 and all(kept == drawn for kept, drawn in heights), heights


def test_the_clip_that_was_opened_last_is_shown(browser, tmp_path):
    other = clip("other", parameters=parameter("loudness", np.zeros(300)))
    path = write_page(tmp_path / "page.html", clip("first", parameters={}), other)
    with opened(browser, path) as page:
        page.evaluate(
            """async () => {
              const {page} = EncHF;
              await Promise.all([page.open(1), page.open(0), page.open(1)]);
            }"""
        )
        assert page.evaluate("[EncHF.page.view.clip.id, Bokeh.documents.length]") == ["other", 1]
        assert page.locator(".track.curve canvas").count() >= 1
        assert page.locator("section.clip").get_attribute("inert") is None
