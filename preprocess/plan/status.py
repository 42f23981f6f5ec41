"""`preprocess status`: how far a plan is, from its reports, parts and leases."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

from preprocess.core.report import listed, plural
from preprocess.plan.leftovers import LEASES
from preprocess.plan.parts import list_parts
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.shard_report import read_report
from preprocess.storage.leases import Leases

_NAMED = 10


@dataclass
class Status:
    """How far a plan is.

    Attributes:
        shards: Number of shards.
        done: Shards that are finished and up to date.
        running: Shard -> who makes it.
        stale: Shard -> who made it and gave no sign of life.
        failed: Shard -> number of its clips that failed.
        clips: Number of clips.
        clips_done: Clips that are made or have failed, in finished shards and in parts.
        clips_failed: Clips that failed.
        hours: Estimated hours of audio.
        hours_done: Hours of audio that are made.
        speed: Seconds of audio that a worker makes in a second; None if no shard is finished.
        left_s: Estimated seconds until all is made, by the workers that run now; None if unknown.
    """

    shards: int = 0
    done: int = 0
    running: dict[str, str] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    clips: int = 0
    clips_done: int = 0
    clips_failed: int = 0
    hours: float = 0.0
    hours_done: float = 0.0
    speed: float | None = None
    left_s: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all shards are finished and no clip failed."""
        return self.done == self.shards and not self.clips_failed

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=1)


def plan_status(plan: PlanFolder) -> Status:
    """Return how far a plan is.

    A shard is stale if its worker died on this machine. One of another machine counts as running
    until a worker that waits for it has seen no sign of life for the plan's `lease_s`.

    Raises:
        PlanError: The plan cannot be read.
        StorageError: It cannot be reached.
    """
    info = plan.info
    status = Status(shards=len(info.shards), clips=info.clips, hours=info.seconds / 3600)
    made_s = wall_s = 0.0
    pending = set()
    for shard in info.shards:
        report = read_report(plan, shard)
        if report is None or report.state != shard.state:
            pending.add(shard.name)
            continue
        status.done += 1
        status.clips_done += report.rows + report.failed
        status.clips_failed += report.failed
        status.hours_done += report.audio_s / 3600
        if report.failed:
            status.failed[shard.name] = report.failed
        made_s, wall_s = made_s + report.made_s, wall_s + report.wall_s * (report.made_s > 0)
    for part in list_parts(plan):
        if part.path.split("/")[1] in pending:
            status.clips_done += part.clips
            status.clips_failed += part.failed
            status.hours_done += part.seconds / 3600
    for name, holder in Leases(plan.store, LEASES, lease_s=info.lease_s).all().items():
        if name in pending:
            (status.stale if holder.is_dead else status.running)[name] = str(holder)
    if made_s and wall_s:
        status.speed = made_s / wall_s
        if status.running:
            left = max(0.0, status.hours - status.hours_done) * 3600
            status.left_s = left / (status.speed * len(status.running))
    return status


def format_status(status: Status) -> str:
    """Return a status as a few lines for people."""
    waiting = status.shards - status.done - len(status.running) - len(status.stale)
    lines = [
        f"shards     {status.done:,} of {status.shards:,} done, {len(status.running):,} running, "
        f"{len(status.stale):,} stale, {waiting:,} waiting",
        f"clips      {status.clips_done:,} of {status.clips:,}, {status.clips_failed:,} failed",
        f"audio      {status.hours_done:,.2f} of about {status.hours:,.2f} hours",
    ]
    if status.speed is not None:
        each = f"{status.speed:,.0f}x real time for each worker"
        left = "" if status.left_s is None else f", about {duration(status.left_s)} left"
        lines.append(f"speed      {each}{left}")
    for title, named in (("running", status.running), ("stale", status.stale)):
        counts = Counter(named.values())
        for who, count in list(counts.items())[:_NAMED]:
            names = listed([name for name, other in named.items() if other == who], 3)
            lines.append(f"{title:<10} {who}: {count:,} {plural('shard', count)}, {names}")
        if len(counts) > _NAMED:
            lines.append(f"{title:<10} and {len(counts) - _NAMED:,} more workers")
    if status.failed:
        names = listed([f"{name} ({count:,})" for name, count in status.failed.items()], _NAMED)
        lines.append(f"failed     clips in {names}: preprocess finish lists them")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return seconds as `3 h 20 min`, `12 min` or `40 s`."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
