"""Sidecars lie beside the tokens that they were written for, whoever wrote them."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from preprocess.core.files import digest_file
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import sidecar_paths, write_sidecar, write_sidecar_features_for_rel
from tests.helpers.commands import assert_says, run, write_tokens

T = 10


@pytest.fixture
def root(tmp_path):
    """Two clips of one length, with parameters written by hand."""
    for seed, name in enumerate("ab"):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc", seed=seed)
        ramp = {"x": np.arange(T) + seed}
        write_sidecar_features_for_rel(tmp_path / "ecdc", f"{name}.ecdc", ramp)
    return tmp_path / "ecdc"


def found(capsys, root, words: str = "") -> list[tuple[str, str]]:
    """Return check and message of every finding."""
    rows = json.loads("\n".join(run(capsys, f"audit @ --format json {words}", root).out))
    return [(row["check"], row["message"]) for row in rows]


def version_2(root) -> None:
    """Make the sidecars what the predecessor wrote."""
    for path in root.glob("*.cond.json"):
        entry = {"min": 0, "max": 20, "mean": 5, "std": 3, "units": "", "doc_string": ""}
        meta = {"schema_version": 2, "fps": 75, "source_rate": 75, "features": {"x": entry}}
        path.write_text(json.dumps(meta))


def test_what_is_written_by_hand_carries_the_hash_of_its_tokens(root):
    (record,) = read_sidecar(root / "a.ecdc").records
    assert (record.names, record.producer) == (("x",), "")
    assert record.tokens == digest_file(root / "a.ecdc")


def test_swapped_files_are_found(root, capsys):
    """Of one length, they passed the audit."""
    assert found(capsys, root) == []
    for a, b in zip(*(sidecar_paths(root / f"{name}.ecdc") for name in "ab"), strict=True):
        os.replace(a, root / "swap")
        os.replace(b, a)
        os.replace(root / "swap", b)
    assert [check for check, _ in found(capsys, root)] == ["provenance"] * 2


def test_tokens_that_were_encoded_again_are_found(root, capsys):
    write_tokens(root / "a.ecdc", seed=9)
    ((check, message),) = found(capsys, root)
    assert check == "provenance"
    assert_says(message, ["x: written for other tokens"])


def test_each_parameter_is_tied_to_the_tokens_that_it_was_written_for(root, capsys):
    """Adding one for the new tokens does not make the old ones theirs."""
    write_tokens(root / "a.ecdc", seed=9)
    write_sidecar(root / "a.ecdc", {"y": np.arange(T)})
    write_sidecar(root / "b.ecdc", {"y": np.arange(T)})
    ((check, message),) = found(capsys, root)
    assert (check, message.split(":")[0]) == ("provenance", "x")


def test_sidecars_without_a_hash_are_one_warning_with_their_number(root, capsys):
    version_2(root)
    result = run(capsys, "audit @", root)
    assert result.status == 0
    assert_says(result.error, ["note", "untied", "2 of 2 sidecars", "migrate --write"])


def test_migrate_ties_old_sidecars_to_their_tokens(root, capsys):
    version_2(root)
    assert run(capsys, "migrate @ --write --no-keep-originals", root).status == 0
    assert found(capsys, root) == []
    write_tokens(root / "b.ecdc", seed=9)
    assert [check for check, _ in found(capsys, root)] == ["provenance"]


def test_a_sidecar_without_tokens_has_no_hash_to_carry(tmp_path):
    write_sidecar(tmp_path / "a.ecdc", {"x": np.arange(T)}, fps=75)
    (record,) = read_sidecar(tmp_path / "a.ecdc").records
    assert record.tokens == ""
