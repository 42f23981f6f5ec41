"""What `docs/parameters.md` says to write can be written, and cells are worth what it says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from preprocess.params import PRODUCERS
from preprocess.params.columns import read_column

DOC = Path(__file__).parent.parent / "docs/parameters.md"
pytestmark = pytest.mark.skipif(
    not DOC.exists(), reason="the documentation is not in this distribution"
)


def rows_under(head: str) -> list[list[str]]:
    """Return the cells of the table whose first line is `head`."""
    lines = DOC.read_text(encoding="utf-8").split(head + "\n", 1)[1].splitlines()[1:]
    table = lines[: next(at for at, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_what_it_says_to_write_are_keys_of_producers():
    fields = {name: {f.name for f in dataclasses.fields(p)} for name, p in PRODUCERS.items()}
    rows = rows_under("| you have | write |")
    assert len(rows) > 10
    for have, write in rows:
        snippets = [yaml.safe_load(text) for text in re.findall(r"`([^`]+)`", write)]
        assert snippets, have
        for snippet in snippets:
            for key, value in snippet.items():
                if key in PRODUCERS:
                    assert set(value) <= fields[key], have
                else:
                    assert any(key in known for known in fields.values()), have


def test_cells_are_worth_what_it_says():
    checked = 0
    for cells, values, units in rows_under("| cells | values | units |"):
        stated = [float(number) for number in re.findall(r"[\d.]+", values)]
        if not stated:  # words, and cells that are empty
            continue
        texts = re.findall(r"`([^`]+)`", cells)
        columns = [read_column([text], "x", str) for text in texts]
        assert [column.values[0] for column in columns] == stated
        assert {column.units for column in columns} == {
            units.strip("`") if units[:1] == "`" else ""
        }
        checked += len(stated)
    assert checked > 10
