"""Field, flag and key are one name, and what is mistyped is one line that says the right one."""

from __future__ import annotations

import dataclasses
import shlex

import pytest

from preprocess.audit.audit_config import AuditConfig
from preprocess.codec.model_config import CodecConfig, ModelConfig
from preprocess.core.errors import UsageError
from preprocess.core.flags import add_flags, from_flags, validate
from preprocess.core.parser import OneLineParser
from preprocess.params import PRODUCERS
from preprocess.steps.annotate_clip import AnnotateConfig
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.export_config import ExportConfig
from preprocess.steps.normalize import NormalizeConfig
from tests.helpers.commands import assert_says, run

COMMANDS = [
    ("normalize", NormalizeConfig),
    ("encode", EncodeConfig),
    ("encode", CodecConfig),
    ("annotate", AnnotateConfig),
    ("annotate", ModelConfig),
    ("audit", AuditConfig),
    ("build", BuildConfig),
    ("export", ExportConfig),
]


def help_of(capsys, command: str) -> dict[str, str]:
    """Return what `--help` says of each flag, on one line."""
    entries, flag = {}, ""
    for line in run(capsys, f"{command} --help").out:
        if line.startswith("  -"):
            flag = line.split()[0].rstrip(",")
            entries[flag] = ""
        elif not line.startswith("      "):
            flag = ""
        if flag:
            entries[flag] += " ".join(line.split()) + " "
    return entries


@pytest.mark.parametrize(("command", "settings"), COMMANDS)
def test_every_field_is_a_flag_with_its_default(capsys, command, settings):
    entries = help_of(capsys, command)
    for field in dataclasses.fields(settings):
        text = entries["--" + field.name.replace("_", "-")]
        if isinstance(field.default, (str, int, float)) and not isinstance(field.default, bool):
            assert f"(default: {field.default})" in text


@pytest.mark.parametrize("name", PRODUCERS)
def test_every_producer_is_a_flag_with_its_keys(capsys, name):
    text = help_of(capsys, "annotate")["--" + name.replace("_", "-")]
    words = text.split("Keys: ")[1].split()
    none = dataclasses.MISSING
    for field in dataclasses.fields(PRODUCERS[name]):
        required = field.default is none and field.default_factory is none
        assert (f"{field.name}=" if required else f"[{field.name}=]") in words


@pytest.mark.parametrize(
    ("settings", "words", "expected"),
    [
        (NormalizeConfig, "", NormalizeConfig()),
        (NormalizeConfig, "--target-rms 0.2 --overwrite", {"target_rms": 0.2, "overwrite": True}),
        (NormalizeConfig, "--extensions wav FLAC", {"extensions": ("wav", "FLAC")}),
        (NormalizeConfig, "--on-clip limit", {"on_clip": "limit"}),
        (
            EncodeConfig,
            "--no-recursive --verify-samples 3",
            {"recursive": False, "verify_samples": 3},
        ),
        (AuditConfig, "--require a b --expect-fps 75", {"require": ("a", "b"), "expect_fps": 75}),
        (AuditConfig, "--expect-dtype float64", {"expect_dtype": "float64"}),
        (AnnotateConfig, "--dtype float64 --max-error 0", {"dtype": "float64", "max_error": 0}),
        (
            BuildConfig,
            "--materialize none --split-name test",
            {"materialize": "none", "split_name": "test"},
        ),
        (CodecConfig, "--codec x --device cpu", {"codec": "x", "device": "cpu"}),
    ],
)
def test_flags_become_settings(settings, words, expected):
    parser = OneLineParser()
    add_flags(parser, settings)
    wanted = settings(**expected) if isinstance(expected, dict) else expected
    assert from_flags(settings, parser.parse_args(shlex.split(words))) == wanted


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("normalize a b --target-rm 0.2", ["--target-rm", "'--target-rms'"]),
        ("normalize a b --target_rms=0.2", ["--target_rms", "'--target-rms'"]),
        ("annotate a --constan name=x", ["--constan", "'--constant'"]),
        ("audit a --fromat csv", ["--fromat", "'--format'"]),
        ("encode a b --overwite", ["--overwite", "'--overwrite'"]),
        ("run a.yaml --outptu x", ["--outptu", "'--output'"]),
    ],
)
def test_an_unknown_flag_suggests_the_nearest(capsys, command, parts):
    result = run(capsys, command)
    assert result.status == 2
    assert_says(result.error, parts)


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("", ["STEP"]),
        ("normalise a b", ["normalise", "normalize"]),
        ("normalize a", ["output"]),
        ("normalize a b --target-rms 2", ["--target-rms", "less than 1", "'2'"]),
        ("normalize a b --target-rms loud", ["--target-rms", "number", "'loud'"]),
        ("normalize a b --target-rms nan", ["--target-rms", "nan"]),
        ("normalize a b --window-ms 0", ["--window-ms", "1", "'0'"]),
        ("normalize a b --on-clip bend", ["--on-clip", "bend", "limit"]),
        ("normalize a b --extensions", ["--extensions"]),
        ("normalize a b --jobs 0", ["--jobs", "at least 1"]),
        ("normalize a b --jobs two", ["--jobs", "two", "whole number"]),
        ("encode a b --suffix ecdc", ["--suffix", "'ecdc'"]),
        ("encode a b --bandwidth -1", ["--bandwidth", "greater than 0"]),
        ("encode a b --verify-samples 1.5", ["--verify-samples", "integer", "1.5"]),
        ("annotate a --dtype float8", ["--dtype", "float8", "float64"]),
        ("annotate a --max-error 1", ["--max-error", "less than 1"]),
        ("audit a --expect-fps 0", ["--expect-fps", "greater than 0"]),
        ("audit a --range-tol -1", ["--range-tol", "'-1'"]),
        ("audit a --format xml", ["--format", "xml", "json"]),
        ("build a b --split-name ../x", ["--split-name", "'../x'"]),
        ("build a b --tokens-subdir ..", ["--tokens-subdir", "'..'"]),
    ],
)
def test_a_wrong_value_names_its_flag(capsys, command, parts):
    result = run(capsys, command)
    assert result.status == 2
    assert_says(result.error, parts)


def test_a_misspelt_key_is_said_before_the_one_that_is_missing():
    with pytest.raises(UsageError, match=r"unknown key 'nam' \(did you mean 'name'\?\)"):
        validate(PRODUCERS["constant"], {"nam": "x", "value": 1})


def test_a_key_like_no_other_lists_those_there_are():
    with pytest.raises(UsageError, match=r"unknown key 'zzz'; known: .*expect_fps, expect_dtype"):
        validate(AuditConfig, {"zzz": 1})
