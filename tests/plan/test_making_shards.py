"""Shards: the same bytes whoever makes them, in whatever order, after whatever happened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess.core.errors import DiskError
from preprocess.plan.clip_maker import ClipMaker
from preprocess.plan.launch_config import LaunchConfig, WorkerConfig
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlanError
from preprocess.plan.shard_maker import ShardMaker
from preprocess.plan.worker import work
from preprocess.steps.recipe import parse_recipe
from preprocess.steps.run import run_recipe
from tests.helpers.commands import write_wav
from tests.helpers.plans import hashes, ids, make
from tests.helpers.signals import tone


class KilledError(BaseException):
    """Ends a worker where it stands, as a kill would."""


@pytest.fixture
def undisturbed(corpus, tmp_path):
    """The hashes of the shards of one run that nothing disturbs."""
    text = corpus.recipe(out=tmp_path / "undisturbed")
    plan = corpus.plan(text)
    report = make(plan)
    assert report.ok and report.done == 12
    return hashes(plan)


@pytest.fixture
def counted(monkeypatch):
    """The ids of the clips that were made, in order."""
    made: list[str] = []
    original = ClipMaker._normalize

    def normalize(self, scratch, clip):
        made.append(clip.id)
        return original(self, scratch, clip)

    monkeypatch.setattr(ClipMaker, "_normalize", normalize)
    return made


def test_rows_equal_those_of_the_steps_files(corpus, tmp_path):
    plan = corpus.plan()
    make(plan)
    folder = corpus.recipe(out=tmp_path / "files").replace("format: shards", "format: folder")
    reports = list(run_recipe(parse_recipe(folder, "test")))
    assert all(report.ok for report in reports)
    from datasets import load_from_disk

    expected = {row["id"]: row for row in load_from_disk(str(tmp_path / "files/dataset"))["train"]}
    assert ids(plan) == sorted(expected)
    for path in (corpus.out / "dataset/data").glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            other = expected[row["id"]]
            row.pop("provenance")
            other["audio"] = other["audio"].removeprefix("tokens/")
            assert row == other


def test_two_workers_in_another_order_make_the_same_bytes(corpus, undisturbed):
    plan = corpus.plan()
    shards = list(plan.info.shards)
    work(plan, shards[2:], [], WorkerConfig(jobs=1, wait=False))
    work(plan, shards[::-1], [], WorkerConfig(jobs=3))
    assert hashes(plan) == undisturbed


@pytest.mark.parametrize("part_minutes", ["0.005", "5"])
def test_the_size_of_parts_changes_no_byte(corpus, undisturbed, part_minutes):
    text = corpus.recipe().replace("part_minutes: 0.02", f"part_minutes: {part_minutes}")
    plan = corpus.plan(text)
    make(plan)
    assert hashes(plan) == undisturbed


@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_a_worker_that_dies_loses_at_most_a_part(corpus, undisturbed, counted, after):
    plan = corpus.plan()
    seen = []

    def die(shard, made):
        seen.append(made.clip.id)
        if len(seen) == after:
            raise KilledError

    with pytest.raises(KilledError):
        work(plan, plan.info.shards, [], WorkerConfig(jobs=1), die)
    stored = {
        clip for part in (corpus.out / "plan/parts").rglob("*.parquet") for clip in _ids(part)
    }
    finished = set(ids(plan))
    counted.clear()
    report = make(PlanFolder(str(plan)))
    assert report.ok and hashes(plan) == undisturbed
    assert not set(counted) & (stored | finished)  # nothing that was stored is read again
    assert set(counted) | stored | finished >= set(ids(plan))
    assert not list((corpus.out / "plan/parts").rglob("*.parquet"))


def _ids(part: Path) -> list[str]:
    return pq.read_table(part, columns=["id"])["id"].to_pylist()


def test_a_second_run_makes_nothing(corpus, counted):
    plan = corpus.plan()
    make(plan)
    counted.clear()
    again = make(corpus.plan())
    assert (again.done, again.current) == (0, 12)
    assert "3 up to date" in again.detail
    assert len(counted) == 1  # the clip that planning tries


def test_an_added_and_a_changed_and_a_removed_file(corpus, counted, noise, tmp_path):
    plan = corpus.plan()
    make(plan)
    write_wav(corpus.sounds / "new.wav", noise)
    write_wav(corpus.sounds / "take 05.wav", tone(500, 24_000, 9000))
    (corpus.sounds / "take 07.wav").unlink()
    plan = corpus.plan()
    counted.clear()
    report = make(plan)
    assert sorted(counted) == ["new", "take 05"]
    assert (report.done, report.current) == (2, 10)
    assert "take 07" not in ids(plan) and len(ids(plan)) == 12
    fresh = corpus.plan(corpus.recipe(out=tmp_path / "fresh"))
    make(fresh)
    assert hashes(plan) == hashes(fresh)


def test_another_setting_makes_everything_again(corpus, counted):
    make(corpus.plan())
    plan = corpus.plan(corpus.recipe(more="normalize: {target_rms: 0.05}"))
    counted.clear()
    assert make(plan).done == 12 and len(counted) == 12


def test_code_that_changed_since_the_plan_is_refused(corpus, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text("def half(clip):\n    return {'half': [0.5] * clip.n_frames}\n")
    plan = corpus.plan(corpus.recipe(more=f"  - function: {{function: '{code}:half'}}"))
    code.write_text("def half(clip):\n    return {'half': [0.25] * clip.n_frames}\n")
    with pytest.raises(PlanError, match="have changed since the plan was made"):
        make(plan)


def test_a_folder_in_which_the_recipe_has_no_files_names_the_right_one(
    corpus, tmp_path, monkeypatch
):
    (tmp_path / "mine.py").write_text("def one(clip):\n    return {'one': [1.0] * clip.n_frames}\n")
    monkeypatch.chdir(tmp_path)
    plan = corpus.plan(corpus.recipe(more="  - function: {function: 'mine.py:one'}"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(PlanError, match=f"the plan was made in {tmp_path}: run it there"):
        make(plan)


def test_a_clip_that_fails_stops_no_other(corpus, counted):
    write_wav(corpus.sounds / "silent.wav", np.zeros(9000, np.float32))
    (corpus.sounds / "cut.wav").write_bytes((corpus.sounds / "take 01.wav").read_bytes()[:900])
    plan = corpus.plan()
    report = make(plan)
    assert report.done == 12 and {item for item, _ in report.failures} == {"silent.wav", "cut.wav"}
    assert all(str(corpus.sounds) not in text for _, text in report.failures)
    counted.clear()
    again = make(plan)
    assert not counted and again.done == 0
    assert "2 clips failed in an earlier run" in again.notes[0]
    make(plan, retry_failed=True)
    assert sorted(counted) == ["cut", "silent"]


def test_a_clip_with_other_parameters_fails_alone(corpus, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text(
        "def odd(clip):\n"
        "    name = 'other' if clip.id.endswith('11') else 'mine'\n"
        "    return {name: [0.5] * clip.n_frames}\n"
    )
    plan = corpus.plan(corpus.recipe(more=f"  - function: {{function: '{code}:odd'}}"))
    report = make(plan)
    assert report.done == 11
    ((item, text),) = report.failures
    assert item == "take 11.wav"
    assert "has the parameters rms_db, position, other; the plan expects" in text


def test_a_clip_that_the_audit_refuses_fails_alone(corpus, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text(
        "def far(clip):\n"
        "    value = 3.0 if clip.id.endswith('11') else 0.5\n"
        "    return {'far': {'values': [value] * clip.n_frames, 'min': 0, 'max': 1}}\n"
    )
    report = make(corpus.plan(corpus.recipe(more=f"  - function: {{function: '{code}:far'}}")))
    assert report.done == 11
    ((item, text),) = report.failures
    assert item == "take 11.wav" and text.startswith("out_of_range: 'far' is 3 in frame 0")


def test_an_audio_file_that_changed_since_the_plan_fails(corpus):
    plan = corpus.plan()
    write_wav(corpus.sounds / "take 01.wav", tone(777, 24_000, 12_000))
    ((item, text),) = make(plan).failures
    assert item == "take 01.wav"
    assert text == ("take 01.wav has changed since the plan was made; run preprocess plan again")
    report = make(corpus.plan())
    assert report.ok and report.done == 1


def test_a_full_disk_stops_the_worker_and_fails_no_clip(corpus, monkeypatch):
    plan = corpus.plan()

    def full(*_, **__):
        raise DiskError("No space left on device: somewhere")

    with monkeypatch.context() as patch:
        patch.setattr("preprocess.plan.clip_maker.write_ecdc", full)
        with pytest.raises(DiskError, match="No space left"):
            make(plan)
    report = make(plan)
    assert report.ok and report.done == 12


def test_a_worker_that_lost_its_lease_keeps_its_parts(corpus, undisturbed):
    plan = corpus.plan()
    from preprocess.plan.shard_maker import LostLeaseError
    from preprocess.plan.worker import _shard_maker

    maker: ShardMaker = _shard_maker(plan, WorkerConfig(jobs=1))
    with pytest.raises(LostLeaseError):
        maker.make(plan.info.shards[0], lambda made: None, lambda: True)
    assert list((corpus.out / "plan/parts").rglob("*.parquet"))
    make(plan)
    assert hashes(plan) == undisturbed


def test_a_damaged_part_is_named(corpus):
    plan = corpus.plan()

    def die(shard, made):
        if made.clip.id == plan.clips(plan.info.shards[0])[-1].id:
            raise KilledError

    with pytest.raises(KilledError):
        work(plan, plan.info.shards[:1], [], WorkerConfig(jobs=1), die)
    part = next((corpus.out / "plan/parts").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(PlanError, match=part.name):
        make(plan)


def test_a_shard_without_clips_is_an_empty_file(corpus):
    plan = corpus.plan(corpus.recipe(count=40))
    make(plan)
    empty = [shard for shard in plan.info.shards if not shard.clips]
    assert empty
    tables = [pq.read_table(corpus.out / "dataset" / shard.path) for shard in plan.info.shards]
    assert all(table.schema.equals(tables[0].schema) for table in tables)
    assert sum(map(len, tables)) == 12
    assert len(pa.concat_tables(tables)) == 12


def test_the_share_of_a_worker_comes_first(corpus):
    plan = corpus.plan(corpus.recipe(count=6))
    order: list[str] = []
    own = [s for s in plan.info.shards if s.index in (4, 5)]
    others = [s for s in plan.info.shards if s.index not in (4, 5)]
    work(plan, own, others, WorkerConfig(jobs=1), settled=lambda s, _: order.append(s.name))
    assert [int(name.split("-")[1]) for name in order][:2] == [4, 5]
    assert len(order) == 6


def test_several_processes_make_the_same_bytes(corpus, undisturbed):
    plan = corpus.plan()
    report = make(plan, workers=2)
    assert report.ok and report.done == 12
    assert hashes(plan) == undisturbed


def test_settings_of_launchers():
    assert LaunchConfig(devices=("cuda:0", "cuda:1")).worker_count == 2
    assert LaunchConfig(devices=("cuda:0", "cuda:1")).worker(1).device == "cuda:1"
    assert LaunchConfig(workers=4).worker(3).jobs == max(1, len(os.sched_getaffinity(0)) // 4)
