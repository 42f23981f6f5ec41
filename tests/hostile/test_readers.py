"""Whatever a file says, its reader returns or refuses it in one line, and touches nothing else."""

from __future__ import annotations

import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.guard import ForbiddenError, check, warm_up, watched
from fuzz.mutations import WRONG, hostile
from fuzz.readers import READERS, Reader
from tests.helpers.formats import examples

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # of numpy: lines of their own
EFFORT = 8
"""How many mutations of each kind are tried for each valid file; `fuzz.fuzz_reader` tries more."""
ALL = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
EDIT = st.tuples(
    st.floats(0, 1, exclude_max=True),  # where, as a fraction of the file
    st.integers(0, 12),  # how many bytes go
    st.one_of(
        st.binary(max_size=9),
        st.sampled_from(
            [b"\xff" * 4, b"\x7f" * 4, b"\0" * 8, b"[" * 500, b"{", b'"', b"\n", b"-1"]
        ),
    ),
)


@pytest.fixture(autouse=True)
def quiet(capfd):
    """Libraries in C write what they think of a file to the terminal."""


@ALL
def test_valid_files_are_read(reader, tmp_path):
    warm_up(reader)
    assert check(reader, reader.seeds()[0], tmp_path) is None


@ALL
def test_mutations_are_read_or_refused_in_one_line(reader, tmp_path):
    warm_up(reader)
    refusals = []
    for number, seed in enumerate(reader.seeds()):
        for data in hostile(seed, reader.form, EFFORT):
            refusals.append(check(reader, data, tmp_path))
        assert len(refusals) > (number + 1) * EFFORT
    takes_all = reader.name in ("frames", "description", "report")  # they answer whatever they get
    assert takes_all or len(set(refusals)) > 1


@ALL
@given(data=st.data())
@examples(40)
def test_edits_anywhere_are_read_or_refused_in_one_line(reader: Reader, tmp_path: Path, data):
    content = data.draw(st.sampled_from(reader.seeds()))
    for where, gone, new in data.draw(st.lists(EDIT, min_size=1, max_size=4)):
        at = int(where * len(content))
        content = content[:at] + new + content[at + gone :]
    check(reader, content, tmp_path)


VALUES = st.recursive(
    st.one_of(st.sampled_from(WRONG), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
JSON = [reader for reader in READERS.values() if reader.form == "json"]


@pytest.mark.parametrize("reader", JSON, ids=[reader.name for reader in JSON])
@given(data=st.data())
@examples(40)
def test_any_value_under_any_key_is_read_or_refused_in_one_line(reader, tmp_path, data):
    import json

    line = data.draw(st.sampled_from(reader.seeds())).splitlines()[0]
    document = json.loads(line)
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    check(reader, json.dumps(document).encode(), tmp_path)


class Evil:
    """Starts a process where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("name", ["container", "torch", "array", "curve_array", "stats", "info"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_pickle_is_executed(name, protocol, tmp_path):
    """Bare, in an archive of torch.save, and as an array of objects."""
    mark = tmp_path / "ran"
    data = pickle.dumps({"audio_codes": Evil(mark)}, protocol)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/data.pkl", data)
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 2), }"
    objects = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data
    for content in (data, archive.read_bytes(), objects):
        pickle_of_evil = READERS[name]
        if name in ("container", "torch") and protocol == 0:
            assert not content.startswith(b"\x80")
        assert check(pickle_of_evil, content, tmp_path) is not None
    assert not mark.exists()


YAML_CODE = (
    "input: !!python/object/apply:os.system ['touch {}']",
    "? !!python/object/new:os.system ['touch {}']\n: 1",
    "input: !!python/name:os.system",
    "input: !!python/module:antigravity",
    "input: !<tag:yaml.org,2002:python/object/apply:subprocess.getoutput> ['touch {}']",
)


@pytest.mark.parametrize("text", YAML_CODE)
@pytest.mark.parametrize("name", ["recipe", "card"])
def test_no_yaml_is_executed(text, name, tmp_path):
    mark = tmp_path / "ran"
    content = text.replace("{}", str(mark))
    data = f"---\n{content}\n---\n# Card\n" if name == "card" else content
    assert check(READERS[name], data.encode(), tmp_path) is not None
    assert not mark.exists()


def test_the_watch_sees_what_is_forbidden(tmp_path):
    """Else the tests above would pass for any reader."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    deeds = (
        lambda: outside.write_text("x"),
        lambda: (inside / "link").write_text("x"),
        lambda: (inside / ".." / "outside").read_text(),
        lambda: subprocess.run(["true"], check=True),
        lambda: os.system("true"),
        lambda: pickle.loads(pickle.dumps(Evil(outside), 0)),
        lambda: (inside / "a").mkdir() or os.rename(inside / "a", tmp_path / "b"),
    )
    for deed in deeds:
        with pytest.raises(ForbiddenError), watched(inside):
            deed()
    with watched(inside):
        (inside / "own").write_text("x")
