"""A user's function is found by module or file, and what is wrong with it is one line."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import digest_file
from preprocess.params import Function
from preprocess.params.user_code import call_function, import_function


def call(path) -> None:
    name = f"{path}:f"
    call_function(import_function(name).function, name, None)


def test_a_function_of_a_file_and_of_a_module(tmp_path, monkeypatch):
    (tmp_path / "my_knobs.py").write_text("def f(clip): return {'x': clip}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_knobs", raising=False)
    for name in ("my_knobs:f", f"{tmp_path}/my_knobs.py:f"):
        assert import_function(name).function(7) == {"x": 7}


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for index, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "knobs.py").write_text(f"def f(clip): return {index}\n")
    assert [import_function(f"{tmp_path}/{x}/knobs.py:f").function(None) for x in "aba"] == [
        0,
        1,
        0,
    ]


def test_a_file_is_run_once(tmp_path):
    (tmp_path / "once.py").write_text(
        "calls = []\ndef f(clip):\n    calls.append(1)\n    return calls\n"
    )
    name = f"{tmp_path}/once.py:f"
    assert import_function(name).function(None) == [1]
    assert import_function(name).function(None) == [1, 1]


def test_a_file_that_changed_is_imported_anew(tmp_path, monkeypatch):
    """The provenance holds the hash of the new file: the old code must not run under it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "edited.py"
    for value in (1, 2):
        path.write_text(f"def f(clip): return {value}\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))  # the bytecode cache would not notice
        assert import_function(f"{path}:f").function(None) == value


def test_a_file_that_failed_can_be_mended(tmp_path):
    path = tmp_path / "mended.py"
    path.write_text("def f(clip) return 1\n")
    with pytest.raises(UsageError, match=r"mended\.py cannot be imported: SyntaxError"):
        import_function(f"{path}:f")
    path.write_text("def f(clip): return 1\n")
    assert import_function(f"{path}:f").function(None) == 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("f", "must be module:function or path.py:function"),
        ("mod:", "must be module:function"),
        (":f", "must be module:function"),
        ("mod:f()", "must be module:function"),
        ("no_such_module:f", "no_such_module cannot be imported: ModuleNotFoundError"),
        ("no/such/file.py:f", "no/such/file.py does not exist"),
        ("json:no_such", "json has no function 'no_such'"),
        ("json:decoder", "json has no function 'decoder'"),
    ],
)
def test_what_cannot_be_imported_says_why(name, why):
    with pytest.raises(UsageError) as caught:
        import_function(name)
    assert why in str(caught.value)
    assert name in str(caught.value) or name.rpartition(":")[0] in str(caught.value)


def test_an_error_of_many_lines_becomes_one(tmp_path):
    (tmp_path / "long.py").write_text("raise RuntimeError('one\\ntwo')\n")
    with pytest.raises(UsageError) as caught:
        import_function(f"{tmp_path}/long.py:f")
    assert str(caught.value).endswith("RuntimeError: one two")


@pytest.mark.parametrize(
    "code",
    [
        "def f(clip): return {}",
        "class F:\n    def __call__(self, clip): return {}\nf = F()",
        "import functools\nf = functools.partial(lambda clip, x: {}, x=1)",
        "from builtins import dict as f",
    ],
    ids=["function", "callable object", "partial", "imported"],
)
def test_the_settings_hold_the_hash_of_the_users_own_file(tmp_path, code):
    path = tmp_path / "knobs.py"
    path.write_text(code)
    assert Function(function=f"{path}:f").settings()["code"] == digest_file(path)


def test_a_function_of_a_module_without_a_file_has_settings():
    assert Function(function="builtins:dict").settings()["function"] == "builtins:dict"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("exit(3)", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit"),
        ("quit('enough')", "SystemExit: enough"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("import json; json.loads('{')", "JSONDecodeError: "),
    ],
)
def test_exit_in_a_users_function_is_that_clips_error(tmp_path, body, why):
    """It ended the run, with the exit status that the function chose."""
    path = tmp_path / "stops.py"
    path.write_text(f"\ndef f(clip):\n    return helper()\n\ndef helper():\n    {body}\n")
    with pytest.raises(PreprocessError) as caught:
        call(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:f raised {why}") and text.endswith(" at stops.py:6")


def test_an_interrupt_ends_the_run_in_the_main_thread_alone(tmp_path):
    path = tmp_path / "stops.py"
    path.write_text("def f(clip):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        call(path)
    with ThreadPoolExecutor(1) as pool, pytest.raises(PreprocessError, match="KeyboardInterrupt"):
        pool.submit(call, path).result()


def test_exit_at_import_is_one_line(tmp_path):
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(UsageError, match=r"script\.py cannot be imported: SystemExit: 0"):
        import_function(f"{tmp_path}/script.py:f")
