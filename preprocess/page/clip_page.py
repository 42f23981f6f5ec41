"""One HTML file that shows a few clips: it needs a browser, and nothing else.

Scripts, figures, sounds and pictures are in the file. Its policy (CSP) forbids all requests and all
scripts but those whose hashes it names, so a clip that is called `</script>` is a name, and a page
that was sent by mail loads nothing.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable
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
        "player.js",
        "long_player.js",
        "envelope.js",
        "stage.js",
        "readout.js",
    ),
    *("gestures.js", "statistics.js", "clip_parts.js", "clip.js", "page.js"),
)
"""Ours, in the order in which they build on each other."""
START = "new EncHF.Page(document.querySelector('main'));"


def clip_page(clips: Iterable[ClipData], title: str, total: int = 0) -> str:
    """Return the HTML of a page that shows clips.

    Args:
        clips: At least one; a generator is read clip by clip.
        title: Of the page.
        total: How many clips there are, where these are a sample; the page says so.
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
        data.append(data_block(f"clip-{len(ids)}", clip_json(clip, key)))
        ids.append(clip.id)
    blocks = [data_block("stages", stages), data_block("clips", ids), *data]
    if total > len(ids):
        blocks.append(data_block("total", total))
    return html_page(title, "".join(blocks), [bokeh_script(), own_scripts(), START])


def html_page(title: str, data: str, scripts: list[str]) -> str:
    """Return an HTML page of our style that may run `scripts` and load nothing.

    Args:
        title: Of the page, as text.
        data: HTML that holds what the scripts read.
        scripts: In order.
    """
    safe = [_inline(script) for script in scripts]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in safe)
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
<main><noscript>This page draws and plays its clips by a script, which is switched off.</noscript></main>
{data}{tags}</body>
</html>
"""


def data_block(name: str, value: Any) -> str:
    """Return a block of JSON that no content can close."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'<script type="application/json" id="{name}">{escape_json(text)}</script>\n'


def escape_json(text: str) -> str:
    """Return JSON for the inside of a script element: what could end it, or a line, is escaped."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return as_utf8(text)  # JSON reads what stands for half a pair as just that


def as_utf8(text: str) -> str:
    """Return text that a file can hold: half a surrogate pair, as of a name that is no UTF-8, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def own_scripts(names: Iterable[str] = CLIP_SCRIPTS) -> str:
    """Return our script files as one."""
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
