"""The content of a file at one moment, to notice that it changes between hashing and reading it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.errors import PreprocessError
from preprocess.core.files import digest_file


class FileChangedError(PreprocessError):
    """A file changed after it was hashed, so what was read may not be what the hash says."""


@dataclass(frozen=True)
class FileVersion:
    """What a file was when it was hashed.

    Attributes:
        digest: Hash of its content.
        content: Its inode, size and modification time.
        changed_ns: When the system last changed it, its name, owner, mode or links included.
    """

    digest: str
    content: tuple[int, int, int]
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FileVersion:
        """Hash a file; a change while it is hashed counts as one after that."""
        stat = os.stat(path)
        return cls(digest_file(path), _content(stat), stat.st_ctime_ns)

    def require(self, path: Path) -> None:
        """Check, after reading a file, that it is the one that was hashed.

        Compares what the system says of the file. Only if no more than the time of its last change
        differs, as after a `chmod` or a copy that restores modification times, it is hashed again.

        Raises:
            FileChangedError: The file was written to, replaced or removed.
        """
        try:
            stat = os.stat(path)
            same = _content(stat) == self.content
            if same and stat.st_ctime_ns != self.changed_ns:
                same = digest_file(path) == self.digest
        except FileNotFoundError:
            same = False
        if not same:
            raise FileChangedError(f"{path} changed while it was read; run again")


def _content(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
