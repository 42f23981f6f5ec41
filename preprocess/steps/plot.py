"""Writes a picture of one clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from preprocess.core.report import Report
from preprocess.page.clip_data import Decoder
from preprocess.page.clip_sources import check_ids, open_source
from preprocess.page.plot import write_plot
from preprocess.steps.inspect import SourceConfig


@dataclass(frozen=True, kw_only=True)
class PlotConfig(SourceConfig):
    """Settings of `preprocess plot`."""

    width: Annotated[float, Field(gt=1, le=40, description="width in inches")] = 7.0
    dpi: Annotated[int, Field(ge=20, le=1200, description="dots per inch")] = 200


def plot(source: str, clip: str, output: Path, config: PlotConfig) -> Report:
    """Write a picture of a clip of `source` to the file `output`.

    Args:
        source: A folder of tokens, a saved dataset, or a dataset on the Hub.
        clip: Id of the clip.
        output: The file; its suffix sets the format.
        config: Settings of the picture.

    Raises:
        UsageError: `source` is not a folder or dataset, or lacks the clip; or the format is
            unknown.
        PreprocessError: The clip cannot be read.
    """
    report = Report("plot", output=str(output))
    clips = open_source(source, config.audio_root, config.cond_root, config.subset)
    check_ids(clips, [clip])
    data = Decoder(config.weights, config.device).add_sound(clips.read(clip))
    write_plot(data, output, config.width, config.dpi)
    report.notes += data.notes
    report.done = 1
    return report.finish()
