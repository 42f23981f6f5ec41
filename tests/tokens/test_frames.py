"""Time is exact: every length, frame and second agrees with encodec's loops, counted by hand."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preprocess.core.errors import UsageError
from preprocess.tokens.frames import (
    frame_centre_samples,
    frame_centres_s,
    frame_start_samples,
    frame_starts_s,
    n_frames,
    sample_to_frame,
    samples_to_seconds,
    seconds_to_frame,
    seconds_to_samples,
    segment_frames,
    segment_lengths,
    segment_runs,
    time_model,
)
from preprocess.tokens.specs import CODECS, CodecSpec, codec_spec
from tests.helpers.formats import examples

CODEC_24, CODEC_48 = codec_spec("encodec_24khz"), codec_spec("encodec_48khz")
EDGE_LENGTHS = (
    *(1, 2, 319, 320, 321, 639, 640, 641, 6720, 24000),
    *(47519, 47520, 47521, 47680, 47681, 47999, 48000, 48001),
    *(95039, 95040, 95041, 95200, 95201, 95520, 95521, 480_000),
)
CLIPS = [(length, spec) for spec in CODECS.values() for length in EDGE_LENGTHS]
clips = pytest.mark.parametrize(("length", "spec"), CLIPS, ids=lambda v: getattr(v, "name", v))
any_clip = given(length=st.integers(1, 250_000), spec=st.sampled_from(list(CODECS.values())))


def counted_starts(length: int, spec: CodecSpec) -> list[list[int]]:
    """Return the start of each frame of each segment, by the loop of encodec's own reader."""
    segment, stride = spec.segment_samples or length, spec.stride_samples or length
    return [
        list(range(offset, offset + min(length - offset, segment), spec.hop))
        for offset in range(0, length, stride)
    ]


def assert_counts_agree(length: int, spec: CodecSpec) -> None:
    segments = counted_starts(length, spec)
    flat = [start for segment in segments for start in segment]
    assert segment_frames(length, spec) == tuple(len(segment) for segment in segments)
    assert n_frames(length, spec) == len(flat)
    assert frame_start_samples(length, spec).tolist() == flat
    assert frame_centre_samples(length, spec).tolist() == [at + spec.hop // 2 for at in flat]


@clips
def test_frames_of_edge_lengths_are_those_of_encodecs_loop(length, spec):
    assert_counts_agree(length, spec)


@any_clip
@examples(60)
def test_frames_of_any_length_are_those_of_encodecs_loop(length, spec):
    assert_counts_agree(length, spec)


@any_clip
@examples(40)
def test_segments_cover_the_clip_and_overlap_by_480_samples(length, spec):
    lengths = segment_lengths(length, spec)
    stride = spec.stride_samples or length
    ends = [s * stride + samples for s, samples in enumerate(lengths)]
    assert max(ends) == length
    assert all(end == min(s * stride + 48_000, length) for s, end in enumerate(ends[:-1]))


def test_lengths_that_encodec_miscounts_in_floats_are_counted_in_integers():
    """encodec 0.1.1 computes `ceil(L / sr * fps)` in floats: one frame too many at 6,720."""
    lengths = np.arange(1, 20 * 24_000)
    wrong = lengths[np.ceil(lengths / 24_000 * 75).astype(int) != -(-lengths // 320)]
    assert (len(wrong), wrong[0]) == (74, 6720)
    assert [n_frames(int(n), CODEC_24) for n in wrong] == [n // 320 for n in wrong]


def test_ten_seconds_at_48_khz_are_1515_frames():
    assert n_frames(480_000, CODEC_48) == 1515
    assert segment_frames(480_000, CODEC_48) == (150,) * 10 + (15,)


def test_an_hour_at_48_khz_does_not_drift_as_a_uniform_grid_does():
    hour = 3600 * 48_000
    starts = frame_starts_s(hour, CODEC_48)
    assert len(starts) / 150 - 3600 == pytest.approx(36, abs=1)
    assert 3600 - 0.02 < starts[-1] < 3600
    assert starts[150 * 100] == pytest.approx(99.0, abs=1e-12)


@pytest.mark.parametrize("length", [10**15, 10**18, 10**18 + 47_521])
def test_a_huge_claimed_length_is_counted_without_walking_it(length):
    strides, rest = divmod(length - 48_000, 47_520)
    short = 48_000 + rest
    assert n_frames(length, CODEC_48) == n_frames(short, CODEC_48) + 150 * strides
    assert n_frames(length, CODEC_24) == -(-length // 320)
    assert len(segment_runs(length, CODEC_48)) <= 3


@pytest.mark.parametrize("length", [0, -1])
@pytest.mark.parametrize("count", [segment_runs, segment_frames, n_frames, frame_start_samples])
def test_a_clip_without_samples_is_refused(count, length):
    with pytest.raises(ValueError, match=f"at least 1 sample, got {length}"):
        count(length, CODEC_24)


def assert_covers(sample: int, length: int, spec: CodecSpec) -> None:
    starts = frame_start_samples(length, spec)
    covering = np.flatnonzero((starts <= sample) & (sample < starts + spec.hop))
    assert sample_to_frame(sample, length, spec) == covering[-1]


@clips
def test_frame_of_a_sample_is_the_latest_that_covers_it(length, spec):
    """The segment before the last may have only 149 frames: 47,521 samples are 149 + 1."""
    stride = spec.stride_samples or 47_520
    edges = {s * stride + d for s in (0, 1, 2) for d in (-1, 0, 1, 319, 320, 479, 480, 481)}
    for sample in {0, length - 1} | {at for at in edges if 0 <= at < length}:
        assert_covers(sample, length, spec)


@any_clip
@example(length=142_700, spec=CODEC_48)
@examples(60)
def test_last_sample_of_any_clip_has_a_frame(length, spec):
    assert_covers(length - 1, length, spec)


@pytest.mark.parametrize("sample", [-1, 1000, 10**9])
def test_a_sample_outside_of_the_clip_is_refused(sample):
    with pytest.raises(ValueError, match=f"{sample} is outside the clip of 1000"):
        sample_to_frame(sample, 1000, CODEC_24)


@given(
    samples=st.integers(0, 10**12),
    rate=st.sampled_from([24_000, 32_000, 44_100, 48_000]),
)
@examples(80)
def test_samples_to_seconds_and_back_is_exact(samples, rate):
    assert seconds_to_samples(samples_to_seconds(samples, rate), rate) == samples
    assert seconds_to_samples(Fraction(samples, rate), rate) == samples


@pytest.mark.parametrize(
    ("seconds", "samples"),
    [(Fraction(1, 48_000), 0), (Fraction(3, 48_000), 2), (0.28, 6720), (0, 0), (3600, 86_400_000)],
)
def test_seconds_go_to_the_nearest_sample_and_halves_to_even(seconds, samples):
    assert seconds_to_samples(seconds, 24_000) == samples


@pytest.mark.parametrize("spec", CODECS.values(), ids=lambda spec: spec.name)
def test_times_of_frames_are_rounded_once(spec):
    length = 30 * spec.sample_rate + 123
    starts = frame_start_samples(length, spec)
    assert frame_starts_s(length, spec).tolist() == [
        float(Fraction(int(start), spec.sample_rate)) for start in starts
    ]
    assert np.allclose(frame_centres_s(length, spec), (starts + spec.hop / 2) / spec.sample_rate)


@pytest.mark.parametrize("spec", CODECS.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("exact", [True, False], ids=["fraction", "float"])
def test_the_start_of_a_frame_in_seconds_leads_back_to_that_frame(spec, exact):
    """As a float 5/75 s is a hair before sample 1,600: it still is the start of frame 5."""
    length = 10 * spec.sample_rate
    for start in frame_start_samples(length, spec).tolist():
        if exact:
            seconds = Fraction(start, spec.sample_rate)
        else:
            seconds = samples_to_seconds(start, spec.sample_rate)
        assert seconds_to_frame(seconds, length, spec) == sample_to_frame(start, length, spec)


@pytest.mark.parametrize("seconds", [-1e-9, 1.0, 1e9, float("inf"), float("nan")])
def test_a_time_outside_of_the_clip_is_refused(seconds):
    with pytest.raises(ValueError, match=r"is outside the clip of 24000 samples$"):
        seconds_to_frame(seconds, 24_000, CODEC_24)


@clips
def test_time_model_alone_places_every_frame(length, spec):
    """What a sidecar states is enough for a reader that does not know the codecs."""
    time = json.loads(json.dumps(time_model(length, spec)))
    total, hop = time["audio_length"], time["hop"]
    stride, segment = time.get("stride_samples", total), time.get("segment_samples", total)
    placed = [
        offset + at
        for offset in range(0, total, stride)
        for at in range(0, min(segment, total - offset), hop)
    ]
    assert placed == frame_start_samples(length, spec).tolist()
    assert time["sample_rate"] == spec.sample_rate


@pytest.mark.parametrize(
    ("name", "kbps", "k"),
    [
        *(("encodec_24khz", kbps, k) for kbps, k in ((1.5, 2), (3, 4), (6, 8), (12, 16), (24, 32))),
        *(("encodec_48khz", kbps, k) for kbps, k in ((3, 2), (6, 4), (12, 8), (24, 16))),
        ("encodec_32khz", 2.2, 4),
        ("encodec_24khz_demo", 6, 8),
    ],
)
def test_bandwidth_and_codebooks_are_encodecs(name, kbps, k):
    spec = codec_spec(name)
    assert spec.n_codebooks(kbps) == k
    assert spec.bandwidth_kbps(k) == pytest.approx(kbps)


def test_unknown_bandwidth_and_codec_name_what_there_is():
    with pytest.raises(UsageError, match=r"no bandwidth of 7 kbps; it has 3, 6, 12, 24"):
        CODEC_48.n_codebooks(7)
    with pytest.raises(UsageError, match=r"'encodec_24hz'.*did you mean 'encodec_24khz'"):
        codec_spec("encodec_24hz")
