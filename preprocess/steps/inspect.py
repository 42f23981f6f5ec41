"""Writes a page that shows and plays the clips of a folder or a dataset in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from preprocess.codec.model_config import ModelConfig
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import write_bytes
from preprocess.core.report import Report
from preprocess.core.settings import CondRoot
from preprocess.page.clip_data import ClipData, Decoder
from preprocess.page.clip_page import clip_page
from preprocess.page.clip_sources import ClipSource, check_ids, open_source
from preprocess.steps.inspect_corpus import CORPUS_CLIPS, CorpusPlace, inspect_corpus
from preprocess.steps.look import look

CLIPS = 8
"""How many clips a page shows where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig(ModelConfig):
    """The locations of clips, their original audio and their sidecars."""

    audio_root: Annotated[
        Path | None,
        Field(
            description="folder with the audio that the clips were encoded from; default: the "
            "folder normalized next to the source"
        ),
    ] = None
    cond_root: CondRoot = None
    subset: Annotated[
        str | None, Field(description="subset of the dataset; default: the first")
    ] = None


@dataclass(frozen=True, kw_only=True)
class InspectConfig(SourceConfig):
    """Settings of `preprocess inspect`: which clips to show, and the file to write."""

    clips: Annotated[
        int | None,
        Field(
            ge=1,
            description="number of clips to show, evenly spread over all clips; default: "
            f"{CLIPS}, with --corpus {CORPUS_CLIPS}",
        ),
    ] = None
    ids: Annotated[
        tuple[str, ...],
        Field(description="ids of the clips to show, instead of a sample"),
    ] = ()
    out: Annotated[
        Path | None,
        Field(
            description="HTML file to write; default: NAME.html in the current folder; with "
            "--corpus a folder, default: NAME_corpus"
        ),
    ] = None
    corpus: Annotated[
        bool, Field(description="write a folder with a page and a table of all clips")
    ] = False
    open: Annotated[bool, Field(description="open the page in the browser")] = False
    text: Annotated[
        bool, Field(description="print what the clips hold instead of writing a page")
    ] = False
    json: Annotated[bool, Field(description="the same as JSON, for programs")] = False


def inspect(source: str, config: InspectConfig) -> Report:
    """Write a page that shows clips of `source`.

    Args:
        source: A folder of tokens, a saved dataset, or a dataset on the Hub.
        config: Which clips to show, and the file to write.

    Raises:
        UsageError: `source` is not one of these, or lacks a clip of `config.ids`; or
            `config.out` is a folder.
        PreprocessError: No clip can be read.
    """
    clips = open_source(source, config.audio_root, config.cond_root, config.subset)
    parts = Path(source).resolve().parts if Path(source).exists() else source.split("/")
    title = "/".join(parts[-2:])
    if config.corpus:
        if config.ids:
            raise UsageError("--corpus shows all clips; choose how many get a page by --clips")
        place = CorpusPlace(config.out or Path(f"{parts[-1]}_corpus"), title, config.cond_root)
        decoder = Decoder(config.weights, config.device)
        report = inspect_corpus(clips, place, decoder, config.clips or CORPUS_CLIPS)
    else:
        report = _inspect_clips(clips, config, config.out or Path(f"{parts[-1]}.html"), title)
    if config.open:
        webbrowser.open(Path(report.output).resolve().as_uri())
    return report


def look_at(source: str, config: InspectConfig) -> tuple[str, bool]:
    """Return what `inspect` would show as text or JSON, and whether all clips can be read.

    Raises:
        UsageError: As `inspect` does.
    """
    clips = open_source(source, config.audio_root, config.cond_root, config.subset)
    return look(clips, choose(clips, config, Report("inspect")), config.json)


def _inspect_clips(clips: ClipSource, config: InspectConfig, out: Path, title: str) -> Report:
    report = Report("inspect")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; name the HTML file")
    chosen = choose(clips, config, report)
    total = 0 if config.ids else len(clips.ids)
    html = clip_page(read_clips(clips, chosen, config, report), title, total)
    write_bytes(out, html.encode("utf-8"))
    report.output = str(out)
    report.detail = f"{len(html.encode()) / 1e6:.1f} MB"
    return report.finish()


def choose(clips: ClipSource, config: InspectConfig, report: Report) -> Sequence[str]:
    """Return the ids of the clips to show, and note in `report` if they are a sample.

    Raises:
        UsageError: A requested clip does not exist.
    """
    if config.ids:
        check_ids(clips, config.ids)
        return tuple(dict.fromkeys(config.ids))
    ids, count = clips.ids, config.clips or CLIPS
    if len(ids) <= count:
        return ids
    report.note(
        f"showing {count} of {len(ids):,} clips, evenly spread; use --clips or --ids to show "
        f"others, --corpus to show all"
    )
    return [ids[i * len(ids) // count] for i in range(count)]


def read_clips(
    clips: ClipSource, ids: Sequence[str], config: SourceConfig, report: Report
) -> Iterator[ClipData]:
    """Yield clips with their sounds, one at a time; report those that cannot be read.

    Raises:
        PreprocessError: No clip can be read.
    """
    decoder = Decoder(config.weights, config.device)
    for clip in ids:
        try:
            yield decoder.add_sound(clips.read(clip))
            report.done += 1
        except (PreprocessError, OSError) as error:
            report.fail(clip, error)
    if not report.done:
        raise PreprocessError(report.failures[0][1])
