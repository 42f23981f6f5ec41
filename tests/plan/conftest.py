"""A small corpus and recipes over it, for the tests of plans."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.commands import write_wav
from tests.helpers.plans import Corpus
from tests.helpers.signals import tone


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    """Twelve clips of up to a second in `sounds`, and an output that does not exist yet."""
    sounds = tmp_path / "sounds"
    (sounds / "sub").mkdir(parents=True)
    for index in range(12):
        name = f"{'sub/' if index % 3 == 0 else ''}take {index:02d}.wav"
        samples = 6000 + 1500 * index
        write_wav(sounds / name, tone(200.0 + 40 * index, 24_000, samples))
    return Corpus(sounds, tmp_path / "out")


@pytest.fixture(autouse=True)
def one_codec(demo_codec, monkeypatch):
    """Let workers of this process share a codec, which takes a second to load."""
    monkeypatch.setattr("preprocess.plan.clip_maker.load_codec", lambda *_, **__: demo_codec)


@pytest.fixture
def noise() -> np.ndarray:
    """Half a second of noise."""
    return np.random.default_rng(3).uniform(-0.3, 0.3, 12_000).astype(np.float32)
