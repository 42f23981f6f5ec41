"""From finished shards to a dataset: what is checked, written, refused and removed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import load_dataset

from preprocess.audit.fingerprints import print_table
from preprocess.cli.main import main
from preprocess.core.errors import PreprocessError
from preprocess.dataset.schema import read_parameters
from preprocess.plan.clip_table import read_summaries
from preprocess.plan.corpus_tables import ShardFiles, print_tables, read_tables
from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.finishing import finish_plan
from preprocess.plan.launch_config import WorkerConfig
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.shard_report import read_clip_table
from preprocess.plan.status import duration, format_status, plan_status
from preprocess.plan.summary_table import SummaryTable
from preprocess.plan.worker import work
from preprocess.stats.corpus_stats import read_stats
from preprocess.steps.pack import pack
from preprocess.steps.pack_config import PackConfig
from preprocess.steps.recipe import parse_recipe
from preprocess.steps.run import run_recipe
from preprocess.tokens.ecdc import read_ecdc
from tests.helpers.commands import run, write_wav
from tests.helpers.plans import make


def finish(plan: PlanFolder, **settings):
    return finish_plan(PlanFolder(str(plan)), FinishConfig(**settings))


def test_a_finished_folder_loads_with_units_and_ranges(corpus):
    plan = corpus.plan(corpus.recipe(more="build: {split_by: group}"))
    make(plan)
    report = finish(plan)
    assert report.ok and report.done == 12
    loaded = load_dataset(str(corpus.out / "dataset"))
    assert sum(map(len, loaded.values())) == 12
    known = read_parameters(loaded["train"].features)
    assert (known["rms_db"].units, known["rms_db"].min, known["rms_db"].max) == ("dB", -60, 0)
    card = (corpus.out / "dataset/README.md").read_text()
    assert "| `rms_db` | dB | continuous | -60 to 0 |" in card


def test_statistics_equal_those_of_pack_from_files(corpus, tmp_path):
    plan = corpus.plan()
    make(plan)
    finish(plan)
    text = corpus.recipe(out=tmp_path / "files").replace("format: shards", "format: folder")
    assert all(report.ok for report in run_recipe(parse_recipe(text, "test")))
    assert pack(tmp_path / "files/ecdc", tmp_path / "packed", PackConfig(count=3)).ok
    ours = read_stats(corpus.out / "dataset/stats.json")["train"]
    theirs = read_stats(tmp_path / "packed/stats.json")["train"]
    assert list(ours) == list(theirs) and ours.clips == theirs.clips == 12
    for name in ours:
        for key in ("count", "min", "max", "mean", "std"):
            mine, other = ours[name].to_dict()[key], theirs[name].to_dict()[key]
            assert mine == pytest.approx(other, rel=1e-9), (name, key)


def test_a_missing_shard_is_named(corpus):
    plan = corpus.plan()
    work(plan, plan.info.shards[:1], [], WorkerConfig(jobs=1))
    with pytest.raises(PreprocessError, match=r"2 of 3 shards missing .*train-00001-of-00003"):
        finish(plan)


def test_a_shard_of_the_plan_before_is_out_of_date(corpus, noise):
    make(corpus.plan())
    write_wav(corpus.sounds / "new.wav", noise)
    with pytest.raises(PreprocessError, match="1 of 3 shard missing or out of date"):
        finish(corpus.plan())


def test_clips_that_failed_must_be_allowed(corpus):
    write_wav(corpus.sounds / "silent.wav", np.zeros(9000, np.float32))
    plan = corpus.plan()
    make(plan)
    refused = finish(plan)
    assert not refused.ok and refused.detail == "not finished"
    assert not (corpus.out / "dataset/README.md").exists()
    allowed = finish(plan, allow_failed=True)
    assert allowed.ok and allowed.done == 12
    marker = json.loads((corpus.out / "dataset/enchf_shards.json").read_bytes())
    assert marker["left out"] == "1 clip that failed"
    assert "left out 1 clip that failed" in (corpus.out / "dataset/README.md").read_text()


def test_the_same_sound_in_two_splits_is_an_error(corpus):
    for split in ("train", "validation"):
        (corpus.sounds / split).mkdir()
    for path in list(corpus.sounds.rglob("*.wav")):
        path.rename(corpus.sounds / "train" / path.name)
    twin = corpus.sounds / "validation/twin.wav"
    twin.write_bytes((corpus.sounds / "train/take 05.wav").read_bytes())
    plan = corpus.plan()
    make(plan)
    report = finish(plan)
    ((item, text),) = report.failures
    assert item == "validation/twin.ecdc" and "duplicate_across_splits" in text
    assert "twin" in (corpus.out / "plan/findings.csv").read_text()
    assert finish(plan, allow_findings=True).ok


@pytest.mark.parametrize("clips_at_once", [100_000, 3])
def test_fingerprints_come_in_slices_that_hold_all_equal_runs(corpus, monkeypatch, clips_at_once):
    monkeypatch.setattr("preprocess.plan.corpus_tables._SLICE_CLIPS", clips_at_once)
    for index, path in enumerate(sorted(corpus.sounds.rglob("*.wav"))):
        target = corpus.sounds / ("test" if index % 4 == 0 else "train") / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    plan = corpus.plan()
    make(plan)
    tables = list(print_tables(plan))
    assert len(tables) == 1 + 12 // clips_at_once
    expected = print_table(
        [
            summary.prints
            for shard in plan.info.shards
            for summary in read_summaries(read_clip_table(plan, shard))
        ]
    )
    assert len(expected.hashes) > 20
    found = sorted(
        row for table in tables for row in zip(*(c.tolist() for c in table), strict=True)
    )
    assert found == sorted(zip(*(c.tolist() for c in expected), strict=True))
    of_table = [set(table.hashes.tolist()) for table in tables]
    assert sum(map(len, of_table)) == len(set(expected.hashes.tolist())), "no run is in two slices"


def test_shards_of_an_earlier_plan_are_removed(corpus):
    make(corpus.plan(corpus.recipe(count=4)))
    stranger = corpus.out / "dataset/data/mine.txt"
    stranger.write_text("keep")
    plan = corpus.plan(corpus.recipe(count=2))
    make(plan)
    report = finish(plan)
    assert any("removed 4 shards of an earlier plan" in note for note in report.notes)
    assert stranger.exists()
    assert len(list((corpus.out / "dataset/data").glob("*.parquet"))) == 2


def test_text_that_a_user_added_to_the_card_is_kept(corpus):
    plan = corpus.plan()
    make(plan)
    finish(plan)
    card = corpus.out / "dataset/README.md"
    card.write_text(card.read_text() + "\nRecorded in my kitchen.\n")
    finish(plan)
    assert "Recorded in my kitchen." in card.read_text()


def test_columns_give_the_summaries_that_went_in(corpus):
    plan = corpus.plan(corpus.recipe(more="  - constant: {name: room, value: 2}"))
    make(plan)
    stored = SummaryTable(read_tables(plan))
    expected = [
        summary
        for shard in plan.info.shards
        for summary in read_summaries(read_clip_table(plan, shard))
    ]
    assert len(stored) == len(expected) == 12
    for one, other in zip(stored, expected, strict=True):
        for key in ("rel", "content", "header", "token_makers", "parameter_makers", "engine"):
            assert getattr(one, key) == getattr(other, key), key
        assert one.is_tied == other.is_tied and one.split == other.split
        assert dict(one.parameters) == other.parameters


def test_single_clips_are_read_from_shards(corpus, tmp_path):
    plan = corpus.plan()
    make(plan)
    text = corpus.recipe(out=tmp_path / "files").replace("format: shards", "format: folder")
    list(run_recipe(parse_recipe(text, "test")))
    files = ShardFiles(plan)
    for path in (tmp_path / "files/ecdc").rglob("*.ecdc"):
        rel = path.relative_to(tmp_path / "files/ecdc")
        assert np.array_equal(files.codes(rel), read_ecdc(path).codes[0])
        values = files.values(rel, "position")
        assert values[0] == 0 and values[-1] == 1


def test_status_before_during_and_after(corpus):
    plan = corpus.plan()
    before = plan_status(plan)
    assert (before.done, before.clips_done, before.is_complete) == (0, 0, False)
    seen = []

    def look(shard, made):
        if len(seen) == 0:
            seen.append(plan_status(plan))

    work(plan, plan.info.shards, [], WorkerConfig(jobs=1), look)
    (running,) = seen[0].running.values()
    assert "process" in running
    after = plan_status(plan)
    assert after.is_complete and after.clips_done == 12 and not after.running
    assert after.hours_done == pytest.approx(after.hours, rel=0.05)
    lines = format_status(after).splitlines()
    assert lines[0] == "shards     3 of 3 done, 0 running, 0 stale, 0 waiting"


def test_durations_are_rounded():
    assert [duration(s) for s in (3.4, 119, 3600, 12_000)] == [
        "3 s",
        "2 min",
        "1 h 0 min",
        "3 h 20 min",
    ]


def test_the_commands_from_recipe_to_dataset(corpus, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(corpus.recipe())
    plan = tmp_path / "plan"
    assert run(capsys, "plan @ --plan @", recipe, plan).status == 0
    early = run(capsys, "status @", plan)
    assert early.status == 1 and "0 of 3 done" in early.out[0]
    refused = run(capsys, "finish @", plan)
    assert refused.status == 1 and "3 of 3 shards missing" in refused.error
    made = run(capsys, "run --plan @ --shards 0/2", plan)
    assert made.status == 0 and made.out[0].startswith("shards     12 clips")
    assert run(capsys, "finish @", plan).status == 0
    assert json.loads("".join(run(capsys, "status --json @", plan).out))["done"] == 3


def test_one_command_for_a_recipe_and_nothing_to_do_afterwards(corpus, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(corpus.recipe())
    first = run(capsys, "run @", recipe)
    assert first.status == 0
    assert [line.split()[0] for line in first.out] == ["plan", "shards", "finish"]
    again = run(capsys, "run @", recipe)
    assert again.status == 0 and "12 up to date" in again.out[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run", "name either a recipe or --plan PLAN"),
        ("run --plan x --input y", "--input is part of a plan"),
        ("run --plan @", "has no plan.json"),
        ("run @ --shards 0/2", "--shards requires --plan"),
        ("run --plan @ --shards 2/2", "must be I/N"),
    ],
)
def test_wrong_commands_are_one_line(corpus, tmp_path, capsys, words, message):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(corpus.recipe())
    place = tmp_path if "--plan" in words else recipe
    found = run(capsys, words, *([place] * words.count("@")))
    assert found.status == 2 and message in found.error


def test_flags_of_shards_go_with_shards(corpus, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(corpus.recipe().replace("format: shards", "format: folder"))
    assert main(["run", str(recipe), "--workers", "2"]) == 2
    assert "require `format: shards`" in capsys.readouterr().err


def test_neither_code_nor_weights_are_needed_to_finish(corpus, tmp_path, monkeypatch):
    code = tmp_path / "mine.py"
    code.write_text("def half(clip):\n    return {'half': [0.5] * clip.n_frames}\n")
    plan = corpus.plan(corpus.recipe(more=f"  - function: {{function: '{code}:half'}}"))
    make(plan)
    code.unlink()
    monkeypatch.setattr("preprocess.plan.making.find_weights", None)
    assert finish(plan, allow_findings=True).ok


def test_notes_of_clips_are_listed(corpus):
    click = np.full(9000, 0.001, np.float32)
    click[4000] = 0.9
    write_wav(corpus.sounds / "click.wav", click)
    plan = corpus.plan()
    make(plan)
    report = finish(plan)
    (note,) = [note for note in report.notes if note.startswith("click.ecdc: note: ")]
    assert "would exceed full scale" in note
    assert "would exceed full scale" in (corpus.out / "plan/findings.csv").read_text()
