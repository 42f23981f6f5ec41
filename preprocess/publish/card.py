"""The card of a published dataset: YAML that loaders need, and text generated from the data.

Two comments enclose the generated text; a push keeps all other text and YAML keys of a card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.core.errors import printable
from preprocess.dataset.schema import describe_range
from preprocess.publish.card_yaml import (
    card_entries,
    config_entry,
    info_entry,
    parse_card,
    put_entry,
)
from preprocess.publish.listen import ListenFiles, listen_info
from preprocess.publish.listen_card import listen_section
from preprocess.publish.listen_info import LISTEN, Listen
from preprocess.publish.parquet import Shards
from preprocess.publish.snippets import decode_snippet
from preprocess.publish.subset import Subset

if TYPE_CHECKING:
    from datasets import Features

BEGIN, END = "<!-- enchf: generated from here -->", "<!-- enchf: to here -->"
TAGS = ("audio", "encodec", "audio-tokens")
PARAMETER_TITLES = (
    *("parameter", "unit", "kind", "declared range", "min", "max", "mean", "std"),
    *("5 %", "median", "95 %", "values", "NaN", "meaning"),
)
_UNPACK = """

Column `provenance` has the header of each clip's `.ecdc` and its sidecar's metadata: `preprocess
unpack FOLDER OUT` gives these files back from a copy of this repository."""
_BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


@dataclass(frozen=True)
class About:
    """Facts that only the publisher knows.

    Attributes:
        repo_id: The repository, `NAMESPACE/NAME`.
        license: The Hub's name for the licence, such as `cc0-1.0`; None keeps the card's.
        source: A text that says where the sounds come from; None keeps the card's.
        revision: The branch.
    """

    repo_id: str
    license: str | None = None
    source: str | None = None
    revision: str = "main"


def make_card(
    old: str | None,
    about: About,
    subsets: Mapping[str, Subset],
    files: Mapping[str, Mapping[str, Shards]],
    features: Features,
    listen: Listen | None = None,
    listen_files: ListenFiles | None = None,
) -> str:
    """Return the card of a repository after a push.

    Args:
        old: The existing card, or None.
        about: Repository, licence and source.
        subsets: All subsets of the repository.
        files: Subset -> split -> its files, for the subsets of this push.
        features: The columns of these subsets.
        listen: The repository's subset with sound; None if it has none.
        listen_files: Its files, if this push has them.

    Raises:
        PreprocessError: The YAML of the existing card cannot be read.
    """
    card = parse_card(old)
    data, text = card.data.to_dict(), card.text
    _put_entries(data, files, features, listen_files)
    data["tags"] = list(dict.fromkeys([*(data.get("tags") or []), *TAGS]))
    if about.license is not None:
        data["license"] = about.license
    if about.source is not None:
        data["source"] = about.source
    block = "\n\n".join(
        [
            BEGIN,
            _about(data),
            *([listen_section(listen, about.repo_id, about.revision)] if listen else []),
            _subsets(subsets),
            *_parameters(subsets),
            _usage(about, data, subsets, "provenance" in features),
            END,
        ]
    )
    for key in ("dataset_info", "configs", "tags", "license", "source"):
        if key in data:
            card.data[key] = data[key]
    card.text = _with_block(text, block, about)
    return str(card)


def _with_block(text: str, block: str, about: About) -> str:
    """Return the text of a card with `block` in place of the old one, or else at its end."""
    if BEGIN in text and END in text:
        return _BLOCK.sub(lambda _: block, text, count=1)
    start = text.rstrip() or f"\n# {about.repo_id.rpartition('/')[2]}"
    return f"{start}\n\n{block}\n"


def _put_entries(
    data: dict[str, Any],
    files: Mapping[str, Mapping[str, Shards]],
    features: Features,
    listen_files: ListenFiles | None,
) -> None:
    """Put the subsets of this push into the YAML; the first of all is the default."""
    for key in ("configs", "dataset_info"):
        data[key] = card_entries(data, key)
    for name, splits in files.items():
        put_entry(data, "dataset_info", info_entry(name, splits, features))
        put_entry(data, "configs", config_entry(name, splits))
    if listen_files is not None:
        put_entry(data, "dataset_info", listen_info(listen_files))
        put_entry(data, "configs", config_entry(LISTEN, listen_files.shards))
    if not any(entry.get("default") for entry in data["configs"]):
        data["configs"][0]["default"] = True


def _about(data: Mapping[str, Any]) -> str:
    lines = [
        "Audio as [EnCodec](https://github.com/facebookresearch/encodec) tokens, with named "
        "parameters aligned frame by frame: one row per clip."
    ]
    if data.get("source"):
        lines.append(f"Source of the sounds: {data['source']}")
    if data.get("license"):
        lines.append(f"Licence: {data['license']}")
    return "\n\n".join(lines)


def _subsets(subsets: Mapping[str, Subset]) -> str:
    rows = [
        (
            f"`{name}`",
            s.model,
            f"{s.bandwidth_kbps:g} kbps",
            s.n_codebooks,
            s.fps,
            f"{s.sample_rate:,} Hz",
            f"{s.clips:,}",
            _hours(s.hours),
            ", ".join(f"{split} {int(v['clips']):,}" for split, v in s.splits.items()),
        )
        for name, s in subsets.items()
    ]
    titles = ["subset", "codec", "bandwidth", "codebooks", "frames/s", "sample rate"]
    titles += ["clips", "hours", "splits"]
    return "## Subsets\n\n" + _table(titles, rows)


def _hours(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 0.1 else f"{hours:.4f}"


def _parameters(subsets: Mapping[str, Subset]) -> list[str]:
    """Return a table of parameters for each group of subsets with the same parameters."""
    groups: list[tuple[list[str], Mapping[str, dict[str, Any]]]] = []
    for name, subset in subsets.items():
        for names, parameters in groups:
            if parameters == subset.parameters:
                names.append(name)
                break
        else:
            groups.append(([name], subset.parameters))
    texts = []
    for names, parameters in groups:
        if not parameters:
            continue
        of = "" if len(groups) == 1 else f" of {', '.join(f'`{n}`' for n in names)}"
        texts.append(
            f"## Parameters{of}\n\n"
            + _table(
                list(PARAMETER_TITLES),
                [_parameter_row(name, entry) for name, entry in parameters.items()],
            )
            + "\n\nNormalise by the declared range. Statistics cover all frames of the split "
            "`train`; NaN is counted separately. Circular parameters have circular mean and std."
        )
    return texts


def _parameter_row(name: str, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    stats = entry.get("statistics") or {}
    quantiles = stats.get("quantiles") or {}
    figures = [stats.get("min"), stats.get("max")]
    if entry["kind"] == "categorical":  # labels have no mean and no order
        figures += [None] * 5
    else:
        figures += [stats.get("mean"), stats.get("std")]
        figures += [quantiles.get(key) for key in ("p05", "p50", "p95")]
    return (
        f"`{name}`",
        entry["units"],
        entry["kind"],
        describe_range(entry["min"], entry["max"]),
        *("" if value is None else f"{value:.4g}" for value in figures),
        *("" if stats.get(key) is None else f"{stats[key]:,}" for key in ("count", "nan_count")),
        entry["doc_string"],
    )


def _table(titles: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    return printable(" ".join(str(value).split())).replace("|", "\\|").replace("<", "&lt;")


def _usage(
    about: About, data: Mapping[str, Any], subsets: Mapping[str, Subset], packed: bool
) -> str:
    name = next(e.get("config_name", "default") for e in data["configs"] if e.get("default"))
    subset = subsets.get(name) or next(iter(subsets.values()))
    split = next(iter(subset.splits))
    provenance = "\n".join(
        f"- `{n}`: {_provenance(s.provenance)}" for n, s in subsets.items() if s.provenance
    )
    unpack = _UNPACK if packed else ""
    return f"""## Loading

```python
from datasets import load_dataset

dataset = load_dataset("{about.repo_id}", "{name}", split="{split}")
row = dataset.with_format("numpy")[0]  # row["codes"] is [K, T]; row["features"] name -> [T]
```

`codes` are int16 `[K, T]`: K codebooks by T frames. Column `features` has a float list `[T]` for
each parameter; the `id` of its type holds units, kind and declared range as JSON. The files are
plain Parquet, and `enchf.json` has this card's figures in machine-readable form.{unpack}

## Decoding to audio

```python
{decode_snippet(subset.model)}
```

## Provenance

{provenance or "Unknown."}"""


def _provenance(provenance: Mapping[str, Any]) -> str:
    """Return what a subset was made from, and a sentence if its clips were made differently."""
    known = {k: v for k, v in provenance.items() if v and k != "mixed"}
    text = ", ".join(f"{k} {_cell(v)}" for k, v in known.items())
    mixed = provenance.get("mixed")
    return f"{text}. Not all clips were made alike: {_cell(mixed)}." if mixed else text
