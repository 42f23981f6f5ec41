"""Functions of the page's own scripts, called in a browser."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.page.packing import Packing
from tests.helpers.browser import opened
from tests.helpers.shown import clip, write_page


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    path = write_page(tmp_path_factory.mktemp("page") / "page.html", clip())
    with opened(browser, path) as page:
        yield page


@pytest.mark.parametrize(("x", "index"), [(-1, -1), (0, 0), (0.5, 0), (2, 3), (9, 4)])
def test_the_last_of_ascending_values_that_is_not_above(page, x, index):
    assert page.evaluate("x => EncHF.lastAtMost([0, 1, 2, 2, 5], x)", x) == index


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (440, "440"),
        (1 / 3, "0.33333"),
        (-1.5e-9, "-1.500e-9"),
        (2.5e7, "2.500e+7"),
        (None, "NaN"),
    ],
)
def test_numbers_in_few_digits(page, value, text):
    assert page.evaluate("v => EncHF.number(v)", value) == text


def test_arrays_of_the_json_are_what_they_were(page):
    times, codes = np.array([0.0, 0.5]), np.array([[1, -1], [2, -32_768]], np.int16)
    packing = Packing()
    packed = packing.pack(
        {"one": {"x": times, "image": [codes]}, "two": {"x": times + 0, "text": ["a"]}}
    )
    assert len(packing.arrays) == 2
    found = page.evaluate(
        """([packed, arrays]) => {
          const {one, two} = EncHF.unpack(packed, arrays.map(EncHF.array));
          const [image] = one.image;
          return [[...one.x], [...two.x], two.text, [...image], image.shape, image.dtype];
        }""",
        [packed, packing.arrays],
    )
    assert found == [[0, 0.5], [0, 0.5], ["a"], [1, -1, 2, -32_768], [2, 2], "int16"]


@pytest.mark.parametrize("id", ["a/b c", "100%", "#&=+", "\u05d0 \U0001f3bb", "</script>"])
def test_a_moment_is_read_as_it_was_written(page, id):
    moment = {"clip": id, "t": 1.25, "x": [0.5, 3], "sound": "original"}
    assert page.evaluate("m => EncHF.readMoment(EncHF.writeMoment(m))", moment) == moment


def test_labels_have_colours_and_far_ones_again(page):
    colors = page.evaluate("[0, 1, 7, 8, -1].map(EncHF.labelColor)")
    assert colors[0] == colors[3] and colors[2] == colors[4] and len(set(colors)) == 3
