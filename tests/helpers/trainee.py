"""A training that only notes what it was given: `python -m tests.helpers.trainee FOLDER WORKERS`.

It appends each step to `log` as soon as it is done, and writes `state` after some of them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from datasets import Dataset

from preprocess.train import AlignedCrops, ElasticLoader


def main(folder: Path, workers: int) -> None:
    """Train until killed."""
    crops = AlignedCrops(Dataset.from_file(str(folder / "train.arrow")), frames=64)
    loader = ElasticLoader(crops, 8, num_workers=workers)
    step, state = 0, folder / "state"
    if state.exists():
        stored = json.loads(state.read_text())
        step = stored["done"]
        loader.load_state_dict(stored["loader"])
    while True:
        for batch in loader:
            pairs = list(zip(batch["ids"], batch["starts"].tolist(), strict=True))
            with (folder / "log").open("a") as log:
                log.write(json.dumps([step, pairs]) + "\n")
            step += 1
            if step % 2 == 0:
                new = folder / "state.new"
                new.write_text(json.dumps({"done": step, "loader": loader.state_dict()}))
                os.replace(new, state)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
