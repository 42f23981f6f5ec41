"""One HTML file that shows a few clips and needs only a browser.

The file contains all scripts, figures, sounds and pictures. Its policy (CSP) forbids all requests, and
all scripts except those whose hashes it lists, so a clip named `</script>` does no harm, and a page
sent by mail loads nothing.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from preprocess.core.provenance import BY
from preprocess.page.clip_data import ClipData
from preprocess.page.clip_figures import stage
from preprocess.page.clip_json import clip_json, stage_kinds

SCRIPTS = Path(__file__).parent / "script"
CLIP_SCRIPTS = (
    *(
        "arrays.js",
        "theme.js",
        "dom.js",
        "bokeh_start.js",
        "player.js",
        "long_player.js",
        "envelope.js",
        "stage.js",
        "readout.js",
    ),
    *("gestures.js", "statistics.js", "clip_parts.js", "clip.js", "page.js"),
)
"""Our scripts; each depends only on those before it."""
START = "new EncHF.Page(document.querySelector('main'));"


def clip_page(clips: Iterable[ClipData], title: str, total: int = 0) -> str:
    """Return the HTML of a page that shows clips.

    Args:
        clips: At least one clip; a generator is read clip by clip.
        title: Title of the page.
        total: Number of clips that exist, if these are a sample; the page shows it.
    """
    stages: dict[str, Any] = {}
    keys: dict[str, str] = {}
    data: list[str] = []
    ids: list[str] = []
    for clip in clips:
        kinds = stage_kinds(clip)
        key = keys.setdefault(json.dumps(kinds), str(len(keys)))
        if key not in stages:
            stages[key] = stage(kinds)
        data.append(clip_blocks(f"clip-{len(ids)}", clip_json(clip, key)))
        ids.append(clip.id)
    blocks = [data_block("stages", stages), data_block("clips", ids), *data]
    if total > len(ids):
        blocks.append(data_block("total", total))
    return _html(title, "".join(blocks))


def _html(title: str, data: str) -> str:
    """Return the page, which may run only our scripts and Bokeh's, and loads nothing."""
    bokeh, *safe = [_inline(script) for script in (bokeh_script(), own_scripts(), START)]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in (bokeh, *safe))
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        f"img-src data: blob:; media-src data: blob:"
    )
    tags = "".join(f"<script>{script}</script>\n" for script in safe)
    style = (SCRIPTS / "page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{escape(BY)}">
<title>{escape(as_utf8(title))}</title>
<style>
{style}</style>
</head>
<body>
<main><noscript>This page needs JavaScript to draw and play its clips.</noscript></main>
{data}{bokeh_block(bokeh)}{tags}</body>
</html>
"""


def bokeh_block(script: str = "", source: str = "") -> str:
    """Return the element from which `script/bokeh_start.js` starts Bokeh.

    Args:
        script: Bokeh's script.
        source: Its address instead, if it is a file of its own.
    """
    return f'<script type="text/plain" id="bokeh" data-src="{source}">{script}</script>\n'


def clip_blocks(name: str, clip: Mapping[str, Any]) -> str:
    """Return the elements of a clip: its JSON, and its sounds as base64, which needs no JSON."""
    sounds = [{**sound, "data": f"{name}-{sound['name']}"} for sound in clip["sounds"]]
    texts = [
        f'<script type="text/plain" id="{kept["data"]}">{sound["data"]}</script>\n'
        for kept, sound in zip(sounds, clip["sounds"], strict=True)
    ]
    return data_block(name, {**clip, "sounds": sounds}) + "".join(texts)


def data_block(name: str, value: Any) -> str:
    """Return a script element with JSON; no content of `value` can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'<script type="application/json" id="{name}">{escape_json(text)}</script>\n'


def escape_json(text: str) -> str:
    """Return JSON for the inside of a script element, with tags and line separators escaped."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return as_utf8(text)  # JSON reads the escape as the same half of a surrogate pair


def as_utf8(text: str) -> str:
    """Return text that a file can hold; half a surrogate pair, as in a name not in UTF-8, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def own_scripts(names: Iterable[str] = CLIP_SCRIPTS) -> str:
    """Return our script files as one text."""
    return "\n".join((SCRIPTS / name).read_text(encoding="utf-8") for name in names)


@lru_cache(maxsize=1)
def bokeh_script() -> str:
    """Return Bokeh's own script, 1.3 MB."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)


def _inline(script: str) -> str:
    return script.replace("\r\n", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _sha256(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
