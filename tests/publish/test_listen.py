"""The subset `listen`: clips that people hear on the Hub, and nothing else that has a sound."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile as sf
from datasets import load_dataset

from preprocess.cli.main import main
from preprocess.publish.listen_card import listen_section
from preprocess.publish.listen_info import Listen, ListenClip
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.hub_client import card, environment

pytest.importorskip("matplotlib")
NAME = "encodec_24khz_demo_24kbps"
READER = """
import json, sys
import datasets
found = {}
for split, rows in datasets.load_dataset("me/sounds", "listen").items():
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    rows = rows.cast_column("picture", datasets.Image(decode=False))
    found[split] = [[r["id"], len(r["audio"]["bytes"]), r["picture"]["bytes"][1:4].decode()] for r in rows]
print(json.dumps(found), flush=True)
"""


def push(built, *flags):
    return main(["push", str(built), "me/sounds", *flags])


def files(hub):
    return hub.repos["me/sounds"].files("main")


def test_its_rows_hold_the_decoded_sound_and_a_picture(built, online, demo_codec, token_folder):
    assert push(built, "--listen", "3") == 0
    assert online.repos["me/sounds"].commits == 1
    table = pq.read_table(io.BytesIO(files(online)["listen/train-00000-of-00001.parquet"]))
    assert table["id"].to_pylist() == ["train/take.1", "train/take.2"]
    for row in table.to_pylist():
        samples, rate = sf.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        decoded = demo_codec.decode(read_ecdc(token_folder / f"{row['id']}.ecdc"))[0]
        assert rate == 24_000
        np.testing.assert_allclose(samples, decoded, atol=2**-15)
        assert row["picture"]["bytes"].startswith(b"\x89PNG")
    assert [row["path"] for row in table["audio"].to_pylist()] == ["000.flac", "001.flac"]
    assert "listen/test-00000-of-00001.parquet" in files(online)


def test_any_datasets_loads_it_by_its_name(built, online, tmp_path):
    assert push(built, "--listen", "3") == 0
    run = subprocess.run(
        [sys.executable, "-c", READER],
        capture_output=True,
        text=True,
        env=environment(online, tmp_path),
        cwd=tmp_path,
    )
    assert run.stdout.strip(), run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    ids = {split: [row[0] for row in rows] for split, rows in found.items()}
    assert ids == {"train": ["train/take.1", "train/take.2"], "test": ["test/one"]}
    assert all(size > 1000 and kind == "PNG" for rows in found.values() for _, size, kind in rows)


def test_the_parquet_alone_says_that_it_is_sound(built, online, tmp_path):
    """As the viewer, and anyone without the card, reads it."""
    assert push(built, "--listen", "1") == 0
    (tmp_path / "x.parquet").write_bytes(files(online)["listen/train-00000-of-00001.parquet"])
    rows = load_dataset("parquet", data_files=str(tmp_path / "x.parquet"), split="train")
    kinds = {name: type(kind).__name__ for name, kind in rows.features.items()}
    assert (kinds["audio"], kinds["picture"]) == ("Audio", "Image")


def test_nothing_else_gets_sound(built, online):
    assert push(built) == 0
    before = dict(files(online))
    assert push(built, "--listen", "2") == 0
    shards = {path: data for path, data in before.items() if path.endswith(".parquet")}
    assert shards and all(files(online)[path] == data for path, data in shards.items())
    audio = [path for path in files(online) if path.endswith((".flac", ".ogg"))]
    assert all(path.startswith("listen/") for path in audio)


def test_the_card_plays_clips_and_links_their_page(built, online):
    assert push(built, "--listen", "2") == 0
    data, text = card(online)
    assert [c["config_name"] for c in data["configs"]] == [NAME, "listen"]
    assert [c.get("default") for c in data["configs"]] == [True, None]
    assert "2 of 3 clips, decoded from their tokens" in text
    site = f"{online.url}/datasets/me/sounds"
    for path in ("listen/clips/000.flac", "listen/clips/000.png", "listen/page.html"):
        assert f"{site}/resolve/main/{path}" in text and path in files(online)
    page = files(online)["listen/page.html"].decode()
    assert "take.1" in page and page.startswith("<!doctype html>")


def test_a_later_push_keeps_it_and_a_smaller_one_replaces_it(built, online):
    assert push(built, "--listen", "3") == 0
    assert push(built) == 0
    assert "3 of 3 clips, decoded" in card(online)[1]
    assert push(built, "--listen", "1") == 0
    left = {path for path in files(online) if path.startswith("listen/")}
    assert left == {
        "listen/train-00000-of-00001.parquet",
        "listen/page.html",
        "listen/clips/000.flac",
        "listen/clips/000.png",
    }
    assert "1 of 3 clips, decoded" in card(online)[1]


def test_without_weights_nothing_is_pushed(built, online, tmp_path, capsys):
    assert push(built, "--listen", "1", "--weights", str(tmp_path / "gone.th")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--listen: train/take.1: no decoded sound" in line and "gone.th" in line
    assert files(online) == {}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--listen", "0"], "--listen"),
        (["--listen", "101"], "--listen"),
        (["--config", "listen"], "is the name of the subset that --listen makes"),
    ],
)
def test_wrong_calls_are_one_line(built, online, capsys, flags, message):
    assert push(built, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_hostile_name_stays_a_name_on_the_card():
    name = "a`b</code><img src=x onerror=alert(1)>\n# Title"
    listen = Listen(
        9, [ListenClip(name, "train", 1.5, "listen/clips/000.flac", "listen/clips/000.png")]
    )
    text = listen_section(listen, "me/sounds", "a branch/x")
    (line,) = [line for line in text.splitlines() if "onerror" in line]
    assert line.startswith("`a'b<") and line.count("`") == 2 and line.endswith("` (1.5 s)")
    assert "resolve/a%20branch%2Fx/listen/clips/000.flac" in text
