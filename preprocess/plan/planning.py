"""`preprocess plan`: lists the input, divides it into shards, and writes the plan."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.jobs import cpu_count
from preprocess.core.provenance import BY
from preprocess.core.report import Report, plural
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.schema import Schema
from preprocess.dataset.splits import find_splits
from preprocess.params import parameter_names
from preprocess.plan.catalog import Catalog, list_input
from preprocess.plan.clip_maker import ClipMaker, MadeClip
from preprocess.plan.making import Making, row_schema
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import (
    CLIPS_SCHEMA,
    PlanError,
    PlanInfo,
    PlannedClip,
    PlannedShard,
    shard_state,
)
from preprocess.shards.names import shard_count, shard_of
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.steps.outputs import refuse_nested
from preprocess.steps.recipe import Recipe
from preprocess.storage.store import Store

DATASET, PLAN = "dataset", "plan"
_TRIED = 5
"""Number of clips that may fail before a plan is given up."""
_BYTES_PER_CODE = 1.29
_BYTES_PER_VALUE = 3.1


@dataclass(frozen=True)
class _Share:
    """The clips of one shard, as indices of the catalog, sorted by id."""

    split: str
    index: int
    count: int
    clips: list[int]


def make_plan(
    recipe: Recipe, text: str, name: str, plan: PlanFolder | None = None
) -> tuple[Report, PlanFolder]:
    """List a recipe's input, try one clip, and write the plan.

    A shard keeps its clips when others are added to the input, as long as the number of shards
    stays the same: a plan that is made again keeps that of the plan before, unless the recipe says
    otherwise.

    Args:
        recipe: The recipe.
        text: The recipe, as YAML.
        name: A stable name of the recipe, which its parameters carry.
        plan: Where to write the plan; None for the folder `plan` of the recipe's output.

    Returns:
        A report and the plan.

    Raises:
        UsageError: The recipe is invalid or does not match the input.
        PreprocessError: Making the first clips fails.
        StorageError: The input or the output cannot be reached.
    """
    making = Making.of(recipe, f"recipe {name}")
    source, output = Store.at(recipe.input), Store.at(recipe.output)
    _refuse_overlap(source, output)
    plan = plan or PlanFolder(output.child(PLAN))
    report = Report("plan", output=str(plan))
    build = recipe.build
    catalog = list_input(source, recipe.normalize.extensions, build.recursive, build.max_files)
    notes = [*catalog.notes, *_check_producers(making, catalog)]
    scratch = Path(tempfile.gettempdir(), "enchf-plan")
    remove_stale(scratch.parent, recursive=False)
    with temporary_folder(scratch) as folder:
        parameters = _try_clip(making, source, catalog, Path(folder))
        shares = _divide(making, catalog, parameters, _known_counts(plan))
        shards, tables = _shards(catalog, shares, making.digest())
        info = _info(making, text, output, row_schema(recipe, parameters), shards)
        info = replace(info, skipped=catalog.skipped, notes=notes)
        plan.write(info, tables, Path(folder))
    _report(report, info)
    return report, plan


def _info(
    making: Making,
    text: str,
    output: Store,
    schema: Schema,
    shards: Sequence[PlannedShard],
) -> PlanInfo:
    return PlanInfo(
        input=_absolute(making.recipe.input),
        output=str(output.child(DATASET)),
        recipe=text,
        owner=making.owner,
        folder=os.getcwd(),
        settings=making.digest(),
        model=schema.model,
        n_codebooks=schema.n_codebooks,
        parameters=schema.parameters,
        shards=shards,
        by=BY,
        lease_s=making.recipe.shards.lease_s,
    )


def _absolute(location: Path | str) -> str:
    return str(location.resolve()) if isinstance(location, Path) else location


def _refuse_overlap(source: Store, output: Store) -> None:
    a, b = source.local(""), output.local("")
    if a is not None and b is not None:
        for name in (DATASET, PLAN):
            refuse_nested(a, b / name)
    elif f"{output}/".startswith(f"{source}/") or f"{source}/".startswith(f"{output}/"):
        raise UsageError(f"output {output} and input {source} must not contain each other")


def _check_producers(making: Making, catalog: Catalog) -> list[str]:
    """Return the producers' notes on the names of the clips."""
    notes: list[str] = []
    for producer in making.recipe.annotate:
        notes += producer.check_clips(catalog.ids)
    made = parameter_names(making.recipe.annotate)
    for name in making.recipe.build.parameters if made is not None else ():
        if name not in (made or ()):
            raise UsageError(f"build: parameters: no producer makes {name!r}")
    return notes


def _try_clip(
    making: Making, source: Store, catalog: Catalog, scratch: Path
) -> dict[str, ParameterInfo]:
    """Make one clip, so that mistakes show before many machines start, and return its parameters.

    The shortest clips come first; a clip that fails may be at fault itself, so the next is tried.
    """
    maker = ClipMaker(making, source, cpu_count())
    shortest = np.argsort(catalog.sizes, kind="stable")[:_TRIED]
    made: MadeClip | None = None
    for number, index in enumerate(shortest.tolist()):
        folder = scratch / f"try-{number}"
        folder.mkdir()
        made = next(maker.make([_clip(catalog, index)], folder, None))
        if made.row is not None:
            return dict(made.parameters)
    assert made is not None
    raise PreprocessError(
        f"the {len(shortest)} shortest clips cannot be made, such as {made.clip.path}: {made.error}"
    )


def _known_counts(plan: PlanFolder) -> dict[str, int]:
    """Return the number of shards of each split in an earlier plan; empty without one."""
    try:
        return {shard.split: shard.count for shard in plan.info.shards}
    except (UsageError, PlanError):  # none, or one that this version cannot read
        return {}


def _divide(
    making: Making,
    catalog: Catalog,
    parameters: Mapping[str, ParameterInfo],
    known: Mapping[str, int],
) -> list[_Share]:
    """Assign each clip to a shard by a hash of its id."""
    rels = [f"{name}.ecdc" for name in catalog.ids]
    number = {rel: index for index, rel in enumerate(rels)}
    splits = find_splits(Path(), rels, making.recipe.build)
    k = row_schema(making.recipe, parameters).n_codebooks
    frame = _BYTES_PER_CODE * k + _BYTES_PER_VALUE * len(parameters)
    shares = []
    for split, members in splits.items():
        indices = [number[rel] for rel in members]
        size = float(catalog.seconds[indices].sum()) * making.spec.fps * frame
        count = making.recipe.shards.count or known.get(split) or shard_count(int(size))
        clips: list[list[int]] = [[] for _ in range(count)]
        for index in indices:
            clips[shard_of(catalog.ids[index], count)].append(index)
        shares += [_Share(split, at, count, own) for at, own in enumerate(clips)]
    return shares


def _shards(
    catalog: Catalog, shares: Sequence[_Share], settings: str
) -> tuple[list[PlannedShard], Iterator[pa.Table]]:
    """Return the shards, and the table of the clips of each that has some."""
    shards, filled = [], 0
    for share in shares:
        share.clips.sort(key=lambda index: catalog.ids[index])
        state = shard_state([_clip(catalog, index).key(settings) for index in share.clips])
        seconds = round(float(catalog.seconds[share.clips].sum()), 3)
        group = filled if share.clips else None
        filled += bool(share.clips)
        where = (share.split, share.index, share.count)
        shards.append(PlannedShard(*where, group, len(share.clips), seconds, state))
    return shards, (_table(catalog, share.clips) for share in shares if share.clips)


def _table(catalog: Catalog, indices: Sequence[int]) -> pa.Table:
    columns = zip(*(_clip(catalog, index) for index in indices), strict=True)
    return pa.Table.from_arrays(
        [pa.array(list(c), f.type) for c, f in zip(columns, CLIPS_SCHEMA, strict=True)],
        schema=CLIPS_SCHEMA,
    )


def _clip(catalog: Catalog, index: int) -> PlannedClip:
    return PlannedClip(
        catalog.ids[index],
        catalog.paths[index],
        int(catalog.sizes[index]),
        catalog.versions[index],
        round(float(catalog.seconds[index]), 3),
    )


def _report(report: Report, info: PlanInfo) -> None:
    report.done = info.clips
    counts = Counter(shard.split for shard in info.shards)
    splits = ", ".join(f"{split} {n:,}" for split, n in counts.items())
    total = counts.total()
    report.detail = (
        f"about {info.seconds / 3600:.1f} hours, {total:,} {plural('shard', total)} ({splits})"
    )
    report.notes += info.notes
    for path, why in info.skipped:
        report.fail(path, why)
    report.finish()
