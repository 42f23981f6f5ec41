"""A small file costs little, whatever it claims, and its refusal is one line that is safe to read."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from preprocess.cli.main import main
from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.reading import read_described, read_sidecar
from preprocess.sidecar.sidecar_files import MAX_META_BYTES
from preprocess.tokens.ecdc import MAX_HEADER_BYTES, read_ecdc, read_header
from preprocess.tokens.torch_file import MAX_PICKLE_BYTES
from preprocess.tokens.types import EcdcError
from tests.helpers.commands import write_tokens
from tests.helpers.formats import one_line, token_bytes
from tests.helpers.memory import growth_mib

linux = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
CODES = torch.arange(150).reshape(2, 75)


def saved(checkpoint: object) -> dict[str, bytes]:
    """Return the parts of an archive of `torch.save`."""
    stream = io.BytesIO()
    torch.save(checkpoint, stream)
    archive = zipfile.ZipFile(stream)
    return {name: archive.read(name) for name in archive.namelist()}


def archive(path: Path, parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def with_pickle(path: Path, data: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    """Write an archive of codes whose pickle is `data`."""
    parts = saved({"audio_codes": CODES})
    name = next(name for name in parts if name.endswith("data.pkl"))
    return archive(path, {**parts, name: data}, compression)


def plain_pickle(inner: bytes = b"") -> bytes:
    """Return the pickle of codes, with more instructions at its start."""
    data = next(data for name, data in saved({"audio_codes": CODES}).items() if "data.pkl" in name)
    return data[:2] + inner + data[2:]


# What each took of torch.load before: 200 kB made 0.6 GB of a header.
BOMBS = {
    "a compressed pickle": lambda path: with_pickle(
        path, plain_pickle(b"N0" * 50_000_000), zipfile.ZIP_DEFLATED
    ),
    "compressed codes": lambda path: archive(
        path,
        saved({"audio_codes": torch.zeros(32, 500_000, dtype=torch.int64)}),
        zipfile.ZIP_DEFLATED,
    ),
    "a bytearray of 1 GB": lambda path: with_pickle(
        path, b"\x80\x02c__builtin__\nbytearray\nJ" + struct.pack("<i", 10**9) + b"\x85R."
    ),
    "a large number in its memory": lambda path: with_pickle(
        path, b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."
    ),
    "a bytearray of 1 GB, bare": lambda path: path.write_bytes(
        b"\x80\x05\x96" + struct.pack("<Q", 10**9) + b"."
    ),
}


@linux
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_an_archive_that_grows_is_refused_at_its_own_size(make, tmp_path):
    path = tmp_path / "bomb.ecdc"
    make(path)
    assert path.stat().st_size < 400_000
    for reader in ("read_header", "read_ecdc"):
        setup = f"from preprocess.tokens.ecdc import {reader}\nimport preprocess.tokens.legacy"
        grown, printed = growth_mib(setup, f"{reader}(sys.argv[1])", path)
        assert printed.startswith(f"EcdcError {path}")
        assert grown < 20


@linux
def test_reading_takes_a_small_factor_of_the_file(tmp_path):
    setup = "from preprocess.tokens.ecdc import read_ecdc\nimport preprocess.tokens.legacy"
    write_tokens(tmp_path / "narrow.ecdc", samples=320 * 1_600_000, k=1)
    write_tokens(tmp_path / "wide.ecdc", samples=320 * 50_000, k=32)
    write_tokens(tmp_path / "segments.ecdc", "encodec_48khz", samples=47_520 * 5_000, k=2)
    torch.save({"audio_codes": torch.zeros(2, 200_000).long()}, tmp_path / "old.ecdc")
    for path in tmp_path.iterdir():
        grown, printed = growth_mib(setup, "read_ecdc(sys.argv[1])", path)
        assert printed == ""
        assert grown < 12 * path.stat().st_size / 2**20 + 4


CLAIMS = {
    "frames": {"m": "encodec_24khz", "al": 10**15, "nc": 32, "lm": False},
    "segments": {"m": "encodec_48khz", "al": 10**15, "nc": 2, "lm": False},
    "more frames than a number": {"m": "encodec_24khz", "al": 10**4000, "nc": 1, "lm": False},
}


@linux
@pytest.mark.parametrize("header", CLAIMS.values(), ids=CLAIMS)
def test_a_header_that_claims_more_than_the_payload_is_refused_first(header, tmp_path):
    path = tmp_path / "a.ecdc"
    path.write_bytes(token_bytes(header, bytes(1000)))
    grown, printed = growth_mib(
        "from preprocess.tokens.ecdc import read_ecdc", "read_ecdc(sys.argv[1])", path
    )
    assert printed.startswith(f"EcdcError {path} is truncated")
    assert grown < 4


def test_a_header_larger_than_any_is_refused(tmp_path):
    fields = {"m": "encodec_24khz", "al": 320, "nc": 1, "lm": False, "rec": "x" * MAX_HEADER_BYTES}
    path = tmp_path / "a.ecdc"
    path.write_bytes(token_bytes(fields, bytes(2)))
    with pytest.raises(EcdcError) as error:
        read_header(path)
    one_line(error, path, "claims a header of")


class Hostile:
    """Runs `print` where a pickle of it is loaded with its protection off."""

    def __reduce__(self):
        return print, ("ran",)


REFUSED = {
    "a function": plain_pickle(pickle.dumps(Hostile(), 2)[2:-1] + b"0"),
    "a function by a later instruction": pickle.dumps({"audio_codes": Hostile()}, 4),
    "an unknown tensor": pickle.dumps({"audio_codes": np.zeros((2, 3))}, 2),
    "too large a pickle": plain_pickle(b"N0" * (MAX_PICKLE_BYTES // 2)),
    "a truncated pickle": plain_pickle()[:100],
    "a pickle of nothing": b"",
    "a mark that is missing": b"\x80\x02u.",
    "a tensor of text": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN\x85R.",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "bare"])
def test_a_refused_pickle_is_one_line_without_advice(data, zipped, tmp_path, capsys):
    """PyTorch's own message says how to turn the protection off."""
    path = tmp_path / "a.ecdc"
    if zipped:
        with_pickle(path, data)
    else:
        path.write_bytes(data or b"\x80")
    for reader in (read_ecdc, read_header):
        with pytest.raises(EcdcError) as error:
            reader(path)
        text = one_line(error, path)
        assert "weights_only" not in text
        assert len(text) < len(str(path)) + 200
    assert "ran" not in capsys.readouterr().out


def sidecar(tmp_path: Path, text: str) -> Path:
    path = write_tokens(tmp_path / "a.ecdc")
    np.save(tmp_path / "a.cond.npy", np.zeros((10, 1), np.float16))
    (tmp_path / "a.cond.json").write_text(text)
    return path


MANY = ",".join(f'"{i:x}":{{}}' for i in range(300_000))
COSTLY_JSON = {
    "many parameters": f'{{"features":{{{MANY}}}}}',
    "many names": f'{{"names":[{",".join(["1"] * 1_000_000)}]}}',
    "many lists": f'{{"features":{{"a":{{}}}},"x":[{",".join(["[]"] * 1_000_000)}]}}',
    "deep": '{"features":{"a":{}},"x":' + "[" * 1_000_000,
}


@linux
@pytest.mark.parametrize("text", COSTLY_JSON.values(), ids=COSTLY_JSON)
def test_metadata_costs_a_small_factor_of_its_size(text, tmp_path):
    path = sidecar(tmp_path, text)
    assert len(text) < MAX_META_BYTES
    for reader in ("read_sidecar", "read_described"):
        setup = f"from preprocess.sidecar.reading import {reader}"
        grown, _ = growth_mib(setup, f"{reader}(sys.argv[1])", path)
        assert grown < 120


@pytest.mark.parametrize("reader", [read_sidecar, read_described])
def test_more_parameters_than_any_sidecar_has_are_refused_by_number(reader, tmp_path):
    path = sidecar(tmp_path, COSTLY_JSON["many parameters"])
    with pytest.raises(SidecarError) as error:
        reader(path)
    one_line(error, tmp_path / "a.cond.json", "300,000 parameters", "4,096")


@linux
@pytest.mark.parametrize("shape", [(10**12, 1), (10, 10**12), (-1, 1), (10**30, 0)])
def test_an_array_that_lies_about_its_shape_is_refused_first(shape, tmp_path):
    path = sidecar(tmp_path, json.dumps({"features": {"a": {}}}))
    stream = io.BytesIO()
    head = {"descr": "<f2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    (tmp_path / "a.cond.npy").write_bytes(stream.getvalue() + bytes(20))
    grown, printed = growth_mib(
        "from preprocess.sidecar.reading import read_sidecar", "read_sidecar(sys.argv[1])", path
    )
    assert printed.startswith(f"SidecarError {tmp_path / 'a.cond.npy'} holds 20 bytes")
    assert grown < 4


HOSTILE_SIDECARS = {
    "a path": ("../../x", 75, "parameter_name"),
    "a null character": ("a\0b", 75, "parameter_name"),
    "no name": ("", 75, "parameter_name"),
    "another frame rate": ("x", 150, "fps"),
    "a frame rate that is none": ("x", float("nan"), "fps"),
}


@pytest.mark.parametrize("case", HOSTILE_SIDECARS.values(), ids=HOSTILE_SIDECARS)
def test_audit_and_build_refuse_the_same(case, tmp_path, capsys):
    """audit passed the names, and build took the frame rates."""
    name, fps, check = case
    (tmp_path / "ecdc").mkdir()
    sidecar(tmp_path / "ecdc", json.dumps({"fps": fps, "features": {name: {}}}))
    assert main(["audit", str(tmp_path / "ecdc")]) == 1
    assert f"a.cond.npy: {check}: " in capsys.readouterr().err
    assert main(["build", str(tmp_path / "ecdc"), str(tmp_path / "ds")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "\0" not in line and not (tmp_path / "ds").exists()


SHOWN = {
    "line\nbreak": r"line\nbreak",
    "clear\x1b[2J": r"clear\x1b[2J",
    "turned\u202egpj": r"turned\u202egpj",
    "bell\a": r"bell\x07",
    "raw\udcff": r"raw\udcff",
    "caf\u00e9 \u3000\u65e5\u672c": "caf\u00e9 \u3000\u65e5\u672c",
}


PLAIN = ("line", "screen", "direction", "bell", "no text", "accents")  # pytest takes these as names


@pytest.mark.parametrize(("name", "shown"), SHOWN.items(), ids=PLAIN)
def test_names_are_printed_so_that_they_do_nothing(name, shown, tmp_path, capsys):
    """A name could clear the terminal, forge a line, or end the report in a UnicodeEncodeError."""
    root = tmp_path / "ecdc"
    write_tokens(root / f"{name}.ecdc")
    (root / f"{name} cut.ecdc").write_bytes(b"ECDC")
    for words in (
        ["audit", root],
        ["audit", root, "--format", "csv"],
        ["audit", root, "--format", "json"],
        ["migrate", root],
        ["annotate", root, "--constant", "name=x", "value=1"],
        ["build", root, tmp_path / "ds"],
        ["encode", root, tmp_path / name],
        ["audit", tmp_path / name],
    ):
        main([str(word) for word in words])
        said = "".join(capsys.readouterr())
        assert not set(said) & set("\x1b\a\u202e\udcff")
        assert "line\nbreak" not in said
        if words[1] != root or (words[0] in ("audit", "annotate") and "json" not in words):
            assert shown in said
    with pytest.raises(SystemExit):
        main([f"--{name}"])
    assert not set(capsys.readouterr().err) & set("\x1b\a\u202e\udcff")
