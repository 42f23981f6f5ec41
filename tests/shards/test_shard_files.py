"""Shards: rows and bytes that follow from the clips alone, and their way back to rows."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess.core.errors import PreprocessError
from preprocess.dataset.clips import DatasetError
from preprocess.dataset.rows import clip_row
from preprocess.dataset.schema import dataset_features, read_parameters
from preprocess.shards.reading import ShardFolder, is_shards_folder
from preprocess.shards.rows import PROVENANCE, packed_row, packed_table, shard_schema
from preprocess.shards.writing import ShardWriter, row_bytes
from preprocess.sidecar.sidecar_format import sidecar_paths
from tests.helpers.packed import pack_all, schema_of, write_clip


@pytest.fixture
def clips(tmp_path):
    """Clips of very different lengths, one of them without parameters."""
    root = tmp_path / "clips"
    for index in range(20):
        write_clip(root, f"a/clip {index}", 3200 + 200_000 * (index % 3), seed=index)
    write_clip(root, "b/bare", 5000, "")
    return root


def table_of(root):
    schema, rels, described = schema_of(root)
    rows = [packed_row(root, rel, schema, rel in described) for rel in rels]
    return packed_table(rows, shard_schema(schema)), schema


def written(tables, schema, group_bytes, metadata=None):
    file = io.BytesIO()
    with ShardWriter(file, schema, metadata, group_bytes) as writer:
        for table in tables:
            writer.write(table)
    return file.getvalue(), writer


def test_a_row_is_the_datasets_row_and_its_provenance(clips):
    schema, rels, described = schema_of(clips)
    for rel in (rels[0], "b/bare.ecdc"):
        known = rel in described
        row, expected = packed_row(clips, rel, schema, known), clip_row(clips, rel, schema, known)
        provenance = row.pop(PROVENANCE)
        assert row.keys() == expected.keys()
        np.testing.assert_equal(row, expected)
        data = (clips / rel).read_bytes()
        size = int.from_bytes(data[5:9], "big")
        assert provenance["tokens"].encode() == data[9 : 9 + size]
        meta = sidecar_paths(clips / rel)[1]
        assert provenance["sidecar"] == (meta.read_text() if known else "")
        assert provenance["dtype"] == ("float32" if known else "")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_columns_are_those_of_the_dataset(clips, dtype):
    schema, _, _ = schema_of(clips, dtype=dtype)
    declared = dataset_features(schema).arrow_schema.remove_metadata()
    own = shard_schema(schema)
    assert pa.schema([own.field(name) for name in declared.names]) == declared
    assert own.names == [*declared.names, PROVENANCE] and own.metadata is None


@pytest.mark.parametrize("sizes", [[1] * 21, [21], [5, 0, 11, 5], [20, 1]])
def test_bytes_do_not_depend_on_the_tables_that_arrive(clips, sizes):
    table, schema = table_of(clips)
    whole, _ = written([table], shard_schema(schema), 40_000)
    starts = np.cumsum([0, *sizes])
    parts = [table.slice(at, n) for at, n in zip(starts[:-1], sizes, strict=True)]
    copies = [pa.Table.from_pylist(part.to_pylist(), table.schema) for part in parts]
    for tables in (parts, copies):
        data, writer = written(tables, shard_schema(schema), 40_000)
        assert data == whole
        assert writer.rows == 21 and writer.num_bytes == row_bytes(table).sum()
    assert pq.ParquetFile(io.BytesIO(whole)).num_row_groups > 3


def test_row_groups_are_as_large_as_asked(clips):
    table, schema = table_of(clips)
    sizes = row_bytes(table)
    data, _ = written([table], shard_schema(schema), 40_000)
    file = pq.ParquetFile(io.BytesIO(data))
    start = 0
    for index in range(file.num_row_groups):
        rows = file.metadata.row_group(index).num_rows
        group = sizes[start : start + rows]
        assert group[:-1].sum() < 40_000
        assert index == file.num_row_groups - 1 or group.sum() >= 40_000
        start += rows
    assert file.read().to_pylist() == table.to_pylist()


def test_the_size_of_a_row_is_its_size_in_arrow(clips):
    table, _ = table_of(clips)
    sizes = row_bytes(table)
    assert sizes[3:9].tolist() == row_bytes(table.slice(3, 6)).tolist()
    assert sizes.sum() == pytest.approx(table.nbytes, rel=0.02)


def test_metadata_is_stored_and_nothing_else(clips):
    table, schema = table_of(clips)
    data, _ = written([table], shard_schema(schema), 1 << 20, {"b": "2", "a": "é"})
    again, _ = written([table], shard_schema(schema), 1 << 20, {"a": "é", "b": "2"})
    stored = pq.ParquetFile(io.BytesIO(data)).metadata.metadata
    assert data == again
    assert stored.keys() == {b"a", b"b", b"ARROW:schema"} and stored[b"a"].decode() == "é"
    with pytest.raises(ValueError, match="expected the columns"):
        written([table.select(["id"])], shard_schema(schema), 1 << 20)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_folder_gives_its_rows_back(clips, tmp_path, count):
    """With 40 shards for 21 clips, some are empty."""
    pack_all(clips, tmp_path / "out", count)
    assert is_shards_folder(tmp_path / "out") and not is_shards_folder(clips)
    folder = ShardFolder.at(tmp_path / "out")
    assert [len(paths) for paths in folder.splits.values()] == [count]
    expected = {row["id"]: row for row in table_of(clips)[0].to_pylist()}
    for size in (1, 1 << 30):
        read = pa.concat_tables(folder.tables("train", batch_bytes=size)).to_pylist()
        assert {row["id"]: row for row in read} == expected and len(read) == 21
    ids = pa.concat_tables(folder.tables("train", ["id"]))
    assert ids.column_names == ["id"] and set(ids["id"].to_pylist()) == set(expected)


def test_tables_are_small_where_asked(clips, tmp_path):
    pack_all(clips, tmp_path / "out")
    sizes = [t.nbytes for t in ShardFolder.at(tmp_path / "out").tables("train", None, 50_000)]
    assert len(sizes) >= 5 and max(sizes) < 60_000


def test_a_clip_changes_its_own_shard_alone(clips, tmp_path):
    pack_all(clips, tmp_path / "before", 8)
    write_clip(clips, "a/new", 4000)
    pack_all(clips, tmp_path / "after", 8)
    names = sorted(path.name for path in (tmp_path / "before/data").iterdir())
    changed = [
        name
        for name in names
        if (tmp_path / "before/data" / name).read_bytes()
        != (tmp_path / "after/data" / name).read_bytes()
    ]
    assert len(names) == 8 and len(changed) == 1


def test_descriptions_come_from_the_index(clips, tmp_path):
    schema = pack_all(clips, tmp_path / "out")
    folder = ShardFolder.at(tmp_path / "out")
    assert read_parameters(folder.features)["pitch"].units == ""
    described = {"pitch": {"units": "Hz", "kind": "continuous", "min": 50, "max": 2000}}
    stored = {"version": 1, "subsets": {"x": {"n_codebooks": 4, "parameters": described}}}
    (tmp_path / "out/enchf.json").write_text(json.dumps(stored))
    folder = ShardFolder.at(tmp_path / "out")
    assert read_parameters(folder.features)["pitch"].max == 2000
    assert folder.features.arrow_schema.remove_metadata() == shard_schema(schema)
    (tmp_path / "out/enchf.json").write_text("[")
    with pytest.raises(PreprocessError, match=r"enchf\.json cannot be read"):
        _ = ShardFolder.at(tmp_path / "out").parameters


def test_incomplete_mixed_or_damaged_folders_are_errors(clips, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(DatasetError, match="has no shards"):
        ShardFolder.at(clips)
    pack_all(clips, out, 3)
    missing = out / "data/train-00001-of-00003.parquet"
    data = missing.read_bytes()
    missing.unlink()
    with pytest.raises(DatasetError, match=r"lacks the shard data/train-00001-of-00003\.parquet"):
        ShardFolder.at(out)
    missing.write_bytes(data[: len(data) // 2])
    with pytest.raises(PreprocessError, match=r"train-00001-of-00003\.parquet cannot be read"):
        list(ShardFolder.at(out).tables("train"))
    pq.write_table(pa.table({"id": ["x"]}), missing)
    with pytest.raises(DatasetError, match="has other columns"):
        list(ShardFolder.at(out).tables("train"))
    pack_all(clips, out, 2)
    with pytest.raises(DatasetError, match="shards of 2 and 3 for split train"):
        ShardFolder.at(out)


def test_a_name_that_cannot_be_kept_is_refused(clips):
    path = write_clip(clips, "x")
    path.rename(clips / "C: major.ecdc")
    schema, _, _ = schema_of(clips)
    with pytest.raises(DatasetError, match="starts with a drive"):
        packed_row(clips, "C: major.ecdc", schema, False)
