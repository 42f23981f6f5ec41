"""Pack and unpack codes, compared to encodec's own BitPacker and BitUnpacker.

Usage: python -m benchmarks.container [--seconds 60] [--kbps 6] [--rounds 7]
"""

from __future__ import annotations

import argparse
import io

import numpy as np

from benchmarks.timing import alternate, print_ratios
from preprocess.codec.encodec_package import import_encodec
from preprocess.tokens.bits import pack, unpack
from preprocess.tokens.specs import CODECS

binary = import_encodec().binary


def encodec_pack(codes: list[int], bits: int) -> bytes:
    """Pack with encodec's own packer."""
    out = io.BytesIO()
    packer = binary.BitPacker(bits, out)
    for code in codes:
        packer.push(code)
    packer.flush()
    return out.getvalue()


def encodec_unpack(data: bytes, count: int, bits: int) -> list[int]:
    """Unpack with encodec's own unpacker."""
    unpacker = binary.BitUnpacker(bits, io.BytesIO(data))
    return [unpacker.pull() for _ in range(count)]  # type: ignore[misc]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--kbps", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    spec = CODECS["encodec_24khz"]
    count, bits = args.seconds * spec.fps * spec.n_codebooks(args.kbps), spec.bits
    codes = np.random.default_rng(0).integers(0, spec.codebook_size, count, np.int16)
    listed, data = codes.tolist(), pack(codes, bits)
    if data != encodec_pack(listed, bits) or encodec_unpack(data, count, bits) != listed:
        raise SystemExit("the bytes differ from encodec's")
    print(f"{args.seconds} s at {args.kbps:g} kbps: {count:,} codes, {len(data):,} identical bytes")
    packing = {
        "pack (ours)": lambda: pack(codes, bits),
        "encodec BitPacker": lambda: encodec_pack(listed, bits),
    }
    unpacking = {
        "unpack (ours)": lambda: unpack(data, count, bits),
        "encodec BitUnpacker": lambda: encodec_unpack(data, count, bits),
    }
    print_ratios(alternate(packing, args.rounds), "pack (ours)")
    print_ratios(alternate(unpacking, args.rounds), "unpack (ours)")


if __name__ == "__main__":
    main()
