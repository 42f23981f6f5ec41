"""How large a table may be: in memory, a cell takes a hundred times the bytes of `1,`."""

from __future__ import annotations

from pathlib import Path

from preprocess.core.errors import UsageError

MAX_ROWS = 4_000_000
"""An hour of a curve at 1 kHz."""
MAX_CELLS = 20_000_000
_FEW_CELLS = 100_000


def check_rows(path: Path, rows: int) -> None:
    """Check the number of rows of a table, or of lines of its file.

    Raises:
        UsageError: It has more than `MAX_ROWS`.
    """
    if rows > MAX_ROWS:
        raise UsageError(f"table {path} has {rows:,} rows; at most {MAX_ROWS:,} are read")


class CellRoom:
    """Counts the cells of a table, those that its file leaves out included.

    A header of 10,000 columns and 10,000 lines of one cell are 30 kB and a table of 100 million
    cells.
    """

    def __init__(self, path: Path) -> None:
        """Start with an empty table; `path` is its file, for messages."""
        self._path = path
        self._cells = self._room = 0

    def take(self, given: int, wanted: int) -> None:
        """Add rows of which the file gives `given` cells and which become `wanted`.

        Raises:
            UsageError: The table has more than `MAX_CELLS` cells, or most of them are missing.
        """
        self._room += given
        self._cells += wanted
        if self._cells > min(MAX_CELLS, 10 * self._room + _FEW_CELLS):
            why = "" if self._cells > MAX_CELLS else f", of which its file has {self._room:,}"
            raise UsageError(f"table {self._path} has more than {self._cells - 1:,} cells{why}")
