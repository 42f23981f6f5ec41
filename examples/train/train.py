"""Trains small models on tokens with parameters, and measures whether the parameters control the sound.

    python examples/train/train.py

makes a corpus, runs the whole path on it, trains nine models (three seeds of each: told the parameters,
told those of another clip, told nothing), lets them follow curves that they have not seen, and leaves
`report.json`, `report.png` and the sounds in `train_output`. It needs the extra `features` and
matplotlib.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch
from asked import asked
from corpus import ENCODED_KBPS, write_corpus
from datasets import DatasetDict, load_from_disk
from generation import generate, to_sound
from measures import measured
from model import Model
from report import print_table, summary, write_picture
from sounds import CODEC, SPEC, Values, tone
from training import Conditions, Settings, crops_of, held_out_loss, new_model, train

from preprocess.codec import load_codec
from preprocess.core.jobs import cpu_count
from preprocess.core.report import run_and_print
from preprocess.steps.recipe import read_recipe
from preprocess.steps.run import run_recipe

CONDITIONS: tuple[Conditions, ...] = ("parameters", "shuffled", "nothing")


@dataclass(frozen=True)
class Run(Settings):
    """What the whole example does.

    Attributes:
        output: The folder for all of it.
        clips: How many tones the corpus has.
        seconds: Length of each, and of what is asked for.
        seeds: How many models of each kind are trained.
        takes: How often each model follows each of the curves.
        jobs: How many models are trained at a time, each in one thread.
    """

    output: Path = Path("train_output")
    clips: int = 360
    seconds: float = 3.0
    seeds: int = 3
    takes: int = 8
    jobs: int = 0


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the example as the command line says, and return its report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for field in fields(Run):
        kind = type(field.default)
        parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    return run(Run(**vars(parser.parse_args(arguments))))


def run(settings: Run) -> dict[str, Any]:
    """Run the example and return its report."""
    begin = time.perf_counter()
    make_dataset(settings)
    heard: dict[str, list[dict[str, Any]]] = {name: [] for name in CONDITIONS}
    for result in models(settings):
        heard[result["told"]].append(result)
        print(f"{time.perf_counter() - begin:6.0f} s  {result['told']}, seed {result['seed']} done")
    codec, requests = codec_limit(settings), asked(settings.seconds)
    report = summary(heard, codec, requests)
    drawn = {name: first["heard"] for name in CONDITIONS[:2] for first in heard[name][:1]}
    lines = {"codec alone": codec, **{f"told {name}": takes for name, takes in drawn.items()}}
    write_picture(settings.output / "report.png", requests, lines)
    report["minutes"] = (time.perf_counter() - begin) / 60
    report["settings"] = {f.name: getattr(settings, f.name) for f in fields(Run)}
    (settings.output / "report.json").write_text(json.dumps(report, indent=1, default=str) + "\n")
    print_table(report)
    return report


def make_dataset(settings: Run) -> None:
    """Make the corpus, and a dataset of it by the recipe."""
    write_corpus(settings.output, settings.clips, settings.seconds)
    path = settings.output / "recipe.yaml"
    if run_and_print(run_recipe(read_recipe(path), path)):
        raise SystemExit("the corpus did not become a dataset")


def models(settings: Run) -> Iterator[dict[str, Any]]:
    """Train every model, several at a time, and yield what each has to say."""
    work = [(settings, told, seed) for seed in range(settings.seeds) for told in CONDITIONS]
    if settings.jobs == 1:
        yield from (one_model(*each) for each in work)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.jobs or cpu_count(), context) as pool:
        for done in as_completed([pool.submit(one_model, *each) for each in work]):
            yield done.result()


def one_model(settings: Run, told: Conditions, seed: int) -> dict[str, Any]:
    """Train one model, keep it, and return its loss on held-out clips and what is heard of it."""
    torch.set_num_threads(1)
    dataset, stats = load(settings.output)
    crops = crops_of(dataset["train"], stats, settings, seed=seed)
    model = train(crops, settings, told, seed)
    folder = settings.output / "models"
    folder.mkdir(exist_ok=True)
    torch.save(model.state_dict(), folder / f"{told}_{seed}.pt")
    held_out = crops_of(dataset["validation"], stats, settings, sample="tiles")
    result = {"told": told, "seed": seed, "loss": held_out_loss(model, held_out, told)}
    if told != "nothing":
        result["heard"] = hear(model, crops, settings, f"{told}_{seed}", seed)
    return result


def trained(output: Path, told: Conditions = "parameters", seed: int = 0) -> tuple[Model, Any]:
    """Return a model that an earlier run left in `output`, and the crops that it was trained on."""
    given = json.loads((output / "report.json").read_text())["settings"]
    settings = Settings(**{field.name: given[field.name] for field in fields(Settings)})
    dataset, stats = load(output)
    crops = crops_of(dataset["train"], stats, settings)
    model = new_model(crops, settings)
    model.load_state_dict(torch.load(output / f"models/{told}_{seed}.pt", weights_only=True))
    return model.eval(), crops


def load(output: Path) -> tuple[DatasetDict, str]:
    """Return the dataset that the recipe made and the path of its statistics."""
    return load_from_disk(str(output / "dataset")), str(output / "dataset" / "stats.json")


def hear(model: Model, crops: Any, settings: Run, name: str, seed: int) -> dict[str, Values]:
    """Let a model follow the curves; write the first take of each, return all as measured.

    Returns:
        Name of the request -> pitch, level and brightness `[takes, 3, T]`.
    """
    codec, found = load_codec(CODEC, device="cpu"), {}
    for request, curves in asked(settings.seconds).items():
        source = np.zeros((1, curves.shape[1]))  # that of the tones
        told = np.concatenate([curves, source])[None].repeat(settings.takes, 0)
        waves = [to_sound(codec, codes) for codes in generate(model, crops, told, seed)]
        write(settings.output / "sounds_made" / f"{request}_{name}.wav", waves[0])
        found[request] = np.stack([measured(wave) for wave in waves])
    return found


def codec_limit(settings: Run) -> dict[str, Values]:
    """Return what is heard of the requests when the codec alone encodes and decodes them."""
    codec, found = load_codec(CODEC, device="cpu"), {}
    for request, curves in asked(settings.seconds).items():
        tokens = codec.encode(tone(*curves)[None], ENCODED_KBPS)
        wave = codec.decode(tokens.at(settings.codebooks))[0]
        write(settings.output / "sounds_made" / f"{request}_codec.wav", wave)
        found[request] = measured(wave)[None]
    return found


def write(path: Path, wave: Any) -> None:
    """Write a wave `[N]` to a file."""
    path.parent.mkdir(exist_ok=True)
    sf.write(path, wave, SPEC.sample_rate, subtype="PCM_16")


if __name__ == "__main__":
    main()
