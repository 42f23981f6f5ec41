"""Which private name of `datasets` a new release changed."""

from __future__ import annotations

import inspect

import datasets
import pytest
from datasets import packaged_modules

from enchf_dataset import EncHFDataset
from preprocess.dataset import datasets_private

HERE = f"datasets {datasets.__version__}"


@pytest.mark.parametrize("name", ["_hash_python_lines", "_PACKAGED_DATASETS_MODULES"])
def test_the_names_of_the_registration_are_there(name):
    assert hasattr(packaged_modules, name), f"{HERE} has no packaged_modules.{name}"


def test_the_table_of_packaged_modules_holds_pairs_of_module_and_hash():
    table = packaged_modules._PACKAGED_DATASETS_MODULES
    module, digest = table["parquet"]
    assert module.startswith("datasets.packaged_modules"), f"{HERE} changed what the table holds"
    assert isinstance(digest, str), f"{HERE} changed what the table holds"


def test_the_two_builders_prepare_a_split_with_the_same_arguments():
    """But for the one that `EncHFDataset._prepare_split` drops, which 5.2.0 has no more."""
    generator = inspect.signature(datasets.GeneratorBasedBuilder._prepare_split).parameters
    arrow = inspect.signature(datasets.ArrowBasedBuilder._prepare_split).parameters
    assert set(generator) - set(arrow) <= {"check_duplicate_keys"}, f"{HERE} changed a builder"


@pytest.mark.parametrize("processes", [1, 2])
def test_rows_are_counted_as_they_are_written(token_folder, tmp_path, processes):
    """Those of all processes, through the builder's own bar."""
    builder = EncHFDataset(data_dir=str(token_folder), cache_dir=str(tmp_path / "cache"))
    counts: list[int] = []
    with datasets_private.rows_written(counts.append):
        builder.download_and_prepare(num_proc=processes)
    assert sum(counts) == 3, f"{HERE} no longer counts rows with builder.hf_tqdm"


def test_registering_replaces_an_older_entry(monkeypatch):
    table = dict(packaged_modules._PACKAGED_DATASETS_MODULES)
    monkeypatch.setattr(packaged_modules, "_PACKAGED_DATASETS_MODULES", table)
    datasets_private.register_builder("ours", "preprocess.dataset.datasets_private")
    module, digest = table["ours"]
    assert module == "preprocess.dataset.datasets_private"
    assert digest == packaged_modules._hash_python_lines(
        inspect.getsource(datasets_private).splitlines()
    )
