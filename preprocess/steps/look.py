"""Clips in words: for people as `wf-inspect` has it, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError, UsageError, printable
from preprocess.core.report import plural
from preprocess.page.clip_sources import ClipSource
from preprocess.sidecar.parameters import measure
from preprocess.steps.look_clips import Clip, Content, source_clips

_MOST_PROBLEMS = 10


@dataclass(frozen=True)
class LookOptions:
    """What is shown of a clip: rows of parameters, as `dtype`, its tensors on `device`."""

    display_params: int = 0
    dtype: str = "float32"
    device: str | None = None


@dataclass
class Summary:
    """What the clips have in common.

    Attributes:
        codebooks: Numbers of codebooks that occur.
        parameters: Numbers of parameters that occur, of clips that have any.
        problems: Index of a clip -> what is wrong with it.
    """

    codebooks: set[int] = field(default_factory=set)
    parameters: set[int] = field(default_factory=set)
    problems: dict[int, str] = field(default_factory=dict)


def look(source: ClipSource, shown: Sequence[str], as_json: bool) -> tuple[str, bool]:
    """Return what `preprocess inspect` prints of a source, and whether nothing is wrong.

    Args:
        source: The clips.
        shown: Ids of those that are described one by one.
        as_json: As JSON, with the statistics of each parameter, instead of lines for people.
    """
    clips = source_clips(source)
    summary = summarize(clips, False)
    places = {clip: at for at, clip in enumerate(source.ids)}
    chosen = [places[clip] for clip in shown if places[clip] not in summary.problems]
    contents = {at: clips[at].read() for at in chosen}
    if as_json:
        text = json.dumps(_as_dict(source, summary, contents), indent=2) + "\n"
        return text, not summary.problems
    lines = [printable(f"{source.name}: {len(clips)} {plural('clip', len(clips))}")]
    lines += summary_lines(summary)
    for at, content in contents.items():
        described = "\n".join(map(printable, describe(content, LookOptions()).splitlines()))
        lines.append(f"[{at}] {described}")
    return "".join(f"{line}\n" for line in lines), not summary.problems


def summarize(clips: Sequence[Clip], verify: bool) -> Summary:
    """Return what clips have in common; with `verify`, all of each is read."""
    summary = Summary()
    for index, clip in enumerate(clips):
        try:
            shape = clip.shape(verify)
            summary.codebooks.add(shape.codebooks)
            if shape.parameters is not None:
                summary.parameters.add(shape.parameters)
        except (PreprocessError, OSError) as error:
            summary.problems[index] = str(error)
    return summary


def summary_lines(summary: Summary) -> list[str]:
    """Return a summary as lines for people."""
    lines = [
        f"codebooks: {sorted(summary.codebooks)}, parameters: {sorted(summary.parameters)}",
    ]
    for index, text in list(summary.problems.items())[:_MOST_PROBLEMS]:
        lines.append(printable(f"[{index}] problem: {text}"))
    if len(summary.problems) > _MOST_PROBLEMS:
        lines.append(f"{len(summary.problems) - _MOST_PROBLEMS} more problems")
    return lines


def _as_dict(
    source: ClipSource, summary: Summary, contents: Mapping[int, Content]
) -> dict[str, Any]:
    ids = source.ids
    return {
        "source": source.name,
        "clips": len(ids),
        "codebooks": sorted(summary.codebooks),
        "parameters": sorted(summary.parameters),
        "problems": [{"id": ids[at], "message": text} for at, text in summary.problems.items()],
        "shown": [
            {
                "id": ids[at],
                "split": source.split(ids[at]),
                "model": content.model,
                "codebooks": content.codes.shape[0],
                "frames": content.codes.shape[1],
                "parameters": {
                    name: _statistics(values) for name, values in (content.parameters or {}).items()
                },
            }
            for at, content in contents.items()
        ],
    }


def _statistics(values: NDArray[np.floating]) -> dict[str, Any]:
    return {**measure(values), "missing": int(np.isnan(values).sum())}


def describe(clip: Content, options: LookOptions) -> str:
    """Return a clip in words: its shape, and the first rows of its parameters."""
    parameters = clip.parameters or {}
    names = list(parameters)
    columns = [values.astype(options.dtype) for values in parameters.values()]
    k, frames = clip.codes.shape
    cond = np.stack(columns, axis=1) if columns else np.zeros((frames, 0))
    text = f"{printable(clip.name)}: {clip.model}, codes [T={frames}, K={k}], parameters {names}"
    if options.device is not None:
        text += f" on {_on_device(clip.codes, cond, options.device)}"
    rows = cond[: max(0, options.display_params)]
    if names and len(rows):
        text += "\n      t  " + "  ".join(f"{name:>12}" for name in names)
        for frame, values in enumerate(rows):
            text += f"\n  {frame:5}  " + "  ".join(f"{float(value):12.6g}" for value in values)
    return text


def _on_device(codes: Any, cond: Any, device: str) -> str:
    """Move a clip to a device, as a training run would, and return where it is then."""
    import torch

    try:
        moved = [torch.as_tensor(array).to(device) for array in (codes, cond)]
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device}: {str(error).splitlines()[0]}") from None
    return str(moved[0].device)
