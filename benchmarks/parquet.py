"""Compare size and speed of Parquet encodings and compressions, by column.

The rows are the shipped recordings at several playback speeds, encoded by the demo codec at 24
kbps, with their level as a parameter that differs in every frame.

Usage: python -m benchmarks.parquet [--speeds 4]
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.audio.audio_files import read_audio
from preprocess.codec.codec import load_codec
from preprocess.core.resources import resource

CODEC = "encodec_24khz_demo"
CODES, VALUES = "codes.list.element.list.element", "level.list.element"
WAYS: dict[str, dict[str, Any]] = {
    "snappy, dictionary (the default)": {"compression": "snappy"},
    "snappy, plain": {"compression": "snappy", "use_dictionary": False},
    "zstd 1, dictionary": {"compression": "zstd", "compression_level": 1},
    "zstd 3, dictionary": {"compression": "zstd", "compression_level": 3},
    "zstd 3, plain": {"compression": "zstd", "compression_level": 3, "use_dictionary": False},
    **{
        f"{name}, {'split' if way == 'BYTE_STREAM_SPLIT' else 'delta'}": {
            "compression": name.split()[0],
            "compression_level": int(name.split()[1]),
            "use_dictionary": False,
            "column_encoding": way,
        }
        for name in ("zstd 1", "zstd 3", "zstd 9")
        for way in ("BYTE_STREAM_SPLIT", "DELTA_BINARY_PACKED")
    },
}


def clips(speeds: int) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Yield codes `[K, T]` and levels `[T]` of each recording at each speed."""
    codec = load_codec(CODEC)
    for speed in np.linspace(1, 1.4, speeds):
        for path in sorted(resource("audio").rglob("*.flac")):
            wav = read_audio(path, codec.spec.sample_rate, 1)
            wav = np.interp(np.arange(0, wav.shape[1] - 1, speed), np.arange(wav.shape[1]), wav[0])
            ecdc = codec.encode(wav[None].astype(np.float32), 24)
            frames = np.zeros(ecdc.codes.shape[1] * codec.spec.hop)
            frames[: len(wav)] = wav
            power = (frames.reshape(-1, codec.spec.hop) ** 2).mean(axis=1)
            yield ecdc.codes, (10 * np.log10(power + 1e-12)).astype(np.float32)


def main() -> None:
    """For each way, print the bits per value of each column and the seconds to write and read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speeds", type=int, default=4)
    rows = list(clips(parser.parse_args().speeds))
    for k in (8, 32):
        codes = pa.array([list(c[:k]) for c, _ in rows], pa.list_(pa.list_(pa.int16())))
        table = pa.table(
            {"codes": codes, "level": pa.array([list(v) for _, v in rows], pa.list_(pa.float32()))}
        )
        n_codes, n_values = sum(c[:k].size for c, _ in rows), sum(v.size for _, v in rows)
        print(f"K = {k}: {n_codes:,} codes of 10 bits, {n_values:,} float32 values")
        for name, options in WAYS.items():
            report(name, table, dict(options), n_codes, n_values)


def report(name: str, table: pa.Table, options: dict[str, Any], codes: int, values: int) -> None:
    """Write and read `table` one way and print the result."""
    way = options.pop("column_encoding", None)
    if way:  # floats have no delta encoding
        options["column_encoding"] = {CODES: way, VALUES: "BYTE_STREAM_SPLIT"}
    buffer, start = io.BytesIO(), time.perf_counter()
    pq.write_table(table, buffer, **options)
    written, start = time.perf_counter() - start, time.perf_counter()
    buffer.seek(0)
    assert pq.read_table(buffer).equals(table)
    read = time.perf_counter() - start
    group = pq.ParquetFile(buffer).metadata.row_group(0)
    size = {group.column(i).path_in_schema: group.column(i).total_compressed_size for i in range(2)}
    print(
        f"  {name:<34} codes {8 * size[CODES] / codes:6.2f} bits, values "
        f"{8 * size[VALUES] / values:6.2f} bits; written in {written:.3f} s, read in {read:.3f} s"
    )


if __name__ == "__main__":
    main()
