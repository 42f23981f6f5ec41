"""The description of a parameter without its values. All other descriptions are made from it."""

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
    """The description of a parameter.

    Attributes:
        units: Physical unit, such as `dB` or `Hz`; may be empty.
        doc_string: What it means.
        kind: `continuous`, `categorical` (integer labels) or `circular` (an angle or phase).
        min: Lower end of the declared range, the lowest of all clips; None if a clip declares none.
        max: Upper end of the declared range, the highest of all clips; None if a clip declares
            none.
    """

    units: str = ""
    doc_string: str = ""
    kind: str = "continuous"
    min: float | None = None
    max: float | None = None

    @property
    def is_declared(self) -> bool:
        """Whether it has a declared range or one end of it."""
        return self.min is not None or self.max is not None

    @property
    def period(self) -> float | None:
        """The period of a circular parameter, in `units`; None for other kinds."""
        return circular_period(self.units, self.min, self.max) if self.kind == "circular" else None

    def to_json(self) -> str:
        """Return it as JSON, without empty fields."""
        known = {key: value for key, value in asdict(self).items() if value not in ("", None)}
        return json.dumps(known, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | None) -> ParameterInfo:
        """Return what `to_json` wrote; an empty description for any other text."""
        try:
            info = cls(**json.loads(text or "{}"))
            texts = (info.units, info.doc_string, info.kind)
            ends = [end for end in (info.min, info.max) if end is not None]
            valid = all(type(t) is str for t in texts) and all(map(math.isfinite, ends))
        except (ValueError, TypeError, OverflowError, RecursionError):
            return cls()
        return info if valid else cls()


def circular_period(units: str, low: float | None = None, high: float | None = None) -> float:
    """Return the period of a circular parameter.

    This is the width of the declared range; without one, 360 if `units` are degrees, 1 if they
    are turns or cycles, else 2 pi.

    Args:
        units: The parameter's unit.
        low: Lower end of the declared range, or None.
        high: Upper end of the declared range, or None.
    """
    if low is not None and high is not None and high > low:
        return high - low
    return _PERIODS.get(units.lower(), math.tau)
