"""The ways to load with the builder."""

from __future__ import annotations

import datasets
import pytest
from datasets import load_dataset

import enchf_dataset
from enchf_dataset import EncHFDataset

SCRIPT = enchf_dataset.__file__
OLD = int(datasets.__version__.split(".")[0]) < 4
scripts_only = pytest.mark.skipif(not OLD, reason="datasets 4 ended loading scripts")


def load_class(folder, config="auto", num_proc=None, **options):
    """Load by the class itself, which works in every version of datasets."""
    builder = EncHFDataset(config_name=config, data_dir=str(folder), **options)
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset()


def load_script(folder, config="auto", **options):
    """Load by the call that users make."""
    return load_dataset(SCRIPT, config, data_dir=str(folder), trust_remote_code=True, **options)


def load_registered(folder, config="auto", **options):
    """Load by the name that importing the module registers."""
    return load_dataset("enchf", config, data_dir=str(folder), **options)
