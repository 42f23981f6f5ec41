"""The predecessor's files load as they are, and migrate to the same codes and values."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import write_sidecar
from preprocess.stats.corpus_stats import CorpusStats
from preprocess.stats.scaling import normalise
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.commands import assert_says, files_under, write_tokens
from tests.helpers.predecessor import old_tokens, preprocess, version_1, version_2

FRAMES = 10
GAIN = np.linspace(-60, 0, FRAMES)
SCENE = np.full(FRAMES, 7.0)


@pytest.fixture
def root(tmp_path):
    """A clip with each kind of sidecar, one without, and one that is current."""
    root = tmp_path / "ecdc"
    for seed, name in enumerate(("v1", "v1_odd", "s/v2", "none")):
        old_tokens(root / f"{name}.ecdc", seed=seed)
    version_1(root / "v1.ecdc", gain=GAIN, scene=SCENE)
    version_1(root / "v1_odd.ecdc", ".cond.cond.json", gain=GAIN)
    gain = {"values": GAIN, "units": "dB", "doc_string": "Level", "min": -80.0, "max": 0.0}
    version_2(root / "s/v2.ecdc", {"gain": gain, "scene": {"values": SCENE}})
    write_tokens(root / "new.ecdc")
    write_sidecar(root / "new.ecdc", {"gain": GAIN, "scene": SCENE})
    return root


def contents(root):
    return {name: (root / name).read_bytes() for name in files_under(root)}


def values(root, name):
    parameters = read_sidecar(root / f"{name}.ecdc").parameters
    return {key: parameter.values.tobytes() for key, parameter in parameters.items()}


def test_old_files_load_as_they_are(root):
    for name, version in (("v1", 1), ("v1_odd", 1), ("s/v2", 2), ("new", 3)):
        sidecar = read_sidecar(root / f"{name}.ecdc")
        assert sidecar.version == version
        np.testing.assert_allclose(sidecar.parameters["gain"].values, GAIN, rtol=1e-3)
    assert read_ecdc(root / "v1.ecdc").codes.shape == (4, FRAMES)


def test_the_metadata_of_a_clip_called_cond_is_its_own(tmp_path):
    """`a.cond.cond.json` is the sidecar of `a.cond.ecdc`, where there is one."""
    old_tokens(tmp_path / "a.ecdc")
    write_tokens(tmp_path / "a.cond.ecdc")
    write_sidecar(tmp_path / "a.cond.ecdc", {"x": np.zeros(FRAMES)})
    np.save(tmp_path / "a.cond.npy", np.zeros((FRAMES, 1), np.float16))
    with pytest.raises(ValueError, match=r"a\.cond\.json is missing"):
        read_sidecar(tmp_path / "a.ecdc")


def test_a_dry_run_comes_first_and_changes_nothing(root, capsys):
    before = contents(root)
    result = preprocess(capsys, "migrate", root)
    assert (result.status, result.err) == (0, [])
    assert sorted(result.out[:-1]) == [
        "none.ecdc: torch.save -> .ecdc",
        "s/v2.cond.npy: version 2 -> 3",
        "s/v2.ecdc: torch.save -> .ecdc",
        "v1.cond.npy: version 1 -> 3",
        "v1.ecdc: torch.save -> .ecdc",
        "v1_odd.cond.npy: version 1 -> 3",
        "v1_odd.ecdc: torch.save -> .ecdc",
    ]
    assert_says(result.out[-1], ["4 clips", "1 up to date", "dry run"])
    assert contents(root) == before


def test_codes_and_values_stay_and_originals_are_kept(root, capsys):
    before = contents(root)
    names = ("v1", "v1_odd", "s/v2", "none", "new")
    codes = {name: read_ecdc(root / f"{name}.ecdc").codes for name in names}
    stored = {name: values(root, name) for name in names if name != "none"}
    assert preprocess(capsys, "migrate", root, "--write").status == 0
    for name in names:
        data = (root / f"{name}.ecdc").read_bytes()
        assert data.startswith(b"ECDC")
        assert np.array_equal(read_ecdc(root / f"{name}.ecdc").codes, codes[name])
    for name, columns in stored.items():
        assert values(root, name) == columns
        sidecar = read_sidecar(root / f"{name}.ecdc")
        assert sidecar.version == 3
        assert sidecar.time["audio_length"] == 3200
    now = contents(root)
    changed = [name for name in before if not name.startswith("new")]
    assert {name.removesuffix(".orig") for name in now if name.endswith(".orig")} == set(changed)
    assert all(now[f"{name}.orig"] == before[name] for name in changed)
    assert "v1_odd.cond.cond.json" not in now
    again = preprocess(capsys, "migrate", root, "--write")
    assert_says(again.out[-1], ["5 up to date"])
    assert contents(root) == now
    assert preprocess(capsys, "audit", root, "--fail-on", "unreadable_sidecar").status == 0


def test_originals_go_where_that_is_asked_for(root, capsys):
    preprocess(capsys, "migrate", root, "--write", "--no-keep-originals")
    assert not [name for name in files_under(root) if name.endswith(".orig")]
    assert not (root / "v1_odd.cond.cond.json").exists()
    assert read_sidecar(root / "v1_odd.ecdc").version == 3


def test_a_range_is_declared_where_it_says_more_than_the_values(root, capsys):
    preprocess(capsys, "migrate", root, "--write")
    gain = read_sidecar(root / "s/v2.ecdc").parameters["gain"]
    assert (gain.declared, gain.min, gain.max) == (True, -80, 0)
    assert (gain.units, gain.doc_string) == ("dB", "Level")
    assert gain.measured["min"] == -60
    assert not read_sidecar(root / "v1.ecdc").parameters["gain"].declared
    assert not read_sidecar(root / "s/v2.ecdc").parameters["scene"].declared


def test_a_range_that_its_values_fill_is_declared_where_another_clip_shows_it(tmp_path, capsys):
    """A clip from 0 to 1 looks as if that was measured, and took the range from all others."""
    level = {"min": 0.0, "max": 1.0, "mean": 0.4, "std": 0.2}
    for name, values in (("a", np.full(FRAMES, 0.8)), ("b", np.linspace(0, 1, FRAMES))):
        old_tokens(tmp_path / f"{name}.ecdc")
        other = {"values": values}
        version_2(tmp_path / f"{name}.ecdc", {"level": {"values": values, **level}, "other": other})
    assert preprocess(capsys, "migrate", tmp_path, "--write").status == 0
    stats = CorpusStats()
    for name in ("a", "b"):
        parameters = read_sidecar(tmp_path / f"{name}.ecdc").parameters
        assert (parameters["level"].declared, parameters["other"].declared) == (True, False)
        assert [getattr(parameters["level"], key) for key in level] == [*level.values()]
        stats.update(parameters)
    assert (stats["level"].declared_min, stats["level"].declared_max) == (0, 1)
    assert normalise([0.8], stats["level"]) == 0.8


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_of_the_array_stays(dtype, tmp_path, capsys):
    old_tokens(tmp_path / "a.ecdc")
    values = (GAIN + 0.1).astype(dtype)
    np.save(tmp_path / "a.cond.npy", values[:, None])
    (tmp_path / "a.cond.json").write_text(json.dumps({"features": {"gain": {}}}))
    assert preprocess(capsys, "migrate", tmp_path, "--write").status == 0
    after = read_sidecar(tmp_path / "a.ecdc").parameters["gain"].values
    assert (after.dtype, after.tobytes()) == (dtype, values.tobytes())


def test_an_original_that_is_there_already_is_not_overwritten(root, capsys):
    (root / "v1.ecdc.orig").write_text("mine")
    result = preprocess(capsys, "migrate", root, "--write")
    assert result.status == 1
    assert_says(result.error, ["v1.ecdc", "v1.ecdc.orig already exists"])
    assert (root / "v1.ecdc.orig").read_text() == "mine"
    assert not (root / "v1.ecdc").read_bytes().startswith(b"ECDC")


def test_sidecars_of_a_folder_of_their_own_move_beside_the_tokens(tmp_path, capsys):
    ecdc, params = tmp_path / "ecdc", tmp_path / "params"
    old_tokens(ecdc / "a/b.ecdc")
    version_1(params / "a/b.ecdc", gain=GAIN)
    result = preprocess(capsys, "migrate", ecdc, "--cond-root", params, "--write")
    assert (result.status, result.err) == (0, [])
    assert read_sidecar(ecdc / "a/b.ecdc").version == 3
    assert files_under(params) == {"a/b.cond.npy.orig", "a/b.cond.json.orig"}


def test_a_name_that_was_cut_too_short_is_mended_where_it_is_clear(tmp_path, capsys):
    """The predecessor's second writer named the sidecars of take.1 and take.2 take.cond.npy."""
    for name in ("one.1", "two.1", "two.2"):
        old_tokens(tmp_path / f"{name}.ecdc")
    version_2(tmp_path / "one.ecdc", {"gain": {"values": GAIN}})
    version_2(tmp_path / "two.ecdc", {"gain": {"values": GAIN}})
    result = preprocess(capsys, "migrate", tmp_path, "--write")
    assert result.status == 0
    assert_says(result.error, ["note", "two.cond.npy does not belong to exactly one token file"])
    assert read_sidecar(tmp_path / "one.1.ecdc").version == 3
    assert not (tmp_path / "one.cond.npy").exists()
    assert (tmp_path / "two.cond.npy").exists()


def test_a_name_that_is_no_identifier_is_renamed_when_told_how(tmp_path, capsys):
    old_tokens(tmp_path / "a.ecdc")
    version_1(tmp_path / "a.ecdc", **{"my gain": GAIN})
    result = preprocess(capsys, "migrate", tmp_path, "--write")
    assert result.status == 1
    assert_says(result.error, ["'my gain'", "--rename 'my gain'="])
    words = ["migrate", tmp_path, "--write", "--rename", "my gain=gain"]
    assert preprocess(capsys, *words).status == 0
    assert list(read_sidecar(tmp_path / "a.ecdc").parameters) == ["gain"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: old_tokens(root / "v1.ecdc", frames=11), ["10 frames", "has 11"]),
        (lambda root: (root / "v1.cond.json").write_text("{"), ["v1.cond.json is not JSON"]),
        (lambda root: (root / "v1.ecdc").write_bytes(b"\x80no"), ["v1.ecdc"]),
        (lambda root: (root / "v1.cond.npy").write_bytes(b""), ["v1.cond.npy"]),
    ],
)
def test_a_clip_that_cannot_be_migrated_is_named_and_left(root, capsys, spoil, words):
    spoil(root)
    before = {n: data for n, data in contents(root).items() if n.startswith("v1.")}
    result = preprocess(capsys, "migrate", root, "--write")
    assert result.status == 1
    assert_says(result.error, words)
    assert all((root / name).read_bytes() == data for name, data in before.items())
    assert (root / "none.ecdc").read_bytes().startswith(b"ECDC")


def test_the_form_between_the_versions_is_read(tmp_path):
    """Names with `stats`, `units` and `docs` by name, which the predecessor's writer also knew."""
    np.save(tmp_path / "a.cond.npy", GAIN[:, None].astype(np.float16))
    stats = {"gain": {"min": -60.0, "max": 0.0, "mean": -30.0, "std": 19.0}}
    meta = {"names": ["gain"], "stats": stats, "units": {"gain": "dB"}, "docs": {"gain": "Level"}}
    (tmp_path / "a.cond.json").write_text(json.dumps(meta))
    gain = read_sidecar(tmp_path / "a.ecdc").parameters["gain"]
    assert (gain.units, gain.doc_string, gain.min, gain.std) == ("dB", "Level", -60, 19)


@pytest.mark.parametrize("fps", [150, 74.999, float("nan"), 0])
def test_a_wrong_frame_rate_is_an_error_and_replaced_when_told(fps, root, capsys):
    """It was replaced in silence, whatever the values had been measured at."""
    meta = json.loads((root / "s/v2.cond.json").read_text())
    (root / "s/v2.cond.json").write_text(json.dumps({**meta, "fps": fps}))
    before = contents(root)
    result = preprocess(capsys, "migrate", root)
    assert result.status == 1
    assert_says(result.error, [f"v2.cond.npy states {fps:g} frames per second", "--take-codec-fps"])
    assert contents(root) == before
    words = ["migrate", root, "--write", "--take-codec-fps"]
    result = preprocess(capsys, *words)
    assert result.status == 0
    assert f"s/v2.cond.npy: {fps:g} -> 75 frames per second" in result.out
    assert read_sidecar(root / "s/v2.ecdc").fps == 75


def test_a_run_that_was_cut_between_keeping_and_writing_goes_on(root, capsys):
    """The original that it had kept stood in the way for ever."""
    (root / "v1.ecdc.orig").write_bytes((root / "v1.ecdc").read_bytes())
    assert preprocess(capsys, "migrate", root, "--write").status == 0
    assert (root / "v1.ecdc").read_bytes().startswith(b"ECDC")
