"""The predecessor's torch.save files read to the same tokens, and cannot run code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from preprocess.tokens.ecdc import read_ecdc, read_header, write_ecdc
from preprocess.tokens.torch_file import TorchFileError, open_torch_file
from preprocess.tokens.types import EcdcError
from tests.helpers.formats import GOLDEN, one_line, same_tokens

SHAPES = ("legacy_a4d", "legacy_b3d", "legacy_c2d")
CODES = torch.arange(150).reshape(2, 75)
both_kinds = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "bare pickle"])


def save(path: Path, checkpoint: object, zipped: bool = True) -> Path:
    """Write a checkpoint as the predecessor did."""
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("name", SHAPES)
def test_golden_file_reads_to_its_codes(name):
    ecdc = read_ecdc(GOLDEN / f"{name}.ecdc")
    assert ecdc.codes.dtype == np.int16
    assert np.array_equal(ecdc.codes, np.load(GOLDEN / f"{name}.npz")["codes"])
    assert (ecdc.model, ecdc.audio_length) == ("encodec_24khz", 23_987)
    assert (ecdc.segment_frames, ecdc.scales) == ((75,), None)


@pytest.mark.parametrize("name", SHAPES)
def test_golden_file_becomes_metas_container(name, tmp_path):
    ecdc = read_ecdc(GOLDEN / f"{name}.ecdc")
    write_ecdc(tmp_path / "a.ecdc", ecdc)
    assert (tmp_path / "a.ecdc").read_bytes().startswith(b"ECDC")
    assert same_tokens(read_ecdc(tmp_path / "a.ecdc"), ecdc)


@both_kinds
def test_header_is_that_of_the_tokens(zipped, tmp_path):
    path = save(tmp_path / "a.ecdc", {"audio_codes": CODES, "audio_length": 23_990}, zipped)
    header = read_header(path)
    assert header == read_ecdc(path).header
    stated = (header.model, header.audio_length, header.n_codebooks, header.n_frames)
    assert stated == ("encodec_24khz", 23_990, 2, 75)
    assert header.bandwidth_kbps == 1.5


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64, torch.uint8])
def test_any_integers_in_any_layout_are_read(dtype, tmp_path):
    """Transposed codes are a view of their storage; the numbers count, not the strides."""
    codes = CODES.to(dtype)
    turned = save(tmp_path / "a.ecdc", {"audio_codes": codes.T.contiguous().T})
    assert read_ecdc(turned).codes.tolist() == codes.tolist()


@pytest.mark.parametrize("fields", [{}, {"audio_length": None}])
def test_without_a_length_the_clip_has_whole_frames(fields, tmp_path):
    path = save(tmp_path / "a.ecdc", {"audio_codes": CODES, **fields})
    assert read_ecdc(path).audio_length == read_header(path).audio_length == 75 * 320


class Payload:
    """An object that makes a folder when a pickle that holds it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.mkdir, (self.marker,)


@both_kinds
@pytest.mark.parametrize("reader", [read_ecdc, read_header])
def test_hostile_pickle_is_refused_and_does_not_run(reader, zipped, tmp_path):
    marker = tmp_path / "ran"
    path = save(tmp_path / "a.ecdc", {"audio_codes": CODES, "x": Payload(marker)}, zipped)
    with pytest.raises(EcdcError) as error:
        reader(path)
    one_line(error, path, "getattr', which token files do not use; not loaded")
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.is_dir(), "the payload is live: only our reader keeps it from running"


NO_TENSOR, DTYPE = "without a tensor 'audio_codes'", "of dtype {}; expected integers"
SHAPE, RANGE = "of shape {}; expected [K, T]", "holds codes outside 0 to 1023"
UNFIT = {
    "no codes": ({"audio_length": 24_000}, NO_TENSOR),
    "list": ([1, 2], NO_TENSOR),
    "codes that are a list": ({"audio_codes": [[1, 2]]}, NO_TENSOR),
    "vector": ({"audio_codes": CODES[0]}, SHAPE.format([75])),
    "batch of two": ({"audio_codes": CODES.reshape(2, 1, 75)}, SHAPE.format([2, 1, 75])),
    "five dimensions": (
        {"audio_codes": CODES.reshape(1, 1, 1, 2, 75)},
        SHAPE.format([1, 1, 1, 2, 75]),
    ),
    "no frame": ({"audio_codes": CODES[:, :0]}, SHAPE.format([2, 0])),
    "33 codebooks": (
        {"audio_codes": torch.zeros(33, 2, dtype=torch.int64)},
        "holds 33 codebooks; encodec_24khz has 1 to 32",
    ),
    "floats": ({"audio_codes": CODES.float()}, DTYPE.format("float32")),
    "bfloat16": ({"audio_codes": CODES.bfloat16()}, "; expected integers"),
    "floats with a gradient": (
        {"audio_codes": CODES.float().requires_grad_()},
        DTYPE.format("float32"),
    ),
    "booleans": ({"audio_codes": CODES > 3}, DTYPE.format("bool")),
    "sparse": (
        {"audio_codes": CODES.to_sparse()},
        "_rebuild_sparse_tensor', which token files do not use",
    ),
    "no storage": ({"audio_codes": CODES.to("meta")}, "which token files do not use"),
    "code too large": ({"audio_codes": CODES + 1000}, RANGE),
    "negative code": ({"audio_codes": CODES - 1}, RANGE),
    "small file, huge tensor": (
        {"audio_codes": CODES[:1, :1].expand(8, 2_000_000)},
        "claims a tensor of [8, 2000000], more than it contains",
    ),
}
WRONG_LENGTHS = [24_001, 23_680, 0, -5, 10**18, float("inf"), float("nan"), "long", [1], CODES]


@pytest.mark.parametrize(("checkpoint", "words"), UNFIT.values(), ids=UNFIT)
def test_codes_that_do_not_fit_are_one_line_that_names_the_file(checkpoint, words, tmp_path):
    path = save(tmp_path / "a.ecdc", checkpoint)
    with pytest.raises(EcdcError) as error:
        read_ecdc(path)
    one_line(error, path, words)


@pytest.mark.parametrize("reader", [read_ecdc, read_header])
@pytest.mark.parametrize("length", WRONG_LENGTHS, ids=lambda v: str(v)[:9].split("\n")[0])
def test_length_that_is_not_that_of_the_codes_is_refused(length, reader, tmp_path):
    path = save(tmp_path / "a.ecdc", {"audio_codes": CODES, "audio_length": length})
    with pytest.raises(EcdcError) as error:
        reader(path)
    one_line(error, path, "audio_length")


@pytest.mark.parametrize("reader", [read_ecdc, read_header])
@pytest.mark.parametrize("kept", [4, 100, 0.5, 0.99])
def test_file_that_is_cut_is_one_line_that_names_it(kept, reader, tmp_path):
    whole = (GOLDEN / "legacy_a4d.ecdc").read_bytes()
    path = tmp_path / "cut.ecdc"
    path.write_bytes(whole[: kept if kept > 1 else int(kept * len(whole))])
    with pytest.raises(EcdcError) as error:
        reader(path)
    one_line(error, path, "is truncated or damaged")


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "fits"),
    [
        (0, (2, 75), (75, 1), True),
        (1, (2, 75), (75, 1), False),
        (0, (2, 75), (76, 1), False),
        (0, (2, 2), (148, 1), True),
        (0, (2, 2), (149, 1), False),
        (149, (1, 1), (75, 1), True),
        (150, (1, 1), (75, 1), False),
    ],
)
def test_a_tensor_ends_within_its_storage(offset, shape, strides, fits, tmp_path):
    """One element further would be read from memory that is not the file's."""
    path = save(tmp_path / "a.ecdc", {"audio_codes": CODES})
    with open_torch_file(path) as file:
        whole = file.value["audio_codes"]
        assert whole.storage.length == 150
        tensor = replace(whole, offset=offset, shape=shape, strides=strides)
        if fits:
            file.check(tensor)
            return
        with pytest.raises(TorchFileError, match="more than it contains"):
            file.check(tensor)
