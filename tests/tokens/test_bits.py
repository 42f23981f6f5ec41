"""The bit stream is encodec's own, byte for byte, whatever the width and the length."""

from __future__ import annotations

import io

import numpy as np
import pytest
from encodec.binary import BitUnpacker
from hypothesis import given
from hypothesis import strategies as st

from preprocess.tokens.bits import pack, packed_size, unpack
from tests.helpers.formats import encodec_pack, examples


@st.composite
def streams(draw, widths):
    """Return codes and their width in bits; the extremes come often."""
    bits = draw(st.sampled_from(widths))
    top = (1 << bits) - 1
    code = st.integers(0, top) | st.sampled_from([0, top])
    return np.array(draw(st.lists(code, max_size=90)), np.int64), bits


codec_widths = given(streams([10, 11]))
all_widths = given(streams(range(1, 16)))
modest = examples(120)


@codec_widths
@modest
def test_round_trip_at_the_widths_of_the_codecs(stream):
    codes, bits = stream
    back = unpack(pack(codes, bits), len(codes), bits)
    assert back.dtype == np.int16
    assert back.tolist() == codes.tolist()


@all_widths
@modest
def test_bytes_are_those_of_encodecs_packer(stream):
    codes, bits = stream
    packed = pack(codes, bits)
    assert packed == encodec_pack(codes, bits)
    assert len(packed) == packed_size(len(codes), bits)


@all_widths
@modest
def test_codes_are_those_of_encodecs_unpacker(stream):
    codes, bits = stream
    data = encodec_pack(codes, bits)
    unpacker = BitUnpacker(bits, io.BytesIO(data))
    assert unpack(data, len(codes), bits).tolist() == [unpacker.pull() for _ in codes]


@pytest.mark.parametrize("bits", [10, 11])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 7, 8, 9, 36_001])
def test_long_streams_are_one_little_endian_number(bits, count):
    """An oracle without loops: the whole stream is the number that has the codes as digits."""
    codes = np.random.default_rng(count).integers(0, 1 << bits, count)
    number = int("".join(f"{code:0{bits}b}" for code in codes[::-1]), 2)
    data = number.to_bytes(packed_size(count, bits), "little")
    assert pack(codes, bits) == data
    assert unpack(memoryview(data), count, bits).tolist() == codes.tolist()


@pytest.mark.parametrize("bits", [10, 11])
def test_short_data_is_refused_with_both_sizes(bits):
    data = pack(np.arange(30), bits)
    with pytest.raises(ValueError, match=f"need {len(data)} bytes, got {len(data) - 1}"):
        unpack(data[:-1], 30, bits)


@pytest.mark.parametrize("bits", [3, 10, 11])
def test_what_follows_the_last_code_is_ignored(bits):
    """Neither the padding of the last byte nor a following segment leaks into the codes."""
    codes = np.arange(5)
    data = bytearray(pack(codes, bits))
    data[-1] |= 0xFF << (5 * bits % 8) & 0xFF
    assert unpack(bytes(data) + b"\xff" * 9, 5, bits).tolist() == codes.tolist()
