"""The package as it is installed: its command, its imports, what ships in it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import preprocess
from preprocess.cli import entry
from preprocess.cli.main import build_parser, main
from preprocess.core.resources import resource, shipped_recipe

ROOT = Path(__file__).parent.parent


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("module", ["preprocess", "preprocess.cli.entry", "preprocess.cli.main"])
def test_importing_is_light(module):
    heavy = "{'torch', 'datasets', 'librosa', 'bokeh', 'ray', 'transformers'}"
    code = f"import sys, {module}; print(*({heavy} & sys.modules.keys()))"
    assert python("-c", code).stdout.strip() == ""


def test_importing_the_builder_does_not_import_torch():
    """datasets itself imports torch where it is installed, so the look is at our own modules."""
    code = "import sys, enchf_dataset; print('preprocess.codec.codec' in sys.modules)"
    assert python("-c", code).stdout.strip() == "False"


def test_the_module_is_the_command():
    shown = python("-m", "preprocess", "--version")
    assert (shown.returncode, shown.stdout.strip()) == (0, preprocess.__version__)


def test_the_installed_version_is_the_packages():
    assert metadata.version("enchf-dataset") == preprocess.__version__
    (command,) = metadata.entry_points(group="console_scripts", name="preprocess")
    assert command.load() is entry.preprocess


def test_every_step_has_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    for step in ("normalize", "encode", "annotate", "audit", "build", "run", "demo", "doctor"):
        assert re.search(rf"^ +{step}  ", listed, re.MULTILINE)
        with pytest.raises(SystemExit) as stop:
            main([step, "--help"])
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: preprocess {step}")


def test_every_flag_says_what_it_does():
    steps = build_parser()._subparsers._group_actions[0].choices
    for step in steps.values():
        step.fill()
    assert {"--bandwidth", "--verify"} <= set(steps["encode"]._option_string_actions)
    silent = [
        f"{name} {action.option_strings or action.dest}"
        for name, step in steps.items()
        for action in step._actions
        if action.option_strings and not action.help
    ]
    assert silent == []


def test_what_ships_is_small_and_whole():
    weights = resource("demo_codec/encodec_24khz_demo.safetensors")
    assert weights.stat().st_size <= 4_000_000
    assert len(list(resource("audio").rglob("*.flac"))) == 9
    assert shipped_recipe("quickstart.yaml").exists()


def test_the_extras_and_the_changelog_are_of_this_version():
    extras = metadata.metadata("enchf-dataset").get_all("Provides-Extra")
    assert set(extras) == {"script", "parameters", "formats", "s3", "gcs", "ray", "plot", "dev"}
    assert f"## [{preprocess.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_a_wheel_holds_recipes_weights_and_audio(tmp_path):
    import zipfile

    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    built = python("-m", "pip", "wheel", *flags, ".")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "enchf_dataset.py",
        "workflow/writeParamArrays.py",
        "preprocess/cli/main.py",
        "preprocess/configs/quickstart.yaml",
        "preprocess/constraints.txt",
        "preprocess/page/script/clip.js",
        "preprocess/page/script/page.css",
        "preprocess/data/demo_codec/encodec_24khz_demo.safetensors",
        "preprocess/data/audio/guitar/guit_em9.flac",
    } <= names
    assert not any(name.startswith(("tests/", "tools/", "benchmarks/")) for name in names)
