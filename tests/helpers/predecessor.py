"""Trees as the predecessor left them: torch.save tokens, sidecars of its two versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.cli.main import main as preprocess_main
from tests.helpers.commands import Run


def old_tokens(path: Path, frames: int = 10, k: int = 4, seed: int = 0) -> NDArray[np.int64]:
    """Write a `torch.save` token file, and return its codes `[K, T]`."""
    codes = np.random.default_rng(seed).integers(0, 1024, (k, frames))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"audio_codes": torch.as_tensor(codes)[None, None]}, path)
    return codes


def version_1(path: Path, meta_name: str = ".cond.json", **columns: Any) -> NDArray[np.float16]:
    """Write a sidecar of version 1 for a token file, and return its array `[T, D]`."""
    array = np.stack([*columns.values()], axis=1).astype(np.float16)
    norm = {
        key: [float(getattr(np.asarray(c, np.float32), key)()) for c in columns.values()]
        for key in ("min", "max", "mean", "std")
    }
    meta = {"schema_version": 1, "fps": 75, "source_rate": 75, "names": [*columns], "norm": norm}
    _write(path, array, meta, meta_name)
    return array


def version_2(path: Path, parameters: dict[str, dict[str, Any]]) -> NDArray[np.float16]:
    """Write a sidecar of version 2 for a token file, and return its array `[T, D]`."""
    array = np.stack([f["values"] for f in parameters.values()], axis=1).astype(np.float16)
    described = {}
    for name, parameter in parameters.items():
        values = np.asarray(parameter["values"], np.float64)
        entry = {key: float(getattr(values, key)()) for key in ("min", "max", "mean", "std")}
        entry |= {"units": "", "doc_string": ""}
        described[name] = entry | {k: v for k, v in parameter.items() if k != "values"}
    meta = {"features": described, "schema_version": 2, "fps": 75.0, "source_rate": 75.0}
    _write(path, array, meta, ".cond.json")
    return array


def call(capsys: Any, command: Any, *words: Any) -> Run:
    """Call the `main` of a command, and return what it left."""
    capsys.readouterr()
    try:
        status = command([str(word) for word in words])
    except SystemExit as error:
        status = int(error.code or 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return Run(status, out.splitlines(), err.splitlines())


def preprocess(capsys: Any, *words: Any) -> Run:
    """Call `preprocess` with words that may be paths."""
    return call(capsys, preprocess_main, *words)


def _write(path: Path, array: NDArray[np.float16], meta: Any, meta_name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_name(path.stem + ".cond.npy"), array)
    path.with_name(path.stem + meta_name).write_text(json.dumps(meta))
