"""What a corpus's page says of all clips, measured against what is known of them."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from preprocess.page.clip_data import ClipData
from preprocess.page.codebook_use import CodeCounts
from preprocess.page.corpus_data import ANGLE_BINS, measure_corpus
from preprocess.page.corpus_files import HAS_FINDING, HAS_PAGE, Extras, write_data
from preprocess.page.corpus_html import Words
from preprocess.page.corpus_page import write_corpus_page
from preprocess.page.distances import Distance, distance, mel_distance_db, snr_db
from preprocess.page.thumbnails import MISSING, POINTS, as_bytes, curve_points, loudness_points
from preprocess.stats.parameter_stats import ParameterStats
from tests.helpers.shown import clip, parameter, steps


class Clips:
    """A source of clips in memory."""

    name = "clips"

    def __init__(self, *clips: ClipData, splits: dict[str, str] | None = None) -> None:
        self._clips = {each.id: each for each in clips}
        self._splits = splits or {}

    @property
    def ids(self):
        return list(self._clips)

    def split(self, clip):
        return self._splits.get(clip, "train")

    def read(self, clip, with_original=True):
        return self._clips[clip]


def test_perplexity_says_how_many_entries_would_do():
    counts = CodeCounts(1024)
    even = np.arange(1024)
    few = np.array([3] * 512 + [900] * 512)
    counts.update([np.stack([even, few]), np.stack([even, few])])
    counts.update([np.full((1, 8), 3)])  # a clip of one codebook
    first, second = counts.use()
    assert second.perplexity == pytest.approx(2) and second.used == 2
    assert second.top == (3, 0.5)
    assert first.perplexity == pytest.approx(1024, rel=0.01) and first.used == 1024
    assert first.top[0] == 3


def test_counts_of_parts_are_those_of_the_whole():
    codes = np.random.default_rng(0).integers(0, 32, (3, 500))
    whole, left, right = CodeCounts(32), CodeCounts(32), CodeCounts(32)
    whole.update([codes])
    left.update([codes[:2, :200]])
    right.update([codes[:2, 200:], codes[2:, :0]])
    left.merge(right)
    np.testing.assert_array_equal(left.counts, whole.counts[:2])


def test_noise_at_a_known_level_has_that_snr():
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, (2, 48_000)).astype(np.float32)
    noise = rng.normal(0, 0.01, sound.shape).astype(np.float32)
    assert snr_db(sound, sound + noise) == pytest.approx(20, abs=0.1)
    assert snr_db(sound, sound) is None and snr_db(0 * sound, noise) is None
    assert mel_distance_db(sound, sound, 24_000) == 0
    assert mel_distance_db(sound, 2 * sound, 24_000) == pytest.approx(6.02, abs=0.05)


def test_the_spectral_distance_does_not_see_the_phase():
    at, fade = np.arange(72_000) / 24_000, np.hanning(72_000)  # an edge would be heard as a click
    one = (fade * np.sin(2 * np.pi * 440 * at)).astype(np.float32)[None]
    other = (fade * np.cos(2 * np.pi * 440 * at)).astype(np.float32)[None]
    found = distance(one, other, 24_000)
    assert found.snr_db == pytest.approx(-3, abs=0.1)
    octave = (fade * np.sin(2 * np.pi * 880 * at)).astype(np.float32)[None]
    assert distance(one, octave, 24_000).mel_db > 8 * found.mel_db
    with pytest.raises(ValueError, match="cannot be compared"):
        distance(one, other[:, 1:], 24_000)


def test_a_thumbnail_is_the_curve():
    values = np.repeat(np.arange(POINTS, dtype=float), 10)
    np.testing.assert_array_equal(curve_points(values), np.arange(POINTS))
    values[:10] = np.nan
    values[13] = np.nan  # one of ten: the others say what the mean is
    points = curve_points(values)
    assert np.isnan(points[0]) and points[1] == 1
    assert as_bytes(points, 0, POINTS - 1)[[0, -1]].tolist() == [MISSING, 254]
    assert curve_points(np.array([5.0]), False).tolist() == [5.0] * POINTS  # of one frame
    assert set(curve_points(np.array([1.0, 4.0] * 500), True)) <= {1.0, 4.0}  # labels have no mean
    assert as_bytes(np.full(3, 7.0, np.float32), 7, 7).tolist() == [127, 127, 127]


def test_a_thumbnail_of_a_sound_is_how_loud_it_is():
    sound = np.concatenate([steps([440.0], level=0.5), 0 * steps([440.0])], axis=1)
    points = loudness_points(sound)
    np.testing.assert_allclose(points[: POINTS // 2], 0.5, atol=0.01)
    assert points[POINTS // 2 + 1 :].max() == 0


@pytest.mark.parametrize("spread", [1, 1e-3, 1e6])
def test_a_histogram_counts_what_there_is(spread):
    values = np.random.default_rng(0).normal(0, spread, 50_000).astype(np.float32)
    stats = ParameterStats()
    stats.update(values)
    counts = np.array(stats.histogram(20))
    exact, _ = np.histogram(values, 20)
    assert counts.sum() == len(values)
    assert np.abs(counts - exact).max() < 0.005 * len(values)


def test_what_is_known_of_clips_is_what_was_given():
    frames = 300
    angle = np.concatenate([np.full(frames // 2, 350.0), np.full(frames // 2, 10.0)])
    level = np.linspace(-60, 0, frames)
    level[:30] = np.nan
    one = clip(
        "one",
        parameters={
            **parameter("level", level, units="dB", nan="silent"),
            **parameter("angle", angle, units="deg", kind="circular"),
            **parameter(
                "kind", [2] * 200 + [1] * 100, kind="categorical", doc_string="(0 a, 1 b, 2 c)"
            ),
        },
    )
    two = clip("two", seconds=2, parameters={})
    other_unit = clip("three", parameters=parameter("level", np.zeros(frames), units="Pa"))
    corpus = measure_corpus(Clips(one, two, other_unit, splits={"two": "test"}))
    first = corpus.rows[0]
    assert [row.id for row in corpus.rows] == ["one", "two", "three"]
    assert corpus.splits == {
        "train": (2, pytest.approx(8 / 3600)),
        "test": (1, pytest.approx(2 / 3600)),
    }
    assert first.values["level"] == pytest.approx(np.nanmean(level))
    assert first.values["kind"] == 2  # the most frequent, and no mean of labels
    assert min(first.values["angle"], 360 - first.values["angle"]) < 1e-6  # and not 180
    assert first.missing == pytest.approx(30 / 900)
    assert corpus.labels["kind"] == {0: "a", 1: "b", 2: "c"}
    counts = corpus.angles["angle"]
    assert counts[0] == counts[ANGLE_BINS - 1] == frames // 2 and counts.sum() == frames
    assert corpus.stats["level"].nan_count == 30
    assert set(corpus.problems) == {"three"} and "'dB'" in corpus.problems["three"]


def test_scripts_hold_what_the_table_shows(tmp_path):
    clips = [clip(f"c{i}", parameters=parameter("x", np.full(300, float(i)))) for i in range(3)]
    extras = Extras(has={1: HAS_PAGE}, findings={2: 4})
    write_data(tmp_path, measure_corpus(Clips(*clips)), extras)
    text = (tmp_path / "index.js").read_text()
    index = json.loads(text.removeprefix("corpus.takeIndex(").removesuffix(");\n"))
    columns = {
        each["title"]: np.frombuffer(base64.b64decode(each["values"]), "<f4")
        for each in index["columns"]
    }
    assert index["ids"] == ["c0", "c1", "c2"]
    assert list(base64.b64decode(index["has"])) == [0, HAS_PAGE, HAS_FINDING]
    np.testing.assert_array_equal(columns["x"], [0, 1, 2])
    np.testing.assert_array_equal(columns["length"], [4, 4, 4])
    np.testing.assert_array_equal(columns["findings"], [0, 0, 4])
    rows = (tmp_path / "rows-00000.js").read_text().split('"')[1]
    pictures = np.frombuffer(base64.b64decode(rows), np.uint8).reshape(3, 2, POINTS)
    assert (pictures[:, 0] == MISSING).all()  # none of them was decoded
    assert pictures[:, 1, 0].tolist() == [0, 127, 254]  # on one scale for all clips


def test_odd_clips_make_a_correct_page(tmp_path):
    frames = 300
    corpus = measure_corpus(
        Clips(
            clip("one frame", seconds=1 / 75, parameters=parameter("x", [1.0], units="V")),
            clip(
                "no value", parameters=parameter("x", np.full(frames, np.nan), units="V", nan="off")
            ),
            clip("constant", parameters=parameter("x", np.full(frames, 1.0), units="V")),
            clip("never", parameters=parameter("y", np.full(frames, np.nan), nan="off")),
            clip("stereo", model="encodec_48khz", parameters={}),
        )
    )
    silent = loudness_points(np.zeros((1, 24_000), np.float32))
    extras = Extras(has={0: HAS_PAGE}, loudness={0: silent}, distances={0: Distance(None, 0.0)})
    words = Words("odd </title><script>", distances=list(extras.distances.values()))
    html = write_corpus_page(tmp_path, corpus, extras, words).read_text()
    assert corpus.problems == {}
    assert "odd &lt;/title&gt;&lt;script&gt;" in html and "<script>" not in html
    assert "49.9% missing" in html  # of x, 300 of 601
    assert "100.0% missing" in html  # of y
    assert ">nan" not in html and "nan " not in html  # no figure is that of nothing
    assert all(model in html for model in ("encodec_24khz", "encodec_48khz"))
    index = json.loads(
        (tmp_path / "data/index.js")
        .read_text()
        .removeprefix("corpus.takeIndex(")
        .removesuffix(");\n")
    )
    assert index["count"] == 5
