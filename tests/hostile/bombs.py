"""Small files that claim or unfold to much: each cost its reader seconds or gigabytes."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from fuzz import seeds


def token_file(header: bytes) -> bytes:
    return struct.pack("!4sBI", b"ECDC", 0, len(header)) + header + bytes(100)


def yaml_laughs(levels: int = 40) -> bytes:
    """Return lists that each name the one before twice: 2^40 values in 700 bytes."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, levels)]
    return "\n".join((*lines, f"extensions: *a{levels - 1}")).encode()


def yaml_merges(levels: int = 25) -> bytes:
    """Return mappings that each merge the one before twice."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, levels)]
    return "\n".join(lines).encode()


def zipped(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


def entities(declared: str, used: str) -> bytes:
    """Return a sheet whose one cell uses the entities of its document type."""
    cell = f'<row r="1"><c r="A1" t="inlineStr"><is><t>{used}</t></is></c></row>'
    return seeds.sheet(cell, extra=f"<!DOCTYPE worksheet [{declared}]>")


def laughs() -> bytes:
    declared = '<!ENTITY l0 "lol">'
    declared += "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    return entities(declared, "&l11;")


def repeated_parquet(rows: int, text: int = 0) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = pa.array(["x" * text]) if text else pa.array([1])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), values)
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": column}), stream, compression="zstd")
    return stream.getvalue()


def long_texts(reader: str, column: str, size: int, rows: int = 10_000) -> bytes:
    """Return a reader's Parquet file with one row again and again, and one long text in a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from fuzz.readers import READERS

    table = pq.read_table(io.BytesIO(READERS[reader].seeds()[0])).slice(0, 1)
    table = pa.concat_tables([table] * rows).combine_chunks()
    at = table.schema.get_field_index(column)
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["x" * size])
    kind = table.schema.field(at).type
    if pa.types.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        texts = pa.StructArray.from_arrays([texts] * len(names), names=names)
    stream = io.BytesIO()
    swollen = table.set_column(at, column, texts)
    pq.write_table(swollen, stream, compression="zstd", store_schema=False)
    return stream.getvalue()


def npy(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)


def chord(struck: int) -> bytes:
    """Return MIDI in which every key of a channel is struck again and again and never released."""
    return seeds.midi(b"\0\x90\x3c\x40" + b"".join(bytes([0, k % 128, 64]) for k in range(struck)))


def pedalled(struck: int) -> bytes:
    """Return MIDI of one key struck and released under the pedal, then of two others."""
    down = b"\0\xb0\x40\x7f\0\x90\x3c\x40" + b"\0\x3c\x40" * struck + b"\0\x3c\x00" * struck
    return seeds.midi(down + b"\0\x3d\x40\0\x3e\x40" * struck)


def all_off(times: int) -> bytes:
    """Return MIDI of all keys on all channels, and All Notes Off again and again."""
    keys = b"".join(
        bytes([0, 0x90 | channel]) + b"\0".join(bytes([key, 64]) for key in range(128))
        for channel in range(16)
    )
    return seeds.midi(keys + b"\0\xb0\x7b\0" + b"\0\x7b\0" * times)


def stats_of(**changes: object) -> bytes:
    stored = json.loads(seeds.statistics()[0])
    stored["splits"]["train"]["features"]["categorical"].update(changes)
    return json.dumps(stored).encode()


DEEP = b"[" * 100_000 + b"]" * 100_000
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nested header": ("container", lambda: token_file(b'{"m":' + b"[" * 60_000)),
    "header of lists": ("container", lambda: token_file(b"[" + b"[]," * 20_000 + b"[]]")),
    "length of 4,000 digits": (
        "container",
        lambda: token_file(b'{"m":"encodec_48khz","nc":2,"al":1%s}' % (b"0" * 4000)),
    ),
    "codec of 60 kB": ("container", lambda: token_file(b'{"m":"%s"}' % (b"x" * 60_000))),
    "names in a text": (
        "metadata",
        lambda: json.dumps(
            {"names": "".join(map(chr, range(0x800, 0xD000)))}, ensure_ascii=False
        ).encode(),
    ),
    "names in a text, old": (
        "metadata",
        lambda: json.dumps(
            {"stats": {}, "names": "".join(map(chr, range(0x10000, 0x50000)))}, ensure_ascii=False
        ).encode(),
    ),
    "records": (
        "metadata",
        lambda: b'{"features":{"a":{},"b":{}},"provenance":{"made":[' + b"{}," * 300_000 + b"{}]}}",
    ),
    "nested metadata": ("metadata", lambda: b'{"features":' + DEEP + b"}"),
    "metadata of 5 MB": ("metadata", lambda: b'{"a":"' + b"x" * (5 << 20) + b'"}'),
    "a shape of 10^12": ("array", lambda: npy("(1000000000000, 2)")),
    "a negative shape": ("array", lambda: npy("(-1, 2)")),
    "a shape of 2^63": ("array", lambda: npy("(9223372036854775808, 2)")),
    "objects": ("array", lambda: npy("(4, 2)", "'|O'")),
    "a dtype of 10^9 bytes": ("array", lambda: npy("(4, 2)", "'|V1000000000'")),
    "a nested shape": ("array", lambda: npy("(" * 4000 + ")" * 4000)),
    "a curve of 10^12": ("curve_array", lambda: npy("(1000000000000,)")),
    "a curve of objects": ("curve_array", lambda: npy("(4,)", "'|O'")),
    "a billion laughs": ("recipe", yaml_laughs),
    "a billion merges": ("recipe", yaml_merges),
    "a list in itself": ("recipe", lambda: b"input: &a [*a]\n"),
    "nested lists": ("recipe", lambda: b"input: " + b"[" * 100_000),
    "nested keys": ("recipe", lambda: b"{a: " * 5_000),
    "many keys": ("recipe", lambda: b"\n".join(b"k%d: 1" % i for i in range(3_000))),
    "a number of 40,000 digits": ("recipe", lambda: b"jobs: 0x" + b"f" * 40_000),
    "a number in base 60": ("recipe", lambda: b"jobs: 1" + b":59" * 10_000),
    "a fraction in base 60": ("recipe", lambda: b"jobs: 1" + b":59" * 10_000 + b".5"),
    "a recipe of 300 kB": ("recipe", lambda: b"# " + b"x" * 300_000),
    "wide and long": (
        "csv",
        lambda: ",".join(f"c{i}" for i in range(10_000)).encode() + b"\nx" * 10_000,
    ),
    "many columns": ("csv", lambda: b",".join(b"a%d" % i for i in range(60_000)) + b"\n1\n"),
    "one name for many columns": ("csv", lambda: b"a," * 60_000 + b"b\n1\n"),
    "empty lines": ("csv", lambda: b"id,x\n1,2\n" + b"\n" * 150_000),
    "too many lines": ("csv", lambda: b"id\n" + b"1\n" * 4_100_000),
    "rows of one cell": ("csv", lambda: b"id\n" + b"ab\n" * 30_000),
    "a quote that does not end": ("csv", lambda: b'id,x\n"' + b"a\n" * 500_000),
    "a key in each row": (
        "jsonl",
        lambda: b"\n".join(b'{"k%d":1}' % i for i in range(20_000)),
    ),
    "nested row": ("jsonl", lambda: b'{"id":' + DEEP + b"}\n"),
    "a key in each row of a curve": (
        "curve_json",
        lambda: b"[" + b",".join(b'{"k%d":1}' % i for i in range(20_000)) + b"]",
    ),
    "nested curve": ("curve_json", lambda: b'{"time":' + DEEP + b"}"),
    "a zip bomb": (
        "xlsx",
        lambda: zipped({"[Content_Types].xml": bytes(100 << 20), "xl/workbook.xml": b""}),
    ),
    "a cell far right in each row": (
        "xlsx",
        lambda: seeds.sheet(
            "".join(f'<row r="{i}"><c r="XFD{i}"><v>1</v></c></row>' for i in range(1, 3000))
        ),
    ),
    "entities": ("xlsx", laughs),
    "an entity from a file": (
        "xlsx",
        lambda: entities('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;"),
    ),
    "an entity from the network": (
        "xlsx",
        lambda: entities('<!ENTITY % a SYSTEM "http://127.0.0.1:9/a.dtd"> %a;', "&b;"),
    ),
    "entities of 30 kB": (
        "xlsx",
        lambda: entities(f'<!ENTITY a "{"a" * 30_000}">', "&a;" * 30_000),
    ),
    "dimensions": ("xlsx", lambda: seeds.sheet(seeds.SHEET, dimension="A1:XFD1048576")),
    "equal values": ("parquet", lambda: repeated_parquet(5_000_000)),
    "equal texts": ("parquet", lambda: repeated_parquet(5_000, 100_000)),
    "a message of 256 MB": ("midi", lambda: seeds.midi(b"\0\xff\x01\xff\xff\xff\x7f" + bytes(50))),
    "a track of 4 GB": ("midi", lambda: seeds.midi(seeds.EVENTS, size=0xFFFFFFFF)),
    "65,535 tracks": ("midi", lambda: seeds.midi(seeds.EVENTS, tracks=0xFFFF)),
    "running status": ("midi", lambda: seeds.midi(b"\0\xb0\x01\x01" + b"\0\x01\x01" * 20_000)),
    "one chord again and again": ("midi", lambda: chord(5_000)),
    "one key under the pedal": ("midi", lambda: pedalled(5_000)),
    "all notes off again and again": ("midi", lambda: all_off(8_000)),
    "a MIDI file of 5 MB": ("midi", lambda: seeds.midi(bytes(5 << 20))),
    "labels": ("stats", lambda: stats_of(labels={str(i): 1 for i in range(50_000)})),
    "nested statistics": ("stats", lambda: b'{"version":2,"splits":' + DEEP + b"}"),
    "nested info": ("info", lambda: b'{"version":1,"subsets":' + DEEP + b"}"),
    "a billion laughs in a card": ("card", lambda: b"---\n" + yaml_laughs() + b"\n---\n# Card\n"),
    "nested marker": ("marker", lambda: DEEP),
    "nested description": ("description", lambda: DEEP),
    "long ids in a shard": ("shard", lambda: long_texts("shard", "id", 100_000)),
    "long headers in a shard": ("shard", lambda: long_texts("shard", "provenance", 5 << 20)),
    "long ids in a plan": ("plan_clips", lambda: long_texts("plan_clips", "id", 100_000)),
    "long ids in a report": ("shard_clips", lambda: long_texts("shard_clips", "id", 100_000)),
}
"""Name -> its reader and the function that makes it."""
