"""Still pictures of clips."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.core.errors import UsageError
from preprocess.page.plot import draw, write_plot
from tests.helpers.shown import clip, parameter, ramp

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def shown():
    values = parameter("pitch", np.linspace(100, 200, 300), units="Hz", min=50, max=500)
    values |= parameter("mode", np.repeat([0, 1], 150), kind="categorical", doc_string="(0 a, 1 b)")
    return clip("costs $5 & <more>", parameters=values, sounds={"decoded": ramp(4)})


def test_a_picture_has_a_track_each_on_one_time_axis(shown):
    figure = draw(shown)
    labels = [axis.get_ylabel() for axis in figure.axes]
    assert labels == ["sound", "kHz", "pitch\n[Hz]", "mode", "codebook"]
    assert {tuple(axis.get_xlim()) for axis in figure.axes} == {(0.0, 4.0)}
    (line,) = figure.axes[2].lines
    assert line.get_ydata()[[0, -1]] == pytest.approx([100, 200])
    assert [text.get_text() for text in figure.axes[3].texts] == ["a", "b"]
    (image,) = figure.axes[4].images
    np.testing.assert_array_equal(image.get_array(), shown.tokens.codes)


def test_the_text_of_an_svg_is_text_and_the_file_the_same_each_time(shown, tmp_path):
    for name in ("a.svg", "b.svg"):
        write_plot(shown, tmp_path / name, width_in=5)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert ">costs $5 &amp; &lt;more&gt;</text>" in text and "[Hz]" in text


def test_a_png_has_the_width_that_is_asked_for(shown, tmp_path):
    write_plot(shown, tmp_path / "a.png", width_in=5, dpi=60)
    header = (tmp_path / "a.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG") and int.from_bytes(header[16:20], "big") == 300


def test_an_unknown_format_is_refused(shown, tmp_path):
    with pytest.raises(UsageError, match=r"a\.gif: a picture ends in \.png, \.svg, \.pdf"):
        write_plot(shown, tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
