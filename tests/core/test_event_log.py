"""`--log-json`: one object a line for what a command does, whatever else it prints."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from preprocess.cli.main import STEPS, UNLOGGED, build_parser, main
from preprocess.core.event_log import event_log, log_event
from tests.helpers.commands import run, write_tokens, write_tone


def events(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text("ascii").splitlines()]


def test_a_run_logs_the_start_of_each_step_every_failure_and_the_reports_numbers(tmp_path, capsys):
    write_tone(tmp_path / "in/a.wav", 2)
    (tmp_path / "in/b\n.wav").write_bytes(b"no audio")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"codec: encodec_24khz_demo\ninput: {tmp_path / 'in'}\noutput: {tmp_path / 'out'}\n"
    )
    log = tmp_path / "log.jsonl"
    done = run(capsys, "run @ --log-json @", recipe, log)
    assert done.status == 1
    found = events(log)
    starts = [(e["step"], e["phase"], e["total"]) for e in found if e["event"] == "start"]
    assert starts == [
        ("normalize", "", 2),
        ("encode", "compare", 1),
        ("encode", "", 1),
        ("build", "", 1),
    ]
    (failure,) = [e for e in found if e["event"] == "failure"]
    assert failure["step"] == "normalize" and failure["item"].endswith("b\\n.wav")
    assert failure["message"] in done.error, "the line on stderr says the same"
    ends = {e["step"]: e for e in found if e["event"] == "end"}
    assert [*ends] == ["normalize", "encode", "build"]
    assert {k: ends["normalize"][k] for k in ("done", "current", "failed", "audio_s")} == {
        "done": 1,
        "current": 0,
        "failed": 1,
        "audio_s": 2.0,
    }
    assert ends["build"]["output"] == str(tmp_path / "out/dataset")
    assert [e["time"] for e in found] == sorted(e["time"] for e in found)


def test_a_second_run_is_appended_and_counts_what_is_up_to_date(tmp_path, capsys):
    write_tone(tmp_path / "in/a.wav")
    words = ("normalize @ @ --log-json @", tmp_path / "in", tmp_path / "out", tmp_path / "log")
    run(capsys, *words)
    run(capsys, *words)
    ends = [e for e in events(tmp_path / "log") if e["event"] == "end"]
    assert [(e["done"], e["current"]) for e in ends] == [(1, 0), (0, 1)]


def test_an_error_that_ends_a_command_is_its_last_event(tmp_path, capsys):
    done = run(capsys, "audit @ --log-json @", tmp_path / "nowhere", tmp_path / "log")
    assert done.status == 2
    (stop,) = events(tmp_path / "log")
    assert (stop["event"], stop["status"]) == ("stop", 2)
    assert done.error == f"preprocess: {stop['message']}"


def test_findings_as_json_and_the_log_do_not_mix(tmp_path, capsys):
    write_tokens(tmp_path / "a.ecdc")
    done = run(capsys, "audit @ --format json --log-json -", tmp_path)
    assert done.err == [], "the log goes to the process's stderr"
    words = ["audit", "--format", "json", "--log-json", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "preprocess", *words, str(tmp_path)],
        capture_output=True,
        text=True,
    )
    json.loads(done.stdout)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == [
        "start",
        *["failure"] * done.stdout.count('"path"'),
        "end",
    ]


def test_a_log_that_cannot_be_opened_is_wrong_usage(tmp_path, capsys):
    write_tone(tmp_path / "in/a.wav")
    done = run(capsys, "normalize @ @ --log-json @", tmp_path / "in", tmp_path / "out", tmp_path)
    assert done.status == 2 and done.error.endswith(f"--log-json {tmp_path}: Is a directory")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_log_that_is_full_is_said_once_and_the_work_goes_on(tmp_path, capsys):
    for index in range(3):
        write_tone(tmp_path / f"in/{index}.wav")
    words = ("normalize @ @ --log-json /dev/full", tmp_path / "in", tmp_path / "out")
    done = run(capsys, *words)
    assert (done.status, len([*(tmp_path / "out").iterdir()])) == (0, 3)
    assert done.error == "/dev/full: No space left on device; the log ends here"


def _write_many(index: int) -> None:
    for number in range(200):
        log_event("failure", str(index), item="x" * 1000, message=str(number))


@pytest.mark.skipif(os.name != "posix", reason="processes are forked")
def test_lines_of_several_processes_stay_whole(tmp_path):
    with event_log(str(tmp_path / "log")):
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=_write_many, args=(index,)) for index in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    assert len(events(tmp_path / "log")) == 600


@pytest.mark.parametrize("step", STEPS)
def test_every_step_over_a_corpus_has_the_flag(step, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args([step, "--help"])
    assert ("--log-json" in capsys.readouterr().out) == (step not in UNLOGGED)


def test_without_the_flag_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "in/a.wav")
    assert main(["normalize", "in", "out"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert capsys.readouterr().err == ""


def test_packing_and_unpacking_are_logged(token_folder, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    packed, back = tmp_path / "packed", tmp_path / "back"
    assert run(capsys, "pack @ @ --log-json @", token_folder, packed, log).status == 0
    assert run(capsys, "unpack @ @ --log-json @", packed, back, log).status == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    starts = [(e["step"], e["total"]) for e in events if e["event"] == "start"]
    assert starts == [("pack", 3), ("unpack", 1)]
