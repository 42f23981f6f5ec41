"""The steps on a small corpus, to be killed: how they start, and what must come out."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.forks import ForkServer
from tests.helpers.hub_server import HubServer
from tests.helpers.plans import moved, stored_ids
from tests.helpers.states import ANNOTATE, CODEC, state

TREE = dict[str, bytes | None]
"""Path -> content; None for a folder."""


@dataclass(frozen=True)
class Scenario:
    """A step with its input.

    Attributes:
        words: The command.
        state: Name of the working folder that it starts from.
        resumes: Whether a run that follows a killed one keeps the outputs that were complete.
    """

    words: list[str]
    state: str
    resumes: bool = False


BUILD = ["build", "ecdc", "built/ds", "--materialize"]
NOTE_CLIPS = """
from preprocess.plan.clip_maker import ClipMaker
normalize = ClipMaker._normalize
def noted(self, scratch, clip):
    with open({path!r}, "a") as file:
        file.write(clip.id + "\\n")
    return normalize(self, scratch, clip)
ClipMaker._normalize = noted
"""
"""Note which clips of a plan are made."""
SCENARIOS = {
    "normalize": Scenario(["normalize", "in", "normalized", *CODEC], "audio", resumes=True),
    "encode": Scenario(["encode", "normalized", "ecdc", *CODEC], "normalized", resumes=True),
    "annotate": Scenario([*ANNOTATE, "--constant", "name=x", "value=2"], "annotated", resumes=True),
    "audit": Scenario(["audit", "ecdc", "--export-csv", "list.csv"], "annotated"),
    "stats": Scenario(["stats", "ecdc"], "annotated"),
    "build": Scenario([*BUILD, "copy"], "built"),
    "build of 2 processes": Scenario([*BUILD, "link", "--num-proc", "2"], "built"),
    "export": Scenario(["export", "ecdc", "out", "--for", "rnencodec"], "exported"),
    "migrate": Scenario(["migrate", "ecdc", "--write"], "predecessor"),
    "push": Scenario(["push", "built/ds", "me/sounds"], "built"),
    "run": Scenario(["run", "recipe.yaml"], "recipe", resumes=True),
    "run --plan": Scenario(["run", "--plan", "plan", "--jobs", "1"], "planned", resumes=True),
}


@dataclass
class Outcome:
    """What kills of one step did.

    Attributes:
        kills: Processes that were killed.
        missed: Processes that had ended before; not among the kills.
        left: Kills that left a temporary file or folder behind.
        lost: Complete outputs that the next run made again.
        wrong: For each next run that did not give the result: what differs.
    """

    kills: int = 0
    missed: int = 0
    left: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)


class Killer:
    """Kills one step in its working folder, at random moments, and runs it again.

    Args:
        server: Starts the processes.
        name: A key of `SCENARIOS`.
        root: A folder for the working folders of all steps.
        hub: Where `push` goes.
    """

    def __init__(self, server: ForkServer, name: str, root: Path, hub: HubServer) -> None:
        self._server, self._scenario, self._hub, self._name = server, SCENARIOS[name], hub, name
        self._before, self._work = state(self._scenario.state, root), root / "work"
        self._setup = f"import tempfile; tempfile.tempdir = {str(self._work / 'tmp')!r}"
        self._noted = root / "noted"
        if self._scenario.state == "planned":
            self._setup += NOTE_CLIPS.format(path=str(self._noted))
        # Twice: the first run of a server loads more from the disk.
        for _ in range(2):
            self._reset()
            done = self._run()
            assert done.status == 0, done.output
        self._seconds, self._changes = done.seconds, done.changes
        self._expected = self._result()

    def kills(self, count: int, seed: int) -> Outcome:
        """Kill `count` processes: half at random times, half at random changes of files."""
        outcome, rng = Outcome(), random.Random(f"{self._name} {seed}")
        while outcome.kills < count and outcome.missed < 3 * count:
            self._reset()
            words, setup = self._scenario.words, self._setup
            if (outcome.kills + outcome.missed) % 2:
                kill_at = rng.randint(1, self._changes)
                child = self._server.start(words, self._work, kill_at, setup)
                ended, moment = child.wait(), f"change {kill_at} of {self._changes}"
            else:
                after_s = rng.uniform(0, self._seconds)
                child = self._server.start(words, self._work, setup=setup)
                ended, moment = child.kill_after(after_s), f"{after_s:.3f} s"
            if ended.status != -9:
                outcome.missed += 1
                assert ended.status == 0, ended.output
                continue
            outcome.kills += 1
            self._check(outcome, moment, child.group_is_gone())
        return outcome

    def _check(self, outcome: Outcome, moment: str, is_gone: bool) -> None:
        """Run the step again, and compare."""
        outcome.left += any(_is_temporary(Path(name).name) for name in _tree(self._work))
        complete = self._complete() if self._scenario.resumes else {}
        stored = stored_ids(self._work)
        self._noted.unlink(missing_ok=True)
        again = self._run()
        if again.status:
            outcome.wrong.append(f"{moment}: status {again.status}: {again.output.strip()}")
            return
        outcome.lost += sum(self._made(name) != made for name, made in complete.items())
        noted = self._noted.read_text().split("\n") if self._noted.exists() else []
        outcome.lost += len(stored & {*noted})
        found = self._result()
        differing = {k for k in {*found, *self._expected} if found.get(k) != self._expected.get(k)}
        differing |= {k for k in found if k not in self._expected}
        if differing:
            outcome.wrong.append(f"{moment}: {', '.join(sorted(differing))} differ")
        if not is_gone:
            outcome.wrong.append(f"{moment}: processes that it started went on")

    def _run(self):
        return self._server.run(self._scenario.words, self._work, setup=self._setup)

    def _reset(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._before, self._work, symlinks=True)
        if (self._work / "plan").exists():
            moved(self._work / "plan", self._before, self._work)
        (self._work / "tmp").mkdir()
        self._hub.repos.clear()

    def _result(self) -> TREE:
        """Return the files and folders, and those of the Hub."""
        found = _tree(self._work)
        for name, repo in self._hub.repos.items():
            found |= {f"{name}/{path}": data for path, data in repo.files("main").items()}
        return {name: _timeless(name, content) for name, content in found.items()}

    def _complete(self) -> dict[str, tuple[int, int]]:
        """Return the files that the killed process finished, with when and what they are."""
        found, before = _tree(self._work), _tree(self._before)
        return {
            name: self._made(name)
            for name, content in found.items()
            if content is not None
            and content == self._expected.get(name) != before.get(name)
            and name.endswith((".wav", ".ecdc", ".cond.npy", ".cond.json"))
            and not name.startswith("dataset/")
        }

    def _made(self, name: str) -> tuple[int, int]:
        stat = (self._work / name).stat()
        return stat.st_ino, stat.st_mtime_ns


def _tree(folder: Path) -> TREE:
    return dict(_entries(folder))


def _entries(folder: Path) -> Iterator[tuple[str, bytes | None]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith("tmp/pymp-"):  # the sockets of `multiprocess`, in the system's folder
            continue
        if path.is_symlink():
            yield name, str(path.readlink()).encode()
        else:
            yield name, path.read_bytes() if path.is_file() else None


def _is_temporary(name: str) -> bool:
    return name.startswith(".")


def _timeless(name: str, content: bytes | None) -> bytes | None:
    """Leave out what follows from the times of source files, and who made a shard, how fast."""
    if content is not None and name.startswith("plan/shards/") and name.endswith(".json"):
        report = json.loads(content)
        for key in ("worker", "wall_s", "made_s"):
            del report[key]
        return json.dumps(report).encode()
    names = {"dataset/enchf_build.json": "src", "dataset/train/state.json": "_fingerprint"}
    if content is None or name not in names:
        return content
    kept = json.loads(content)
    del kept[names[name]]
    return json.dumps(kept).encode()
