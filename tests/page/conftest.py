"""One browser for all tests of pages."""

from __future__ import annotations

import pytest

from tests.helpers.browser import launch


@pytest.fixture(scope="package")
def browser():
    """A browser; it ends with these tests, as its event loop would be in the way of others."""
    yield from launch()
