"""Were all clips of a folder made alike? What audit and build hold neighbours to.

Every output carries hashes of what made it (`preprocess.provenance`). Clips that other settings or
other code made than their neighbours are a mixture: {1.0} of an edited function beside {2.0} of
the one before. An output without provenance, as Meta's command or a user's own code writes it, is
of unknown make; that is no mixture as long as all are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.dataset import Clips
from preprocess.ecdc import read_header
from preprocess.report import listed
from preprocess.sidecar import read_description

Makers = Mapping[str, str]
"""What was made, in words -> the hash of what made it, empty where that is not known."""

_OF_TOKENS = {
    "rec": "tokens by other settings",
    "ckpt": "tokens by other weights",
    "eng": "tokens by another engine",
    "norm": "audio normalized by other settings",
}
_NAMED = 3
"""How many clips a message names."""


def token_makers(extra: Mapping[str, Any]) -> dict[str, str]:
    """Return what made the tokens of a clip, by the further keys of their header."""
    makers = {what: str(extra.get(key, "")) for key, what in _OF_TOKENS.items()}
    if makers[_OF_TOKENS["rec"]] and not makers[_OF_TOKENS["norm"]]:
        makers[_OF_TOKENS["norm"]] = "not by normalize"  # encode knows that it was not
    return makers


def parameter_makers(provenance: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return what made each parameter `names` of a clip, by the provenance of its sidecar."""
    each = provenance.get("made")
    made = dict(each) if isinstance(each, Mapping) else {}
    for name in provenance.get("names") or ():  # older sidecars know one hash of them all
        made.setdefault(name, provenance.get("rec", ""))
    return {f"parameter {n!r} by other settings or code": str(made.get(n, "")) for n in names}


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


def find_mixtures(clips: Iterable[tuple[str, Makers]]) -> list[Mixture]:
    """Return where clips differ in what made them, each given with its makers.

    Clips are compared in what both have: one without a parameter is another matter. What differs
    in the same clips is one mixture.
    """
    by_what: dict[str, dict[str, list[str]]] = {}
    for clip, makers in clips:
        for what, maker in makers.items():
            by_what.setdefault(what, {}).setdefault(maker, []).append(clip)
    found: dict[tuple[str, ...], Mixture] = {}
    for what, makers_of in by_what.items():
        if len(makers_of) < 2:
            continue
        counts = Counter({maker: len(of) for maker, of in makers_of.items()})
        most = counts.most_common(1)[0][0]
        fewer = tuple(sorted(c for maker, of in makers_of.items() if maker != most for c in of))
        what = f"{found[fewer].what} and {what}" if fewer in found else what
        found[fewer] = Mixture(what, fewer, counts.total(), "" in makers_of)
    return list(found.values())


def describe(mixtures: Collection[Mixture]) -> str:
    """Return mixtures in one line."""
    return "; ".join(map(str, mixtures))


def survey_makers(
    root: Path, clips: Clips, chosen: Collection[str]
) -> tuple[list[Mixture], dict[str, str]]:
    """Return the mixtures in a folder, and the weights and programs that made its tokens.

    Headers and the sidecars' metadata are read, about 0.1 ms a clip.

    Args:
        root: The token folder.
        clips: Its clips.
        chosen: The parameters to look at; empty for all.
    """
    tools: dict[str, set[str]] = {"weights": set(), "encoded by": set()}
    described = set(clips.described)

    def makers_of(rel: str) -> Makers:
        extra = read_header(root / rel).extra
        tools["weights"].add(str(extra.get("ckpt", "")))
        tools["encoded by"].add(str(extra.get("by", "")))
        makers = token_makers(extra)
        if rel in described:
            sidecar = read_description(root / rel)
            names = [name for name in sidecar.features if not chosen or name in chosen]
            makers |= parameter_makers(sidecar.provenance, names)
        return makers

    mixtures = find_mixtures((rel, makers_of(rel)) for rel in clips.tokens)
    return mixtures, {key: ", ".join(sorted(filter(None, v))[:10]) for key, v in tools.items()}
