"""MIDI at the frames: notes where they sound, however short, and controllers that hold."""

from __future__ import annotations

from fractions import Fraction

import mido
import numpy as np
import pytest

from preprocess.tokens.frames import frame_start_samples
from preprocess.tokens.specs import codec_spec
from tests.helpers.curves import control, off, on, parameters, values_of, wheel, write_midi

MODELS = ("encodec_24khz", "encodec_32khz", "encodec_48khz")
# A tick of 1/1,200 s at this tempo: 16 of them are a frame at 24 kHz, 24 at 32 kHz, 8 at 48 kHz.
TEMPO = 400_000


def overlapping(model, samples, start_s, end_s):
    """Return the frames whose hop has a time in it that lies in `[start_s, end_s)`."""
    spec = codec_spec(model)
    starts = [Fraction(int(s), spec.sample_rate) for s in frame_start_samples(samples, spec)]
    hop = Fraction(spec.hop, spec.sample_rate)
    return [i for i, at in enumerate(starts) if at < end_s and at + hop > start_s]


def test_midi_notes_controllers_and_bend_stand_at_their_times(tmp_path):
    events = [
        (0.0, control(1, 0)),
        (0.2, on(60, 100)),
        (0.4, control(1, 127)),
        (0.5, wheel(-1)),
        (0.6, on(64, 50)),
        (0.8, off(64)),
        (0.9, on(60, 0)),  # a note off by another name
    ]
    write_midi(tmp_path / "c.mid", events, tempo=400_000)
    columns = {"pitch": "note", "velocity": "velocity", "gate": "gate", "mod": "cc1"}
    found = parameters(tmp_path, columns={**columns, "bend": "pitch_bend"})
    centres = (np.arange(75) * 320 + 160) / 24_000

    def at(name, seconds):
        return found[name]["values"][np.searchsorted(centres, seconds)]

    assert np.isnan(at("pitch", 0.1))
    assert [at("pitch", s) for s in (0.3, 0.7, 0.85)] == [60, 64, 60]
    assert np.isnan(at("pitch", 0.95))
    assert [at("velocity", s) for s in (0.1, 0.3, 0.7, 0.95)] == [0, 100, 50, 0]
    assert [at("gate", s) for s in (0.1, 0.3, 0.95)] == [0, 1, 0]
    assert [at("mod", s) for s in (0.1, 0.3, 0.45)] == [0, 0, 127]
    assert [at("bend", s) for s in (0.1, 0.55)] == [0, -1]
    onset = int(np.argmax(found["gate"]["values"]))
    assert onset == 15  # 0.2 s is where it starts
    assert (found["pitch"]["units"], found["pitch"]["nan"]) == ("MIDI note", "no note")
    assert (found["gate"]["kind"], found["mod"]["max"], found["bend"]["min"]) == (
        "categorical",
        127,
        -1,
    )


def test_midi_channels_are_told_apart(tmp_path):
    events = [(0.0, on(60, channel=0)), (0.0, on(72, channel=9)), (1.0, off(60))]
    write_midi(tmp_path / "c.mid", events)
    for channel, note in ((1, 60), (10, 72), (None, 72)):
        values = parameters(tmp_path, columns={"n": "note"}, channel=channel)["n"]["values"]
        assert values[10] == note


def test_a_tempo_change_moves_what_follows(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    track += [
        mido.MetaMessage("set_tempo", tempo=500_000),
        mido.MetaMessage("set_tempo", tempo=250_000, time=480),  # after 0.5 s
        on(60).copy(time=480),  # 0.25 s later
    ]
    file.tracks.append(track)
    file.save(tmp_path / "c.mid")
    gate = parameters(tmp_path, columns=["gate"])["gate"]["values"]
    assert int(np.argmax(gate)) == 56  # 0.75 s is sample 18,000, and the frame starts at 17,920


@pytest.mark.parametrize("model", MODELS)
def test_every_hit_of_5_ms_survives(tmp_path, model):
    """A frame lasts for 6.7 to 20 ms: most of these hits miss every frame's centre."""
    rate = codec_spec(model).sample_rate
    ticks = [45 * i + 5 * i % 16 for i in range(1, 21)]  # of 1/1,200 s, one a frame at most
    events = []
    for i, tick in enumerate(ticks):
        events += [(tick / 1200, on(40 + i, 100 + i)), ((tick + 6) / 1200, off(40 + i))]
    write_midi(tmp_path / "c.mid", events, TEMPO)
    columns = ("note", "velocity", "gate", "onset")
    note, velocity, gate, onset = values_of(tmp_path, *columns, model=model, samples=rate)
    expected = np.full(len(note), np.nan)
    began = np.zeros(len(note))
    for i, tick in enumerate(ticks):
        at = Fraction(tick, 1200)
        expected[overlapping(model, rate, at, at + Fraction(6, 1200))] = 40 + i
        began[overlapping(model, rate, at, at + Fraction(1, 10**9))] = 1
    assert set(expected[np.isfinite(expected)]) == set(range(40, 60))
    np.testing.assert_array_equal(note, expected)
    np.testing.assert_array_equal(velocity, np.where(np.isnan(expected), 0, expected + 60))
    np.testing.assert_array_equal(gate, np.isfinite(expected))
    np.testing.assert_array_equal(onset, began)


def test_a_note_of_a_frame_is_in_that_frame_alone_and_one_of_no_length_in_one(tmp_path):
    events = [(16 / 75, on(60)), (17 / 75, off(60)), (0.5, on(62)), (0.5, off(62))]
    write_midi(tmp_path / "c.mid", events, TEMPO)
    note, onset = values_of(tmp_path, "note", "onset")
    assert np.flatnonzero(note == 60).tolist() == [16]
    assert np.flatnonzero(note == 62).tolist() == [37]
    assert np.flatnonzero(onset).tolist() == [16, 37]


@pytest.mark.parametrize("model", MODELS)
def test_the_last_notes_of_an_hour_of_changing_tempo_begin_in_their_frames(tmp_path, model):
    """Times are whole microseconds over ticks: sums of floats would be off by some frames' ends."""
    file, track = mido.MidiFile(ticks_per_beat=96), mido.MidiTrack()
    elapsed, starts = Fraction(0), []
    for beat in range(7000):
        tempo = 500_000 + (beat * 7919) % 30_011
        track.append(mido.MetaMessage("set_tempo", tempo=tempo))
        track += [on(60), off(60).copy(time=48), mido.MetaMessage("marker").copy(time=48)]
        starts.append(elapsed)
        elapsed += Fraction(tempo, 1_000_000)
    file.tracks.append(track)
    file.save(tmp_path / "c.mid")
    spec = codec_spec(model)
    samples = 3600 * spec.sample_rate
    onset = values_of(tmp_path, "onset", model=model, samples=samples)[0]
    begins = frame_start_samples(samples, spec)
    exact = np.array([int(start * spec.sample_rate) for start in starts])
    exact = np.sort(exact[exact < samples])
    expected = np.searchsorted(exact, begins) < np.searchsorted(exact, begins + spec.hop)
    assert expected[-300:].any()
    np.testing.assert_array_equal(onset, expected)


@pytest.mark.parametrize("model", MODELS)
def test_any_notes_are_what_a_search_through_all_of_them_finds(tmp_path, model):
    rng, spec = np.random.default_rng(7), codec_spec(model)
    samples = spec.sample_rate + 1234
    notes, events, busy = [], [], {}
    for _ in range(120):
        key, begin, ticks = (int(rng.integers(*r)) for r in ((50, 62), (0, 1200), (1, 90)))
        if all(begin + ticks <= a or begin >= b for a, b in busy.get(key, [])):
            busy.setdefault(key, []).append((begin, begin + ticks))
            velocity = int(rng.integers(1, 128))
            notes.append((begin, begin + ticks, key, velocity))
            events += [(begin, 1, on(key, velocity)), (begin + ticks, 0, off(key))]
    events.sort(key=lambda event: event[:2])
    write_midi(tmp_path / "c.mid", [(tick / 1200, event) for tick, _, event in events], TEMPO)
    columns = {"n": "note", "v": "velocity", "count": "note_count"}
    settings = {"model": model, "samples": samples}
    chords = parameters(tmp_path, columns=columns, voices=3, **settings)
    last = parameters(tmp_path, columns=columns, **settings)
    inside = [[] for _ in chords["count"]["values"]]
    for note in notes:
        span = Fraction(note[0], 1200), Fraction(note[1], 1200)
        for frame in overlapping(model, samples, *span):
            inside[frame].append(note)
    assert max(map(len, inside)) > 3
    for frame, here in enumerate(inside):
        latest = {key: velocity for _, _, key, velocity in sorted(here)}
        high = sorted(latest, reverse=True)
        assert chords["count"]["values"][frame] == len(high)
        for voice in (1, 2, 3):
            key = high[voice - 1] if len(high) >= voice else np.nan
            np.testing.assert_equal(chords[f"n_{voice}"]["values"][frame], key)
            assert chords[f"v_{voice}"]["values"][frame] == latest.get(key, 0)
        began = max(here, key=lambda note: (note[0], note[2]), default=(0, 0, np.nan, 0))
        np.testing.assert_equal(last["n"]["values"][frame], began[2])
        assert last["v"]["values"][frame] == began[3]


def test_voices_are_the_highest_notes_first_and_say_what_they_leave_out(tmp_path):
    chord = [on(60, 10), on(67, 30), on(64, 20)]
    write_midi(tmp_path / "c.mid", [*((0.2, n) for n in chord), (0.6, off(67))])
    notes: list[tuple[str, str]] = []
    columns = {"note": "note", "vel": "velocity", "gate": "gate"}
    found = parameters(tmp_path, columns=columns, voices=2, notes=notes, units={"note": "semitone"})
    assert list(found) == ["note_1", "note_2", "vel_1", "vel_2", "gate"]
    assert [found[name]["values"][30] for name in found] == [67, 64, 30, 20, 1]
    assert [found[name]["values"][60] for name in found] == [64, 60, 20, 10, 1]
    assert np.isnan(found["note_2"]["values"][5])
    assert found["vel_2"]["values"][5] == 0
    assert (found["note_2"]["units"], found["note_2"]["nan"]) == ("semitone", "no note")
    assert [(what.split(": ")[1], detail) for what, detail in notes] == [
        ("more than 2 notes sound at once; the lowest have no voice", "3 notes")
    ]


def test_of_notes_that_begin_together_the_highest_is_the_note(tmp_path):
    write_midi(tmp_path / "c.mid", [(0.0, on(67)), (0.0, on(60)), (0.5, on(48))])
    note = values_of(tmp_path, "note")[0]
    assert (note[10], note[-1]) == (67, 48)


def test_two_notes_of_one_key_end_in_the_order_that_they_began(tmp_path):
    events = [(0.0, on(60, 1)), (0.2, on(60, 2)), (0.4, off(60)), (0.8, off(60))]
    write_midi(tmp_path / "c.mid", events, TEMPO)
    gate, velocity, count = values_of(tmp_path, "gate", "velocity", "note_count")
    assert np.flatnonzero(gate).tolist() == list(range(60))
    assert velocity.tolist() == [1] * 15 + [2] * 45 + [0] * 15
    assert count.max() == 1
