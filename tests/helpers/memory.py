"""How much memory a piece of code takes, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MEASURE = """
import sys, gc
def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
{setup}
gc.collect()
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = peak_mib()
try:
    {code}
except Exception as error:
    print(type(error).__name__, str(error))
print(peak_mib() - before)
"""


def growth_mib(setup: str, code: str, *arguments: Path | str) -> tuple[float, str]:
    """Return by how much `code`, run after `setup`, raised the peak memory of a process.

    Args:
        setup: Statements, such as imports; `sys.argv[1:]` are `arguments`.
        code: One statement.
        arguments: Words for it.

    Returns:
        MiB, and what it printed: of an error, its type and message.
    """
    script = _MEASURE.format(setup=setup, code=code)
    words = [sys.executable, "-c", script, *map(str, arguments)]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root, timeout=120)
    assert done.returncode == 0, done.stderr
    *printed, grown = done.stdout.splitlines()
    return float(grown), "\n".join(printed)
