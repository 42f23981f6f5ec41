"""Every reader of a file that may be hostile, each with valid files to start from.

The tests in `tests/hostile` and the targets of `fuzz.fuzz_reader` use this list. A new reader is one
entry: a function that writes the bytes to a file in a folder and uses all that the reader returns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import seeds
from fuzz.plan_readers import PLANS
from fuzz.reader import Reader


def read_container(data: bytes, folder: Path) -> None:
    """Read a token file, of either format."""
    from preprocess.steps.outputs import _token_fields
    from preprocess.tokens.ecdc import read_ecdc, read_header

    path = _write(folder / "a.ecdc", data)
    _token_fields(path)
    header = read_header(path)
    ecdc = read_ecdc(path)
    assert header.n_frames == ecdc.codes.shape[1] and ecdc.header == header


def read_metadata(data: bytes, folder: Path) -> None:
    """Read a sidecar with this metadata and a valid array."""
    _write(folder / "a.cond.npy", seeds.array())
    _write(folder / "a.cond.json", data)
    _read_sidecar(folder)


def read_array(data: bytes, folder: Path) -> None:
    """Read a sidecar with this array and valid metadata."""
    _write(folder / "a.cond.npy", data)
    _write(folder / "a.cond.json", seeds.metadata()[1])
    _read_sidecar(folder)


def _read_sidecar(folder: Path) -> None:
    from preprocess.core.errors import PreprocessError
    from preprocess.sidecar.reading import read_description, read_sidecar
    from preprocess.sidecar.records import makers
    from preprocess.stats.corpus_stats import CorpusStats

    for reader in (read_description, read_sidecar):
        sidecar = reader(folder / "a.ecdc")
        makers(sidecar.records)
        for parameter in sidecar.parameters.values():
            parameter.info.to_json()
            _ = parameter.span, parameter.period
    stats = CorpusStats()
    try:
        stats.update(sidecar.parameters)
    except PreprocessError:
        return
    stats.to_dict()


def read_recipe(data: bytes, folder: Path) -> None:
    """Read a recipe."""
    from preprocess.steps.recipe import read_recipe

    read_recipe(_write(folder / "recipe.yaml", data))


def _table(suffix: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        from preprocess.core.errors import PreprocessError
        from preprocess.params.clip_table import ClipTable
        from preprocess.params.curves import CurveFormat, read_curves
        from preprocess.params.tables import read_table

        path = _write(folder / f"table{suffix}", data)
        with suppress(PreprocessError):
            read_curves(path, {"pitch": "pitch"}, CurveFormat())
        rows = read_table(path)
        names = list(dict.fromkeys(name for row in rows for name in row))[:8]
        for kind in ("", "categorical"):
            for name in names:
                try:
                    table = ClipTable(path, rows, names[0], {"x": name}, {}, {"x": kind})
                except PreprocessError:
                    continue
                table.alike("one")
                table.find("a/one", "auto")

    return read


def read_curve_json(data: bytes, folder: Path) -> None:
    """Read a curve from JSON, at a clip's frames."""
    _read_curve(_write(folder / "a.json", data), None)


def read_curve_array(data: bytes, folder: Path) -> None:
    """Read a curve from an array, at a clip's frames."""
    _read_curve(_write(folder / "a.npy", data), 10.0)


def _read_curve(path: Path, rate_hz: float | None) -> None:
    from preprocess.params.curves import CurveFormat, read_curves
    from preprocess.params.timeline import Reading, to_frames
    from preprocess.tokens.specs import CODECS

    form = CurveFormat(rate_hz=rate_hz)
    for points in read_curves(path, {"pitch": "pitch"}, form).values():
        for how in ("linear", "step", "mean", "circular"):
            reading = Reading(how, "hold", 360.0, gap="hold")
            values = to_frames(points, 24_000, CODECS["encodec_24khz"], reading)
            assert values.shape == (75,)


def read_midi(data: bytes, folder: Path) -> None:
    """Read a MIDI file, at a clip's frames."""
    from preprocess.params.midi import FrameNotes, controller_points
    from preprocess.params.midi_file import MidiSettings, read_performance
    from preprocess.tokens.specs import CODECS

    played = read_performance(_write(folder / "a.mid", data), MidiSettings())
    notes = FrameNotes(played, 48_000, CODECS["encodec_24khz"])
    for column in ("note", "velocity", "pitch", "gate", "onset", "note_count"):
        assert notes.column(column).shape == (150,)
    notes.voice("pitch", 2), notes.most()
    for changes in played.controls.values():
        controller_points(changes, 0.0, 2.0)


def read_frames(data: bytes, folder: Path) -> None:
    """Walk over the frames of an MP3 file, the last page of an Ogg file, and a log of libsndfile."""
    from preprocess.audio.integrity import chunk_shortfall, mp3_length, ogg_is_complete

    path = _write(folder / "a.mp3", data)
    mp3_length(path)
    ogg_is_complete(path)
    chunk_shortfall(data.decode("latin-1"))


def read_sound(data: bytes, folder: Path) -> None:
    """Read an audio file and its comment."""
    from preprocess.audio.audio_files import read_blocks, read_comment, stated_samples
    from preprocess.core.provenance import is_ours, parse_provenance

    path = _write(folder / "a.wav", data)
    is_ours(parse_provenance(read_comment(path, even_truncated=True)))
    stated_samples(path, 24_000)
    for block in read_blocks(path, 24_000, 1):
        assert np.isfinite(block).all()


def read_statistics(data: bytes, folder: Path) -> None:
    """Read the statistics of a corpus, merge and write them."""
    from preprocess.core.errors import PreprocessError
    from preprocess.stats.corpus_stats import CorpusStats, read_stats, write_stats

    splits = read_stats(_write(folder / "stats.json", data))
    for stats in splits.values():
        for parameter in stats.values():
            _ = parameter.mean, parameter.std, parameter.quantiles, parameter.histogram(4)
    merged = CorpusStats()
    for stats in splits.values():
        try:
            merged.merge(stats)
        except PreprocessError:
            continue
    write_stats(folder / "merged.json", {"all": merged})


def read_info(data: bytes, folder: Path) -> None:
    """Read the description of a repository, and write a card of it."""
    from preprocess.publish.subset import read_info, read_listen

    subsets, listen = read_info(data), read_listen(data)
    if subsets:
        _card(None, subsets, listen)


def read_card(data: bytes, folder: Path) -> None:
    """Read a card, and put a subset into it."""
    from preprocess.publish.subset import read_info

    _card(data.decode("utf-8", "replace"), read_info(seeds.infos()[0]), None)


def _card(old: str | None, subsets: Any, listen: Any) -> None:
    from datasets import Features, Value

    from preprocess.publish.card import About, make_card

    files: Any = {"six": {}}
    make_card(old, About("me/sounds"), subsets, files, Features({"id": Value("string")}), listen)


def read_marker(data: bytes, folder: Path) -> None:
    """Read what a built dataset says of itself."""
    from preprocess.steps.saved_folder import SavedFolder, check_replaceable, read_marker

    _write(folder / "enchf_build.json", data)
    _write(folder / "dataset_dict.json", data)
    read_marker(folder, "enchf_build.json")
    check_replaceable(SavedFolder(folder, "enchf_build.json", (), "build"))


def read_description(data: bytes, folder: Path) -> None:
    """Read the description of a parameter in a dataset's columns."""
    from preprocess.dataset.schema import describe_range
    from preprocess.sidecar.parameter_info import ParameterInfo

    info = ParameterInfo.from_json(data.decode("utf-8", "replace"))
    describe_range(info.min, info.max)
    _ = info.period, info.to_json()


_TABLES = (
    "tables",
    "table_size",
    "parquet_rows",
    "columns",
    "cells",
    "numerals",
    "clip_table",
    "curves",
    "curve_times",
)
_PARAMS = tuple(f"preprocess.params.{name}" for name in (*_TABLES, "curve_cells", "text_files"))
_SIDECAR = ("preprocess.sidecar",)

READERS = {
    reader.name: reader
    for reader in (
        Reader("container", read_container, seeds.containers, "binary", 20, ("preprocess.tokens",)),
        Reader("torch", read_container, seeds.torch_files, "binary", 20, ("preprocess.tokens",)),
        Reader("metadata", read_metadata, seeds.metadata, "json", 60, _SIDECAR),
        Reader("array", read_array, seeds.arrays, "binary", 20, _SIDECAR),
        Reader("recipe", read_recipe, seeds.recipes, "text", 400, ("preprocess.steps.recipe",)),
        Reader("csv", _table(".csv"), seeds.csv_tables, "text", 200, _PARAMS),
        Reader("jsonl", _table(".jsonl"), seeds.json_lines, "json", 200, _PARAMS),
        Reader(
            "xlsx",
            _table(".xlsx"),
            seeds.sheets,
            "zip",
            400,
            (*_PARAMS, "preprocess.params.excel"),
            "openpyxl",
        ),
        Reader(
            "parquet", _table(".parquet"), seeds.parquet_tables, "binary", 400, _PARAMS, "pyarrow"
        ),
        Reader("curve_json", read_curve_json, seeds.json_curves, "json", 200, _PARAMS),
        Reader("curve_array", read_curve_array, seeds.curve_arrays, "binary", 20, _PARAMS),
        Reader(
            "midi",
            read_midi,
            seeds.midi_files,
            "binary",
            400,
            ("preprocess.params.midi", "preprocess.params.midi_file"),
            "mido",
        ),
        Reader(
            "frames", read_frames, seeds.mp3_frames, "binary", 20, ("preprocess.audio.integrity",)
        ),
        Reader(
            "sound", read_sound, seeds.waves, "binary", 400, ("preprocess.audio",), "libsndfile"
        ),
        Reader("stats", read_statistics, seeds.statistics, "json", 100, ("preprocess.stats",)),
        Reader("info", read_info, seeds.infos, "json", 100, ("preprocess.publish.subset",)),
        Reader("card", read_card, seeds.cards, "text", 400, ("preprocess.publish",)),
        Reader(
            "marker", read_marker, seeds.markers, "json", 60, ("preprocess.steps.saved_folder",)
        ),
        Reader("description", read_description, seeds.descriptions, "json", 60, _SIDECAR),
        *PLANS,
    )
}


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
