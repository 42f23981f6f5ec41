"""Imports run downwards: from a room to itself or to one below it, and never in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import preprocess

PACKAGE = Path(preprocess.__file__).parent
ROOMS = (
    *("core", "storage", "tokens", "audio", "codec", "sidecar", "stats", "params", "dataset"),
    *("shards", "train", "audit", "page", "publish", "steps", "plan", "cli"),
)
"""Lowest first."""


def imports() -> dict[str, set[str]]:
    """Return module -> the modules of ours that it imports, anywhere in its code."""
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        found = graph.setdefault(name, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if alias.name in modules}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("preprocess"):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    package = f"{node.module}.__init__"
                    found |= {m for m in (inner, node.module, package) if m in modules}
    return graph


def room(module: str) -> str:
    """Return the room of a module; what lies outside of them is in none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 else ""


def test_every_folder_is_a_room():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_imports_run_downwards():
    rank = {name: index for index, name in enumerate(ROOMS)}
    upward = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if room(module) in rank and room(other) in rank and rank[room(other)] > rank[room(module)]
    ]
    assert not upward, upward


def test_no_modules_import_each_other():
    graph = imports()
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names it
    assert set(order) == set(graph)
