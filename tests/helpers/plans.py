"""Recipes with `format: shards` and their results, as tests of plans need them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from preprocess.plan.launch_config import LaunchConfig
from preprocess.plan.launching import run_plan
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.planning import make_plan
from preprocess.steps.recipe import parse_recipe

RECIPE = """
input: {input}
output: {output}
codec: encodec_24khz_demo
device: cpu
format: shards
encode: {{bandwidth: 6}}
shards: {{count: {count}, part_minutes: 0.02, lease_s: {lease_s}}}
annotate:
  - rms_db: {{min: -60, max: 0}}
  - ramp: {{name: position, start: 0, end: 1}}
{more}
"""


@dataclass
class Corpus:
    """A folder of sounds, and where its plan and dataset go.

    Attributes:
        sounds: The sounds.
        out: The output of the recipe.
    """

    sounds: Path
    out: Path

    def recipe(
        self, count: int = 3, more: str = "", lease_s: float = 60, out: Path | str | None = None
    ) -> str:
        """Return a recipe; `more` is further YAML."""
        out = out or self.out
        return RECIPE.format(input=self.sounds, output=out, count=count, more=more, lease_s=lease_s)

    def plan(self, text: str | None = None) -> PlanFolder:
        """Make the plan of a recipe."""
        text = text or self.recipe()
        return make_plan(parse_recipe(text, "test"), text, "test.yaml")[1]


def make(plan: PlanFolder, **settings: object):
    """Make the shards of a plan in this process, and return the report."""
    return run_plan(plan, LaunchConfig(**settings))


def hashes(plan: PlanFolder) -> dict[str, str]:
    """Return the hash of each shard's bytes, by name."""
    folder = Path(str(plan.dataset)) / "data"
    found = {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def ids(plan: PlanFolder) -> list[str]:
    """Return the ids of all rows, sorted."""
    folder = Path(str(plan.dataset)) / "data"
    tables = [pq.read_table(path, columns=["id"]) for path in folder.glob("*.parquet")]
    return sorted(name for table in tables for name in table["id"].to_pylist())


def moved(plan: Path, old: Path, new: Path) -> None:
    """Change the folder that a plan's input and output are in."""
    file = plan / "plan.json"
    file.write_text(file.read_text().replace(f"{old}/", f"{new}/"))


def stored_ids(folder: Path) -> set[str]:
    """Return the ids of the clips in parts and finished shards under a folder."""
    reports = {path.stem for path in folder.glob("plan/shards/*.json")}
    finished = [path for path in folder.glob("dataset/data/*.parquet") if path.stem in reports]
    paths = [*folder.glob("plan/parts/*/*.parquet"), *finished]
    found = (path for path in paths if not path.name.startswith("."))
    return {
        name for path in found for name in pq.read_table(path, columns=["id"])["id"].to_pylist()
    }
