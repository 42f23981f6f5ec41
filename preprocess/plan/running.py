"""`preprocess run` of a recipe with `format: shards`: plan, make all shards, finish."""

from __future__ import annotations

from collections.abc import Iterator

from preprocess.core.report import Report
from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.finishing import finish_plan
from preprocess.plan.launch_config import LaunchConfig
from preprocess.plan.launching import run_plan
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.planning import make_plan
from preprocess.steps.recipe import parse_recipe


def run_shards(
    text: str, name: str, launch: LaunchConfig, finish: FinishConfig | None = None
) -> Iterator[Report]:
    """Run a recipe with `format: shards`, and yield the report of each step.

    Args:
        text: The recipe, as YAML.
        name: A stable name of the recipe.
        launch: How the shards are made.
        finish: How the plan is finished.

    Raises:
        PreprocessError: A step cannot start, or a shard could not be made.
    """
    report, plan = make_plan(parse_recipe(text, f"recipe {name}"), text, name)
    yield report
    yield run_plan(plan, launch)
    yield finish_plan(PlanFolder(str(plan)), finish or FinishConfig())
