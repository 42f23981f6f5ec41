"""Turns a valid file into hostile ones, the same each time."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

_SIZES = (0, 1, 0x7F, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1)
WRONG: tuple[Any, ...] = (
    *(None, True, 0, -1, 1 << 70, 10**400, 0.5, -1e308, float("nan"), float("inf")),
    *("", "x", "\0", "../../x", "9" * 5000, "x\ny", "x" * 3000),
    *([], [[]], ["x"], {}, {"a": {}}, [None] * 3, [float("inf")], {"min": "x", "max": 1}),
)
"""Values of every type, one of which is wrong wherever a key has a type."""


def truncations(data: bytes, most: int) -> Iterator[bytes]:
    """Yield the file cut at each offset, or at `most` of them spread evenly."""
    step = max(1, -(-len(data) // most))
    yield from (data[:at] for at in range(0, len(data), step))


def flips(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield the file with one to four changed bytes, `count` times."""
    chance = random.Random(seed)
    for _ in range(count if data else 0):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            changed[at] = changed[at] ^ 1 << chance.randrange(8) if chance.random() < 0.7 else 255
        yield bytes(changed)


def sizes(data: bytes, most: int) -> Iterator[bytes]:
    """Yield the file with numbers of 2, 4 and 8 bytes that lie, at `most` offsets."""
    step = max(1, -(-len(data) // most))
    for at in range(0, len(data) - 1, step):
        for size in _SIZES:
            for code in ("<H", ">H", "<I", ">I", "<Q", ">Q"):
                width = struct.calcsize(code)
                if size < 1 << (8 * width) and (size > 0xFFFF or width == 2):
                    yield data[:at] + struct.pack(code, size) + data[at + width :]


def copies(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield the file with a part of it repeated, moved or removed, `count` times."""
    chance = random.Random(seed)
    for _ in range(count if data else 0):
        start = chance.randrange(len(data))
        part = data[start : start + chance.randint(1, 40)]
        at = chance.randrange(len(data))
        times = chance.choice((0, 1, 2, 50))
        skip = chance.choice((0, len(part)))
        yield data[:at] + part * times + data[at + skip :]


def noise(count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield random bytes, `count` times."""
    chance = random.Random(seed)
    yield from (chance.randbytes(chance.randrange(200)) for _ in range(count))


def values(data: bytes) -> Iterator[bytes]:
    """Yield a JSON file, or its lines, with each value replaced by each of `WRONG`, and removed."""
    lines = data.splitlines() if data.count(b"\n") > 1 or data.endswith(b"\n") else [data]
    for number, line in enumerate(lines):
        for text in _values(json.loads(line)):
            yield b"\n".join((*lines[:number], text, *lines[number + 1 :]))


def _values(document: Any) -> Iterator[bytes]:
    for place in _places(document):
        for wrong in WRONG:
            yield json.dumps(_replaced(document, place, wrong)).encode("utf-8", "surrogatepass")
        if place:
            yield json.dumps(_removed(document, place)).encode()
            if isinstance(place[-1], str):  # the same key twice
                text = json.dumps(document)
                key = json.dumps(place[-1])
                yield text.replace(f"{key}:", f"{key}: 0, {key}:", 1).encode()


def _places(document: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    keys = document if isinstance(document, dict) else ()
    for key in keys or range(len(document) if isinstance(document, list) else 0):
        yield from _places(document[key], (*place, key))


def _replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[place[0]] = _replaced(document[place[0]], place[1:], value)
    return copy


def _removed(document: Any, place: tuple[Any, ...]) -> Any:
    copy = dict(document) if isinstance(document, dict) else list(document)
    if len(place) == 1:
        del copy[place[0]]
    else:
        copy[place[0]] = _removed(document[place[0]], place[1:])
    return copy


def parts(data: bytes, count: int) -> Iterator[bytes]:
    """Yield a zip archive with changes in the content of each of its files."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, inner in content.items():
        changed = (*flips(inner, count), *copies(inner, count), *truncations(inner, count))
        for new in changed:
            yield _archive({**content, name: new})
        yield _archive({n: c for n, c in content.items() if n != name})


def _archive(content: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return stream.getvalue()


def hostile(data: bytes, form: str, effort: int) -> Iterator[bytes]:
    """Yield the mutations of a valid file that fit its form, about 10 times `effort` of them."""
    yield from truncations(data, 2 * effort)
    yield from flips(data, 2 * effort)
    yield from copies(data, 2 * effort)
    yield from noise(effort // 4)
    if form == "binary":
        yield from sizes(data, max(1, effort // 8))
    elif form == "json":
        yield from values(data)
    elif form == "zip":
        yield from parts(data, max(1, effort // 8))
