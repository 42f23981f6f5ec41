"""Access to a repository on the Hugging Face Hub: read its files, replace them in one commit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from preprocess.core.errors import PreprocessError, UsageError

T = TypeVar("T")


class HubRepo:
    """A dataset repository on the Hub.

    Attributes:
        repo_id: `NAMESPACE/NAME`; a bare name goes into the user's own namespace.
        revision: The branch.
    """

    def __init__(self, repo_id: str, revision: str | None = None) -> None:
        """Check the names without a network.

        Raises:
            UsageError: `repo_id` is not a valid repository name.
        """
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(repo_id)
        except ValueError as error:
            raise UsageError(
                f"{repo_id!r} is not a repository name: {' '.join(str(error).split())}"
            ) from None
        if repo_id.endswith(".py"):
            raise UsageError(f"{repo_id!r}: a name must not end in .py, which datasets runs")
        self.repo_id, self.revision = repo_id, revision or "main"
        self._api: Any = None

    def open(self, private: bool) -> None:
        """Create the repository and the branch if they do not exist.

        Raises:
            UsageError: No access token is set.
            PreprocessError: The Hub refuses or cannot be reached.
        """
        from huggingface_hub import HfApi, get_token

        token = get_token()
        if not token:
            raise UsageError("no token for the Hub: run `hf auth login`, or set HF_TOKEN")
        self._api = HfApi(token=token)
        made = self._call(
            self._api.create_repo,
            self.repo_id,
            repo_type="dataset",
            private=private or None,
            exist_ok=True,
        )
        self.repo_id = made.repo_id
        if self.revision != "main":
            self._call(
                self._api.create_branch,
                self.repo_id,
                branch=self.revision,
                repo_type="dataset",
                exist_ok=True,
            )

    def files(self) -> list[str]:
        """Return the paths of the branch's files.

        Raises:
            PreprocessError: The Hub refuses or cannot be reached.
        """
        listed: list[str] = self._call(
            self._api.list_repo_files,
            self.repo_id,
            repo_type="dataset",
            revision=self.revision,
        )
        return listed

    def read(self, path: str, folder: Path) -> bytes:
        """Return the content of a small file, downloaded to `folder`.

        Raises:
            PreprocessError: The Hub refuses or cannot be reached.
        """
        local = self._call(
            self._api.hf_hub_download,
            self.repo_id,
            path,
            repo_type="dataset",
            revision=self.revision,
            local_dir=folder,
        )
        return Path(local).read_bytes()

    def replace(self, new: Mapping[str, Path | bytes], old: list[str], message: str) -> None:
        """Add or replace the files `new` and delete the files `old`, in one commit.

        Readers see all of the changes or none. Large files are uploaded before the commit; files
        that an interrupted push has uploaded are not sent again.

        Raises:
            PreprocessError: The Hub refuses or cannot be reached.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationDelete(path) for path in old]
        operations += [CommitOperationAdd(path, content) for path, content in new.items()]
        with _bars_on_terminals():
            self._call(
                self._api.create_commit,
                self.repo_id,
                operations,
                commit_message=message,
                repo_type="dataset",
                revision=self.revision,
            )

    def _call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        from huggingface_hub.errors import HTTPError

        try:
            return function(*args, **kwargs)
        except (OSError, HTTPError, RuntimeError, ValueError) as error:
            # HTTPError is from requests or httpx, depending on the version; uploads raise
            # RuntimeError.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PreprocessError(
                f"push to {self.repo_id} failed: {reason[:300]}; nothing was changed, and "
                f"uploaded files are kept: run the command again to continue"
            ) from None


@contextmanager
def _bars_on_terminals() -> Iterator[None]:
    """Hide the progress bars of uploads unless stderr is a terminal, and restore them afterwards."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    hide = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            enable_progress_bars()
