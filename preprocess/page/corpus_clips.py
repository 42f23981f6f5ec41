"""Pages and sounds of single clips in a corpus's folder, which has their shared scripts once.

script/bokeh.js, clip.js, page.css   scripts and style for the pages of all clips
clips/000017.html                    the page of a clip, with its data
audio/000017.flac                    its decoded sound, for the table and any player
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any

from preprocess.codec.workers import Workers
from preprocess.core.files import write_bytes
from preprocess.page.clip_data import ClipData
from preprocess.page.clip_figures import stage
from preprocess.page.clip_json import clip_json, stage_kinds
from preprocess.page.clip_page import (
    SCRIPTS,
    START,
    bokeh_block,
    bokeh_script,
    clip_blocks,
    data_block,
    own_scripts,
)
from preprocess.page.corpus_files import HAS_PAGE, HAS_SOUND, IS_OPUS, MadeClip
from preprocess.page.distances import distance
from preprocess.page.thumbnails import loudness_points

# Pages may load files from their own folder, and nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data: blob:; media-src 'self' file: data: blob:"
)


@dataclass
class ClipPages:
    """Writes the pages of clips into a corpus's folder, from several threads.

    Attributes:
        folder: Folder of the corpus's page.
    """

    folder: Path
    _stages: dict[str, Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def write_shared(self) -> None:
        """Write the files that all pages share."""
        script = self.folder / "script"
        write_bytes(script / "bokeh.js", bokeh_script().encode())
        write_bytes(script / "clip.js", f"{own_scripts()}\n".encode())
        write_bytes(script / "clip-start.js", f"{START}\n".encode())
        write_bytes(script / "page.css", (SCRIPTS / "page.css").read_bytes())

    def write(self, row: int, clip: ClipData) -> MadeClip:
        """Write the page and the sound of a row's clip."""
        data = clip_json(clip, "0")
        write_bytes(self.folder / f"clips/{row:06d}.html", self._page(clip, data).encode("utf-8"))
        if not clip.sounds:
            return MadeClip(HAS_PAGE)
        *_, heard = clip.sounds.values()  # the decoded one if available
        sound = data["sounds"][-1]
        is_opus = sound["mime"] == "audio/ogg"
        path = self.folder / f"audio/{row:06d}.{'ogg' if is_opus else 'flac'}"
        write_bytes(path, b64decode(sound["data"]))
        return MadeClip(
            HAS_PAGE | HAS_SOUND | (IS_OPUS if is_opus else 0),
            loudness_points(heard),
            distance(clip.sounds["original"], heard, clip.tokens.header.spec.sample_rate)
            if len(clip.sounds) > 1
            else None,
        )

    def _page(self, clip: ClipData, data: Mapping[str, Any]) -> str:
        blocks = [
            bokeh_block(source="../script/bokeh.js"),
            data_block("stages", {"0": self._stage(stage_kinds(clip))}),
            data_block("clips", [clip.id]),
            clip_blocks("clip-0", data),
        ]
        scripts = ("clip", "clip-start")
        tags = "\n".join(f'<script src="../script/{name}.js"></script>' for name in scripts)
        return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(clip.id.encode("utf-8", "backslashreplace").decode())}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../script/page.css">
<nav style="padding-top: 8px"><a href="../index.html" style="color: var(--accent)">All clips</a></nav>
<main></main>
{"".join(blocks)}{tags}
</html>
"""

    def _stage(self, kinds: dict[str, str]) -> Any:
        """Return the figures of clips with these parameters, made once."""
        key = json.dumps(kinds)
        with self._lock:
            if key not in self._stages:
                self._stages[key] = stage(kinds)
            return self._stages[key]


def write_clips(
    pages: ClipPages, clips: Iterable[tuple[int, ClipData]], jobs: int
) -> Iterator[tuple[int, MadeClip]]:
    """Write the pages of clips in `jobs` threads, and yield each row with its results.

    The threads are the codec's workers, so that each does its transforms alone.

    Args:
        pages: The writer of the pages.
        clips: Row and clip with its sounds; the next is read while others are being written.
        jobs: Number of pages to write at the same time.
    """
    pages.write_shared()
    with Workers(jobs) as workers:
        waiting: deque[tuple[int, Future[MadeClip]]] = deque()
        for row, clip in clips:
            waiting.append((row, workers.submit(partial(pages.write, row, clip))))
            if len(waiting) > 2 * jobs:  # sounds of many clips would fill the memory
                first, made = waiting.popleft()
                yield first, made.result()
        for first, made in waiting:
            yield first, made.result()
