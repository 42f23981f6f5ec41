"""`preprocess inspect` and `preprocess plot` as commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys

import pytest

from tests.helpers.commands import assert_says, run, write_tokens


def shown(page) -> list[str]:
    """Return the ids of the clips on a page."""
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="clips">(.*?)</script>', text)[1])


def test_a_page_of_all_clips_of_a_folder(token_folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    done = run(capsys, "inspect @ --out @", token_folder, page)
    assert done.status == 0 and not done.err
    assert re.fullmatch(
        rf"inspect +3 clips in [\d.]+ s, [\d.]+ MB -> {re.escape(str(page))}", done.out[0]
    )
    assert shown(page) == ["a/take.1", "a/take.2", "b/one"]
    text = page.read_text(encoding="utf-8")
    assert text.count('"name":"decoded"') == 3
    assert "http://" not in text.split("<script")[0] and "src=" not in text.split("<script")[0]


def test_many_clips_are_a_sample_and_said_to_be_one(tmp_path, capsys):
    for index in range(40):
        write_tokens(tmp_path / f"ecdc/{index:02}.ecdc")
    flags = f"--out {tmp_path}/p.html --clips 4 --weights /nowhere"
    done = run(capsys, f"inspect @ {flags}", tmp_path / "ecdc")
    assert done.status == 0
    assert done.err[0].startswith("inspect: note: showing 4 of 40 clips, evenly spread")
    assert shown(tmp_path / "p.html") == ["00", "10", "20", "30"]
    assert 'id="total">40</script>' in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_clips_by_their_ids_in_that_order(token_folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert (
        run(capsys, "inspect @ --ids b/one a/take.1 b/one --out @", token_folder, page).status == 0
    )
    assert shown(page) == ["b/one", "a/take.1"]
    done = run(capsys, "inspect @ --ids b/two --out @", token_folder, page)
    assert done.status == 2
    assert_says(done.error, ["no clip 'b/two'", "did you mean 'b/one'"])


def test_a_clip_that_cannot_be_read_is_reported_and_the_others_shown(
    token_folder, tmp_path, capsys
):
    broken = token_folder / "a/take.1.ecdc"
    broken.write_bytes(broken.read_bytes()[:-5])
    page = tmp_path / "page.html"
    done = run(capsys, "inspect @ --out @", token_folder, page)
    assert done.status == 1 and shown(page) == ["a/take.2", "b/one"]
    assert_says(done.error, ["a/take.1", "is truncated"])
    for path in token_folder.rglob("*.ecdc"):
        path.write_bytes(broken.read_bytes()[:40])
    shutil.copy(page, tmp_path / "before.html")
    assert run(capsys, "inspect @ --out @", token_folder, page).status == 1
    assert page.read_bytes() == (tmp_path / "before.html").read_bytes()


def test_a_page_is_not_written_over_a_folder(token_folder, tmp_path, capsys):
    done = run(capsys, "inspect @ --out @", token_folder, tmp_path)
    assert done.status == 2 and "is a folder; name the HTML file" in done.error


def test_the_page_is_opened_when_asked(token_folder, tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("webbrowser.open", seen.append)
    page = tmp_path / "the page.html"
    assert run(capsys, "inspect @ --ids b/one --open --out @", token_folder, page).status == 0
    assert seen == [page.as_uri()]


def test_a_picture_of_a_clip(token_folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    done = run(capsys, "plot @ b/one @ --width 4 --dpi 50", token_folder, tmp_path / "b.png")
    assert done.status == 0 and (tmp_path / "b.png").stat().st_size > 3000
    assert "did you mean" in run(capsys, "plot @ b/on @", token_folder, tmp_path / "c.png").error


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_names_that_are_no_utf_8(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    name = os.fsdecode(b"ni\xf1o") + "/clip"
    write_tokens(folder / f"{name}.ecdc")
    page = tmp_path / "page.html"
    assert run(capsys, "inspect @ --weights /nowhere --out @", folder, page).status == 0
    assert shown(page) == [name]
    pytest.importorskip("matplotlib")
    for picture in ("a.svg", "a.png"):
        words = ("plot @ @ @ --weights /nowhere --dpi 40", folder, name, tmp_path / picture)
        assert run(capsys, *words).status == 0
