"""Publishing: what a push leaves on the Hub, and that anyone loads it without this package."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from preprocess.cli.main import main
from preprocess.publish.card import BEGIN, END
from preprocess.publish.parquet import write_shards
from preprocess.publish.subset import describe_saved, read_info
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.hub_client import card, environment

NAME = "encodec_24khz_demo_24kbps"
SHARD = f"{NAME}/train-00000-of-00001.parquet"
READER = """
import json, sys

class NothingOfOurs:  # as on a machine where this package is not installed
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("preprocess", "enchf_dataset"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NothingOfOurs())
import datasets
rows = datasets.load_dataset(*json.loads(sys.argv[1]), split="train", **json.loads(sys.argv[2]))
level = rows.features["features"]["level"].feature
found = {"version": datasets.__version__, "id": level.id, "rows": list(rows)}
print(json.dumps(found), flush=True)
"""


def push(built, *flags, repo="me/sounds"):
    return main(["push", str(built), repo, *flags])


def load_elsewhere(hub, tmp_path, *arguments, **options):
    """Load from the Hub in a process that has nothing of this package.

    Its exit status is not looked at: after a stream from Parquet the interpreter may abort at its
    end, in every version of datasets. What it prints before is whole or the test fails.
    """
    run = subprocess.run(
        [sys.executable, "-c", READER, json.dumps(arguments), json.dumps(options)],
        capture_output=True,
        text=True,
        env=environment(hub, tmp_path),
        cwd=tmp_path,
    )
    assert run.stdout.strip(), run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("options", [{}, {"streaming": True}])
def test_anyone_loads_a_pushed_dataset(built, online, tmp_path, options, token_folder):
    assert push(built) == 0
    found = load_elsewhere(online, tmp_path, "me/sounds", **options)
    assert [row["id"] for row in found["rows"]] == ["train/take.1", "train/take.2"]
    for row in found["rows"]:
        ecdc = read_ecdc(token_folder / f"{row['id']}.ecdc")
        np.testing.assert_array_equal(row["codes"], ecdc.codes)
        assert row["features"]["level"][0] == -60 and row["features"]["level"][-1] == 0
    assert json.loads(found["id"]) == {"units": "dB", "kind": "continuous", "min": -60, "max": 0}


@pytest.mark.skipif(
    "ENCHF_OLD_PYTHON" not in os.environ, reason="the session of the newest datasets sets it"
)
@pytest.mark.parametrize("options", [{}, {"streaming": True}])
def test_what_the_old_datasets_pushed_the_newest_reads(token_folder, hub, tmp_path, options):
    old = os.environ["ENCHF_OLD_PYTHON"]
    env = {**environment(hub, tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    for step in (["build", token_folder, "built"], ["push", "built", "me/sounds"]):
        command = [old, "-m", "preprocess", *map(str, step)]
        subprocess.run(command, check=True, env=env, cwd=tmp_path)
    found = load_elsewhere(hub, tmp_path, "me/sounds", **options)
    version = subprocess.run(
        [old, "-c", "import datasets; print(datasets.__version__)"], capture_output=True, text=True
    ).stdout
    assert int(version.split(".")[0]) < 4 <= int(found["version"].split(".")[0])
    assert len(found["rows"]) == 3
    for row in found["rows"]:
        ecdc = read_ecdc(token_folder / f"{row['id']}.ecdc")
        np.testing.assert_array_equal(row["codes"], ecdc.codes)


def test_pandas_and_polars_read_the_parquet(built, online, token_folder):
    polars = pytest.importorskip("polars")
    assert push(built) == 0
    url = f"{online.url}/datasets/me/sounds/resolve/main/{SHARD}"
    data = online.repos["me/sounds"].files("main")[SHARD]
    codes = read_ecdc(token_folder / "train/take.2.ecdc").codes
    for frame in (pd.read_parquet(url), polars.read_parquet(io.BytesIO(data)).to_pandas()):
        assert list(frame["id"]) == ["train/take.1", "train/take.2"]
        np.testing.assert_array_equal(np.stack(frame["codes"][1]), codes)
        assert len(frame["features"][1]["index"]) == codes.shape[1]


def test_the_card_is_made_from_the_data(built, online):
    flags = ["--license", "cc0-1.0", "--source", "Nine recordings"]
    assert push(built, "--config", NAME, "encodec_24khz_demo_6kbps", *flags) == 0
    data, text = card(online)
    assert data["license"] == "cc0-1.0"
    assert [c["config_name"] for c in data["configs"]] == [NAME, "encodec_24khz_demo_6kbps"]
    assert data["configs"][0]["data_files"] == [
        {"split": "train", "path": f"{NAME}/train-*"},
        {"split": "test", "path": f"{NAME}/test-*"},
    ]
    info = data["dataset_info"][0]
    assert {s["name"]: s["num_examples"] for s in info["splits"]} == {"train": 2, "test": 1}
    assert "| `level` | dB | continuous | -60 to 0 | -60 | 0 | -30 |" in text
    assert f"| `{NAME}` | encodec_24khz_demo | 24 kbps | 32 | 75 | 24,000 Hz | 3 |" in text
    assert "| `encodec_24khz_demo_6kbps` | encodec_24khz_demo | 6 kbps | 8 |" in text
    assert text.count("| `level` |") == 1
    for words in ("Nine recordings", "Licence: cc0-1.0", 'load_dataset("me/sounds"', "decode_row"):
        assert words in text
    subset = read_info(online.repos["me/sounds"].files("main")["enchf.json"])[NAME]
    # Of the split train alone: the third clip, whose index is 2, is in test.
    statistics = subset.parameters["index"]["statistics"]
    assert (statistics["max"], statistics["count"], statistics["nan_count"]) == (1, 152, 0)
    assert subset.clips == 3 and len(subset.provenance["weights"]) == 0


def test_a_subset_is_sliced_to_its_bandwidth(built, online, tmp_path, token_folder):
    assert push(built, "--config", "encodec_24khz_demo_6kbps") == 0
    found = load_elsewhere(online, tmp_path, "me/sounds", "encodec_24khz_demo_6kbps")
    row = found["rows"][0]
    np.testing.assert_array_equal(
        row["codes"], read_ecdc(token_folder / "train/take.1.ecdc").codes[:8]
    )
    assert row["bandwidth_kbps"] == 6


def test_a_second_push_replaces_its_subset_and_keeps_the_rest(built, online, token_folder):
    assert push(built) == 0
    files = online.repos["me/sounds"].files("main")
    stale = f"{NAME}/train-00000-of-00009.parquet"
    files |= {stale: b"of a larger dataset", "notes/sketch.txt": b"mine"}
    _, text = card(online)
    written = text.replace("# sounds\n", "# My title\n\nWritten by hand.\n") + "\nAfterword.\n"
    files["README.md"] = files["README.md"].decode().replace(text, written).encode()
    files["README.md"] = files["README.md"].replace(b"---\n", b"---\nlanguage: en\n", 1)
    (token_folder / "train/take.2.ecdc").unlink()
    for path in token_folder.glob("train/take.2.*"):
        path.unlink()
    assert main(["build", str(token_folder), str(built)]) == 0
    assert push(built) == 0
    assert push(built, "--config", "encodec_24khz_demo_3kbps") == 0
    after = online.repos["me/sounds"].files("main")
    assert stale not in after and after["notes/sketch.txt"] == b"mine"
    assert pq.read_table(io.BytesIO(after[SHARD])).num_rows == 1
    data, text = card(online)
    assert data["language"] == "en"
    assert text.startswith("\n# My title\n\nWritten by hand.\n") and "Afterword." in text
    assert text.count(BEGIN) == text.count(END) == 1
    assert [c["config_name"] for c in data["configs"]] == [NAME, "encodec_24khz_demo_3kbps"]
    assert [c.get("default") for c in data["configs"]] == [True, None]
    assert "| `encodec_24khz_demo_3kbps` |" in text and f"| `{NAME}` |" in text


def test_a_card_without_our_part_keeps_its_prose(built, online):
    assert push(built) == 0
    online.repos["me/sounds"].files("main")["README.md"] = b"Only prose.\n"
    assert push(built) == 0
    data, text = card(online)
    assert text.startswith("Only prose.\n\n" + BEGIN) and len(data["configs"]) == 1


def test_an_interrupted_push_changes_nothing_and_can_be_repeated(built, online, capsys):
    online.refuse_uploads_after = 1
    assert push(built) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "push to me/sounds failed" in line and "run the command again" in line
    assert online.repos["me/sounds"].files("main") == {}
    online.refuse_uploads_after = None
    before = online.uploads()
    assert push(built) == 0
    assert online.uploads() - before == 1  # of two shards, the one that was missing
    assert online.repos["me/sounds"].commits == 1
    assert push(built) == 0
    assert online.uploads() - before == 1  # the same bytes again


def test_private_and_revision(built, online):
    assert push(built, "--private", "--revision", "draft") == 0
    repo = online.repos["me/sounds"]
    assert repo.private
    assert SHARD in repo.files("draft") and repo.files("main") == {}


def test_a_dry_run_sends_nothing(built, online, capsys):
    assert push(built, "--dry-run") == 0
    shown = capsys.readouterr()
    assert online.log == [] and "nothing was sent" in shown.out
    assert SHARD in shown.err and "README.md" in shown.err


def test_shards_are_of_limited_size_and_hold_all_rows(built, tmp_path):
    from datasets import load_from_disk

    saved = load_from_disk(str(built))
    whole = describe_saved(built, saved, {})
    shards = write_shards(saved["train"], tmp_path / "x", "train", whole, shard_bytes=6000)
    assert [path.name for path in shards.paths] == [
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]
    tables = [pq.read_table(path) for path in shards.paths]
    assert [table["id"].to_pylist() for table in tables] == [["train/take.1"], ["train/take.2"]]
    column = pq.ParquetFile(shards.paths[0]).metadata.row_group(0)
    found = {column.column(i).path_in_schema: column.column(i) for i in range(column.num_columns)}
    assert "BYTE_STREAM_SPLIT" in found["features.level.list.element"].encodings
    assert "RLE_DICTIONARY" in found["codes.list.element.list.element"].encodings
    assert {each.compression for each in found.values()} == {"ZSTD"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere", "me/x"], 2, "dataset nowhere does not exist"),
        (["BUILT", "a b/c"], 2, "is not a repository name"),
        (["BUILT", "me/x.py"], 2, "must not end in .py"),
        (["BUILT", "me/x", "--config", "encodec_24khz_demo_7kbps"], 2, "did you mean"),
        (["BUILT", "me/x", "--config", "encodec_48khz_6kbps"], 2, "cannot be made from"),
        (["BUILT", "me/x", "--config", "../x"], 2, "--config: '../x'"),
        (["TOKENS", "me/x"], 2, "is not a saved dataset; make one with preprocess build"),
    ],
)
def test_wrong_calls_are_one_line(built, token_folder, online, capsys, arguments, status, message):
    names = {"BUILT": str(built), "TOKENS": str(token_folder)}
    assert main(["push", *(names.get(word, word) for word in arguments)]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert online.repos == {}


def test_without_a_token_it_says_how_to_get_one(built, online, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert push(built) == 2
    assert "no token for the Hub: run `hf auth login`, or set HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_wrong")
    assert push(built) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "401" in line
    assert online.repos == {}


def test_a_dataset_of_something_else_is_refused(tmp_path, online, capsys):
    from datasets import Dataset

    Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "other"))
    assert push(tmp_path / "other") == 1
    assert "lacks the column 'id'" in capsys.readouterr().err
