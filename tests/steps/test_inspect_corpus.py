"""`preprocess inspect --corpus`, `--text` and `--json`, over folders and datasets, without a browser."""

from __future__ import annotations

import base64
import json
import shutil

import numpy as np
import pytest
import soundfile as sf

from preprocess.cli.wf import inspect
from preprocess.page.corpus_data import ClipRow, Corpus
from preprocess.sidecar.sidecar_format import sidecar_paths
from preprocess.steps.inspect_corpus import sample
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.commands import assert_says, cut, files_under, run, write_tokens, write_wav


def index_of(page):
    text = (page / "data" / "index.js").read_text()
    return json.loads(text.removeprefix("corpus.takeIndex(").removesuffix(");\n"))


@pytest.fixture
def built(token_folder, tmp_path, capsys):
    (token_folder / "a").rename(token_folder / "train")
    (token_folder / "b").rename(token_folder / "test")
    assert run(capsys, "build @ @", token_folder, tmp_path / "built").status == 0
    return tmp_path / "built"


def test_a_page_of_a_folder_holds_the_decoded_sound_of_each_clip(
    token_folder, tmp_path, demo_codec, capsys
):
    result = run(capsys, "inspect @ --corpus --out @", token_folder, tmp_path / "page")
    assert (result.status, result.err) == (0, [])
    assert_says(result.out[-1], ["3 clips", "3 pages", "index.html"])
    assert index_of(tmp_path / "page")["ids"] == ["a/take.1", "a/take.2", "b/one"]
    for row, name in enumerate(("a/take.1", "a/take.2", "b/one")):
        samples, rate = sf.read(tmp_path / f"page/audio/{row:06d}.flac", dtype="float32")
        decoded = demo_codec.decode(read_ecdc(token_folder / f"{name}.ecdc"))[0]
        assert rate == 24_000
        np.testing.assert_allclose(samples, decoded, atol=2**-15)
        assert name in (tmp_path / f"page/clips/{row:06d}.html").read_text()


def test_originals_are_compared_with_what_was_decoded(token_folder, tmp_path, demo_codec, capsys):
    decoded = demo_codec.decode(read_ecdc(token_folder / "a/take.1.ecdc"))[0]
    noise = np.random.default_rng(0).normal(0, 1, decoded.shape)
    noise *= 0.1 * np.sqrt(np.mean(decoded**2))
    write_wav(tmp_path / "sounds/a/take.1.wav", (decoded + noise).astype(np.float32))
    words = "inspect @ --corpus --audio-root @ --out @"
    assert run(capsys, words, token_folder, tmp_path / "sounds", tmp_path / "page").status == 0
    columns = {each["title"]: each["values"] for each in index_of(tmp_path / "page")["columns"]}
    snr = np.frombuffer(base64.b64decode(columns["SNR"]), "<f4")
    assert snr[0] == pytest.approx(20, abs=0.2) and np.isnan(snr[1:]).all()
    assert "1 decoded clip" in (tmp_path / "page/index.html").read_text()


def test_a_dataset_needs_no_token_files_beside_it(built, token_folder, tmp_path, capsys):
    shutil.rmtree(token_folder)
    shutil.rmtree(built / "tokens", ignore_errors=True)
    result = run(capsys, "inspect @ --corpus --clips 1 --out @", built, tmp_path / "page")
    assert (result.status, result.err) == (0, [])
    index = index_of(tmp_path / "page")
    assert index["splits"] == ["train", "test"] and len(index["ids"]) == 3
    assert len(list((tmp_path / "page/audio").iterdir())) == 1
    html = (tmp_path / "page/index.html").read_text()
    assert_says(html, ["1 of 3 clips have a page and sound", "--clips N"])
    assert "Findings of the audit" not in html  # none was made: it reads files


def test_without_weights_the_rest_works(token_folder, tmp_path, capsys):
    words = "inspect @ --corpus --weights @ --out @"
    result = run(capsys, words, token_folder, tmp_path / "gone.th", tmp_path / "page")
    assert result.status == 0
    assert not (tmp_path / "page/audio").exists()
    assert (
        "3 of these have no sound; their pages say why"
        in (tmp_path / "page/index.html").read_text()
    )
    assert "no decoded sound" in (tmp_path / "page/clips/000000.html").read_text()


def test_a_clip_that_cannot_be_read_fails_alone(token_folder, tmp_path, capsys):
    cut(token_folder / "a/take.2.ecdc", 40)
    for path in sidecar_paths(token_folder / "b/one.ecdc"):
        path.unlink()
    result = run(capsys, "inspect @ --corpus --out @", token_folder, tmp_path / "page")
    assert result.status == 1
    assert "take.2.ecdc" in result.error
    index = index_of(tmp_path / "page")
    assert index["ids"] == ["a/take.1", "b/one"]
    html = (tmp_path / "page/index.html").read_text()
    assert_says(html, ["Left out", "take.2", "no sidecar", "missing_sidecar", "unreadable_tokens"])


def test_tokens_alone_are_a_corpus_too(tmp_path, capsys):
    for index in range(3):
        write_tokens(tmp_path / f"ecdc/c{index}.ecdc", "encodec_24khz_demo", seed=index)
    assert run(capsys, "inspect @ --corpus --out @", tmp_path / "ecdc", tmp_path / "p").status == 0
    assert "Left out" not in (tmp_path / "p/index.html").read_text()


def test_a_sample_has_clips_with_findings_and_spreads_the_others():
    corpus = Corpus([ClipRow(f"c{i:03d}", "train", 1.0, "encodec_24khz", 8) for i in range(100)])
    assert sample(corpus, {}, 200) == list(range(100))
    assert sample(corpus, {}, 4) == [0, 25, 50, 75]
    found = sample(corpus, {7: 1, 93: 2, 94: 1, 95: 1}, 4)
    assert {7, 93} <= set(found) and len(found) == 4 and 94 not in found


def test_ids_and_a_corpus_do_not_go_together(token_folder, capsys):
    result = run(capsys, "inspect @ --corpus --ids a/take.1", token_folder)
    assert result.status == 2 and "--corpus" in result.error


def test_text_is_that_of_wf_inspect(token_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inspect.main(["--tokens-root", str(token_folder), "--recursive"]) == 0
    expected = capsys.readouterr().out.splitlines()
    assert run(capsys, "inspect @ --text", token_folder).out == expected
    assert not [name for name in files_under(tmp_path) if name.endswith(".html")]
    cut(token_folder / "a/take.2.cond.npy", 60)
    result = run(capsys, "inspect @ --text", token_folder)
    assert result.status == 1 and "[1] problem" in result.out[2]


def test_json_is_for_programs(built, capsys):
    result = run(capsys, "inspect @ --json --ids test/one", built)
    said = json.loads("\n".join(result.out))
    assert (said["clips"], said["codebooks"], said["parameters"]) == (3, [32], [2])
    (shown,) = said["shown"]
    assert (shown["id"], shown["split"], shown["codebooks"]) == ("test/one", "test", 32)
    assert shown["parameters"]["level"]["min"] == -60
    figures = {"min": 2.0, "max": 2.0, "mean": 2.0, "std": 0.0, "missing": 0}
    assert shown["parameters"]["index"] == figures
