"""The training corpus of the demo codec: free recordings, rendered MIDI, speech and test signals.

Everything comes from Debian packages or is computed here, so anyone can rebuild it:
`sonic-pi-samples` (CC0 recordings), `fluidsynth` with `fluid-soundfont-gm` (MIT), `espeak-ng`.
Each clip has its own seeded generator, so the same package versions give the same corpus.

The voice prompts that `quality.py` measures are deliberately excluded.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

SAMPLE_RATE_HZ = 24_000
TELEPHONE_RATE_HZ = 8_000
PEAK = 0.8
RECORDINGS = Path("/usr/share/sonic-pi/samples")
SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
# Licence texts are on every Debian system and long enough for minutes of speech.
READING_MATTER = Path("/usr/share/common-licenses")
VOICES = (
    *("en-us", "en-gb", "fr", "de", "es", "it", "pt", "ru"),
    *("en-us+f3", "en-gb+f2", "en-us+m7", "fr+f4", "de+m3", "sv", "pl", "nl"),
)
# General MIDI programs 8 to 15 and 112 to 114 are bells, mallets and steel drums.
BELLS = (*range(8, 16), 112, 113, 114)

Samples = NDArray[np.float32]
Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """One source of crops.

    Args:
        kind: "recording", "midi", "speech" or "synthetic".
        samples: Mono audio at 24 kHz with a peak of `PEAK`, float32 `[N]`.
    """

    kind: str
    samples: Samples


def build_corpus() -> list[Clip]:
    """Build the corpus: 45 minutes in 309 clips.

    Raises:
        FileNotFoundError: A required Debian package is not installed.
    """
    for path in (RECORDINGS, SOUND_FONT, READING_MATTER):
        if not path.exists():
            raise FileNotFoundError(f"{path}: not found; see the model card for the packages")
    sources = (
        ("recording", recordings()),
        ("midi", renderings()),
        ("speech", readings()),
        ("synthetic", test_signals()),
    )
    clips = []
    for kind, waveforms in sources:
        for samples in waveforms:
            peak = float(np.abs(samples).max(initial=0.0))
            if peak > 1e-4:
                clips.append(Clip(kind, (samples / peak * PEAK).astype(np.float32)))
    return clips


def read_mono(path: Path, max_s: float | None = None) -> Samples:
    """Read at most `max_s` seconds of a sound file as mono float32 `[N]` at 24 kHz."""
    with sf.SoundFile(path) as file:
        rate_hz = file.samplerate
        frames = -1 if max_s is None else int(max_s * rate_hz)
        samples = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, "HQ")
    return np.asarray(samples, dtype=np.float32)


def recordings() -> Iterator[Samples]:
    """Yield the CC0 recordings of `sonic-pi-samples`, sorted by name."""
    for path in sorted(RECORDINGS.glob("*.flac")):
        yield read_mono(path)


def renderings(count: int = 32) -> Iterator[Samples]:
    """Yield random three-part pieces played with a General MIDI sound font, at most 60 s each."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "piece.mid"), Path(folder, "piece.wav")
        for index in range(count):
            piece(np.random.default_rng((1, index)), index).save(str(midi))
            command = ["fluidsynth", "-ni", "-g", "0.6", "-r", "44100", "-F", str(wav)]
            run([*command, str(SOUND_FONT), str(midi)])
            yield read_mono(wav, max_s=60.0)


def piece(rng: np.random.Generator, index: int) -> mido.MidiFile:
    """Compose 60 random notes for each of three parts.

    Every second piece has drums. Bells play every fourth piece, an octave higher, because bright
    sounds are rare in the rest of the corpus.
    """
    midi = mido.MidiFile(ticks_per_beat=480)
    bells = index % 4 == 2
    for part in range(3):
        drums = part == 2 and index % 2 == 1
        channel = 9 if drums else part
        program = int(rng.choice(BELLS)) if bells else int(rng.integers(0, 112))
        base = int(rng.integers(36, 72)) + 12 * bells
        track = mido.MidiTrack()
        midi.tracks.append(track)
        track.append(mido.Message("program_change", program=program, channel=channel))
        for _ in range(60):
            if drums:
                note = int(rng.integers(35, 60))
            else:
                step = int(rng.choice([0, 2, 4, 5, 7, 9, 11])) + 12 * int(rng.integers(-1, 2))
                note = int(np.clip(base + step, 28, 108))
            rest = int(480 * rng.choice([0.0, 0.0, 0.25, 0.5]))
            length = int(480 * rng.choice([0.25, 0.5, 1.0, 2.0]))
            velocity = int(rng.integers(40, 120))
            on = {"note": note, "channel": channel}
            track.append(mido.Message("note_on", velocity=velocity, time=rest, **on))
            track.append(mido.Message("note_off", velocity=0, time=length, **on))
    return midi


def readings() -> Iterator[Samples]:
    """Yield synthetic speech, one clip of at most 45 s for each of `VOICES`.

    Every second voice has telephone bandwidth, like voice prompts and old recordings: the codec
    must learn to keep the upper octaves silent.
    """
    texts = [path.read_text(errors="ignore") for path in sorted(READING_MATTER.glob("*"))[:6]]
    words = " ".join(texts).split()
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "speech.wav")
        for index, voice in enumerate(VOICES):
            rng = np.random.default_rng((2, index))
            at = int(rng.integers(0, len(words) - 110))
            speed, pitch = str(rng.integers(130, 190)), str(rng.integers(20, 80))
            command = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(wav)]
            run([*command, " ".join(words[at : at + 110])])
            samples = read_mono(wav, max_s=45.0)
            if index % 2:
                narrow = soxr.resample(samples, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ, "HQ")
                samples = soxr.resample(narrow, TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ, "HQ")
            yield samples


def test_signals(count: int = 96) -> Iterator[Samples]:
    """Yield sweeps, vibrato tones, noises, plucks, FM tones and chimes, 4 s each."""
    makers = (sweep, vibrato_tone, pulsing_noise, plucks, fm_tone, chimes)
    for index in range(count):
        rng = np.random.default_rng((3, index))
        t = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        yield makers[index % len(makers)](rng, t).astype(np.float32)


def sweep(rng: np.random.Generator, t: Signal) -> Signal:
    """Return an exponential sweep over the times `t` in seconds."""
    track_hz = np.geomspace(rng.uniform(40, 200), rng.uniform(2000, 11000), len(t))
    return np.sin(2 * np.pi * np.cumsum(track_hz) / SAMPLE_RATE_HZ)


def vibrato_tone(rng: np.random.Generator, t: Signal) -> Signal:
    """Return a harmonic tone with vibrato."""
    depth = 1 + 0.01 * np.sin(2 * np.pi * rng.uniform(3, 7) * t)
    phase = 2 * np.pi * np.cumsum(rng.uniform(60, 800) * depth) / SAMPLE_RATE_HZ
    slope = rng.uniform(0.6, 1.5)
    return np.sum([np.sin(h * phase) / h**slope for h in range(1, 12)], axis=0)


def pulsing_noise(rng: np.random.Generator, t: Signal) -> Signal:
    """Return dark to bright noise with a rising and falling level."""
    noise = lfilter([1], [1, -rng.uniform(-0.95, 0.95)], rng.standard_normal(len(t)))
    return np.asarray(noise) * (0.3 + np.abs(np.sin(2 * np.pi * rng.uniform(0.2, 6) * t)))


def plucks(rng: np.random.Generator, t: Signal) -> Signal:
    """Return thirty short decaying sines at random times."""
    return scatter(rng, t, 30, 0.1, lambda d: ring(rng, d, rng.uniform(200, 6000), 20, 120))


def fm_tone(rng: np.random.Generator, t: Signal) -> Signal:
    """Return a frequency-modulated tone, struck once a second."""
    carrier_hz = rng.uniform(80, 1200)
    modulator = np.sin(2 * np.pi * carrier_hz * rng.choice([0.5, 1, 1.41, 2, 3.1]) * t)
    tone = np.sin(2 * np.pi * carrier_hz * t + rng.uniform(0.5, 8) * modulator)
    return tone * np.exp(-((t % 1) * rng.uniform(0, 4)))


def chimes(rng: np.random.Generator, t: Signal) -> Signal:
    """Return eight bright bells, each of four inharmonic partials between 1.5 and 10 kHz."""

    def bell(d: Signal) -> Signal:
        base_hz = rng.uniform(1500, 4000)
        return np.sum([ring(rng, d, base_hz * r, 2, 12) for r in (1, 1.48, 2.03, 2.5)], axis=0)

    return scatter(rng, t, 8, 1.0, bell)


def ring(rng: np.random.Generator, d: Signal, hz: float, slow: float, fast: float) -> Signal:
    """Return a sine at `hz` whose level decays at a random rate, `slow` to `fast` per second."""
    level = rng.uniform(0.2, 1) * np.exp(-d * rng.uniform(slow, fast))
    return level * np.sin(2 * np.pi * hz * d)


def scatter(
    rng: np.random.Generator,
    t: Signal,
    count: int,
    length_s: float,
    make: Callable[[Signal], Signal],
) -> Signal:
    """Return the sum of `count` sounds of `length_s` seconds at random times."""
    x = np.zeros(len(t))
    d = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    for _ in range(count):
        at = int(rng.integers(0, len(t) - len(d)))
        x[at : at + len(d)] += make(d)
    return x


def run(command: list[str]) -> None:
    """Run a renderer quietly.

    Raises:
        CalledProcessError: The renderer fails.
    """
    subprocess.run(command, check=True, capture_output=True)
