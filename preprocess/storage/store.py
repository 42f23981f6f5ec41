"""Temporary stand-in."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.errors import PreprocessError
from preprocess.core.files import atomic_path, write_bytes
from preprocess.core.listing import list_folder


class StorageError(PreprocessError):
    """x"""


@dataclass(frozen=True)
class Entry:
    path: str
    size: int
    version: str


class Store:
    def __init__(self, root):
        self.root = Path(root)

    @classmethod
    def at(cls, url):
        return cls(Path(url).resolve())

    def __str__(self):
        return str(self.root)

    def child(self, name):
        return str(self.root / name)

    def list(self, suffixes=None, under=""):
        base = self.root / under
        if not base.is_dir():
            return
        for rel in list_folder(base, suffixes or [""]).files + (
            [] if suffixes else list_folder(base, [""]).others
        ):
            rel = f"{under}/{rel}" if under else rel
            s = os.stat(self.root / rel)
            yield Entry(rel, s.st_size, str(s.st_mtime_ns))

    def exists(self, path):
        return (self.root / path).exists()

    def read(self, path):
        return (self.root / path).read_bytes()

    def open(self, path):
        return open(self.root / path, "rb")

    def local(self, path):
        return self.root / path if path else self.root

    def write(self, path, data):
        write_bytes(self.root / path, data)

    def put(self, source, path):
        with atomic_path(self.root / path) as t:
            shutil.copyfile(source, t)

    def delete(self, path):
        (self.root / path).unlink(missing_ok=True)
