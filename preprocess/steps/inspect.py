"""A page that shows clips of a folder or a dataset: see it and hear it, in a browser alone."""

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
    """Where the clips, their original sounds and their sidecars are."""

    audio_root: Annotated[
        Path | None,
        Field(
            description="folder with the audio that the clips were encoded from; without it, the "
            "folder normalized beside them"
        ),
    ] = None
    cond_root: CondRoot = None
    subset: Annotated[
        str | None, Field(description="of a dataset with several subsets, which; else the first")
    ] = None


@dataclass(frozen=True, kw_only=True)
class InspectConfig(SourceConfig):
    """Which clips are shown, and where the page goes."""

    clips: Annotated[
        int | None,
        Field(
            ge=1,
            description=f"how many clips to show, evenly spread over all; without it, {CLIPS}, and "
            f"of a corpus {CORPUS_CLIPS}",
        ),
    ] = None
    ids: Annotated[
        tuple[str, ...],
        Field(description="show these clips instead, by their ids"),
    ] = ()
    out: Annotated[
        Path | None,
        Field(
            description="the HTML file to write; without it, NAME.html in the current folder; of a "
            "corpus a folder, without it NAME_corpus"
        ),
    ] = None
    corpus: Annotated[
        bool, Field(description="write a folder with a page of all clips, and a table of them")
    ] = False
    open: Annotated[bool, Field(description="open the page in the browser")] = False
    text: Annotated[bool, Field(description="print what the clips hold, and write no page")] = False
    json: Annotated[bool, Field(description="print it as JSON, for programs")] = False


def inspect(source: str, config: InspectConfig) -> Report:
    """Write a page that shows clips of `source`.

    Args:
        source: A folder of tokens, a saved dataset, or a dataset on the Hub.
        config: Which clips, and where to.

    Raises:
        UsageError: `source` is none of these, or lacks a clip of `config.ids`.
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
    """Return in words, or as JSON, what `inspect` would show, and whether nothing is wrong.

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
    """Return the ids of the clips to show; a sample is said to be one.

    Raises:
        UsageError: There is no such clip.
    """
    if config.ids:
        check_ids(clips, config.ids)
        return tuple(dict.fromkeys(config.ids))
    ids, count = clips.ids, config.clips or CLIPS
    if len(ids) <= count:
        return ids
    report.note(
        f"{count} of {len(ids):,} clips are shown, evenly spread; --clips and --ids show others, "
        f"--corpus all"
    )
    return [ids[i * len(ids) // count] for i in range(count)]


def read_clips(
    clips: ClipSource, ids: Sequence[str], config: SourceConfig, report: Report
) -> Iterator[ClipData]:
    """Yield clips with their sounds, each read when it is asked for; one that fails is reported.

    Raises:
        PreprocessError: None can be read.
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
