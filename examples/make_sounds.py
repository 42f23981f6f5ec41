"""Makes the sounds, the spreadsheet and the MIDI files of the examples.

The repository has its output. To change the files, edit this script and run
`python examples/make_sounds.py`. It needs the extra `parameters`.
"""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import openpyxl
import soundfile as sf
from numpy.typing import NDArray

RATE = 24_000
HERE = Path(__file__).parent
Wave = NDArray[np.float64]

STRINGS = [
    # file, MIDI note, string, pluck position (0 bridge, 0.5 middle)
    ("low/e2.flac", 40, "steel", 0.1),
    ("low/a2.flac", 45, "steel", 0.3),
    ("high/g3.flac", 55, "nylon", 0.2),
    ("high/e4.flac", 64, "nylon", 0.5),
]
PHRASES = {
    # start in seconds, MIDI note, velocity, length in seconds
    "up": [(0.1, 60, 100, 0.3), (0.5, 64, 80, 0.3), (0.9, 67, 60, 0.4)],
    "down": [(0.0, 72, 70, 0.5), (0.6, 65, 110, 0.6)],
    "long": [(0.2, 57, 90, 1.1)],
}
WINDS = [(1, 0.2), (1, 0.8), (3, 0.2), (3, 0.8)]


def main() -> None:
    """Write all files."""
    for name, note, string, place in STRINGS:
        _write(HERE / "spreadsheet/sounds" / name, pluck(note, string, place))
    book = openpyxl.Workbook()
    book.active.append(["File", "Pitch (MIDI)", "String", "Pluck position"])
    for row in STRINGS:
        book.active.append(row)
    book.save(HERE / "spreadsheet/strings.xlsx")
    for name, notes in PHRASES.items():
        _write(HERE / "midi/sounds" / f"{name}.flac", play(notes))
        write_midi(HERE / "midi/curves" / f"{name}.mid", notes)
    for speed, gust in WINDS:
        _write(HERE / "filenames/sounds" / f"wind_speed{speed}_gust{gust}.flac", wind(speed, gust))


def pluck(note: int, string: str, place: float) -> Wave:
    """Return one second of a plucked string `[N]`; position sets its harmonics, material its decay."""
    times = np.arange(RATE) / RATE
    wave = np.zeros(RATE)
    for k in range(1, 12):
        loss = (2 if string == "steel" else 5) * (1 + 0.3 * k)
        level = np.sin(np.pi * k * place) / k
        wave += level * np.exp(-loss * times) * np.sin(2 * np.pi * k * _hertz(note) * times)
    return wave


def play(notes: list[tuple[float, int, int, float]]) -> Wave:
    """Return a phrase of 1.5 s `[N]`: notes of three harmonics, with amplitude by velocity."""
    wave = np.zeros(int(1.5 * RATE))
    for start, note, velocity, length in notes:
        times = np.arange(int(length * RATE)) / RATE
        fade = np.minimum(1, np.minimum(times, length - times) / 0.01)
        tone = sum(np.sin(2 * np.pi * k * _hertz(note) * times) / k for k in (1, 2, 3))
        at = int(start * RATE)
        wave[at : at + len(times)] += velocity / 127 * fade * tone
    return wave


def write_midi(path: Path, notes: list[tuple[float, int, int, float]]) -> None:
    """Write a phrase during which the modulation wheel rises."""
    events = [(start, ("note_on", note, velocity)) for start, note, velocity, _ in notes]
    events += [(start + length, ("note_off", note, 0)) for start, note, _, length in notes]
    events += [(1.5 * step / 15, ("control_change", 1, 8 * step)) for step in range(16)]
    file, track, at = mido.MidiFile(ticks_per_beat=960), mido.MidiTrack(), 0
    for seconds, (kind, first, second) in sorted(events, key=lambda event: event[0]):
        tick = round(mido.second2tick(seconds, 960, 500_000))
        keys = ("control", "value") if kind == "control_change" else ("note", "velocity")
        track.append(
            mido.Message(kind, time=tick - at, **dict(zip(keys, (first, second), strict=True)))
        )
        at = tick
    file.tracks.append(track)
    file.save(path)


def wind(speed: int, gust: float) -> Wave:
    """Return one second of noise `[N]`: speed makes it brighter, gusts make it swell."""
    noise = np.random.default_rng(speed).standard_normal(RATE)
    spectrum = np.fft.rfft(noise)
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    spectrum /= 1 + (hertz / (200 * speed)) ** 2
    swell = 1 + gust * np.sin(2 * np.pi * 2 * np.arange(RATE) / RATE)
    return np.fft.irfft(spectrum) * swell


def _hertz(note: int) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _write(path: Path, wave: Wave) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, 0.5 * wave / np.abs(wave).max(), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
