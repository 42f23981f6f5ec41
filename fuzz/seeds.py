"""Small valid files of each format, made by code: what mutations start from."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
_SMALL = 8 << 10


def containers() -> list[bytes]:
    """Return token files in Meta's format, of several codecs, and one with provenance."""
    found = [path.read_bytes() for path in sorted(GOLDEN.glob("m*.ecdc"))]
    header = {"m": "encodec_24khz", "al": 960, "nc": 2, "lm": False, "src": "a", "rec": "b"}
    text = json.dumps(header).encode()
    own = struct.pack("!4sBI", b"ECDC", 0, len(text)) + text + bytes(8)
    return [own, *(data for data in found if len(data) < _SMALL)]


def torch_files() -> list[bytes]:
    """Return token files in the predecessor's format: archives, and one from before them."""
    found = [path.read_bytes() for path in sorted(GOLDEN.glob("legacy_*.ecdc"))]
    return [*(data for data in found if len(data) < 4 * _SMALL), _stream()]


def _stream() -> bytes:
    """Return codes as `torch.save` stored them before PyTorch 1.6."""
    import torch

    stream = io.BytesIO()
    codes = torch.arange(6).reshape(2, 3)
    torch.save({"audio_codes": codes}, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


_FEATURE = {
    "min": -60.0,
    "max": 0.0,
    "mean": -30.0,
    "std": 2.5,
    "units": "dB",
    "doc_string": "level",
    "kind": "continuous",
    "nan": "",
    "source": "",
    "declared": True,
    "measured": {"min": -60.0, "max": 0.0, "mean": -30.0, "std": 2.5},
}
_RECORD = {"names": ["level"], "tokens": "t", "producer": "table", "src": "s", "rec": "r"}
VERSION_3: dict[str, Any] = {
    "schema_version": 3,
    "fps": 75.0,
    "source_rate": 75.0,
    "features": {"level": _FEATURE, "knob": {**_FEATURE, "kind": "circular", "units": "deg"}},
    "time": {"codec": "encodec_24khz", "sample_rate": 24000, "hop": 320, "audio_length": 1280},
    "provenance": {"made": [_RECORD]},
}
VERSION_2: dict[str, Any] = {
    "fps": 75,
    "features": {"level": {"min": 0, "max": 1}, "knob": {"min": 0, "max": 0}},
}
VERSION_1: dict[str, Any] = {
    "names": ["level", "knob"],
    "fps": 75,
    "norm": {"min": [0, 0], "max": [1, 1], "mean": [0.5, 0.5], "std": [0, 0]},
}
BETWEEN: dict[str, Any] = {
    "names": ["level", "knob"],
    "stats": {"level": {"min": 0, "max": 1}, "knob": {}},
    "units": {"level": "dB"},
    "docs": {"knob": "a knob"},
}


def metadata() -> list[bytes]:
    """Return a sidecar's metadata of each version, for two parameters."""
    return [json.dumps(meta).encode() for meta in (VERSION_3, VERSION_2, VERSION_1, BETWEEN)]


def array(dtype: str = "<f4", shape: tuple[int, ...] = (4, 2), fortran: bool = False) -> bytes:
    """Return an `.npy` file."""
    stream = io.BytesIO()
    values = np.zeros(shape, np.dtype(dtype))
    np.save(stream, np.asfortranarray(values) if fortran else values, allow_pickle=False)
    return stream.getvalue()


def arrays() -> list[bytes]:
    """Return `.npy` files that a sidecar may and may not have."""
    structured = np.zeros(4, [("a", "<f4"), ("b", "<f4")])
    stream = io.BytesIO()
    np.save(stream, structured)
    objects = io.BytesIO()
    np.save(objects, np.array([[object(), 1]] * 4, dtype=object)[:0], allow_pickle=True)
    return [
        *(array(), array("<f2"), array("<f8", fortran=True), array("<i8"), array(shape=(4,))),
        *(stream.getvalue(), objects.getvalue()),
    ]


def curve_arrays() -> list[bytes]:
    """Return `.npy` files of one curve."""
    return [array(shape=(8,)), array("<i2", (8, 1)), *arrays()]


RECIPE = b"""\
input: sounds
output: results
codec: encodec_24khz
jobs: 2
normalize: {target_rms: 0.05}
encode: &e {bandwidth: 6}
annotate:
  - ramp: {name: position, start: 0, end: 1}
  - table: {path: table.csv, labels: {scene: [rain, wind]}}
  - curve: {root: curves, columns: [pitch], default: {pitch: 0}}
audit: {require: [position]}
build: {split_by: folders, bandwidth: 6}
"""


def recipes() -> list[bytes]:
    """Return recipes; one has aliases, merges and explicit types."""
    odd = b"a: &a {x: 1}\nb: {<<: *a, y: !!int '2'}\nc: !!float 1.5\nd: 2001-01-01 10:00:00.5 +1\n"
    folder = Path(__file__).parents[1] / "configs"
    shipped = [path.read_bytes() for path in sorted(folder.glob("*.yaml"))[:1]]
    return [RECIPE, odd + b"e: !!binary aGk=\nf: !!bool yes\ng: 1:30:00\nh: !!set {a}\n", *shipped]


def csv_tables() -> list[bytes]:
    """Return tables as text."""
    return [
        b"id,level,scene,when\na/one,1.5,rain,2024-05-01\nb/two,,wind,2024-05-02T10:00:00Z\n",
        b"sep=;\nid;level;share\none;1,5;12 %\ntwo;2,25;13 %\n",
        b'id\tlength\tname\n"a\nb"\t0:01:30\t"x ""y"""\n',
        "id,größe\none,1'234.5\n".encode("utf-16"),
        b"time,pitch\n0,440\n0.5,441\n1.0,442\n",
        b"time,pitch\n00:00:00,440\n00:00:01,441\n",
    ]


def json_lines() -> list[bytes]:
    """Return tables as JSON lines."""
    return [
        b'{"id": "one", "level": 1.5, "scene": "rain"}\n{"id": "two", "level": null, "on": true}\n',
        b'{"id": 1, "level": "1,5", "when": "2024-05-01"}\n',
    ]


def json_curves() -> list[bytes]:
    """Return curves as JSON: columns with times, columns with a rate, and rows."""
    return [
        b'{"time": [0, 0.5, 1.0], "pitch": [440, 441, null]}',
        b'{"rate_hz": 10, "pitch": [440, 441.5, "442"]}',
        b'[{"time": "00:00:00", "pitch": 1}, {"time": "00:00:01.5", "pitch": 2}]',
        b'[{"time": 1700000000.5, "pitch": "rain"}, {"time": 1700000001, "pitch": "wind"}]',
    ]


def sheet(cells: str, shared: str = "", extra: str = "", dimension: str = "A1:C3") -> bytes:
    """Return an Excel file whose sheet has the XML `cells`."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}.sharedStrings+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'{extra}<worksheet xmlns="{main}">'
        f'<dimension ref="{dimension}"/><sheetData>{cells}</sheetData></worksheet>',
        "xl/sharedStrings.xml": shared or f'<sst xmlns="{main}"><si><t>id</t></si></sst>',
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, text)
    return stream.getvalue()


SHEET = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>level</t></is></c></row>'
    '<row r="2"><c r="A2" t="str"><v>one</v></c><c r="B2"><v>1.5</v></c></row>'
    '<row r="4"><c r="A4" t="str"><v>two</v></c><c r="B4"><f>B2*2</f></c></row>'
)


def sheets() -> list[bytes]:
    """Return Excel files: one by hand, one by openpyxl."""
    from openpyxl import Workbook

    book = Workbook()
    for row in (("id", "level", "share"), ("one", 1.5, 0.12), ("two", True, None)):
        book.active.append(row)
    book.active["C2"].number_format = "0 %"
    stream = io.BytesIO()
    book.save(stream)
    return [sheet(SHEET), stream.getvalue()]


def parquet_tables() -> list[bytes]:
    """Return Parquet tables."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": ["one", "two"], "level": [1.5, None], "on": [True, False]})
    found = []
    for compression in ("none", "snappy"):
        stream = io.BytesIO()
        pq.write_table(table, stream, compression=compression)
        found.append(stream.getvalue())
    return found


def midi(events: bytes, tracks: int = 1, size: int | None = None, division: int = 480) -> bytes:
    """Return a MIDI file of one track; `size` and `tracks` may lie."""
    head = struct.pack(">4sIHHH", b"MThd", 6, 1, tracks, division)
    return head + struct.pack(">4sI", b"MTrk", len(events) if size is None else size) + events


EVENTS = bytes.fromhex(
    "00ff5103 07a120 00c005 00903c40 60803c00 00b04040 10904040 304000"
    "00e00050 00d040 00b06500 00b06400 00b0060c 00b07b00 00f00241f7 00ff2f00"
)


def midi_files() -> list[bytes]:
    """Return MIDI files with notes, pedal, bend, controllers, a tempo and a system message."""
    return [midi(EVENTS), midi(bytes.fromhex("00903c40 60903c00 00ff2f00"), division=96)]


def statistics() -> list[bytes]:
    """Return a `stats.json` with a parameter of each kind."""
    from preprocess.sidecar.parameters import Parameter
    from preprocess.stats.corpus_stats import CorpusStats

    stats = CorpusStats()
    values = np.array([0.0, 1.0, 2.0, 2.0])
    kinds = ("continuous", "categorical", "circular")
    stats.update({kind: Parameter(values, kind=kind, units="deg") for kind in kinds})
    splits = {"train": stats.to_dict()}
    return [json.dumps({"version": 2, "splits": splits}).encode()]


def infos() -> list[bytes]:
    """Return an `enchf.json`."""
    statistics = {"count": 4, "nan_count": 0, "min": 0.0, "max": 1.0, "mean": 0.5, "std": 0.1}
    level = {"units": "dB", "doc_string": "", "kind": "continuous", "min": 0, "max": None}
    subset = {
        "model": "encodec_24khz",
        "n_codebooks": 8,
        "bandwidth_kbps": 6.0,
        "fps": 75,
        "sample_rate": 24000,
        "splits": {"train": {"clips": 3, "hours": 0.5}},
        "parameters": {"level": {**level, "statistics": {**statistics, "quantiles": {"p50": 0.5}}}},
        "provenance": {"src": "a", "mixed": ""},
    }
    clip = {"id": "a", "split": "train", "seconds": 1.5, "sound": "listen/a.flac", "picture": ""}
    stored = {"version": 1, "subsets": {"six": subset}, "listen": {"of": 3, "clips": [clip]}}
    return [json.dumps(stored).encode()]


def cards() -> list[bytes]:
    """Return a dataset card."""
    return [
        b"---\nlicense: cc0-1.0\ntags: [audio]\nconfigs:\n- config_name: six\n  default: true\n"
        b"dataset_info:\n  config_name: six\n  features: []\nsource: a field\n---\n# Sounds\n"
    ]


def markers() -> list[bytes]:
    """Return an `enchf_build.json` that is a `dataset_dict.json`, too."""
    return [
        b'{"src": "a", "by": "enchf-dataset 1", "tokens_subdir": "tokens", "splits": ["train"]}'
    ]


def descriptions() -> list[bytes]:
    """Return the description of a parameter in a dataset's columns."""
    return [b'{"units": "deg", "doc_string": "x", "kind": "circular", "min": 0.0, "max": 360.0}']


def mp3_frames() -> list[bytes]:
    """Return MP3 frames without sound, one with an ID3 tag before it."""
    frame = bytes.fromhex("fffb9000") + bytes(413)
    return [
        2 * frame,
        b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + frame,
        b"OggS\0\4" + bytes(20) + b"\1\2ab",
    ]


def waves() -> list[bytes]:
    """Return WAV and FLAC files, the first with our comment."""
    import soundfile as sf

    found = []
    for form in ("WAV", "FLAC", "AIFF", "OGG"):
        stream = io.BytesIO()
        with sf.SoundFile(stream, "w", 24_000, 1, format=form) as file:
            file.comment = '{"src": "a", "rec": "b", "by": "enchf-dataset 1"}'
            file.write(np.zeros(64))
        found.append(stream.getvalue())
    return found
