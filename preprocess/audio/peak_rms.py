"""The level of a clip: the RMS of its loudest window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]


class PeakRms:
    """Peak RMS: the RMS of the loudest window of a stream, as the predecessor measured level.

    Windows of `window_samples` overlap by 75 % and are entirely within the clip; a clip shorter
    than one window is measured as a whole. Power is averaged over channels.
    """

    def __init__(self, window_samples: int) -> None:
        if window_samples < 4:
            raise ValueError(f"window_samples must be at least 4, got {window_samples}")
        self._window, self._hop = window_samples, window_samples // 4
        self._carry = np.empty(0)
        self._loudest: float | None = None

    def add(self, block: Block) -> None:
        """Add the next block, float32 `[N, C]`."""
        power = np.einsum("nc,nc->n", block, block, dtype=np.float64) / block.shape[1]
        squares = np.concatenate([self._carry, power])
        count = (len(squares) - self._window) // self._hop + 1
        if count > 0:
            starts = self._hop * np.arange(count)
            total = np.concatenate([[0.0], np.cumsum(squares)])
            loudest = float(np.max(total[starts + self._window] - total[starts])) / self._window
            self._loudest = max(self._loudest or 0.0, loudest)
            squares = squares[count * self._hop :]
        self._carry = squares

    @property
    def value(self) -> float:
        """The peak RMS so far, linear, full scale 1.0; 0.0 before the first sample."""
        if self._loudest is not None:
            return float(np.sqrt(self._loudest))
        return float(np.sqrt(np.mean(self._carry))) if len(self._carry) else 0.0
