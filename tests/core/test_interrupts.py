"""Interrupts, kills and closed pipes: one line or none, and nothing that stays in the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from preprocess.cli.main import main
from preprocess.core.files import atomic_path, temporary_folder
from preprocess.core.temporaries import FOREIGN_AGE_S, remove_stale, temporary_name
from tests.helpers.commands import files_under, write_tokens, write_tone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
ROOT = Path(__file__).parents[2]
MODULES = {
    "preprocess": "preprocess",
    "wf-audio-normalize": "wf_audio_normalize",
    "wf-wav2encodec24": "wf_wav2encodec24",
    "wf-sidecar-init": "wf_sidecar_init",
    "wf-sidecar-add": "wf_sidecar_add",
    "wf-sidecar-audit": "wf_sidecar_audit",
    "wf-inspect": "wf_inspect",
    "wf-build-dataset": "wf_build_dataset",
}


def start(*words: object, **options) -> subprocess.Popen[str]:
    """Start Python with `words`, as a terminal would.

    A shell's background job, such as a CI may run these tests in, ignores SIGINT, and so would what
    it starts.
    """
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return subprocess.Popen([sys.executable, *map(str, words)], **{**streams, **options})


def command(name: str, *words: object) -> tuple[object, ...]:
    """Return the words that run a console script, installed or not."""
    call = f"import sys; from preprocess.cli.entry import {MODULES[name]} as run; sys.argv[0] = {name!r}"
    return "-c", f"{call}; sys.exit(run())", *words


@pytest.mark.parametrize("name", MODULES)
def test_every_installed_command_starts_at_its_entry_point(name):
    """An import in the script itself would come before anything could catch an interrupt."""
    scripts = (ROOT / "pyproject.toml").read_text()
    assert f'{name} = "preprocess.cli.entry:{MODULES[name]}"' in scripts


@pytest.mark.parametrize("name", MODULES)
def test_an_interrupt_while_importing_is_one_line(name, tmp_path):
    """Each was a traceback of the import that it came in."""
    write_tokens(tmp_path / "a.ecdc")
    # The first import beyond the entry point waits for the signal.
    slow = "import sys, time, importlib.abc\n"
    slow += "class Wait(importlib.abc.MetaPathFinder):\n"
    slow += "    def find_spec(self, name, path, target=None):\n"
    slow += "        if name in ('preprocess.cli.main', 'preprocess.cli.wf'):\n"
    slow += "            print('importing', flush=True)\n"
    # In short steps: a signal just before a long sleep would be handled after it.
    slow += "            for _ in range(2000): time.sleep(0.01)\n"
    slow += "sys.meta_path.insert(0, Wait())\n"
    process = start("-c", f"{slow}sys.argv[0] = {name!r}\n{command(name)[1]}")
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"{name}: interrupted\n")


def test_an_interrupt_at_any_moment_is_one_line(tmp_path):
    """From the entry point's first line to the end of the work: never a traceback."""
    for index in range(3):
        write_tone(tmp_path / f"in/{index}.wav", 2)
    for delay in np.linspace(0.05, 1.6, 5):
        arguments = ("encode", tmp_path / "in", tmp_path / "out", "--codec", "encodec_24khz_demo")
        begun = "import sys; import preprocess.cli.entry; print('begun', flush=True); "
        process = start("-c", begun + command("preprocess")[1], *arguments)
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.02)  # to where the handler is set
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == 130, err
        assert len(err.splitlines()) == 1 and "interrupted" in err, err
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


IMPORT_IN_THE_WORK = """
import sys, time, types, preprocess.cli.main
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("importing", flush=True)
            for _ in range(2000): time.sleep(0.01)
sys.modules.pop("torch", None)
sys.meta_path.insert(0, Slow())
"""


def test_an_interrupt_within_an_import_of_the_work_is_one_line(tmp_path):
    """torch's native code aborted the process, with 50 lines."""
    write_tone(tmp_path / "in/0.wav")
    words = ("encode", tmp_path / "in", tmp_path / "out", "--codec", "encodec_24khz_demo")
    process = start("-c", IMPORT_IN_THE_WORK + command("preprocess")[1], *words)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "preprocess: interrupted\n")


SLOW_ROWS = """
import sys, time, enchf_dataset
def slow(*arguments):
    print("row", flush=True)
    time.sleep(30)
enchf_dataset.clip_row = slow
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupt_of_a_build_is_one_line_of_all_its_processes(processes, tmp_path):
    """A terminal interrupts the workers too: theirs were 126 lines, and the status 1."""
    for index in range(2):
        write_tokens(tmp_path / f"ecdc/{index}.ecdc")
    words = ("build", tmp_path / "ecdc", tmp_path / "ds", "--num-proc", processes)
    code = SLOW_ROWS + command("preprocess")[1]
    process = start("-c", code, *words, start_new_session=True)
    assert process.stdout.readline() == "row\n"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(err.splitlines()) == 1 and "interrupted" in err, err
    assert [path.name for path in tmp_path.iterdir()] == ["ecdc"]


def test_an_interrupt_of_an_audit_is_one_line_of_all_its_processes(tmp_path):
    for index in range(4):
        write_tokens(tmp_path / f"{index}.ecdc", seed=index)
    code = "import preprocess.steps.audit as audit, time\naudit._CLIPS_A_PROCESS = 1\n"
    code += "import preprocess.core.process_pool as pool\nexecutor = pool.ProcessPoolExecutor\n"
    code += "def start(*a, **k):\n    print('starts', flush=True)\n    return executor(*a, **k)\n"
    code += "pool.ProcessPoolExecutor = start\n" + command("preprocess")[1]
    for delay in (0.1, 0.6):
        words = ("audit", tmp_path, "--jobs", 2)
        process = start("-c", code, *words, start_new_session=True)
        assert process.stdout.readline() == "starts\n"
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        if process.returncode != 130:  # it was done before, with four clips without sidecars
            # While the interpreter ends, a signal has its default effect.
            assert process.returncode in (1, -signal.SIGINT) and "Traceback" not in err, err
            continue
        assert len(err.splitlines()) == 1 and "interrupted" in err, err


def test_a_command_started_with_interrupts_off_keeps_them_off(tmp_path):
    """As nohup and `&` in a script start it."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + command("preprocess")[1]
    )
    code = code.replace("sys.exit(run())", "run(); print(signal.getsignal(signal.SIGINT))")
    process = start("-c", code, "audit", tmp_path / "nowhere")
    out, _ = process.communicate(timeout=60)
    assert out.split() == [str(signal.SIG_IGN)]


PIPED = [
    ("preprocess", ["--help"]),
    ("preprocess", ["audit", "@", "--format", "json"]),
    ("preprocess", ["audit", "@"]),
    ("preprocess", ["migrate", "@"]),
    ("preprocess", ["stats", "@"]),
    ("wf-inspect", ["--tokens-root", "@"]),
    ("wf-sidecar-audit", ["--audio-root", "@", "--list", "all"]),
    ("wf-sidecar-init", ["--audio-root", "@"]),
]


@pytest.mark.parametrize(("name", "words"), PIPED, ids=lambda v: v if isinstance(v, str) else v[0])
def test_a_pipe_that_nobody_reads_ends_a_command_without_a_word(name, words, tmp_path):
    """`| head` printed "Broken pipe" or "Exception ignored", with status 1 or 120."""
    write_tokens(tmp_path / "a.ecdc")
    read, write = os.pipe()
    os.close(read)
    given = [tmp_path if word == "@" else word for word in words]
    # Unbuffered, --help would fail within argparse, which takes that for printed.
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    process = start(*command(name, *given), stdout=write, env=buffered)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 141
    assert not any(words in err for words in ("Broken pipe", "Exception ignored", "Traceback"))
    if name == "wf-sidecar-init":
        assert (tmp_path / "a.cond.json").exists(), "what a step does, it does before it prints"


def test_both_pipes_may_be_closed(tmp_path):
    write_tokens(tmp_path / "a.ecdc")
    read, write = os.pipe()
    os.close(read)
    process = start(*command("preprocess", "audit", tmp_path), stdout=write, stderr=write)
    os.close(write)
    assert process.wait(timeout=60) == 141


def test_a_closed_stdout_is_no_error(tmp_path):
    write_tokens(tmp_path / "a.ecdc")
    words = [sys.executable, *map(str, command("preprocess", "migrate", tmp_path))]
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *words], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")


LEAVE = """
import sys, time
from pathlib import Path
from preprocess.core.files import atomic_path, temporary_folder
target = Path(sys.argv[1])
with atomic_path(target) as file, temporary_folder(target.with_name("ds")) as folder:
    file.write_bytes(b"half"); (folder / "rows").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def killed(tmp_path):
    """What a process that was killed in the midst of a write leaves."""
    process = start("-c", LEAVE, tmp_path / "sub/take.1.ecdc")
    assert process.stdout.readline() == "writing\n"
    left = sorted(p.name for p in (tmp_path / "sub").iterdir())
    assert len(left) == 2 and all(name.startswith(".") for name in left)
    return process, tmp_path


def test_what_a_killed_process_left_is_removed_and_a_live_ones_is_not(killed):
    process, root = killed
    try:
        assert remove_stale(root) == 0, "it is still writing"
        process.kill()  # -9
        for _ in range(100):  # until it has died: nobody has asked how yet
            if remove_stale(root):
                break
            time.sleep(0.05)
        remove_stale(root)
        assert list((root / "sub").iterdir()) == []
    finally:
        process.kill()
        process.communicate()


def test_a_number_that_another_process_has_now_does_not_keep_a_file(tmp_path):
    name = temporary_name("a.ecdc")
    pid = f"-{os.getpid()}-"
    host, started = name.split(pid)[0], name.split(pid)[1].split("-")[0]
    earlier = f"{host}{pid}{int(started) - 1}-00000000.tmp"
    for each in (name, earlier):
        (tmp_path / each).touch()
    assert remove_stale(tmp_path) == 1
    assert files_under(tmp_path) == {name}


def test_a_file_of_another_machine_stays_for_a_day(tmp_path):
    old, new = ".a.ecdc.00000000-1-1-00000000.tmp", ".b.ecdc.00000000-1-1-00000000.tmp"
    unnamed, users = ".a.ecdc.1f71e177.tmp", ".notes.tmp"
    for name in (old, new, unnamed, users):
        (tmp_path / name).touch()
    past = time.time() - FOREIGN_AGE_S - 60
    for name in (old, unnamed, users):
        os.utime(tmp_path / name, (past, past))
    remove_stale(tmp_path)
    assert files_under(tmp_path) == {new, users}


def test_a_long_name_has_room_for_a_temporary_one(tmp_path):
    target = tmp_path / ("\N{LATIN SMALL LETTER E WITH ACUTE}" * 125 + ".ecdc")
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"


STEPS = {
    "normalize": ["normalize", "in", "out"],
    "encode": ["encode", "in", "out", "--codec", "encodec_24khz_demo"],
    "annotate": ["annotate", "out", "--constant", "name=x", "value=1"],
    "migrate": ["migrate", "out", "--write"],
    "build": ["build", "out", "built/ds"],
}


@pytest.mark.parametrize("words", STEPS.values(), ids=STEPS)
def test_the_next_run_of_a_step_cleans_up(words, tmp_path, monkeypatch):
    """They stayed for ever."""
    monkeypatch.chdir(tmp_path)
    write_tone(Path("in/a.wav"))
    if words[0] not in ("normalize", "encode"):
        write_tokens(Path("out/a.ecdc"), "encodec_24khz_demo")
    folder = Path("built" if words[0] == "build" else "out/sub")
    process = start("-c", LEAVE, tmp_path / folder / "b.ecdc")
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()
    assert len(list(folder.iterdir())) == 2
    assert main(words) == 0
    assert not [name for name in folder.iterdir() if name.name.startswith(".")]


def test_a_dry_run_removes_nothing(tmp_path, capsys):
    write_tone(tmp_path / "in/a.wav")
    stale = tmp_path / "out/.a.wav.1f71e177.tmp"
    stale.parent.mkdir()
    stale.touch()
    os.utime(stale, (0, 0))
    main(["normalize", str(tmp_path / "in"), str(tmp_path / "out"), "--dry-run"])
    assert stale.exists()
    main(["normalize", str(tmp_path / "in"), str(tmp_path / "out")])
    assert not stale.exists()


def test_a_folder_is_removed_with_what_is_in_it(tmp_path):
    with temporary_folder(tmp_path / "ds") as folder:
        (folder / "sub").mkdir()
        (folder / "sub/rows").touch()
    assert list(tmp_path.iterdir()) == []
