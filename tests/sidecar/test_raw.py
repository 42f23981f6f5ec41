"""Sidecars apart from their files: what gives the files back, and what is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.raw import array_bytes, array_dtype, read_raw_sidecar, restore
from preprocess.sidecar.sidecar_format import sidecar_paths
from preprocess.tokens.ecdc import read_header
from tests.helpers.packed import write_clip


def saved(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (9, 12), (750, 3), (300_000, 1), (1, 4096)])
def test_the_usual_header_is_numpys(dtype, shape):
    array = np.random.default_rng(0).random(shape).astype(dtype)
    assert array_bytes(array.astype(np.float64), dtype) == saved(array)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_any_header_comes_back(tmp_path, order, version):
    path = write_clip(tmp_path, "a", 9000)
    array, meta = sidecar_paths(path)
    data = saved(np.array(np.load(array), order=order), version=version)
    array.write_bytes(data)
    meta.write_text(json.dumps({"names": ["x", "y"], "norm": {}}))
    raw = read_raw_sidecar(path)
    assert (raw.dtype == "float32") == (order == "C" and version == (1, 0))
    values = {name: p.values.astype(np.float64) for name, p in raw.sidecar.parameters.items()}
    assert restore(raw.text, raw.dtype, values, read_header(path)) == (
        *(data, meta.read_bytes()),
        True,
    )


def test_what_does_not_belong_together_is_refused(tmp_path):
    path = write_clip(tmp_path, "a")
    raw, header = read_raw_sidecar(path), read_header(path)
    values = {name: p.values for name, p in raw.sidecar.parameters.items()}
    changed = {**values, "pitch": values["pitch"] + 1}
    with pytest.raises(SidecarError, match="not those that the metadata describes"):
        restore(raw.text, raw.dtype, changed, header)
    with pytest.raises(SidecarError, match="values of 10 frames are expected"):
        restore(raw.text, raw.dtype, {n: v[1:] for n, v in values.items()}, header)
    other = saved(np.zeros((3, 2), np.float32), version=(2, 0))[:-24].decode("latin-1")
    with pytest.raises(SidecarError, match=r"the header states \[3, 2\], not \[10, 2\]"):
        restore(raw.text, other, values, header)
    for dtype in ("float8", "", "\x93NUMPY", "\x93NUMPY\x01\x00\xff\xff{", "\x93NUMPY☃"):
        with pytest.raises(SidecarError):
            array_dtype(dtype)


def test_metadata_that_is_not_utf_8_is_refused(tmp_path):
    path = write_clip(tmp_path, "a")
    meta = sidecar_paths(path)[1]
    meta.write_bytes(meta.read_text().encode("utf-16"))
    with pytest.raises(SidecarError, match="is not UTF-8"):
        read_raw_sidecar(path)
