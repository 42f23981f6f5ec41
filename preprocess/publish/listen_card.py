"""What a dataset's card says of the subset `listen`: clips to hear, and where there are more."""

from __future__ import annotations

from urllib.parse import quote

from preprocess.core.errors import printable
from preprocess.publish.listen_info import LISTEN, PAGE, Listen, ListenClip


def listen_section(listen: Listen, repo_id: str, revision: str) -> str:
    """Return the card's section on the subset, as Markdown.

    Args:
        listen: The subset.
        repo_id: The repository.
        revision: Its branch.
    """
    from huggingface_hub import constants

    site = f"{constants.ENDPOINT}/datasets/{repo_id}"
    files = f"{site}/resolve/{quote(revision, safe='')}"
    count = len(listen.clips)
    text = (
        f"{count:,} of {listen.of:,} clips, decoded from their tokens, are the subset "
        f"[`{LISTEN}`]({site}/viewer/{LISTEN}): sound, and parameters as pictures. "
        f"[Save `{PAGE}`]({files}/{PAGE}?download=true) and open it in a browser to see each "
        f"on one time axis with the tokens, and to play from any moment."
    )
    shown = [_clip(clip, files) for clip in listen.clips if clip.sound]
    return "\n\n".join(["## Listen", text, *shown])


def _clip(clip: ListenClip, files: str) -> str:
    name = printable(clip.id).replace("`", "'")
    return (
        f"`{name}` ({clip.seconds:g} s)\n\n"
        f'<audio controls preload="none" src="{files}/{quote(clip.sound)}"></audio>\n\n'
        f"![sound, parameters and tokens over time]({files}/{quote(clip.picture)})"
    )
