"""Were all clips of a folder made alike? What audit and build hold neighbours to.

Every output carries hashes of what made it (`preprocess.core.provenance`). Clips that other settings or
other code made than their neighbours are a mixture: {1.0} of an edited function beside {2.0} of
the one before. An output without provenance, as Meta's command or a user's own code writes it, is
of unknown make; that is no mixture as long as all are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.report import listed
from preprocess.dataset.clips import DatasetError
from preprocess.sidecar.records import Record, makers
from preprocess.tokens.ecdc import read_header
from preprocess.tokens.types import EcdcHeader

Makers = Mapping[str, str]
"""What was made, in words -> the hash of what made it, empty where that is not known."""

_OF_TOKENS = {
    "rec": "tokens by other settings",
    "ckpt": "tokens by other weights",
    "norm": "audio normalized by other settings",
}
_NAMED = 3
"""How many clips a message names."""


def token_makers(header: EcdcHeader) -> dict[str, str]:
    """Return what made the tokens of a clip, by the further keys of their header."""
    makers = {what: str(header.extra.get(key, "")) for key, what in _OF_TOKENS.items()}
    if makers[_OF_TOKENS["rec"]] and not makers[_OF_TOKENS["norm"]]:
        makers[_OF_TOKENS["norm"]] = "not by normalize"  # encode knows that it was not
    return makers


def token_group(header: EcdcHeader) -> str:
    """Return which tokens can have been made alike: those of one codec and bandwidth."""
    return f"{header.model} {header.n_codebooks}"


def parameter_makers(records: Iterable[Record], names: Iterable[str]) -> dict[str, str]:
    """Return what made each parameter `names` of a clip, by the records of its sidecar."""
    made = makers(records)
    return {
        f"parameter {name!r} by other settings or code": made.get(name, Record()).rec
        for name in names
    }


@dataclass(frozen=True)
class Mixture:
    """Clips that were not made as most of their neighbours.

    Attributes:
        what: What of them was made otherwise.
        clips: The clips, in order.
        of: How many clips there are with and without them.
        unknown: Whether nothing is known of how theirs or the others' was made.
    """

    what: str
    clips: tuple[str, ...]
    of: int
    unknown: bool

    def __str__(self) -> str:
        """Return it as a clause with the names of a few clips."""
        how = " (some have no provenance)" if self.unknown else ""
        return f"{self.what} in {len(self.clips):,} of {self.of:,} clips{how}: {self.named()}"

    def named(self) -> str:
        """Return the names of a few of the clips, and how many more there are."""
        return listed(self.clips, _NAMED)


class Makings:
    """What made the clips of a folder, taken in clip by clip."""

    def __init__(self) -> None:
        self._clips: dict[tuple[str, str], dict[str, list[str]]] = {}

    def add(self, clip: str, makers: Makers, group: str = "") -> None:
        """Take in makers of a clip, which may come more than once.

        Args:
            clip: Its name.
            makers: What made it.
            group: Clips are compared within a group alone: tokens within their bandwidth.
        """
        for what, maker in makers.items():
            self._clips.setdefault((what, group), {}).setdefault(maker, []).append(clip)

    def mixtures(self) -> list[Mixture]:
        """Return where the clips differ.

        They are compared in what both have: a clip without a parameter is another matter. What
        differs in the same clips is one mixture.
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
    """Return mixtures in one line."""
    return "; ".join(map(str, mixtures))


def token_makings(root: Path, tokens: Sequence[str]) -> tuple[Makings, dict[str, str]]:
    """Return what made the tokens, and of that the weights and programs in words."""
    makings = Makings()
    tools: dict[str, set[str]] = {"weights": set(), "encoded by": set(), "engine": set()}
    for rel in tokens:
        header = read_header(root / rel)
        extra = header.extra
        makings.add(rel, token_makers(header), token_group(header))
        tools["weights"].add(str(extra.get("ckpt", "")))
        tools["encoded by"].add(str(extra.get("by", "")))
        tools["engine"].add(str(extra.get("eng", "")))
    return makings, {k: ", ".join(sorted(filter(None, v))[:10]) for k, v in tools.items()}


def refuse_mixed(root: Path, mixed: str) -> None:
    """Raise `DatasetError` unless `mixed`, what `describe` says of a folder, is empty."""
    if mixed:
        raise DatasetError(
            f"{root} is mixed: {mixed}; make these again as the others were, delete them, or take "
            f"all with --allow-mixed"
        )
