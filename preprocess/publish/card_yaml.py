"""The YAML of a dataset card: what loaders need to know of each subset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from preprocess.publish.parquet import Shards

if TYPE_CHECKING:
    from datasets import Features


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
