"""What `fuzz.fuzz_reader` saved once is read again, each time the tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.guard import check, warm_up
from fuzz.readers import READERS

FOLDER = Path(__file__).with_name("regressions")
SAVED = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_input_is_read_or_refused_in_one_line(name, tmp_path):
    reader = READERS[name.split("-")[0]]
    warm_up(reader)
    check(reader, (FOLDER / name).read_bytes(), tmp_path)
