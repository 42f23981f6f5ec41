"""What is known of the subset `listen` of a repository, a few clips that were decoded to be heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LISTEN = "listen"
"""Name of the subset, and of its folder in the repository."""
PAGE = f"{LISTEN}/page.html"


@dataclass(frozen=True)
class ListenClip:
    """One clip of the subset.

    Attributes:
        id: Its id.
        split: Its split.
        seconds: Its length.
        sound: Path in the repository of its sound; empty where the card does not play it.
        picture: Likewise of its picture.
    """

    id: str
    split: str
    seconds: float
    sound: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Listen:
    """The subset, as `enchf.json` describes it.

    Attributes:
        of: How many clips the dataset has.
        clips: Those that were decoded.
    """

    of: int
    clips: list[ListenClip]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Listen:
        """Return what `to_dict` stored.

        Raises:
            LookupError: It is no such thing.
            TypeError: Likewise.
        """
        return cls(stored["of"], [ListenClip(**clip) for clip in stored["clips"]])
