"""What is known of a parameter beside its values: the one description, from which others are made."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

_PERIODS = {
    **dict.fromkeys(("deg", "degree", "degrees", "\N{DEGREE SIGN}"), 360.0),
    **dict.fromkeys(("turn", "turns", "cycle", "cycles"), 1.0),
}


@dataclass(frozen=True)
class ParameterInfo:
    """What is known of a parameter beside its values.

    Attributes:
        units: Physical unit, such as `dB` or `Hz`; may be empty.
        doc_string: What it means.
        kind: `continuous`, `categorical` (integer labels) or `circular` (an angle or phase).
        min: Lower end of the declared range, the widest where clips differ; None where one of them
            declares none.
        max: Upper end of it.
    """

    units: str = ""
    doc_string: str = ""
    kind: str = "continuous"
    min: float | None = None
    max: float | None = None

    @property
    def is_declared(self) -> bool:
        """Whether it has a declared range, or one end of it."""
        return self.min is not None or self.max is not None

    @property
    def period(self) -> float | None:
        """The length of the circle, in `units`, of a circular parameter; else None."""
        return circular_period(self.units, self.min, self.max) if self.kind == "circular" else None

    def to_json(self) -> str:
        """Return it as JSON, without what is empty."""
        known = {key: value for key, value in asdict(self).items() if value not in ("", None)}
        return json.dumps(known, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | None) -> ParameterInfo:
        """Return what `to_json` wrote; for any other text, a description that says nothing."""
        try:
            return cls(**json.loads(text or "{}"))
        except (ValueError, TypeError):
            return cls()


def circular_period(units: str, low: float | None = None, high: float | None = None) -> float:
    """Return the length of the circle of a circular parameter.

    The width of the declared range; without one, 360 where `units` are degrees, 1 where they are
    turns or cycles, and 2 pi.
    """
    if low is not None and high is not None and high > low:
        return high - low
    return _PERIODS.get(units.lower(), math.tau)
