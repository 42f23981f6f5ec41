"""Counts what the workers of a plan do, for the report and the progress."""

from __future__ import annotations

from preprocess.core.progress import Progress
from preprocess.core.report import Report, plural
from preprocess.plan.plan_file import PlanFolder
from preprocess.plan.plan_info import PlannedShard
from preprocess.plan.worker import Tried


class Tally:
    """Counts what workers do, for the report and the progress.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: PlanFolder) -> None:
        self.report = Report("shards", output=plan.info.output, fault="failed clips")
        self._plan = plan
        self._shards: dict[str, int] = {"made": 0, "up to date": 0, "by others": 0}
        self._counted: set[str] = set()
        self._failed_before = 0
        self._made: dict[str, int] = {}
        info = plan.info
        self.progress = Progress("shards", info.clips, total_audio_s=info.seconds)

    def clip(self, shard: str, clip_id: str, seconds: float, error: str) -> None:
        """Count a clip that a worker has made, or that failed."""
        self._made[shard] = self._made.get(shard, 0) + 1
        if error:
            self.report.fail(clip_id, error)
        else:
            self.report.done += 1
            self.report.audio_s += seconds
        self.progress.update(audio_s=seconds, failed=bool(error))

    def shard(self, shard: PlannedShard, tried: Tried, is_own: bool = True) -> bool:
        """Count a shard that needs no more attention; return False if it was counted before."""
        if shard.name in self._counted:
            return False
        self._counted.add(shard.name)
        if tried.broken:
            self.report.fail(shard.name, tried.broken)
            return True
        self._failed_before += tried.failed
        how = "made" if tried.report else "up to date" if is_own else "by others"
        self._shards[how] += 1
        kept = shard.clips - self._made.get(shard.name, 0)
        if kept > 0:
            if how != "by others":
                self.report.current += kept
            self.progress.update(kept, shard.seconds * kept / max(1, shard.clips), current=True)
        return True

    def finish(self) -> Report:
        """Return the report."""
        done = self._counted
        total = len(self._plan.info.shards)
        parts = [f"{n:,} {what}" for what, n in self._shards.items() if n]
        missing = total - len(done)
        parts += [f"{missing:,} left to others"] if missing else []
        if self._failed_before:
            count = self._failed_before
            self.report.note(
                f"{count:,} {plural('clip', count)} failed in an earlier run: preprocess finish "
                f"lists them, --retry-failed tries them again"
            )
        self.report.detail = (
            f"{total:,} {plural('shard', total)}: {', '.join(parts) or 'none made'}"
        )
        return self.report.finish()
