"""Step 6: publishes a dataset, saved or packed, on the Hub, where it loads without a script."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from preprocess.codec.model_config import ModelConfig
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.provenance import BY
from preprocess.core.report import Report
from preprocess.core.settings import Settings
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.quiet import quiet_datasets
from preprocess.page.clip_data import Decoder
from preprocess.publish.card import About, make_card
from preprocess.publish.card_yaml import config_folders
from preprocess.publish.finishing import CARD_NAME, subset_name
from preprocess.publish.hub import HubRepo
from preprocess.publish.listen import ListenFiles, is_stale, write_listen
from preprocess.publish.listen_info import LISTEN, Listen
from preprocess.publish.parquet import Shards
from preprocess.publish.subset import (
    Subset,
    at_codebooks,
    read_info,
    read_listen,
    subset_codebooks,
    write_info,
)
from preprocess.shards.reading import INFO_NAME
from preprocess.steps.push_source import PushSource, open_push_source

MOST_LISTEN = 100
"""Of clips to hear: their page is one file."""


@dataclass(frozen=True, kw_only=True)
class PushConfig(Settings):
    """How a saved dataset is published on the Hub."""

    config: Annotated[
        tuple[str, ...],
        Field(
            description="subsets to push: the name of a builder config, such as "
            "encodec_24khz_6kbps, slices the tokens to its bandwidth; any other name keeps all "
            "codebooks; default: one subset named after codec and bandwidth"
        ),
    ] = ()
    private: Annotated[bool, Field(description="create a private repository")] = False
    revision: Annotated[str | None, Field(description="branch to push to; default: main")] = None
    license: Annotated[
        str | None, Field(description="licence of the sounds by its Hub name, such as cc0-1.0")
    ] = None
    source: Annotated[str | None, Field(description="where the sounds come from, for the card")] = (
        None
    )
    listen: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_LISTEN,
            description="also publish this many clips, decoded, as the subset listen: sound for the "
            "Hub's viewer, parameters as pictures, and a page that the card links",
        ),
    ] = None
    dry_run: Annotated[bool, Field(description="list the files to push, without a network")] = False


def push(
    dataset: Path, repo_id: str, config: PushConfig, model: ModelConfig | None = None
) -> Report:
    """Publish a saved dataset as Parquet with a card, in one commit.

    This replaces the same subsets in the repository and keeps its other subsets.

    Args:
        dataset: A folder that `preprocess build`, `preprocess pack` or `DatasetDict.save_to_disk`
            wrote. Shards are sent as they are, unless at another bandwidth.
        repo_id: `NAMESPACE/NAME`.
        config: Settings of the push.
        model: The weights that decode the subset `listen`; None for the published ones.

    Raises:
        UsageError: The dataset does not exist, no access token is set, or a name is invalid.
        DatasetError: The dataset mixes codecs or bandwidths, or has no rows.
        PreprocessError: The Hub refuses or cannot be reached; nothing was changed there.
    """
    report = Report("push", item="row")
    repo = HubRepo(repo_id, config.revision)
    source = open_push_source(dataset)
    subsets = _chosen(config, source.whole)
    if not config.dry_run:
        repo.open(config.private)
    temporary = Path(tempfile.gettempdir(), "enchf-push")
    remove_stale(temporary.parent, recursive=False)
    with temporary_folder(temporary) as scratch, quiet_datasets():
        files = {n: source.write(n, subset, Path(scratch)) for n, subset in subsets.items()}
        there = [] if config.dry_run else repo.files()
        heard = _heard(source, Path(scratch), repo, config, model or ModelConfig())
        known, listen, card = _known(repo, there, Path(scratch, "there"))
        folders = _folders(repo, files, there, card)
        listen, everything = heard.listen if heard else listen, {**known, **subsets}
        about = About(repo.repo_id, config.license, config.source, repo.revision)
        card = source.card(repo.repo_id) if card is None else card
        card = make_card(card, about, everything, files, source.features, listen, heard)
        new = {**_shards(files), **(heard.files if heard else {}), CARD_NAME: card.encode()}
        new[INFO_NAME] = write_info(everything, listen)
        names = [*subsets, *([LISTEN] if heard else [])]
        sizes = {path: _size(content) for path, content in new.items()}
        if not config.dry_run:
            old = [path for path in there if _is_stale(path, folders, new)]
            old += [path for path in there if heard and is_stale(path, new)]
            repo.replace(new, old, f"Push {', '.join(names)} by {BY}")
    if config.dry_run:
        report.notes += [f"{path}, {size:,} bytes" for path, size in sizes.items()]
    report.output = f"{repo.repo_id}{' (dry run, nothing was sent)' if config.dry_run else ''}"
    report.done = sum(subset.clips for subset in subsets.values())
    report.detail = f"{', '.join(names)}, {len(new)} files of {sum(sizes.values()) / 1e6:.1f} MB"
    return report.finish()


def _chosen(config: PushConfig, whole: Subset) -> dict[str, Subset]:
    names = config.config or (subset_name(whole.model, whole.bandwidth_kbps),)
    for name in names:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise UsageError(f"--config: {name!r} may only have letters, digits, '_', '-' and '.'")
        if name == LISTEN:
            raise UsageError(f"--config: {name!r} is the name of the subset that --listen makes")
    return {name: at_codebooks(whole, subset_codebooks(name, whole)) for name in names}


def _heard(
    source: PushSource, scratch: Path, repo: HubRepo, config: PushConfig, model: ModelConfig
) -> ListenFiles | None:
    """Return the files of the subset `listen`, None where it was not asked for."""
    if config.listen is None:
        return None
    decoder = Decoder(model.weights, model.device)
    rows = source.rows(scratch / "rows")
    return write_listen(rows, scratch / LISTEN, repo.repo_id, config.listen, decoder)


def _known(
    repo: HubRepo, there: list[str], scratch: Path
) -> tuple[dict[str, Subset], Listen | None, str | None]:
    """Return the subsets that the repository has, the one to hear, and its card."""
    info = repo.read(INFO_NAME, scratch) if INFO_NAME in there else None
    subsets, listen = ({}, None) if info is None else (read_info(info), read_listen(info))
    card = repo.read(CARD_NAME, scratch).decode("utf-8", "replace") if CARD_NAME in there else None
    return subsets, listen, card


def _shards(files: Mapping[str, Mapping[str, Shards]]) -> dict[str, Path | bytes]:
    """Return the shards of all subsets, keyed by their paths in the repository."""
    return {
        f"{shards.folder or name}/{path.name}": path
        for name, splits in files.items()
        for shards in splits.values()
        for path in shards.paths
    }


def _folders(
    repo: HubRepo,
    files: Mapping[str, Mapping[str, Shards]],
    there: list[str],
    card: str | None,
) -> set[str]:
    """Return the folders of a repository whose shards this push replaces.

    Raises:
        PreprocessError: One of them has the files of another subset.
    """
    known = config_folders(card)
    replaced = set(files).union(*(known.get(name, ()) for name in files)) - {""}
    for name, splits in files.items():
        for folder in {shards.folder for shards in splits.values()} - {""} - replaced:
            others = [other for other, own in known.items() if folder in own]
            if others or any(path.startswith(f"{folder}/") for path in there):
                whose = f"its subset {others[0]!r}" if others else "no subset"
                raise PreprocessError(
                    f"{repo.repo_id} has files of {whose} in {folder}/, where those of {name!r} "
                    f"would go; push to another repository, or delete them there"
                )
    return replaced | {s.folder for splits in files.values() for s in splits.values()} - {""}


def _is_stale(path: str, folders: Collection[str], new: Mapping[str, Any]) -> bool:
    """Whether a file is an old shard of a subset in this push."""
    folder, _, name = path.rpartition("/")
    shard = re.fullmatch(r".+-\d{5}-of-\d{5}\.parquet", name)
    return folder in folders and bool(shard) and path not in new


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
