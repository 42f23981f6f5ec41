"""The objects below a name, page by page on S3, elsewhere folder by folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from preprocess.storage.retries import MissingError

Call = Callable[[Callable[[], Any]], Any]


def list_names(fs: Any, protocol: str, start: str, call: Call) -> Iterator[dict[str, Any]]:
    """Yield what fsspec knows of each object below `start`: `name`, `size` and more.

    Args:
        fs: The file system.
        protocol: Its protocol.
        start: A folder, without its protocol.
        call: Makes a request, with retries.

    Raises:
        StorageError: The storage cannot be reached.
    """
    pages = _s3_pages if protocol in ("s3", "s3a") else _folders
    yield from pages(fs, start, call)


def _s3_pages(fs: Any, start: str, call: Call) -> Iterator[dict[str, Any]]:
    """Yield objects in pages of 1,000, so that a bucket of millions never is in memory."""
    bucket, key, _ = fs.split_path(start)
    words = {"Bucket": bucket, "Prefix": f"{key}/" if key else "", **fs.req_kw}
    while True:
        try:
            page = call(lambda: fs.call_s3("list_objects_v2", **words))
        except MissingError:
            return
        for found in page.get("Contents", ()):
            etag, size = found.get("ETag", ""), found["Size"]
            yield {"name": f"{bucket}/{found['Key']}", "size": size, "ETag": etag}
        token = page.get("NextContinuationToken")
        if not token:
            return
        words["ContinuationToken"] = token


def _folders(fs: Any, start: str, call: Call) -> Iterator[dict[str, Any]]:
    """Yield objects folder by folder, in the order of names; one folder is in memory at a time."""
    pending = [start]
    while pending:
        folder = pending.pop()

        def look(folder: str = folder) -> list[dict[str, Any]]:
            fs.invalidate_cache()
            return list(fs.ls(folder, detail=True))

        try:
            found = sorted(call(look), key=lambda info: str(info["name"]))
        except MissingError:
            continue  # no such folder, or it is gone
        for info in found:
            if info["type"] != "directory":
                yield info
        inner = (str(info["name"]) for info in found if info["type"] == "directory")
        pending += [name for name in reversed(list(inner)) if name.rstrip("/") != folder]
