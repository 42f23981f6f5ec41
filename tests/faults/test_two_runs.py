"""Two runs on one output at the same time: refused, or harmless."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from preprocess.core import locks
from preprocess.core.locks import LockError, only_run
from preprocess.core.report import run_and_print
from preprocess.steps.recipe import read_recipe
from preprocess.steps.run import run_recipe
from tests.helpers.commands import files_under, run
from tests.helpers.faults import SCENARIOS
from tests.helpers.states import chdir, state

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="there are no such locks here")
SLOW = """
import time
import preprocess.steps.saved_folder, preprocess.steps.run, preprocess.steps.migrate
for module, name in ((preprocess.steps.build, "_make"), (preprocess.steps.export, "_make"),
                     (preprocess.steps.run, "_run_steps"), (preprocess.steps.migrate, "_migrate")):
    setattr(module, name, lambda *arguments: time.sleep(60))
"""
ALONE = {
    "build": ("built/ds", "built/.ds.lock"),
    "export": ("out", ".out.lock"),
    "run": (".", ".run.lock"),
    "migrate": ("ecdc", "ecdc/.migrate.lock"),
}


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("name", ALONE)
def test_a_second_run_is_refused_by_a_line_that_names_the_first(
    name, server, states, tmp_path, capsys, monkeypatch
):
    scenario, (output, lock) = SCENARIOS[name], ALONE[name]
    work = tmp_path / "work"
    shutil.copytree(state(scenario.state, states), work)
    monkeypatch.chdir(work)
    before = files_under(work)
    child = server.start(scenario.words, work, setup=SLOW)
    try:
        wait_for(lambda: (work / lock).exists() and (work / lock).read_bytes())
        second = run(capsys, " ".join(scenario.words))
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert second.status == 1 and second.out == []
    assert re.fullmatch(
        rf"preprocess: error: {re.escape(output)}: process {child.pid} on host "
        rf"{re.escape(socket.gethostname())} has been running since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait until it ends, or choose another output",
        second.error,
    )
    assert files_under(work) - before == {lock}
    # The system released the lock of the killed one.
    with only_run(work / lock, work):
        pass
    assert files_under(work) == before


def test_a_run_that_has_nothing_to_do_needs_no_lock(states, tmp_path, capsys, monkeypatch):
    work = tmp_path / "work"
    shutil.copytree(state("built", states), work)
    monkeypatch.chdir(work)
    words = " ".join(SCENARIOS["build"].words)
    run(capsys, words)
    with only_run(work / "built/.ds.lock", work):
        assert run(capsys, words).status == 0


def test_a_refused_run_leaves_no_folder_behind(tmp_path):
    with only_run(tmp_path / "out/.run.lock", tmp_path / "out"):
        with pytest.raises(LockError), only_run(tmp_path / "out/.run.lock", tmp_path / "out"):
            pass
        assert (tmp_path / "out/.run.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_many_holds_it_at_a_time(tmp_path):
    """A lock file is removed while others open it."""
    lock, held, most, refused = tmp_path / ".lock", [], [], []

    def work() -> None:
        for _ in range(100):
            try:
                with only_run(lock, tmp_path):
                    held.append(1)
                    most.append(len(held))
                    held.pop()
            except LockError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) + len(refused) == 400
    assert not lock.exists()


@pytest.mark.parametrize("name", ["normalize", "encode", "annotate"])
def test_steps_over_files_may_share_an_output(name, server, states, tmp_path):
    """Several machines do so with a part of the clips each; here both have all of them."""
    scenario = SCENARIOS[name]
    alone, work = tmp_path / "alone", tmp_path / "work"
    for folder in (alone, work):
        shutil.copytree(state(scenario.state, states), folder)
    assert server.run(scenario.words, alone).status == 0
    children = [server.start(scenario.words, work) for _ in range(3)]
    for ended in [child.wait() for child in children]:
        assert ended.status == 0, ended.output
    assert {name: (work / name).read_bytes() for name in files_under(work)} == {
        name: (alone / name).read_bytes() for name in files_under(alone)
    }


def test_a_recipe_that_runs_twice_in_one_process_is_refused_too(states, tmp_path, capsys):
    work = tmp_path / "work"
    shutil.copytree(state("recipe", states), work)
    with chdir(work):
        recipe = read_recipe(work / "recipe.yaml")
        first = run_recipe(recipe)
        next(first)
        with pytest.raises(LockError, match=f"process {os.getpid()} on host"):
            run_and_print(run_recipe(recipe))
        first.close()
        assert not (work / ".run.lock").exists()
        assert next(run_recipe(recipe)).current == 5
