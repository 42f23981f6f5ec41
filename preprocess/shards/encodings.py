"""How the columns of a dataset are encoded in Parquet, so that any reader can read them.

`python -m benchmarks.parquet` found these encodings smallest: a dictionary with zstd for the codes
(10.1 to 10.3 bits for a 10-bit code; the default takes 10.2 to 10.5, plain zstd 13.5), and byte
stream split with zstd for the parameters (25 bits for a float32; the default takes 46). A higher
level of zstd saves at most 0.2 % and takes longer.
"""

from __future__ import annotations

import pyarrow as pa

ROW_GROUP_BYTES = 64 << 20
"""Size of a row group in Arrow: a reader loads one into memory at a time."""


def parquet_encodings(schema: pa.Schema) -> dict[str, object]:
    """Return writer options: byte stream split for floats in lists, a dictionary elsewhere.

    Only columns with one value per row have statistics: nobody asks for the smallest code.
    """
    leaves = list(_leaves(pa.struct(list(schema)), ""))
    split = [path for path, kind in leaves if ".list." in path and pa.types.is_floating(kind)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [path for path, _ in leaves if path not in split],
        "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        "write_statistics": [path for path, _ in leaves if "." not in path],
        "write_page_index": True,
    }


def _leaves(kind: pa.DataType, path: str) -> list[tuple[str, pa.DataType]]:
    """Return path and type of each Parquet column that a type becomes."""
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return [
            leaf
            for field in fields
            for leaf in _leaves(field.type, f"{path}.{field.name}" if path else field.name)
        ]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _leaves(kind.value_type, f"{path}.list.element")
    return [(path, kind)]
