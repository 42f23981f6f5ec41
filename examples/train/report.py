"""What the example says at its end: correlations, losses, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from asked import ORDER
from measures import correlation
from sounds import SPEC, Values

MEASURED = ("level", "pitch")


def summary(
    heard: dict[str, list[dict[str, Any]]], codec: dict[str, Values], asked: dict[str, Values]
) -> dict[str, Any]:
    """Return the figures of all models, a list of one a seed.

    Args:
        heard: What the models were told -> `seed`, `loss` and, but for those that were told
            nothing, `heard`: name of the request -> `[takes, 3, T]`.
        codec: What is heard of the requests after the codec alone.
        asked: Name of the request -> `[3, T]`.
    """
    report: dict[str, Any] = {"codec": agreement(asked, codec)}
    for told, results in heard.items():
        results = sorted(results, key=lambda result: result["seed"])
        report[told] = {"loss": [result["loss"] for result in results]}
        each = [agreement(asked, result["heard"]) for result in results if "heard" in result]
        if each:
            report[told] |= {key: [figures[key] for figures in each] for key in each[0]}
    return report


def agreement(asked: dict[str, Values], heard: dict[str, Values]) -> dict[str, float]:
    """Return the correlation of asked and heard over all requests, takes and frames.

    That of pitch is over the frames in which a pitch is heard; `voiced` is their part of all.
    """
    figures = {}
    for name in MEASURED:
        row = ORDER.index(name)
        pairs = [np.broadcast_arrays(asked[key][row], heard[key][:, row]) for key in asked]
        figures[name] = correlation(
            *(np.concatenate([p.ravel() for p in s]) for s in zip(*pairs, strict=True))
        )
    voiced = np.concatenate(
        [~np.isnan(each[:, ORDER.index("pitch")]).ravel() for each in heard.values()]
    )
    return {**figures, "voiced": float(voiced.mean())}


def print_table(report: dict[str, Any]) -> None:
    """Print mean, lowest and highest of the seeds, a line for each kind of model."""
    print(f"\n{'':<24}{'level':<24}{'pitch':<24}{'held-out loss':<24}")
    for name in ("codec", "parameters", "shuffled", "nothing"):
        cells = [_cell(report[name].get(key)) for key in (*MEASURED, "loss")]
        what = "codec alone" if name == "codec" else f"told {name}"
        print(f"{what:<24}" + "".join(f"{cell:<24}" for cell in cells))
    print(f"{report['minutes']:.1f} minutes")


def _cell(values: Any) -> str:
    if values is None:
        return "-"
    if isinstance(values, float):
        return f"{values:.2f}"
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def write_picture(
    path: Path, asked: dict[str, Values], heard: dict[str, dict[str, Values]]
) -> None:
    """Draw what was asked for against what is heard, a column a request.

    Args:
        path: The PNG.
        asked: Name of the request -> `[3, T]`.
        heard: What is drawn, in the legend's words -> request -> `[takes, 3, T]`; the first take is
            a line, of several the spread is shaded.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    axes = figure.subplots(2, len(asked), sharex=True, sharey="row", squeeze=False)
    colours = ["tab:gray", "tab:blue", "tab:orange"]
    for column, (request, curves) in enumerate(asked.items()):
        seconds = np.arange(curves.shape[1]) / SPEC.fps
        for row, (name, unit) in enumerate((("pitch", "semitones"), ("level", "dB"))):
            axis, index = axes[row, column], ORDER.index(name)
            for (label, takes), colour in zip(heard.items(), colours, strict=False):
                lines = takes[request][:, index]
                axis.plot(seconds, lines[0], color=colour, linewidth=1, label=label)
                if len(lines) > 1:
                    heard_once = ~np.isnan(lines).all(0)
                    low, high = np.full((2, lines.shape[1]), np.nan)
                    spread = np.nanpercentile(lines[:, heard_once], [10, 90], axis=0)
                    low[heard_once], high[heard_once] = spread
                    axis.fill_between(seconds, low, high, color=colour, alpha=0.2, linewidth=0)
            axis.plot(seconds, curves[index], color="black", linewidth=1.5, label="asked")
            axis.set_title(request if row == 0 else "")
            if column == 0:
                axis.set_ylabel(f"{name} ({unit})")
    axes[1, 1].set_xlabel("seconds")
    axes[0, 0].legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=90)
