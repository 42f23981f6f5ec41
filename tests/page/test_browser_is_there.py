"""Without a browser the tests of pages are skipped, but not where one is asked for, as in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.browser import REQUIRED, launch


def test_without_a_browser_a_test_is_skipped_and_says_why(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        next(launch())


def test_where_a_browser_is_asked_for_its_absence_is_a_failure(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="asks for a browser"):
        next(launch())


def test_ci_asks_for_one():
    script = Path(__file__).parents[2] / ".ci/run"
    if not script.exists():
        pytest.skip("not a checkout")
    assert f"export {REQUIRED}=1" in script.read_text()
