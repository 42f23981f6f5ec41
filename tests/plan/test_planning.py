"""Planning: which clips go into which shard, and what a plan refuses."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile as sf

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.plan.catalog import list_input
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlanError, PlanInfo
from preprocess.plan.planning import make_plan
from preprocess.plan.shares import share_of
from preprocess.shards.names import shard_of
from preprocess.steps.recipe import parse_recipe
from preprocess.storage.store import Store
from tests.helpers.commands import write_wav
from tests.helpers.signals import tone


def report_of(text):
    return make_plan(parse_recipe(text, "test"), text, "test.yaml")[0]


def test_every_clip_is_in_the_shard_of_its_id(corpus):
    plan = corpus.plan()
    clips = {shard.index: plan.clips(shard) for shard in plan.info.shards}
    assert sum(map(len, clips.values())) == plan.info.clips == 12
    for index, members in clips.items():
        assert all(shard_of(clip.id, 3) == index for clip in members)
        assert [clip.id for clip in members] == sorted(clip.id for clip in members)


def test_an_added_file_changes_its_own_shard_alone(corpus, noise):
    before = {shard.name: shard.state for shard in corpus.plan().info.shards}
    write_wav(corpus.sounds / "new.wav", noise)
    after = {shard.name: shard.state for shard in corpus.plan().info.shards}
    changed = [name for name in after if after[name] != before[name]]
    assert changed == [f"train-{shard_of('new', 3):05d}-of-00003"]


def test_a_plan_made_again_keeps_the_number_of_shards(corpus, noise):
    text = corpus.recipe(count=5)
    assert len(corpus.plan(text).info.shards) == 5
    write_wav(corpus.sounds / "new.wav", noise)
    free = text.replace("count: 5, ", "")
    assert len(corpus.plan(free).info.shards) == 5
    assert len(corpus.plan(corpus.recipe(count=2)).info.shards) == 2


def test_small_inputs_make_one_shard_a_split(corpus):
    text = corpus.recipe().replace("count: 3, ", "")
    assert [shard.name for shard in corpus.plan(text).info.shards] == ["train-00000-of-00001"]


def test_splits_have_shards_of_their_own(corpus):
    more = "build: {split_by: group, fractions: {train: 0.5, test: 0.5}}"
    plan = corpus.plan(corpus.recipe(count=2, more=more))
    assert [shard.split for shard in plan.info.shards] == ["train", "train", "test", "test"]
    by_split = {s: [] for s in ("train", "test")}
    for shard in plan.info.shards:
        by_split[shard.split] += [clip.id for clip in plan.clips(shard)]
    assert len(by_split["train"]) + len(by_split["test"]) == 12
    assert min(map(len, by_split.values())) > 0


def test_two_files_of_one_name_are_in_no_shard(corpus, noise):
    sf.write(corpus.sounds / "take 01.flac", noise, 24_000)
    report = report_of(corpus.recipe())
    assert report.done == 11
    assert {item for item, _ in report.failures} == {"take 01.flac", "take 01.wav"}
    assert "would both become one clip" in report.failures[0][1]


def test_other_files_are_counted(corpus):
    (corpus.sounds / "notes.txt").write_text("x")
    assert report_of(corpus.recipe()).notes == ["skipped, unknown suffix: 1 .txt"]


def test_lengths_are_estimated_from_a_sample_of_headers(corpus, monkeypatch):
    monkeypatch.setattr("preprocess.plan.catalog.SAMPLE", 4)
    catalog = list_input(Store.at(corpus.sounds), ["wav"])
    true = np.array([sf.info(corpus.sounds / path).duration for path in catalog.paths])
    assert np.allclose(catalog.seconds, true, rtol=0.02)


def test_shares_have_about_as_much_audio_each(corpus):
    shards = corpus.plan(corpus.recipe(count=8)).info.shards
    shares = [share_of(shards, index, 3) for index in range(3)]
    names = [shard.name for own, _ in shares for shard in own]
    assert sorted(names) == sorted(shard.name for shard in shards)
    seconds = [sum(shard.seconds for shard in own) for own, _ in shares]
    assert max(seconds) - min(seconds) <= max(shard.seconds for shard in shards)
    for own, others in shares:
        assert len(own) + len(others) == len(shards)


def test_the_plan_names_the_parameters_of_every_clip(corpus):
    info = corpus.plan().info
    assert list(info.parameters) == ["rms_db", "position"]
    assert info.parameters["rms_db"].units == "dB"


def test_a_mistake_shows_before_any_machine_starts(corpus, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text("def bad(clip):\n    raise ValueError('a mistake of mine')\n")
    text = corpus.recipe(more=f"  - function: {{function: '{code}:bad'}}")
    with pytest.raises(PreprocessError, match=r"cannot be made.*a mistake of mine"):
        report_of(text)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("build: {cond_root: elsewhere}", "build: cond_root requires files"),
        ("audit: {against_audio: x}", "audit: against_audio requires files"),
        ("build: {parameters: [pitch]}", "no producer makes 'pitch'"),
        ("build: {split_by: folders, group: (x)}", "require split_by='group'"),
    ],
)
def test_settings_that_do_not_go_with_shards_are_refused(corpus, more, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        report_of(corpus.recipe(more=more))


def test_an_output_inside_the_input_is_refused(corpus):
    with pytest.raises(UsageError, match="inside"):
        report_of(corpus.recipe(out=corpus.sounds / "out"))


def test_a_folder_without_audio_is_refused(corpus, tmp_path):
    corpus.sounds = tmp_path / "empty"
    corpus.sounds.mkdir()
    with pytest.raises(UsageError, match="no audio"):
        report_of(corpus.recipe())


def test_no_plan_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="make a plan with preprocess plan"):
        _ = PlanFolder(tmp_path).info


def test_a_table_of_another_plan_is_refused(corpus):
    plan = corpus.plan()
    table = pq.read_table(corpus.out / "plan" / "clips.parquet")
    sizes = [size + 1 for size in table["size"].to_pylist()]
    at = table.schema.get_field_index("size")
    changed = table.set_column(at, "size", [sizes])
    pq.write_table(changed, corpus.out / "plan" / "clips.parquet", row_group_size=4)
    with pytest.raises(PlanError, match="run preprocess plan again"):
        for shard in plan.info.shards:
            plan.clips(shard)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("input"),
        lambda d: d.update(version=9),
        lambda d: d.update(shards=[{"split": "../x"}]),
        lambda d: d["shards"][0].update(index=7),
        lambda d: d["shards"][0].update(split="../../x"),
        lambda d: d["shards"][0].update(group="x"),
        lambda d: d.update(recipe=3),
        lambda d: d.update(parameters=[1]),
    ],
)
def test_a_plan_with_other_content_is_one_error(corpus, change):
    stored = json.loads(corpus.plan().info.to_json())
    change(stored)
    with pytest.raises(PlanError):
        PlanInfo.from_json(json.dumps(stored).encode(), "plan.json")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"version": 1}']
)
def test_a_plan_that_is_none_is_one_error(data):
    with pytest.raises(PlanError, match=r"plan\.json"):
        PlanInfo.from_json(data, "plan.json")


def test_lengths_of_unreadable_headers_are_guessed(corpus):
    (corpus.sounds / "broken.aiff").write_bytes(b"x" * 64_000)
    catalog = list_input(Store.at(corpus.sounds), ["wav", "aiff"])
    assert catalog.seconds[catalog.paths.index("broken.aiff")] == pytest.approx(2.0)


def test_a_tone_has_the_length_that_its_header_states(tmp_path):
    write_wav(tmp_path / "a.wav", tone(300, 24_000, 48_000))
    assert list_input(Store.at(tmp_path), ["wav"]).seconds == pytest.approx([2.0])


def test_a_plan_that_this_version_cannot_read_is_made_again(corpus):
    plan = corpus.plan()
    (corpus.out / "plan/plan.json").write_text('{"version": 9}')
    assert corpus.plan().info == plan.info
