"""Fuzzes one reader by coverage, with atheris.

    nox -s fuzz -- READER SECONDS
    python -m fuzz.fuzz_reader READER [-max_total_time=SECONDS] [libFuzzer's flags] [CORPUS]

The corpus, `.fuzz/READER` without another, starts with the reader's valid files and keeps what
reached new code. Only our own modules are instrumented. An input that ends a reader otherwise than
`fuzz.guard.check` allows, takes longer than 10 s or more than 2 GiB is saved as
`tests/hostile/regressions/READER-crash-...`, which `tests/hostile/test_regressions.py` reads again.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from fuzz.guard import check, warm_up
from fuzz.readers import READERS

ROOT = Path(__file__).parents[1]
REGRESSIONS = ROOT / "tests" / "hostile" / "regressions"
MAX_BYTES = 1 << 16


def write_corpus(name: str, folder: Path) -> None:
    """Add the valid files of a reader to a corpus, each under the hash of its content."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in READERS[name].seeds():
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def main() -> None:
    """Run libFuzzer for the reader that the first word names."""
    import atheris

    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        raise SystemExit(f"usage: fuzz_reader READER [FLAGS] [CORPUS]; {', '.join(READERS)}")
    name, *words = sys.argv[1:]
    reader = READERS[name]
    flags = [word for word in words if word.startswith("-")]
    corpus = next((Path(w) for w in words if not w.startswith("-")), ROOT / ".fuzz" / name)
    with atheris.instrument_imports(include=list(reader.modules), enable_loader_override=False):
        write_corpus(name, corpus)
        warm_up(reader)  # imports what it needs
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))

    def test_one(data: bytes) -> None:
        check(reader, data, folder)

    defaults = [f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]
    defaults += ["-print_final_stats=1", f"-artifact_prefix={REGRESSIONS}/{name}-"]
    atheris.Setup([sys.argv[0], *defaults, *flags, str(corpus)], test_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
