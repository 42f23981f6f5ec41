"""The page of a clip inside a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.core.errors import UsageError

if TYPE_CHECKING:
    from IPython.display import HTML

    from preprocess.page.clip_data import ClipData


def show(
    source: Any,
    id: str | int | None = None,  # the dataset's own name of it
    *,
    audio_root: str | Path | None = None,
    weights: str | None = None,
    height: int = 760,
) -> HTML:
    """Return the page of a clip, for a notebook to show.

    show("results/ecdc", "low/a2")
    show(load_dataset("me/sounds")["train"], 0)

    Args:
        source: A folder of tokens, a saved dataset's folder, `NAMESPACE/NAME` on the Hub, a
            `Dataset` or `DatasetDict`, or one row.
        id: The clip's id, or its number from 0; without it, the first.
        audio_root: Folder of the original audio, where it is not beside the tokens.
        weights: As in `preprocess.codec.codec.load_codec`.
        height: Of the frame, in pixels.

    Raises:
        UsageError: There is no such clip.
    """
    from IPython.display import HTML

    from preprocess.page.clip_data import Decoder
    from preprocess.page.clip_page import clip_page

    clip = Decoder(weights).add_sound(find_clip(source, id, audio_root))
    page = escape(clip_page([clip], clip.id), quote=True)
    # A frame of its own: the notebook's styles and scripts, and the page's, do not meet.
    return HTML(
        f'<div><iframe srcdoc="{page}" width="100%" height="{int(height)}" style="border:0" '
        f'title="{escape(clip.id, quote=True)}" allow="autoplay; clipboard-write"></iframe></div>'
    )


def find_clip(source: Any, id: str | int | None, audio_root: str | Path | None) -> ClipData:
    """Return the clip that `show` shows, without its decoded sound."""
    from preprocess.page.clip_sources import check_ids, open_source
    from preprocess.page.originals import Originals
    from preprocess.page.row_sources import DatasetClips, row_clip

    root = None if audio_root is None else Path(audio_root)
    if isinstance(source, str | Path):
        clips = open_source(source, root)
    elif hasattr(source, "column_names"):
        rows = list(source.values()) if isinstance(source, Mapping) else [source]
        clips = DatasetClips("the dataset", rows, Originals(root))
    elif isinstance(source, Mapping):
        return Originals(root).add_sound(row_clip(source, {}))
    else:
        raise UsageError(f"expected a folder, a dataset or a row, got {type(source).__name__}")
    if isinstance(id, str):
        check_ids(clips, [id])
        return clips.read(id)
    number = id or 0
    if not 0 <= number < len(clips.ids):
        raise UsageError(f"{clips.name} has {len(clips.ids)} clips, from 0; there is no {number}")
    return clips.read(clips.ids[number])
