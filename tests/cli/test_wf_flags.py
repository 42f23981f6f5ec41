"""Flags of the predecessor's commands that did not do what they did there."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from preprocess.cli import entry
from preprocess.cli.wf import build_dataset, inspect, sidecar_add
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from tests.helpers.commands import assert_says, files_under, write_tokens
from tests.helpers.predecessor import call

FRAMES = 10
ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path):
    """Two clips without sidecars, one of them with a number in its name."""
    write_tokens(tmp_path / "ecdc/a_tempo_120.5.ecdc", seed=1)
    write_tokens(tmp_path / "ecdc/plain.ecdc", seed=2)
    return tmp_path / "ecdc"


def add(capsys, root, *words):
    return call(capsys, sidecar_add.main, "--audio-root", root, *words)


def look(capsys, *words):
    return call(capsys, inspect.main, *words)


@pytest.mark.parametrize(
    ("script", "function"),
    [
        ("wf-audio-normalize", "wf_audio_normalize"),
        ("wf-wav2encodec24", "wf_wav2encodec24"),
        ("encodec-sidecar-init", "wf_sidecar_init"),
        ("encodec-sidecar-add", "wf_sidecar_add"),
        ("encodec-sidecar-audit", "wf_sidecar_audit"),
        ("encodec-sidecar-inspect", "wf_inspect"),
        ("encodec-build-dataset", "wf_build_dataset"),
    ],
)
def test_every_name_that_the_predecessor_installed_is_there(script, function):
    (command,) = metadata.entry_points(group="console_scripts", name=script)
    assert command.load() is getattr(entry, function)


def test_the_table_of_flags_knows_every_flag():
    """A flag that is not in the table was not tried."""
    from preprocess.cli.wf import audio_normalize, sidecar_audit, sidecar_init, wav2encodec24

    modules = (audio_normalize, wav2encodec24, sidecar_init, sidecar_add, sidecar_audit, inspect)
    text = (ROOT / "docs/migrating.md").read_text()
    for module in (*modules, build_dataset):
        source = Path(module.__file__).read_text()
        for flag in set(re.findall(r'"(--[a-z][a-z-]*)"', source)) - {"--help"}:
            assert f"`{flag}`" in text, (module.__name__, flag)


def test_create_missing_makes_a_sidecar_where_no_producer_makes_anything(root, capsys):
    """The clip without a number in its name stayed without a sidecar."""
    result = add(capsys, root, "--from-filename", "--create-missing")
    assert result.status == 0
    assert_says(result.out[-1], ["2 clips"])
    assert list(read_sidecar(root / "a_tempo_120.5.ecdc").parameters) == ["tempo"]
    empty = read_sidecar(root / "plain.ecdc")
    assert (empty.parameters, empty.n_frames) == ({}, FRAMES)
    assert_says(add(capsys, root, "--from-filename", "--create-missing").out[-1], ["up to date"])


def test_create_missing_does_not_empty_an_array_that_lost_its_metadata(root, capsys):
    write_sidecar(root / "plain.ecdc", {"x": np.arange(FRAMES)})
    (root / "plain.cond.json").unlink()
    before = (root / "plain.cond.npy").read_bytes()
    add(capsys, root, "--from-filename", "--create-missing")
    assert (root / "plain.cond.npy").read_bytes() == before


def test_clips_that_are_skipped_are_not_called_up_to_date(root, capsys):
    write_sidecar(root / "plain.ecdc", {})
    result = add(capsys, root, "--const", "x=1")
    assert_says(result.error, ["skipped, no sidecar: 1"])
    assert "up to date" not in result.out[-1]


@pytest.mark.parametrize("name", ["plugs/const.py", "plugs.const"])
def test_a_plug_in_named_by_its_path_takes_a_built_ins_place_too(
    root, tmp_path, capsys, monkeypatch, name
):
    """Both made the parameter, which was an error."""
    (tmp_path / "plugs").mkdir()
    (tmp_path / "plugs/const.py").write_text(
        "def add_cli_args(ap): ap.add_argument('--const', action='append')\n"
        "def produce(ecdc_path, T, args): return {args.const[0].split('=')[0]: [5.0] * T}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = add(capsys, root, "--producer", name, "--const", "x=1", "--create-missing")
    assert (result.status, result.err) == (0, [])
    assert read_sidecar(root / "plain.ecdc").parameters["x"].values[0] == 5


@pytest.mark.parametrize(
    "regex",
    [
        r"_(?P<name>tempo)_(?P<value>[\d.]+?)\.ecdc$",
        r"_(?P<name>tempo)_(?P<value>[\d.]+)",
        r"_(?P<name>tempo)_(?P<value>[\d.]+)\.ecdc$",
    ],
)
def test_a_regex_is_searched_for_in_the_full_file_name(root, capsys, regex):
    """One that names the ending found nothing: the name came without it."""
    result = add(capsys, root, "--from-filename", "--filename-regex", regex, "--create-missing")
    assert result.status == 0
    assert read_sidecar(root / "a_tempo_120.5.ecdc").parameters["tempo"].values[0] == 120.5


def test_indices_out_of_range_are_named_and_the_others_shown(root, capsys):
    """One that is too large was an error, and none was shown."""
    result = look(capsys, "--tokens-root", root, "--indices", "9,1,0:5,1")
    assert result.status == 0
    assert [line[:3] for line in result.out[1:]] == ["[1]", "[0]"], "each once, as it was"
    assert_says(result.error, ["note", "clips are 0 to 1", "ignored [9]"])
    none = look(capsys, "--tokens-root", root, "--indices", "7,9")
    assert none.status == 2
    assert_says(none.error, ["none of the clips 0 to 1"])


def test_verify_looks_at_every_clip_whichever_are_shown(root, capsys):
    """With --indices it said that all were verified, and had read none."""
    result = look(capsys, "--tokens-root", root, "--indices", "0", "--verify")
    assert result.status == 1
    assert_says("\n".join(result.out), ["a_tempo_120.5.ecdc has no sidecar", "plain.ecdc has no"])
    assert "verified" not in result.out[-1]


@pytest.fixture
def rows_alone(token_folder, tmp_path, capsys):
    """A dataset that was built without token files."""
    words = [token_folder, tmp_path / "hf", "--recursive", "--materialize", "none", "--verify"]
    assert call(capsys, build_dataset.main, *words).status == 0
    assert not (tmp_path / "hf/tokens").exists()
    return tmp_path / "hf"


def test_a_dataset_without_token_files_is_shown_from_its_rows(rows_alone, token_folder, capsys):
    """All of its clips were problems: their files were looked for beside it."""
    result = look(capsys, "--hf-ds", rows_alone, "--display-params", 2, "--verify")
    assert result.status == 0
    assert_says(result.error, ["note", "showing its rows"])
    assert_says(
        "\n".join(result.out),
        ["3 clips", "codebooks: [32], parameters: [2]", "take.1.ecdc: encodec_24khz_demo", "K=32"],
    )
    assert_says(result.out[-1], ["verified"])
    names = [line for line in result.out if line.startswith("[1] take.2")]
    assert_says(names[0], ["parameters ['level', 'index']"])
    at = result.out.index(names[0])
    assert [float(word) for word in result.out[at + 2].split()] == [0, -60, 1]


def test_a_row_without_parameters_is_a_problem_of_verify(tmp_path, capsys):
    write_tokens(tmp_path / "ecdc/a.ecdc")
    words = [tmp_path / "ecdc", tmp_path / "hf", "--materialize", "none"]
    assert call(capsys, build_dataset.main, *words).status == 0
    assert look(capsys, "--hf-ds", tmp_path / "hf").status == 0
    result = look(capsys, "--hf-ds", tmp_path / "hf", "--verify")
    assert result.status == 1
    assert_says("\n".join(result.out), ["a.ecdc has no parameters"])


def test_token_files_that_are_gone_are_problems(token_folder, tmp_path, capsys):
    """Rows stand in only for a dataset that was built without files."""
    words = [token_folder, tmp_path / "hf", "--recursive", "--materialize", "copy"]
    assert call(capsys, build_dataset.main, *words).status == 0
    (tmp_path / "hf/tokens/b/one.ecdc").unlink()
    result = look(capsys, "--hf-ds", tmp_path / "hf")
    assert result.status == 1
    assert_says("\n".join(result.out), ["problem", "one.ecdc"])


def test_build_takes_the_flags_that_the_predecessor_took(token_folder, tmp_path, capsys):
    """A nested --tokens-subdir and --max-files 0, which is all, were errors of `preprocess`."""
    words = [token_folder, tmp_path / "hf", "--recursive", "--tokens-subdir", "data/tokens"]
    words += ["--materialize", "copy", "--verify", "--split", "valid", "--suffix", ".ecdc"]
    result = call(capsys, build_dataset.main, *words, "--max-files", 0)
    assert result.status == 0
    assert_says(result.out[-1], ["3 rows", "split valid 3", "3 rows verified"])
    assert "hf/data/tokens/a/take.1.cond.npy" in files_under(tmp_path)
    assert_says(call(capsys, build_dataset.main, *words, "--max-files", 2).out[-1], ["2 rows"])
    shown = look(capsys, "--hf-ds", tmp_path / "hf", "--split", "valid", "--verify")
    assert shown.status == 0
    assert_says(shown.out[0], ["2 clips"])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--max-files", "few"], "--max-files"),
        (["--tokens-subdir", "../out"], "--tokens-subdir"),
        (["--split", "my split"], "--split"),
    ],
)
def test_build_names_itself_in_what_it_refuses(root, tmp_path, capsys, words, part):
    result = call(capsys, build_dataset.main, root, tmp_path / "hf", *words)
    assert result.status == 2
    assert_says(result.error, ["wf-build-dataset: error: ", part])
