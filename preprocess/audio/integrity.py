"""Integrity of audio files: finds truncated files that libsndfile accepts.

libsndfile clamps a chunk of WAV, AIFF, AU, CAF, W64 or RF64 that claims more than the file holds,
ends an Ogg stream where the pages end, and guesses the length of an MP3 file without a Xing header.
"""

from __future__ import annotations

import re
from mmap import ACCESS_READ, mmap
from pathlib import Path

# libsndfile logs `data : 96000 (should be 47978)` for a chunk that claims too much: the data chunk
# in WAV, CAF and AIFF, `Data Size` in AU, the whole file in W64 and RF64.
_CLAIMED_SIZE = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
# Programs that write to a pipe cannot fill in the size afterwards and leave a huge placeholder:
# ffmpeg the largest possible, sox and arecord about 2 GiB.
_UNKNOWN_SIZE_64 = 1 << 62
_UNKNOWN_SIZES = (range(0x7FFFF000, 0x80000001), range(0xFFFFFF00, 1 << 32))

_OGG_PAGE_HEADER = 27
_OGG_LAST_PAGE = 4
_OGG_MAX_PAGE = _OGG_PAGE_HEADER + 255 + 255 * 255

# Layer III of ISO 11172-3 (MPEG 1) and 13818-3 (MPEG 2 and 2.5): kbps and sample rates by index.
_MP3_KBPS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def chunk_shortfall(libsndfile_log: str) -> str:
    """Return what a file lacks according to libsndfile's log, such as `9 of 10 bytes`, or empty."""
    for claimed, held in _CLAIMED_SIZE.findall(libsndfile_log):
        unknown = any(int(claimed) in sizes for sizes in _UNKNOWN_SIZES)
        unknown |= int(claimed) >= _UNKNOWN_SIZE_64
        if int(held) < int(claimed) and not unknown:
            return f"{held} of {claimed} bytes"
    return ""


def ogg_is_complete(path: Path) -> bool:
    """Whether the last page of an Ogg file is complete and marked as the last of its stream."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _OGG_MAX_PAGE))
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + _OGG_PAGE_HEADER or not tail[page + 5] & _OGG_LAST_PAGE:
        return False
    table_end = page + _OGG_PAGE_HEADER + tail[page + 26]
    return len(tail) >= table_end + sum(tail[page + _OGG_PAGE_HEADER : table_end])


def mp3_length(path: Path) -> int | None:
    """Count the samples in an MP3 file's frames; None if a Xing header declares them."""
    with open(path, "rb") as file:
        if not file.seek(0, 2):
            return 0
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return _count_mp3_samples(data)


def _count_mp3_samples(data: mmap) -> int | None:
    at = _after_id3(data[:10])
    samples = 0
    while (frame := _mp3_frame(data, at)) is not None:
        size, frame_samples = frame
        if not samples and (b"Xing" in data[at : at + size] or b"Info" in data[at : at + size]):
            return None
        samples += frame_samples
        at += size
    return samples


def _after_id3(data: bytes) -> int:
    if not data.startswith(b"ID3") or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:  # seven bits a byte
        size = size << 7 | byte & 0x7F
    return 10 + size


def _mp3_frame(data: bytes | mmap, at: int) -> tuple[int, int] | None:
    """Return the size in bytes and the samples of the frame at `at`; None if there is no frame."""
    header = data[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # sync, layer III
        return None
    version, rate, kbps = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or rate == 3 or not 0 < kbps < 15:
        return None
    mpeg1 = version == 3
    bits = _MP3_KBPS[1 if mpeg1 else 2][kbps] * 1000
    size = (144 if mpeg1 else 72) * bits // _MP3_RATES[version][rate] + (header[2] >> 1 & 1)
    return size, 1152 if mpeg1 else 576
