"""A browser that opens pages, and holds them to it: no request, no error in its console."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "ENCHF_TESTS_NEED_BROWSER"
"""Set where a browser must be there: then a test without one fails, and is not skipped."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Every sound goes through an analyser on its way out, which a test can read.
_PROBE = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (!(target instanceof AudioDestinationNode)) return connect.call(this, target, ...rest);
  const context = this.context;
  if (!context.probe) {
    context.probe = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    connect.call(context.probe, context.destination);
    window.probe = context.probe;
  }
  return connect.call(this, context.probe);
};
"""


def launch() -> Iterator[Any]:
    """Yield a browser; skip the test where there is none."""
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    if path is None:
        _missing(f"no browser ({', '.join(NAMES)}) is installed")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def _missing(reason: str) -> None:
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} asks for a browser")
    pytest.skip(reason)


def wait(page: Any, expression: str, most_s: float = 10.0) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's way, which is eval."""
    end = time.monotonic() + most_s
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(20)


def rewind(page: Any) -> None:
    """Bring an open page back to how it was opened."""
    page.mouse.move(0, 0)
    page.evaluate(
        """async () => {
          const {player, view} = EncHF.page;
          player.pause();
          view.selecting = false;
          await player.setLoop(null);
          await player.seek(0);
          view.setView(0, view.clip.duration);
          if (player.sounds.length) view.choose(player.sounds.at(-1).name);
          document.activeElement.blur();
        }"""
    )


@contextmanager
def opened(
    browser: Any, path: Path, fragment: str = "", size: tuple[int, int] = (1280, 800), **more: Any
) -> Iterator[Any]:
    """Yield an open page whose clip is drawn and decoded.

    Raises:
        AssertionError: In the end, if it asked for anything, or its console has a warning.
    """
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)
    try:
        page = context.new_page()
        page.add_init_script(_PROBE)
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: wrong.append(r.url) if r.url != page.url else None)
        page.on(
            "dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss())
        )
        page.goto(path.as_uri() + fragment)
        wait(page, "Boolean(window.EncHF?.page?.opened)")
        page.evaluate("EncHF.page.opened.then(() => EncHF.page.player.ready)")
        yield page
        own = path.as_uri()
        # What begins so is the page itself, and what it holds.
        wrong = [text for text in wrong if not text.startswith((own, "blob:"))]
        assert not wrong, wrong
    finally:
        context.close()
