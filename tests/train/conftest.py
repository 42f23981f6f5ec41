"""One small dataset for the tests of batches."""

from __future__ import annotations

import pytest

from preprocess.train import AlignedCrops
from tests.helpers.rows import make_dataset, make_rows


@pytest.fixture(scope="session")
def some_rows():
    """41 clips of 0.1 to 8 s at 24 kHz."""
    return make_rows([2_400 + 4_711 * i for i in range(41)])


@pytest.fixture(scope="session")
def some_dataset(some_rows, tmp_path_factory):
    """The same as a dataset, three to a record batch."""
    return make_dataset(some_rows, tmp_path_factory.mktemp("rows") / "train.arrow")


@pytest.fixture
def crops(some_dataset) -> AlignedCrops:
    """Crops of 64 frames of it."""
    return AlignedCrops(some_dataset, frames=64)
