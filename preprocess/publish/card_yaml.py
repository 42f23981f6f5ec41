"""The YAML of a dataset card: what loaders need to know of each subset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from preprocess.core.errors import PreprocessError
from preprocess.core.quiet import errors_only
from preprocess.core.untrusted import clipped, shown
from preprocess.core.yaml_files import load_yaml
from preprocess.publish.parquet import Shards

if TYPE_CHECKING:
    from datasets import Features
    from huggingface_hub import DatasetCard

_MAX_CARD_YAML = 4 << 20


def parse_card(old: str | None) -> DatasetCard:
    """Return the existing card, or an empty one.

    Raises:
        PreprocessError: The YAML of the existing card cannot be read.
    """
    from huggingface_hub import DatasetCard

    try:
        # Refuses what grows; the next line reads it again.
        load_yaml(_yaml_block(old or ""), _MAX_CARD_YAML)
        with errors_only("huggingface_hub"):  # it warns about a card without YAML
            card = DatasetCard(old or "")
        _check_types(card.data.to_dict())
    except Exception as error:  # from a value whose type DatasetCard does not expect, too
        raise PreprocessError(
            f"the YAML of the repository's README.md cannot be read: {clipped(error)}"
        ) from None
    return card


def _yaml_block(text: str) -> str:
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    match = REGEX_YAML_BLOCK.search(text)
    return str(match[2]) if match else ""


def _check_types(data: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a key that a push changes has another type than the Hub gives it."""
    for key in ("configs", "dataset_info"):
        entries = card_entries(data, key)
        if not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{key} must be a list of keys and values")
    tags = data.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(f"tags must be a list of words, got {shown(tags)}")


def card_entries(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the list of entries under `key`; a card may have a single entry without a list."""
    entries = data.get(key) or []
    return [entries] if isinstance(entries, dict) else list(entries)


def config_folders(card: str | None) -> dict[str, set[str]]:
    """Return the folders in which the files of each subset are, from a repository's card.

    Raises:
        PreprocessError: The YAML of the card cannot be read.
    """
    found: dict[str, set[str]] = {}
    for entry in parse_card(card).data.to_dict().get("configs") or []:
        files = entry.get("data_files") if isinstance(entry, dict) else None
        listed = files if isinstance(files, list) else [files]
        paths = [f.get("path") if isinstance(f, dict) else f for f in listed]
        flat = [p for path in paths for p in (path if isinstance(path, list) else [path])]
        folders = {str(path).rpartition("/")[0] for path in flat}
        found.setdefault(str(entry.get("config_name", "default")), set()).update(folders)
    return found


def put_entry(data: dict[str, Any], key: str, entry: dict[str, Any]) -> None:
    """Replace the entry of a subset in the list `data[key]`, or add it."""
    name = entry["config_name"]
    for index, there in enumerate(data[key]):
        if there.get("config_name", "default") == name:
            default = {"default": True} if there.get("default") else {}
            data[key][index] = {**entry, **default}
            return
    data[key].append(entry)


def config_entry(name: str, splits: Mapping[str, Shards]) -> dict[str, Any]:
    """Return a subset's entry of `configs`: which files are which split."""
    return {
        "config_name": name,
        "data_files": [
            {"split": split, "path": f"{shards.folder or name}/{split}-*"}
            for split, shards in splits.items()
        ],
    }


def info_entry(name: str, splits: Mapping[str, Shards], features: Features) -> dict[str, Any]:
    """Return a subset's entry of `dataset_info`: its columns and sizes."""
    listed = [
        {"name": split, "num_bytes": s.num_bytes, "num_examples": s.num_examples}
        for split, s in splits.items()
    ]
    return {
        "config_name": name,
        "features": _old_spelling(features._to_yaml_list()),
        "splits": listed,
        "download_size": sum(s.file_bytes for s in splits.values()),
        "dataset_size": sum(s.num_bytes for s in splits.values()),
    }


def _old_spelling(yaml: Any) -> Any:
    """Return columns with lists spelt as `datasets` 3 does, which newer ones read too."""
    if isinstance(yaml, list):
        return [_old_spelling(entry) for entry in yaml]
    if isinstance(yaml, dict):
        return {"sequence" if k == "list" else k: _old_spelling(v) for k, v in yaml.items()}
    return yaml
