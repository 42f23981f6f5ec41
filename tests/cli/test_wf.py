"""The predecessor's commands take its flags and do what they said."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from preprocess.cli.wf import inspect, sidecar_add, sidecar_audit, sidecar_init
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from tests.helpers.commands import assert_says, files_under, write_tokens
from tests.helpers.predecessor import call, old_tokens, version_1

FRAMES = 10


@pytest.fixture
def root(tmp_path):
    """Four clips: three as the predecessor's tokens, one as ours."""
    root = tmp_path / "ecdc"
    old_tokens(root / "a_tempo_120.5.ecdc", seed=1)
    old_tokens(root / "b_tempo_90.ecdc", seed=2)
    old_tokens(root / "s/c_tempo_-3_gain_2.ecdc", frames=11, seed=3)
    write_tokens(root / "d_tempo_1.ecdc")
    return root


NAMES = ("a_tempo_120.5", "b_tempo_90", "s/c_tempo_-3_gain_2", "d_tempo_1")


def init(capsys, *words):
    return call(capsys, sidecar_init.main, *words)


def add(capsys, *words):
    return call(capsys, sidecar_add.main, *words)


def audit(capsys, *words):
    return call(capsys, sidecar_audit.main, *words)


def look(capsys, *words):
    return call(capsys, inspect.main, *words)


def first_values(root, name):
    parameters = read_sidecar(root / f"{name}.ecdc").parameters
    return {key: float(parameter.values[0]) for key, parameter in parameters.items()}


def test_init_makes_an_empty_sidecar_for_every_clip_and_a_manifest(root, tmp_path, capsys):
    params, manifest = tmp_path / "params", tmp_path / "out/manifest.csv"
    words = ["--audio-root", root, "--cond-root", params, "--manifest-csv", manifest]
    result = init(capsys, *words)
    assert (result.status, result.err) == (0, [])
    assert_says(result.out[-1], ["4 clips"])
    for name in NAMES:
        array = np.load(params / f"{name}.cond.npy")
        assert (array.shape[1], array.dtype) == (0, np.float16)
        assert array.shape[0] == (11 if name.startswith("s/") else 10)
    assert not [name for name in files_under(root) if "cond" in name]
    with open(manifest, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rel_ecdc"] for row in rows] == [f"{n}.ecdc" for n in sorted(NAMES)]
    assert rows[-1] == {
        "rel_ecdc": "s/c_tempo_-3_gain_2.ecdc",
        "rel_cond": "s/c_tempo_-3_gain_2.cond.npy",
        "frames": "11",
        "D": "0",
        "fps": "75",
        "codebooks": "4",
    }


def test_init_leaves_what_is_there_unless_told(root, capsys):
    write_sidecar(root / "d_tempo_1.ecdc", {"x": np.arange(FRAMES)})
    result = init(capsys, "--audio-root", root, "--dtype", "float32")
    assert_says(result.out[-1], ["3 clips", "1 up to date"])
    assert list(read_sidecar(root / "d_tempo_1.ecdc").parameters) == ["x"]
    init(capsys, "--audio-root", root, "--overwrite")
    assert read_sidecar(root / "d_tempo_1.ecdc").parameters == {}


def test_init_stops_at_an_error_or_goes_on(root, capsys):
    (root / "b_tempo_90.ecdc").write_text("no tokens")
    result = init(capsys, "--audio-root", root)
    assert result.status == 1
    assert_says("\n".join(result.err), ["b_tempo_90.ecdc", "--skip-errors"])
    assert not (root / "d_tempo_1.cond.npy").exists()
    assert init(capsys, "--audio-root", root, "--skip-errors").status == 1
    assert (root / "d_tempo_1.cond.npy").exists()


def test_shards_together_are_all(root, capsys):
    for index in range(3):
        words = ["--audio-root", root, "--shard-index", index, "--shard-count", 3]
        assert init(capsys, *words).status == 0
    assert len([name for name in files_under(root) if name.endswith(".npy")]) == 4
    assert init(capsys, "--audio-root", root, "--shard-index", 3).status == 2


def test_add_runs_the_four_built_in_producers(root, demo_codec, tmp_path, capsys):
    words = ["--audio-root", root, "--producer", "const", "--producer", "lin", "--create-missing"]
    words += ["--const", "scene_id=7", "--const", "instrument=2", "--lin", "gain=0:1"]
    result = add(
        capsys,
        *words,
        "--from-filename",
        "--filename-regex",
        r"_(?P<name>tempo)_(?P<value>-?[\d.]+)",
    )
    assert (result.status, result.err) == (0, [])
    assert first_values(root, "a_tempo_120.5") == {
        "scene_id": 7,
        "instrument": 2,
        "gain": 0,
        "tempo": 120.5,
    }
    gain = read_sidecar(root / "s/c_tempo_-3_gain_2.ecdc").parameters["gain"].values
    np.testing.assert_allclose(gain, np.linspace(0, 1, 11), atol=1e-3)
    assert first_values(root, "s/c_tempo_-3_gain_2")["tempo"] == -3


def test_add_measures_the_decoded_tokens(tmp_path, demo_codec, capsys):
    from preprocess.tokens.ecdc import write_ecdc
    from tests.helpers.signals import tone

    write_ecdc(tmp_path / "a.ecdc", demo_codec.encode(tone(440, 24_000, 24_000)[None], 24))
    words = ["--audio-root", tmp_path, "--from-audio", "--audio-feats", "rms_db,f0_hz"]
    assert add(capsys, *words, "--device", "cpu", "--create-missing").status == 0
    parameters = read_sidecar(tmp_path / "a.ecdc").parameters
    assert list(parameters) == ["rms_db", "f0_hz", "voiced"]
    np.testing.assert_allclose(parameters["rms_db"].values[5:-5], -20, atol=2)
    assert np.nanmedian(parameters["f0_hz"].values) == pytest.approx(440, rel=0.01)


def test_add_skips_clips_without_a_sidecar_unless_told(root, capsys):
    version_1(root / "a_tempo_120.5.ecdc", ".cond.cond.json", gain=np.arange(FRAMES))
    result = add(capsys, "--audio-root", root, "--const", "x=1")
    assert result.status == 0
    assert_says(result.error, ["no sidecar: 3", "--create-missing"])
    assert first_values(root, "a_tempo_120.5") == {"gain": 0, "x": 1}
    assert read_sidecar(root / "a_tempo_120.5.ecdc").version == 3


@pytest.mark.parametrize(("mode", "value"), [("append", 1), ("overwrite", 2)])
def test_add_keeps_or_replaces_what_is_there(root, capsys, mode, value):
    add(capsys, "--audio-root", root, "--const", "x=1", "--create-missing")
    add(capsys, "--audio-root", root, "--const", "x=2", "--mode", mode)
    assert first_values(root, "d_tempo_1") == {"x": value}


PLUG_IN = '''"""Three times a number."""
import numpy as np

state = []

def add_cli_args(parser):
    parser.add_argument("--times", type=float, default=1.0, help="the number")

def init(args):
    state.append("init")

def produce(ecdc_path, T, *, args):
    return {"triple": np.full(T, 3 * args.times), "started": [len(state)] * T}

def shutdown(args):
    state.append("shutdown")
    print("shut down", state)
'''


def test_add_runs_a_plug_in_as_the_predecessor_did(root, tmp_path, capsys):
    (tmp_path / "plugs").mkdir()
    (tmp_path / "plugs/three.py").write_text(PLUG_IN)
    folder = ["--producers-dir", tmp_path / "plugs"]
    words = ["--audio-root", root, *folder, "--producer", "three", "--times", 4, "--create-missing"]
    result = add(capsys, *words)
    assert (result.status, result.err) == (0, [])
    assert first_values(root, "d_tempo_1") == {"triple": 12, "started": 1}
    assert "shut down ['init', 'shutdown']" in result.out
    shown = add(capsys, *folder, "--show-producer", "three")
    assert_says("\n".join(shown.out), ["Three times a number", "--times"])
    listed = add(capsys, *folder, "--list-producers").out
    assert [line.split()[0] for line in listed] == [
        "const",
        "lin",
        "from_filename",
        "from_audio",
        "three",
    ]
    helped = add(capsys, *folder, "--producer", "three", "--help")
    assert_says("\n".join(helped.out), ["--times", "--const", "--cond-root"])


def test_a_plug_in_of_the_name_of_a_built_in_takes_its_place(root, tmp_path, capsys):
    (tmp_path / "const.py").write_text(
        "def add_cli_args(ap): ap.add_argument('--const')\n"
        "def produce(ecdc_path, T, args): return {'mine': [float(args.const)] * T}\n"
    )
    words = ["--audio-root", root, "--producers-dir", tmp_path, "--producer", "const"]
    assert add(capsys, *words, "--const", "5", "--create-missing").status == 0
    assert first_values(root, "d_tempo_1") == {"mine": 5}


@pytest.mark.parametrize(
    ("words", "status", "parts"),
    [
        (["--const", "x"], 2, ["--const x", "name=value"]),
        (["--const", "x=high"], 2, ["'high' is not a number"]),
        (["--const", "x=1", "--const", "x=2"], 2, ["'x' appears twice"]),
        (["--lin", "x=1"], 2, ["start:end"]),
        (["--const", "x=1", "--lin", "x=0:1"], 1, ["two producers make the parameter 'x'"]),
        (["--const", "my x=1"], 1, ["'my x'", "letters, digits"]),
        (["--const", "x=16777217"], 1, ["'x'", "16777217", "float64"]),
        (["--filename-regex", "("], 2, ["is not a regular expression"]),
        (["--filename-regex", "a"], 2, ["(?P<name>)"]),
        (["--audio-feats", "loudness"], 2, ["--audio-feats", "loudness"]),
        (["--producer", "nowhere"], 2, ["nowhere cannot be imported"]),
        (["--producer", "json"], 2, ["'json' has no function 'produce'"]),
        ([], 2, ["nothing to add"]),
        (["--nosuch"], 2, ["--nosuch"]),
    ],
)
def test_what_cannot_be_added_is_one_line_and_writes_nothing(root, capsys, words, status, parts):
    result = add(capsys, "--audio-root", root, "--create-missing", *words)
    assert result.status == status
    assert_says(result.err[-1], parts)
    assert not [name for name in files_under(root) if "cond" in name]


def test_what_a_plug_in_raises_names_it_and_its_line(root, tmp_path, capsys):
    (tmp_path / "p.py").write_text("def produce(p, T, args):\n    return {}['x']\n")
    words = ["--audio-root", root, "--create-missing", "--producer", tmp_path / "p.py"]
    result = add(capsys, *words)
    assert result.status == 1
    assert_says(result.err[-1], ["KeyError", "p.py:2"])


def test_audit_fails_on_what_it_failed_on(root, tmp_path, capsys):
    add(capsys, "--audio-root", root, "--lin", "gain=0:1", "--create-missing")
    base = ["--audio-root", root]
    assert audit(capsys, *base).status == 0
    (root / "d_tempo_1.cond.npy").unlink()
    (root / "d_tempo_1.cond.json").unlink()
    assert audit(capsys, *base).status == 1
    assert audit(capsys, *base, "--fail-on", "frame_mismatch").status == 0
    assert audit(capsys, *base, "--fail-on", "frame_mismatch,missing_sidecar").status == 1
    found = audit(capsys, *base, "--require", "gain,pitch", "--export-csv", tmp_path / "f.csv")
    assert_says("\n".join(found.err), ["missing_parameter: has no 'pitch'"])
    with open(tmp_path / "f.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # The old token file of the four has more codebooks: no dataset holds it beside the others.
    assert {row["type"] for row in rows} == {"missing_features", "missing_sidecar", "codec"}
    assert {"d_tempo_1.ecdc"} == {r["rel_ecdc"] for r in rows if r["type"] == "missing_sidecar"}
    assert all(row["rel_cond"].endswith(".cond.npy") for row in rows)


@pytest.mark.parametrize(
    ("words", "issue"),
    [
        (["--expect-fps", 50, "--fail-on", "fps_mismatch"], "fps"),
        (["--expect-dtype", "float64", "--fail-on", "dtype_mismatch"], "dtype"),
        (["--verify-ranges", "--range-tol", "1e-6", "--fail-on", "range_above_max"], "range"),
    ],
)
def test_audit_checks_what_its_flags_ask_for(root, capsys, words, issue):
    for name in NAMES:
        frames = 11 if name.startswith("s/") else 10
        write_sidecar(
            root / f"{name}.ecdc", {"x": {"values": np.linspace(0, 3, frames), "min": 0, "max": 2}}
        )
    base = ["--audio-root", root]
    assert audit(capsys, *base).status == 0
    result = audit(capsys, *base, *words, "--list", "all")
    assert result.status == 1
    assert len([line for line in result.err if issue in line]) == 4


def test_audit_takes_a_folder_and_an_ending_of_its_own(root, tmp_path, capsys):
    place = ["--audio-root", root, "--cond-root", tmp_path / "p", "--suffix", ".k.npy"]
    assert add(capsys, *place, "--lin", "x=0:1", "--create-missing").status == 0
    assert (tmp_path / "p/d_tempo_1.k.json").exists()
    assert audit(capsys, *place).status == 0
    assert audit(capsys, "--audio-root", root).status == 1


def test_inspect_shows_clips_of_a_folder(root, capsys):
    add(capsys, "--audio-root", root, "--lin", "x=0:9", "--create-missing")
    flat = look(capsys, "--tokens-root", root)
    assert_says(flat.out[0], ["3 clips"])
    result = look(capsys, "--tokens-root", root, "--recursive", "--show", 1, "--display-params", 3)
    assert result.status == 0
    assert_says(result.out[0], ["4 clips"])
    assert_says(
        "\n".join(result.out), ["codebooks: [2, 4], parameters: [1]", "[T=10, K=4]", "['x']"]
    )
    assert [float(line.split()[1]) for line in result.out[-3:]] == [0, 1, 2]
    chosen = look(capsys, "--tokens-root", root, "--indices", "2,0:2", "--device", "cpu")
    assert [line[:3] for line in chosen.out[1:]] == ["[2]", "[0]", "[1]"]
    assert_says(chosen.out[1], ["on cpu"])


def test_inspect_verifies_every_clip(root, capsys):
    add(capsys, "--audio-root", root, "--lin", "x=0:9", "--create-missing")
    words = ["--tokens-root", root, "--recursive", "--verify"]
    assert_says(look(capsys, *words).out[-1], ["verified"])
    old_tokens(root / "b_tempo_90.ecdc", frames=12)
    (root / "d_tempo_1.cond.npy").unlink()
    (root / "d_tempo_1.cond.json").unlink()
    result = look(capsys, *words)
    assert result.status == 1
    assert_says("\n".join(result.out), ["b_tempo_90.ecdc has 12 frames", "d_tempo_1.ecdc has no"])


def test_inspect_reads_a_built_dataset(token_folder, tmp_path, capsys):
    from preprocess.steps.build import build
    from preprocess.steps.build_config import BuildConfig

    build(token_folder, tmp_path / "ds", BuildConfig())
    result = look(capsys, "--hf-ds", tmp_path / "ds", "--verify", "--show", 5)
    assert result.status == 0
    assert_says("\n".join(result.out), ["3 clips", "K=32", "['level', 'index']"])
    for words, parts in (
        (["--hf-ds", tmp_path / "ds", "--split", "test"], ["no split 'test'", "train"]),
        (["--hf-ds", token_folder], ["is not a saved dataset"]),
        (["--tokens-root", tmp_path / "none"], ["does not exist"]),
        (["--tokens-root", token_folder], ["--recursive"]),
        (["--tokens-root", token_folder, "--recursive", "--indices", "x"], ["0,5,10"]),
        (
            ["--tokens-root", token_folder, "--recursive", "--indices", "3"],
            ["none of the clips 0 to 2"],
        ),
    ):
        wrong = look(capsys, *words)
        assert wrong.status == 2
        assert_says(wrong.error, parts)
