"""The subset `listen`: a few clips decoded, for people to hear in the Hub's viewer and on the card.

    listen/train-00000-of-00001.parquet   rows with a sound and a picture in them, for each split
    listen/page.html                      the same clips on one page, to save and open
    listen/clips/000.flac, 000.png        the first few as files, which the card shows

All other subsets hold tokens, and no sound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.core.errors import PreprocessError
from preprocess.dataset.schema import read_parameters
from preprocess.page.audio_embed import embed_sound
from preprocess.page.clip_data import ClipData, Decoder
from preprocess.page.clip_page import clip_page
from preprocess.page.plot import write_plot
from preprocess.page.row_sources import row_clip
from preprocess.publish.listen_info import LISTEN, PAGE, Listen, ListenClip
from preprocess.publish.parquet import Shards

if TYPE_CHECKING:
    from datasets import DatasetDict

MOST_SHOWN = 3
"""Clips that the card plays: it is to be read, too."""
_OURS = re.compile(rf"{LISTEN}/(?:\w+-\d{{5}}-of-\d{{5}}\.parquet|page\.html|clips/\d+\.\w+)")
_PICTURE_DPI = 110
_FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass
class ListenFiles:
    """What a push of the subset sends.

    Attributes:
        listen: Its description.
        sample_rate: Of the sounds, in Hz.
        shards: Split -> its Parquet file.
        files: Path in the repository -> the file, all of them.
    """

    listen: Listen
    sample_rate: int
    shards: dict[str, Shards] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


def write_listen(
    saved: DatasetDict, folder: Path, title: str, count: int, decoder: Decoder
) -> ListenFiles:
    """Decode clips that are spread evenly over a dataset, and write the subset's files.

    Args:
        saved: The dataset; clips stay in their splits.
        folder: Where to write.
        title: Of the page.
        count: How many clips, or all where there are fewer.
        decoder: Decodes them.

    Raises:
        PreprocessError: A clip cannot be decoded, as when the codec's weights are not at hand.
    """
    total = sum(map(len, saved.values()))
    rate = int(next(iter(saved.values()))[0]["sample_rate"])
    made = ListenFiles(Listen(total, []), rate)
    (folder / "clips").mkdir(parents=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    clips = []
    for split, clip in _decoded(saved, min(count, total), decoder):
        rows.setdefault(split, []).append(_row(made, folder, split, clip))
        clips.append(clip)
    for split, listed in rows.items():
        path = folder / f"{split}-00000-of-00001.parquet"
        table = pa.Table.from_pylist(listed, _schema(rate))
        # A viewer reads a row group for the rows of one screen.
        pq.write_table(table, path, row_group_size=10, compression="zstd", write_page_index=True)
        made.shards[split] = Shards([path], len(listed), table.nbytes)
        made.files[f"{LISTEN}/{path.name}"] = path
    page = folder / "page.html"
    page.write_text(clip_page(clips, title), encoding="utf-8")
    made.files[PAGE] = page
    return made


def is_stale(path: str, new: Mapping[str, Any]) -> bool:
    """Whether a file of the repository is of an earlier push of this subset, and not of this one."""
    return bool(_OURS.fullmatch(path)) and path not in new


def listen_info(made: ListenFiles) -> dict[str, Any]:
    """Return the subset's entry of `dataset_info` in a card; any version of `datasets` reads it."""
    return {
        "config_name": LISTEN,
        "features": [
            {"name": "id", "dtype": "string"},
            {"name": "audio", "dtype": {"audio": {"sampling_rate": made.sample_rate}}},
            {"name": "picture", "dtype": "image"},
            {"name": "seconds", "dtype": "float64"},
            {"name": "model", "dtype": "string"},
            {"name": "bandwidth_kbps", "dtype": "float64"},
        ],
        "splits": [
            {"name": split, "num_bytes": s.num_bytes, "num_examples": s.num_examples}
            for split, s in made.shards.items()
        ],
        "download_size": sum(p.stat().st_size for s in made.shards.values() for p in s.paths),
        "dataset_size": sum(s.num_bytes for s in made.shards.values()),
    }


def _decoded(saved: DatasetDict, count: int, decoder: Decoder) -> Iterator[tuple[str, ClipData]]:
    """Yield `count` clips with their splits, evenly spread over all."""
    places = [(split, index) for split, rows in saved.items() for index in range(len(rows))]
    for at in range(count):
        split, index = places[at * len(places) // count]
        rows = saved[split]
        row = rows.with_format("numpy")[index]
        clip = decoder.add_sound(row_clip(row, read_parameters(rows.features)))
        if "decoded" not in clip.sounds:
            raise PreprocessError(f"--listen: {clip.id}: {clip.notes[-1]}")
        yield split, clip


def _row(made: ListenFiles, folder: Path, split: str, clip: ClipData) -> dict[str, Any]:
    """Return the row of a clip, and add it to what is described."""
    number, spec = len(made.listen.clips), clip.tokens.header.spec
    sound = embed_sound(clip.sounds["decoded"], spec.sample_rate)
    stem = folder / "clips" / f"{number:03d}"
    audio = stem.with_suffix(".ogg" if sound.mime == "audio/ogg" else ".flac")
    picture = stem.with_suffix(".png")
    audio.write_bytes(sound.data)
    write_plot(clip, picture, dpi=_PICTURE_DPI)
    places = ("", "")
    if number < MOST_SHOWN:
        places = (f"{LISTEN}/clips/{audio.name}", f"{LISTEN}/clips/{picture.name}")
        made.files |= dict(zip(places, (audio, picture), strict=True))
    made.listen.clips.append(ListenClip(clip.id, split, round(clip.duration_s, 3), *places))
    return {
        "id": clip.id,
        "audio": {"bytes": sound.data, "path": audio.name},
        "picture": {"bytes": picture.read_bytes(), "path": picture.name},
        "seconds": clip.duration_s,
        "model": clip.tokens.model,
        "bandwidth_kbps": clip.tokens.header.bandwidth_kbps,
    }


def _schema(sample_rate: int) -> pa.Schema:
    """Return the types of a row, with what tells `datasets` of the sound, spelt as 3.6 reads it."""
    features = {
        "id": {"dtype": "string", "_type": "Value"},
        "audio": {"sampling_rate": sample_rate, "_type": "Audio"},
        "picture": {"_type": "Image"},
        "seconds": {"dtype": "float64", "_type": "Value"},
        "model": {"dtype": "string", "_type": "Value"},
        "bandwidth_kbps": {"dtype": "float64", "_type": "Value"},
    }
    fields = [
        *(("id", pa.string()), ("audio", _FILE), ("picture", _FILE)),
        *(("seconds", pa.float64()), ("model", pa.string()), ("bandwidth_kbps", pa.float64())),
    ]
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})
