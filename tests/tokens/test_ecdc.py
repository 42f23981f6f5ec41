"""`.ecdc` is Meta's container, bit for bit, and no file can make its reader misbehave."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from encodec.compress import MODELS, compress, decompress
from hypothesis import given
from hypothesis import strategies as st

from preprocess.codec.reference import seeded_model
from preprocess.core.errors import PreprocessError
from preprocess.tokens.ecdc import payload_size, read_ecdc, read_header, write_ecdc
from preprocess.tokens.specs import CODECS
from preprocess.tokens.types import EcdcError, EcdcHeader
from tests.helpers.formats import (
    GOLDEN,
    META_GOLDEN,
    encodec_bytes,
    examples,
    one_line,
    random_ecdc,
    same_tokens,
    token_bytes,
)
from tests.helpers.signals import fading_tone

PROVENANCE = {"src": "ab12", "ckpt": "cd34", "rec": "ef56", "by": "tests 1.0 \N{MICRO SIGN}"}
golden = pytest.mark.parametrize("entry", META_GOLDEN, ids=lambda entry: entry["file"])


@pytest.fixture
def one_thread():
    """One thread, as on the machines that share their cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Meta's files


@golden
def test_golden_file_reads_to_its_arrays(entry):
    expected = np.load(GOLDEN / entry["file"].replace(".ecdc", ".npz"))
    ecdc = read_ecdc(GOLDEN / entry["file"])
    assert ecdc.codes.dtype == np.int16
    assert np.array_equal(ecdc.codes, expected["codes"])
    assert ecdc.segment_frames == tuple(expected["segment_frames"])
    if expected["scales"].size:
        assert ecdc.scales.dtype == np.float32
        assert ecdc.scales.tobytes() == expected["scales"].tobytes()
    else:
        assert ecdc.scales is None


@golden
def test_golden_file_written_again_is_the_same_bytes(entry, tmp_path):
    source = GOLDEN / entry["file"]
    write_ecdc(tmp_path / "again.ecdc", read_ecdc(source))
    assert (tmp_path / "again.ecdc").read_bytes() == source.read_bytes()


@golden
def test_header_alone_says_what_the_index_says(entry):
    header = read_header(GOLDEN / entry["file"])
    assert header == read_ecdc(GOLDEN / entry["file"]).header
    stated = (header.model, header.audio_length, header.n_codebooks, header.n_frames)
    assert stated == tuple(entry[k] for k in ("model", "audio_length", "n_codebooks", "n_frames"))
    assert header.duration_s == entry["audio_length"] / header.spec.sample_rate
    assert header.spec.n_codebooks(header.bandwidth_kbps) == entry["n_codebooks"]


def test_header_of_a_gigabyte_is_read_without_its_codes(tmp_path):
    """Listing a folder must not read its payloads; this one is a hole of the right size."""
    frames = 25_000_000
    data = token_bytes({"m": "encodec_24khz", "al": frames * 320, "nc": 32, "lm": False})
    path = tmp_path / "long.ecdc"
    path.write_bytes(data)
    os.truncate(path, len(data) + frames * 40)
    tracemalloc.start()
    try:
        header = read_header(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (header.n_frames, header.bandwidth_kbps) == (frames, 24.0)
    assert peak < 1 << 20


@pytest.mark.parametrize(("name", "samples"), [("encodec_24khz", 8_001), ("encodec_48khz", 50_000)])
def test_encodec_reads_what_we_write_and_we_what_it_writes(
    name, samples, tmp_path, monkeypatch, one_thread
):
    """The whole way through the `encodec` package, with provenance keys in the header."""
    model, spec = seeded_model(name), CODECS[name]
    model.name = name
    model.set_target_bandwidth(6.0)
    wav = np.stack(
        [fading_tone(330.0 + c, spec.sample_rate, samples) for c in range(spec.channels)]
    )
    theirs = tmp_path / "theirs.ecdc"
    theirs.write_bytes(compress(model, torch.from_numpy(wav)))

    ecdc = read_ecdc(theirs)
    assert len(np.unique(ecdc.codes)) > 100, "codes that hardly vary would prove nothing"
    ours = tmp_path / "ours.ecdc"
    write_ecdc(ours, replace(ecdc, extra=PROVENANCE))
    assert same_tokens(read_ecdc(ours), replace(ecdc, extra=PROVENANCE))

    seen, decode = [], model.decode
    monkeypatch.setattr(model, "decode", lambda frames: seen.extend(frames) or decode(frames))
    monkeypatch.setitem(MODELS, name, lambda: model)
    decoded, rate = decompress(ours.read_bytes())
    assert torch.cat([codes[0] for codes, _ in seen], 1).tolist() == ecdc.codes.tolist()
    if ecdc.scales is not None:
        assert [scale.item() for _, scale in seen] == ecdc.scales.tolist()
    assert rate == spec.sample_rate
    assert torch.equal(decoded, decompress(theirs.read_bytes())[0])


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 6720, 13_440, 47_520, 47_521, 95_041])
@pytest.mark.parametrize(
    ("model", "k"), [(m, k) for m, s in CODECS.items() for k in (1, s.max_codebooks)]
)
def test_bytes_are_those_of_encodecs_writer_and_read_back(model, k, samples, tmp_path):
    """6,720 samples and 73 more lengths under 20 s defeat encodec 0.1.1's own reader, not ours."""
    ecdc = random_ecdc(model, samples, k, **PROVENANCE)
    path = tmp_path / "a.ecdc"
    write_ecdc(path, ecdc)
    assert path.read_bytes() == encodec_bytes(ecdc)
    assert same_tokens(read_ecdc(path), ecdc)


@given(
    model=st.sampled_from(list(CODECS)),
    samples=st.integers(1, 120_000),
    k=st.integers(1, 4),
)
@examples(40)
def test_any_clip_survives_writing_and_reading(model, samples, k, tmp_path):
    ecdc = random_ecdc(model, samples, k)
    write_ecdc(tmp_path / "a.ecdc", ecdc)
    assert same_tokens(read_ecdc(tmp_path / "a.ecdc"), ecdc)


def test_lower_bandwidth_is_the_first_rows(tmp_path):
    ecdc = random_ecdc("encodec_48khz", 100_000, 16, **PROVENANCE)
    low = ecdc.at(4)
    assert same_tokens(low, replace(ecdc, codes=ecdc.codes[:4]))
    assert low.header.bandwidth_kbps == 6.0
    write_ecdc(tmp_path / "low.ecdc", low)
    assert same_tokens(read_ecdc(tmp_path / "low.ecdc"), low)


@pytest.mark.parametrize("k", [0, -1, 9])
def test_codebooks_that_a_clip_lacks_cannot_be_taken(k):
    with pytest.raises(EcdcError, match=f"cannot use {k} codebooks of a clip that has 8"):
        random_ecdc("encodec_24khz", 1000, 8).at(k)


# Files that are damaged or hostile


WHOLE = encodec_bytes(random_ecdc("encodec_24khz", 24_000, 8))
FIELDS = {"m": "encodec_24khz", "al": 24_000, "nc": 8, "lm": False}
HUGE = 10**18

DAMAGE = {
    "empty": (b"", "not an .ecdc"),
    "magic only": (b"ECDC", "not an .ecdc"),
    "text": (b"I am a text file", "not an .ecdc"),
    "wrong magic": (token_bytes(FIELDS, magic=b"ECDB"), "not an .ecdc"),
    "wrong version": (token_bytes(FIELDS, version=1), "version 1"),
    "header of 2 GB": (token_bytes(FIELDS, size=2**31), "2,147,483,648"),
    "cut in the header": (WHOLE[:30], "truncated within its header"),
    "header that is not JSON": (token_bytes(b"{nonsense"), "not JSON"),
    "header that is not text": (token_bytes(b"\xff\xfe\xfd"), "not JSON"),
    "nested header": (token_bytes(b"[" * 60_000), "not JSON"),
    "nested model": (token_bytes(b'{"m": ' + b"[" * 500 + b"]" * 500 + b"}"), "known: encodec"),
    "list": (token_bytes([1, 2]), "not a JSON object"),
    "null": (token_bytes(None), "not a JSON object"),
    "no field": (token_bytes({}), "None"),
    "unknown model": (token_bytes({**FIELDS, "m": "mp3\n2"}), "known: encodec_24khz"),
    "model that is no name": (token_bytes({**FIELDS, "m": ["encodec_24khz"]}), "known: encodec"),
    **{
        f"audio length {al!r}": (token_bytes({**FIELDS, "al": al}), f"length of {al!r}")
        for al in (0, -5, 24_000.0, True, None, "24000", float("nan"))
    },
    **{
        f"{nc!r} codebooks": (token_bytes({**FIELDS, "nc": nc}), f"{nc!r} codebooks")
        for nc in (0, 33, -1, True, 8.0, None, HUGE)
    },
    "language model": (token_bytes({**FIELDS, "lm": True}), "language model"),
    "cut in half": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "one byte short": (WHOLE[:-1], "truncated"),
    "one byte long": (WHOLE + b"\0", "too long"),
    "no payload": (token_bytes(FIELDS), "expected 750 bytes of codes, got 0"),
    "huge length": (token_bytes({**FIELDS, "al": HUGE}, b"\0" * 750), "truncated"),
    "huge length in segments": (
        token_bytes({**FIELDS, "m": "encodec_48khz", "al": HUGE}, b"\0" * 750),
        "truncated",
    ),
    "length of 4,000 digits": (token_bytes({**FIELDS, "al": 10**4000}), "truncated"),
}
READERS = {"header": read_header, "tokens": read_ecdc}


@pytest.mark.parametrize(("data", "says"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_damaged_file_is_one_line_that_names_it_and_costs_no_memory(reader, data, says, tmp_path):
    path = tmp_path / "broken.ecdc"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(EcdcError) as error:
            reader(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one_line(error, path, says)
    assert peak < 8 << 20


@pytest.mark.parametrize("model", ["encodec_24khz", "encodec_48khz"])
def test_payload_of_a_huge_length_is_counted_not_allocated(model):
    header = EcdcHeader(model, HUGE, 8)
    assert payload_size(header) >= header.n_frames * 10 >= HUGE // 320 * 10


@given(data=st.data(), name=st.sampled_from(["m24_1_8.ecdc", "m48_47521_8.ecdc"]))
@examples(150)
def test_no_changed_byte_or_cut_gives_anything_but_tokens_or_our_error(data, name, tmp_path):
    content = bytearray((GOLDEN / name).read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, min(90, len(content) - 1)))] = data.draw(
            st.integers(0, 255)
        )
    path = tmp_path / "fuzzed.ecdc"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        ecdc = read_ecdc(path)
    except EcdcError as error:
        assert str(path) in str(error)
    else:
        write_ecdc(path, ecdc)
        assert same_tokens(read_ecdc(path), ecdc)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_missing_file_is_the_systems_own_error(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ecdc"):
        reader(tmp_path / "nowhere.ecdc")


# Writing whole or not at all


GOOD_24, GOOD_48 = random_ecdc("encodec_24khz", 1000, 2), random_ecdc("encodec_48khz", 50_000, 2)
UNFIT = {
    "unknown model": replace(GOOD_24, model="mp3"),
    "no codebook": replace(GOOD_24, codes=GOOD_24.codes[:0]),
    "17 codebooks at 48 kHz": replace(GOOD_48, codes=np.resize(GOOD_48.codes, (17, 158))),
    "a batch": replace(GOOD_24, codes=GOOD_24.codes[None]),
    "frame too few": replace(GOOD_24, codes=GOOD_24.codes[:, 1:]),
    "other length": replace(GOOD_24, audio_length=1281),
    "no length": replace(GOOD_24, audio_length=0),
    "other segments": replace(GOOD_48, segment_frames=(8, 150)),
    "code too large": replace(GOOD_24, codes=GOOD_24.codes + np.int16(1024)),
    "negative code": replace(GOOD_24, codes=-1 - GOOD_24.codes),
    "codes that are no integers": replace(GOOD_24, codes=GOOD_24.codes + 0.5),
    "codes that are not numbers": replace(GOOD_24, codes=np.full(GOOD_24.codes.shape, np.nan)),
    "scales at 24 kHz": replace(GOOD_24, scales=np.ones(1, np.float32)),
    "no scales at 48 kHz": replace(GOOD_48, scales=None),
    "scale too few": replace(GOOD_48, scales=np.ones(1, np.float32)),
    "provenance over a field": replace(GOOD_24, extra={"nc": 1}),
    "header that no reader takes": replace(GOOD_24, extra={"note": "x" * (1 << 20)}),
}


@pytest.mark.parametrize("ecdc", UNFIT.values(), ids=UNFIT)
def test_tokens_that_do_not_fit_leave_no_file_and_the_old_one_untouched(ecdc, tmp_path):
    write_ecdc(tmp_path / "old.ecdc", GOOD_24)
    for name in ("new.ecdc", "old.ecdc"):
        with pytest.raises(PreprocessError) as error:
            write_ecdc(tmp_path / name, ecdc)
        one_line(error)
    assert [path.name for path in tmp_path.iterdir()] == ["old.ecdc"]
    assert same_tokens(read_ecdc(tmp_path / "old.ecdc"), GOOD_24)


def test_a_failing_disk_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "a.ecdc"
    write_ecdc(path, GOOD_24)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_ecdc(path, GOOD_48)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ecdc"]
    assert same_tokens(read_ecdc(path), GOOD_24)


def test_folders_are_made_and_an_old_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "er" / "take.1.ecdc"
    write_ecdc(path, GOOD_48)
    write_ecdc(path, GOOD_24)
    assert same_tokens(read_ecdc(path), GOOD_24)
    assert [p.name for p in path.parent.iterdir()] == ["take.1.ecdc"]


def test_numbers_of_numpy_are_written_as_numbers(tmp_path):
    """A length that comes out of array arithmetic is an `np.int64`, which `json` refuses."""
    write_ecdc(tmp_path / "a.ecdc", replace(GOOD_24, audio_length=np.int64(1000)))
    assert same_tokens(read_ecdc(tmp_path / "a.ecdc"), GOOD_24)


def test_header_is_metas_with_our_keys_behind(tmp_path):
    write_ecdc(tmp_path / "a.ecdc", replace(GOOD_24, extra=PROVENANCE))
    data = (tmp_path / "a.ecdc").read_bytes()
    magic, version, size = struct.unpack("!4sBI", data[:9])
    assert (magic, version) == (b"ECDC", 0)
    fields = json.loads(data[9 : 9 + size])
    assert list(fields.items()) == [
        *{"m": "encodec_24khz", "al": 1000, "nc": 2, "lm": False}.items(),
        *PROVENANCE.items(),
    ]
