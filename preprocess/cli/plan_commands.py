"""The subcommands over recipes and plans: run, plan, status, finish."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from preprocess.cli.commands import finish
from preprocess.core.errors import UsageError
from preprocess.core.flags import from_flags
from preprocess.core.report import print_report, run_and_print
from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.launch_config import LaunchConfig

if TYPE_CHECKING:
    from preprocess.steps.recipe import Recipe

MOST_LINES = 50
"""Of errors, and of notes, that `finish` prints."""


def run_command(args: Namespace) -> int:
    """Run `preprocess run` of a recipe or a plan."""
    launch = from_flags(LaunchConfig, args)
    if (args.recipe is None) == (args.plan is None):
        raise UsageError("run: name either a recipe or --plan PLAN")
    if args.plan is not None:
        return _run_plan(args, launch)
    from preprocess.steps.recipe import parse_recipe, recipe_text, with_overrides

    text = recipe_text(args.recipe, input=args.input, output=args.output)
    recipe = parse_recipe(text, f"recipe {args.recipe}")
    if recipe.format == "shards":
        if launch.shards is not None:
            raise UsageError("run: --shards requires --plan: make it with preprocess plan")
        from preprocess.plan.running import run_shards

        return run_and_print(run_shards(text, args.recipe.name, launch))
    if launch != LaunchConfig():
        raise UsageError("run: flags of shards require `format: shards` in the recipe")
    return _run_folder(args, with_overrides(recipe, prune=args.prune or None))


def _run_folder(args: Namespace, recipe: Recipe) -> int:
    from preprocess.steps.run import run_recipe

    if not args.dry_run:
        return run_and_print(run_recipe(recipe, args.recipe))
    from preprocess.steps.pruning import plan_pruning

    if not recipe.prune:
        raise UsageError("run: --dry-run requires --prune")
    return finish(plan_pruning(recipe))


def _run_plan(args: Namespace, launch: LaunchConfig) -> int:
    from preprocess.plan.launching import run_plan
    from preprocess.plan.plan_file import PlanFolder

    for flag, given in (
        ("--input", args.input),
        ("--output", args.output),
        ("--prune", args.prune),
    ):
        if given:
            raise UsageError(f"run: {flag} is part of a plan: make it again with preprocess plan")
    return finish(run_plan(PlanFolder(args.plan), launch))


def plan_command(args: Namespace) -> int:
    """Run `preprocess plan`."""
    from preprocess.plan.plan_file import PlanFolder
    from preprocess.plan.planning import make_plan
    from preprocess.steps.recipe import parse_recipe, recipe_text

    text = recipe_text(args.recipe, input=args.input, output=args.output)
    recipe = parse_recipe(text, f"recipe {args.recipe}")
    plan = None if args.plan is None else PlanFolder(args.plan)
    report, _ = make_plan(recipe, text, args.recipe.name, plan)
    return finish(report)


def status_command(args: Namespace) -> int:
    """Run `preprocess status`; the exit status is 1 until all shards are made."""
    from preprocess.plan.plan_file import PlanFolder
    from preprocess.plan.status import format_status, plan_status

    status = plan_status(PlanFolder(args.plan))
    print(status.to_json() if args.json else format_status(status))
    return 0 if status.is_complete else 1


def finish_command(args: Namespace) -> int:
    """Run `preprocess finish`."""
    from preprocess.plan.finishing import finish_plan
    from preprocess.plan.plan_file import PlanFolder

    report = finish_plan(PlanFolder(args.plan), from_flags(FinishConfig, args))
    print_report(report, most=MOST_LINES)  # findings.csv has all
    return 0 if report.ok else 1
