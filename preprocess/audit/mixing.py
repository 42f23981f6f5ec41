"""Checks that all clips of a folder were made alike, for audit and build.

Every output carries hashes of what made it (`preprocess.core.provenance`). A folder is mixed if
different settings or code made some of its clips: for example, half of them with a function as it
was before an edit. The origin of an output without provenance, from Meta's command or a user's own
code, is unknown; a folder with only such outputs is not mixed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.core.report import listed
from preprocess.dataset.clips import DatasetError
from preprocess.sidecar.records import Record, makers
from preprocess.tokens.ecdc import read_header
from preprocess.tokens.types import EcdcHeader

Makers = Mapping[str, str]
"""What was made, in words -> hash of what made it, or an empty string if unknown."""

_OF_TOKENS = {
    "rec": "tokens by other settings",
    "ckpt": "tokens by other weights",
    "norm": "audio normalized by other settings",
}
_TOOLS = {"ckpt": "weights", "by": "encoded by", "eng": "engine"}
_NAMED = 3
"""Number of clips that a message names."""


def token_makers(header: EcdcHeader) -> dict[str, str]:
    """Return what made the tokens of a clip, from the provenance in their header."""
    makers = {what: str(header.extra.get(key, "")) for key, what in _OF_TOKENS.items()}
    if makers[_OF_TOKENS["rec"]] and not makers[_OF_TOKENS["norm"]]:
        makers[_OF_TOKENS["norm"]] = "not by normalize"  # encode would have recorded it
    return makers


def token_group(header: EcdcHeader) -> str:
    """Return the group within which tokens are compared: one codec and bandwidth."""
    return f"{header.model} {header.n_codebooks}"


def parameter_makers(records: Iterable[Record], names: Iterable[str]) -> dict[str, str]:
    """Return what made each parameter in `names` of a clip, from the records of its sidecar."""
    made = makers(records)
    return {
        f"parameter {name!r} by other settings or code": made.get(name, Record()).rec
        for name in names
    }


@dataclass(frozen=True)
class Mixture:
    """Clips that were made differently from most others.

    Attributes:
        what: What was made differently.
        clips: The clips, in order.
        of: Number of clips compared, including these.
        unknown: Whether some of the clips compared have no provenance.
    """

    what: str
    clips: tuple[str, ...]
    of: int
    unknown: bool

    def __str__(self) -> str:
        """Return the mixture as a clause that names a few of its clips."""
        how = " (some have no provenance)" if self.unknown else ""
        return f"{self.what} in {len(self.clips):,} of {self.of:,} clips{how}: {self.named()}"

    def named(self) -> str:
        """Return the names of a few clips and the number of the others."""
        return listed(self.clips, _NAMED)


class Makings:
    """Collects what made each clip of a folder."""

    def __init__(self) -> None:
        self._clips: dict[tuple[str, str], dict[str, list[str]]] = {}

    def add(self, clip: str, makers: Makers, group: str = "") -> None:
        """Add makers of a clip; may be called several times for the same clip.

        Args:
            clip: The clip's name.
            makers: What made it.
            group: Clips are compared only within a group, such as one codec and bandwidth.
        """
        for what, maker in makers.items():
            self._clips.setdefault((what, group), {}).setdefault(maker, []).append(clip)

    def merge(self, other: Makings) -> None:
        """Add the makers of the clips in `other`."""
        for where, clips_of in other._clips.items():
            mine = self._clips.setdefault(where, {})
            for maker, clips in clips_of.items():
                mine.setdefault(maker, []).extend(clips)

    @property
    def differ(self) -> bool:
        """Whether there is any mixture, without naming it."""
        return any(len(clips_of) > 1 for clips_of in self._clips.values())

    def mixtures(self) -> list[Mixture]:
        """Return how the clips differ.

        Only outputs that clips share are compared: a missing parameter is not a mixture.
        Differences in the same set of clips make one mixture.
        """
        found: dict[tuple[str, ...], Mixture] = {}
        for (what, _), clips_of in self._clips.items():
            if len(clips_of) < 2:
                continue
            counts = Counter({maker: len(clips) for maker, clips in clips_of.items()})
            most = counts.most_common(1)[0][0]
            fewer = tuple(sorted(c for m, clips in clips_of.items() if m != most for c in clips))
            what = f"{found[fewer].what} and {what}" if fewer in found else what
            found[fewer] = Mixture(what, fewer, counts.total(), "" in clips_of)
        return list(found.values())


def describe(mixtures: Collection[Mixture]) -> str:
    """Return mixtures as one line."""
    return "; ".join(map(str, mixtures))


def token_makings(root: Path, tokens: Sequence[str]) -> tuple[Makings, dict[str, str]]:
    """Return what made the tokens, and their weights, programs and engines as text.

    Args:
        root: The token folder.
        tokens: The token files, relative to it.
    """
    makings = Makings()
    tools: dict[str, set[str]] = {}
    for rel in tokens:
        add_tokens(makings, tools, rel, read_header(root / rel))
    return makings, tool_texts(tools)


def add_tokens(makings: Makings, tools: dict[str, set[str]], clip: str, header: EcdcHeader) -> None:
    """Add what made the tokens of a clip to `makings`, and with what they were made to `tools`."""
    makings.add(clip, token_makers(header), token_group(header))
    add_tools(tools, header.extra)


def add_tools(tools: dict[str, set[str]], header: Mapping[str, Any]) -> None:
    """Add with what tokens were made, from the fields of their header."""
    for key, what in _TOOLS.items():
        tools.setdefault(what, set()).add(str(header.get(key, "")))


def tool_texts(tools: Mapping[str, set[str]]) -> dict[str, str]:
    """Return weights, programs and engines of `add_tokens` as texts of a few names each."""
    return {
        what: ", ".join(sorted(filter(None, tools.get(what, ())))[:10]) for what in _TOOLS.values()
    }


def refuse_mixed(root: Path, mixed: str) -> None:
    """Refuse a mixed folder.

    Args:
        root: The folder.
        mixed: The result of `describe`; empty if the folder is not mixed.

    Raises:
        DatasetError: The folder is mixed.
    """
    if mixed:
        raise DatasetError(
            f"{root} is mixed: {mixed}; make these again like the others, delete them, or accept "
            f"them with --allow-mixed"
        )
