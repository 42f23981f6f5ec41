"""Measure weights of the demo codec, compared to the same model with random weights.

    python tools/demo_codec/quality.py [WEIGHTS ...] [--json quality.json]

The test sounds are the project's clips, which are part of the training corpus, and voice prompts
from Debian's `asterisk-core-sounds-en-wav`, which are not. Each is mono at 24 kHz with a peak RMS
over 250 ms of 0.1. With x the audio and y the codec's output:

- SNR: the energy of x over that of x - y, in dB.
- Log-mel distance: mean absolute difference of `20 log10(mel + 1e-3)`, in dB, over 64 bands of
  magnitude spectra (1,024 samples, hop 256).
- Envelope correlation: Pearson's r of the RMS of x and y in windows of 20 ms.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model import SPEC, EncodecModel, build, load_weights, random_codec, read_metadata
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from preprocess.audio.audio_files import read_audio
from preprocess.audio.peak_rms import PeakRms
from preprocess.core.resources import resource

PROMPTS = Path("/usr/share/asterisk/sounds/en")
PROMPT_NAMES = (
    "conf-now-recording.wav",
    "conf-now-unmuted.wav",
    "conf-onlyone.wav",
    "conf-onlyperson.wav",
    "conf-otherinparty.wav",
    "conf-placeintoconf.wav",
)
PEAK_RMS, PEAK_WINDOW_SAMPLES = 0.1, SPEC.sample_rate // 4
ENVELOPE_SAMPLES = SPEC.sample_rate // 50
# Column, figure, bandwidth in kbps.
COLUMNS = (
    ("snr_db", "snr", 6.0),
    ("mel_db", "mel", 6.0),
    ("env_corr", "env", 6.0),
    ("snr_db_1_5kbps", "snr", 1.5),
    ("snr_db_24kbps", "snr", 24.0),
)

Row = dict[str, str | float]
Pair = Callable[[Tensor, Tensor], float]


def read_levelled(path: Path) -> Tensor:
    """Read a file as mono float32 `[N]` at 24 kHz with a peak RMS of `PEAK_RMS`."""
    samples = read_audio(path, SPEC.sample_rate, SPEC.channels)
    meter = PeakRms(PEAK_WINDOW_SAMPLES)
    meter.add(samples.T)
    if not meter.value:
        raise ValueError(f"{path} is silent; its quality cannot be measured")
    return torch.from_numpy(samples[0]) * (PEAK_RMS / meter.value)


def snr_db(x: Tensor, y: Tensor) -> float:
    """Return the signal-to-noise ratio of `y` against `x`, both `[N]`, in dB."""
    return 10 * torch.log10(x.pow(2).sum() / (x - y).pow(2).sum()).item()


def log_mel_distance_db(x: Tensor, y: Tensor) -> float:
    """Return the mean absolute log-mel difference of `x` and `y`, both `[N]`, in dB."""
    mel = MelSpectrogram(SPEC.sample_rate, n_fft=1024, hop_length=256, n_mels=64, power=1)
    a, b = (20 * torch.log10(mel(v) + 1e-3) for v in (x, y))
    return (a - b).abs().mean().item()


def envelope_correlation(x: Tensor, y: Tensor) -> float:
    """Return Pearson's correlation of the 20 ms RMS envelopes of `x` and `y`, both `[N]`."""
    a, b = (v.unfold(0, ENVELOPE_SAMPLES, ENVELOPE_SAMPLES).pow(2).mean(1).sqrt() for v in (x, y))
    return float(np.corrcoef(a.numpy(), b.numpy())[0, 1])


FIGURES: dict[str, Pair] = {
    "snr": snr_db,
    "mel": log_mel_distance_db,
    "env": envelope_correlation,
}


@torch.no_grad()
def measure(model: EncodecModel, audio: Tensor) -> tuple[dict[str, float], Tensor]:
    """Return the figures of `COLUMNS` for `audio` `[N]`, and its 24 kbps codes `[K, T]`."""
    latent = model.encoder(audio[None, None])
    codes = model.quantizer.encode(latent, SPEC.fps, 24.0)
    figures = {}
    for column, figure, kbps in COLUMNS:
        # The quantizer is greedy: the first rows are the encoding at the lower bandwidth.
        books = model.quantizer.get_num_quantizers_for_bandwidth(SPEC.fps, kbps)
        output = model.decoder(model.quantizer.decode(codes[:books]))[0, 0, : len(audio)]
        figures[column] = round(FIGURES[figure](audio, output), 3)
    return figures, codes[:, 0]


def measure_all(model: EncodecModel, files: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    """Return a row per file, the means by kind of file, and the number of codes in use."""
    rows: list[Row] = []
    codes = []
    for kind, path in files:
        figures, code = measure(model, read_levelled(path))
        rows.append({"kind": kind, "file": path.name, **figures})
        codes.append(code)
    joined = torch.cat(codes, dim=1)
    return {
        "rows": rows,
        "means": {kind: mean_row(rows, kind) for kind in dict(files)},
        "codebook_use_24kbps": {
            "frames": joined.shape[1],
            "codebook_size": SPEC.codebook_size,
            "entries": [len(row.unique()) for row in joined],
        },
    }


def mean_row(rows: Sequence[Row], kind: str) -> dict[str, float]:
    """Return the mean of each column over the rows of one kind."""
    chosen = [row for row in rows if row["kind"] == kind]
    return {
        column: round(float(np.mean([row[column] for row in chosen])), 3)
        for column, _, _ in COLUMNS
    }


def print_table(title: str, result: dict[str, Any]) -> None:
    """Print the rows and means of one codec as a Markdown table."""
    print(f"\n{title}\n\n| file | " + " | ".join(column for column, _, _ in COLUMNS) + " |")
    print("|---|" + "---|" * len(COLUMNS))
    means = [{"file": f"mean, {kind}", **row} for kind, row in result["means"].items()]
    for row in [*result["rows"], *means]:
        figures = (f"{row[c]:.2f}" for c, _, _ in COLUMNS)
        print(f"| {row['file']} | " + " | ".join(figures) + " |")
    print("codebook entries in use at 24 kbps:", *result["codebook_use_24kbps"]["entries"])


def find_files(clips: Path, prompts: Path) -> list[tuple[str, Path]]:
    """Return `(kind, path)` of each file to measure.

    Raises:
        FileNotFoundError: There are no clips, or a voice prompt is missing.
    """
    files = [("clip", path) for path in sorted(clips.rglob("*.flac"))]
    if not files:
        raise FileNotFoundError(f"{clips} contains no .flac files")
    voices = [("unheard voice", prompts / name) for name in PROMPT_NAMES]
    for _, path in voices:
        if not path.is_file():
            package = "asterisk-core-sounds-en-wav"
            raise FileNotFoundError(f"{path}: not found; it is in Debian's {package}")
    return files + voices


def main() -> None:
    """Measure each weights file named on the command line, then the random codec."""
    parser = argparse.ArgumentParser(description="Measure weights of the demo codec.")
    default = resource(f"demo_codec/{SPEC.name}.safetensors")
    parser.add_argument("weights", type=Path, nargs="*", default=[default])
    parser.add_argument(
        "--clips", type=Path, default=resource("audio"), help="folder of FLAC files"
    )
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="folder of voice prompts")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    # torch deprecates the weight norm that encodec uses, once for each of its layers.
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.set_num_threads(args.threads)
    files = find_files(args.clips, args.prompts)
    codecs = []
    for path in args.weights:
        result = measure_all(load_weights(path, build()).eval(), files)
        codecs.append({"weights": path.name, "metadata": read_metadata(path), **result})
        print_table(str(path), result)
    result = measure_all(random_codec(), files)
    codecs.append({"weights": "random", "metadata": {}, **result})
    print_table("random weights", result)
    if args.json:
        args.json.write_text(json.dumps(codecs, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
