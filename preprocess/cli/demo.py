"""The demo: runs the quickstart recipe on nine bundled recordings and shows the dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from preprocess.core.report import run_and_print
from preprocess.core.resources import resource, shipped_recipe
from preprocess.dataset.quiet import quiet_datasets
from preprocess.steps.inspect import InspectConfig, inspect
from preprocess.steps.recipe import read_recipe, with_overrides
from preprocess.steps.run import run_recipe


def demo(output: Path) -> int:
    """Run the demo into the folder `output`, print its results, and return the exit status."""
    print(f"{os.path.relpath(resource('audio'))} -> {output}")
    path = shipped_recipe("quickstart.yaml")
    recipe = read_recipe(path)
    status = run_and_print(
        run_recipe(with_overrides(recipe, input=resource("audio"), output=output), path)
    )
    if status == 0:
        _show(output / "ecdc")
        print(f"\nlisten  {output / 'normalized'}\ntokens  {output / 'ecdc'}")
        print(f"dataset {output / 'dataset'}, for datasets.load_from_disk")
        page = output / "page.html"
        report = inspect(str(output / "ecdc"), InspectConfig(clips=100, out=page))
        print(f"page    {page}, {report.detail}: open it in a browser to see and hear the clips")
    return status


def _show(ecdc: Path) -> None:
    """Load the tokens as a user would, and print the columns of the first row."""
    with quiet_datasets():
        loaded = _load(ecdc)
    for split, dataset in loaded.items():
        print(f"{split}: {len(dataset)} rows; the first:")
        for name, value in dataset.with_format("numpy")[0].items():
            print(f"  {name:<16}{_shape(value)}")


def _load(ecdc: Path) -> Any:
    """Load with the script if `datasets` still runs scripts, else with the builder class."""
    import datasets

    import enchf_dataset

    script = os.path.relpath(enchf_dataset.__file__)
    script = script if script.startswith("..") else f"./{script}"
    if int(datasets.__version__.split(".")[0]) < 4:
        print(f'\nload_dataset("{script}", data_dir="{ecdc}", trust_remote_code=True)')
        return datasets.load_dataset(script, data_dir=str(ecdc), trust_remote_code=True)
    print(f'\nEncHFDataset(data_dir="{ecdc}"), from {script}')
    builder = enchf_dataset.EncHFDataset(data_dir=str(ecdc))
    builder.download_and_prepare()
    return builder.as_dataset()


def _shape(value: Any) -> str:
    import numpy as np

    if isinstance(value, dict):
        return ", ".join(f"{name} {_shape(each)}" for name, each in value.items())
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{list(value.shape)}" if value.size else "none"
    return repr(value.item() if isinstance(value, np.generic | np.ndarray) else value)
