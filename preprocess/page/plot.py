"""A still picture of a clip, for papers: PNG, SVG or PDF, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.core.errors import UsageError, printable
from preprocess.core.files import atomic_path
from preprocess.page.clip_columns import Columns, clip_columns, value_range
from preprocess.page.clip_data import ClipData
from preprocess.page.clip_figures import track_kind
from preprocess.page.spectrogram import mel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
_HEIGHTS = {"wave": 1.0, "spectrogram": 1.3, "curve": 1.0, "spans": 0.45, "tokens": 1.5}
_HERTZ = (300, 1000, 3000, 10_000)
# Okabe and Ito's, which colour-blind people tell apart.
_LABELS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
_SOUND, _CURVE, _DECLARED, _MISSING = "#0072B2", "#00805C", "#56B4E9", "#A8326E"


def write_plot(clip: ClipData, path: Path, width_in: float = 7.0, dpi: int = 200) -> None:
    """Write a picture of a clip, whole or not at all.

    Args:
        clip: The clip.
        path: The file; its ending says the format.
        width_in: Its width in inches.
        dpi: Its dots an inch; of SVG and PDF, those of the images in it.

    Raises:
        UsageError: The format is unknown.
        DiskError: It cannot be written.
    """
    form = path.suffix.lower().lstrip(".")
    if form not in FORMATS:
        raise UsageError(f"{path}: a picture ends in {', '.join(f'.{each}' for each in FORMATS)}")
    import matplotlib

    # Text stays text in SVG and PDF; no date, so that the same clip is the same file.
    style = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "", "font.size": 8}
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    with matplotlib.rc_context(style), atomic_path(path) as temporary:
        figure = draw(clip, width_in)
        figure.savefig(temporary, format=form, dpi=dpi, metadata=metadata)


def draw(clip: ClipData, width_in: float = 7.0) -> Figure:
    """Return a clip as a figure of matplotlib: its tracks on one time axis."""
    from matplotlib.figure import Figure

    columns = clip_columns(clip)
    sound = [*clip.sounds][-1] if clip.sounds else None  # the decoded one where there is one
    tracks = ["wave", "spectrogram"] if sound else []
    tracks += [f"{track_kind(each.kind)}:{name}" for name, each in clip.parameters.items()]
    tracks.append("tokens")
    heights = [_HEIGHTS[track.partition(":")[0]] for track in tracks]
    figure = Figure(figsize=(width_in, sum(heights) + 0.6), layout="constrained")
    figure.suptitle(_text(clip.id), fontsize=9)
    axes = figure.subplots(len(tracks), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axis, track in zip(axes, tracks, strict=True):
        kind, _, name = track.partition(":")
        if kind == "wave":
            _wave(axis, columns[f"wave:{sound}"])
        elif kind == "spectrogram":
            _spectrogram(axis, columns[f"spectrogram:{sound}"], clip)
        elif kind == "tokens":
            _tokens(axis, columns["tokens"], clip)
        else:
            _parameter(axis, columns, clip, name)
    axes[-1].set_xlim(0, clip.duration_s)
    axes[-1].set_xlabel("time in s")
    return figure


def _wave(axis: Axes, wave: Columns) -> None:
    axis.fill_between(wave["x"], wave["low"], wave["high"], color=_SOUND, linewidth=0.4)
    axis.set_ylabel("sound")


def _spectrogram(axis: Axes, columns: Columns, clip: ClipData) -> None:
    rate = clip.tokens.header.spec.sample_rate
    _images(axis, columns, (0.0, float(mel(rate / 2))), "viridis", 255)
    shown = [hz for hz in _HERTZ if hz < rate / 2]
    axis.set_yticks(mel(shown), [f"{hz / 1000:g}" for hz in shown])
    axis.set_ylabel("kHz")


def _tokens(axis: Axes, columns: Columns, clip: ClipData) -> None:
    k = clip.tokens.codes.shape[0]
    size = clip.tokens.header.spec.codebook_size
    _images(axis, columns, (0.5, k + 0.5), "cividis", size - 1)
    axis.set_ylim(k + 0.5, 0.5)  # the first codebook on top
    axis.set_ylabel("codebook")


def _images(axis: Axes, columns: Columns, ends: tuple[float, float], colors: str, top: int) -> None:
    for image, left, width in zip(columns["image"], columns["x"], columns["width"], strict=True):
        axis.imshow(
            image,
            extent=(left, left + width, *ends),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap=colors,
            vmin=0,
            vmax=top,
        )
    axis.set_ylim(*ends)


def _parameter(axis: Axes, columns: dict[str, Columns], clip: ClipData, name: str) -> None:
    parameter, missing = clip.parameters[name], columns[f"missing:{name}"]
    for left, right in zip(missing["left"], missing["right"], strict=True):
        axis.axvspan(left, right, facecolor="none", edgecolor=_MISSING, hatch="////", linewidth=0)
    if parameter.kind == "categorical":
        _spans(axis, columns[f"spans:{name}"], clip.duration_s)
    else:
        if parameter.declared and parameter.min is not None and parameter.max is not None:
            axis.axhspan(parameter.min, parameter.max, color=_DECLARED, alpha=0.13, linewidth=0)
        axis.plot(columns[f"curve:{name}"]["x"], columns[f"curve:{name}"]["y"], color=_CURVE, lw=1)
        axis.set_ylim(*value_range(parameter))
    unit = f"\n[{parameter.units}]" if parameter.units else ""
    axis.set_ylabel(_text(name + unit))


def _spans(axis: Axes, columns: Columns, duration_s: float) -> None:
    lefts, widths = columns["left"], columns["right"] - columns["left"]
    colors: Any = [_LABELS[label % len(_LABELS)] for label in columns["label"]]
    axis.bar(lefts, np.ones(len(lefts)), widths, align="edge", color=colors, alpha=0.5)
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    for left, width, text in zip(lefts, widths, columns["text"], strict=True):
        if width > 0.012 * duration_s * len(text):
            axis.text(left + 0.005 * duration_s, 0.5, _text(text), va="center", clip_on=True)


def _text(text: str) -> str:
    """Return text as matplotlib can show it: a dollar sign would begin a formula."""
    lines = [printable(line) for line in text.split("\n")]
    return "\n".join(lines).replace("$", r"\$")
