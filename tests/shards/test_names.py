"""Names of shards, the shard of a clip, and names that must not become files."""

from __future__ import annotations

from collections import Counter

import pytest

from preprocess.core.errors import UsageError
from preprocess.shards.names import parse_name, shard_count, shard_name, shard_of, unsafe

MB = 1_000_000


def test_a_name_can_be_parsed():
    assert shard_name("train", 3, 20) == "data/train-00003-of-00020.parquet"
    for split, index, count in (("train", 0, 1), ("a.b_c", 19, 20), ("test", 99_999, 123_456)):
        assert parse_name(shard_name(split, index, count)) == (split, index, count)


@pytest.mark.parametrize(
    "path",
    [
        "train-00003-of-00020.parquet",
        "x/data/train-00003-of-00020.parquet",
        "data/train-3-of-20.parquet",
        "data/train-00020-of-00020.parquet",
        "data/../train-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet.tmp",
    ],
)
def test_other_files_are_not_shards(path):
    assert parse_name(path) is None


@pytest.mark.parametrize("given", [("train", 20, 20), ("a/b", 0, 1), ("", 0, 1)])
def test_no_shard_gets_an_invalid_name(given):
    with pytest.raises(UsageError):
        shard_name(*given)


def test_a_clips_shard_follows_from_its_id_alone():
    """Fixed numbers: another hash would move every clip of every folder to another shard."""
    assert [shard_of(name, 20) for name in ("a/take.1", "b/one", "Möwe 3")] == [0, 0, 5]
    names = [f"clip{i}" for i in range(20_000)]
    sizes = Counter(shard_of(name, 20) for name in names)
    assert len(sizes) == 20 and max(sizes.values()) < 1.15 * min(sizes.values())


@pytest.mark.parametrize(
    ("total", "count"),
    [
        (0, 1),
        (99 * MB, 1),
        (250 * MB, 2),
        (1_500 * MB, 15),
        (2_000 * MB, 20),
        (6_000 * MB, 20),
        (6_001 * MB, 21),
        (10**12, 3334),
    ],
)
def test_shards_have_100_to_500_mb_and_are_20_where_that_is_possible(total, count):
    assert shard_count(total) == count
    if total >= 100 * MB:
        assert 100 * MB <= total / count <= 500 * MB


@pytest.mark.parametrize("name", ["a", "a b/ü ñ.1", "take.1", "..a/b..", "10:30", "日本/音"])
def test_ordinary_names_are_safe(name):
    assert unsafe(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/x", "../x", "a/../../x", "a//b", "a/", ".", "a/./b", "..\\x", "\\\\host\\x"),
        *("C:/x", "c:x", "a\0b", "a\nb", "a\udcffb"),
    ],
)
def test_names_that_leave_the_folder_or_cannot_exist_are_unsafe(name):
    assert unsafe(name)
