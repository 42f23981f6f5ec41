"""A Hub on the loopback interface: the dataset endpoints that `huggingface_hub` calls, in memory.

    with HubServer() as hub:
        ...  # HF_ENDPOINT=hub.url, HF_TOKEN=hub.token, HF_HUB_DISABLE_XET=1
        hub.repos["me/name"].files("main")["README.md"]

Files named `*.parquet` go through the LFS protocol, all others through the commit. A request whose
token is wrong is answered 401, and `hub.refuse_uploads_after` makes uploads fail, as a connection
that breaks in the middle of a push.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]
LFS_JSON = "application/vnd.git-lfs+json"


def digest(data: bytes) -> str:
    """Return what the Hub calls the oid of a blob or commit."""
    return hashlib.sha1(data).hexdigest()


@dataclass
class Repo:
    """One dataset repository: branch -> path -> content."""

    private: bool = False
    branches: dict[str, Files] = field(default_factory=lambda: {"main": {}})
    commits: int = 0

    def files(self, revision: str) -> Files:
        """Return the files of a branch, or of the branch that a commit hash stands for."""
        for name, files in self.branches.items():
            if revision in (name, self.sha(name)):
                return files
        raise KeyError(revision)

    def sha(self, revision: str) -> str:
        """Return the hash of a branch's content."""
        content = {path: digest(data) for path, data in self.files_of(revision).items()}
        return digest(json.dumps([revision, content], sort_keys=True).encode())

    def files_of(self, branch: str) -> Files:
        """Return the files of a branch by its name alone."""
        return self.branches[branch]


class HubServer:
    """The server, with what it has stored and what it was asked.

    Attributes:
        repos: Repository id -> repository.
        blobs: sha256 -> content uploaded by LFS.
        log: `(method, path)` of every request.
        refuse_uploads_after: After so many uploads, refuse further ones; None for never.
        token: The token that it takes.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: Files = {}
        self.log: list[tuple[str, str]] = []
        self.refuse_uploads_after: int | None = None
        self.token = "hf_test"
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address to give as HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def uploads(self) -> int:
        """Return how many blobs were sent to the server."""
        return sum(method == "PUT" for method, _ in self.log)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Do not print a connection that a killed client leaves."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*_)


class HubError(Exception):
    """An answer that is an error: status, and the code that `huggingface_hub` looks at."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            hub.log.append((self.command, self.path))
            body = self.read_body()
            try:
                self.check_token()
                self.route(unquote(urlsplit(self.path).path), body)
            except HubError as error:
                self.reply(error.status, {"error": error.code}, {"X-Error-Code": error.code})

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = answer

        def read_body(self) -> bytes:
            if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def check_token(self) -> None:
            given = self.headers.get("Authorization")
            if given not in (None, f"Bearer {hub.token}"):
                raise HubError(401, "Unauthorized")
            writes = self.command == "POST" and not self.path.endswith("/paths-info/main")
            if given is None and writes and "paths-info" not in self.path:
                raise HubError(401, "Unauthorized")

        def reply(
            self, status: int, body: Any, headers: dict[str, str] | None = None, kind: str = ""
        ) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            kind = kind or ("application/octet-stream" if body is data else "application/json")
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(data)),
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def route(self, path: str, body: bytes) -> None:
            if path == "/api/whoami-v2":
                return self.reply(200, {"type": "user", "name": "me", "orgs": []})
            if path == "/api/validate-yaml":
                return self.reply(200, {"errors": [], "warnings": []})
            if path == "/api/repos/create":
                return self.create_repo(json.loads(body))
            if path.endswith(".git/info/lfs/objects/batch"):
                return self.lfs_batch(json.loads(body))
            if path.startswith("/lfs/"):
                return self.lfs_upload(path.removeprefix("/lfs/"), body)
            match = re.match(
                r"(?:/api)?/datasets/([^/]+/[^/]+)(?:/(\w[\w-]*))?(?:/([^/]+))?(?:/(.*))?$", path
            )
            if not match:
                raise HubError(404, "EntryNotFound")
            name, verb, revision, rest = match.groups()
            if name not in hub.repos:
                raise HubError(404, "RepoNotFound")
            return self.repo(hub.repos[name], name, verb, revision, rest or "", body)

        def create_repo(self, asked: dict[str, Any]) -> None:
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            url = f"{hub.url}/datasets/{name}"
            if name in hub.repos:
                return self.reply(409, {"error": "exists", "url": url})
            private = asked.get("private") or asked.get("visibility") == "private"
            hub.repos[name] = Repo(private=bool(private))
            return self.reply(200, {"url": url, "id": name, "name": name})

        def lfs_batch(self, asked: dict[str, Any]) -> None:
            objects = []
            for each in asked["objects"]:
                upload = {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}
                actions = {} if each["oid"] in hub.blobs else {"actions": upload}
                objects.append({"oid": each["oid"], "size": each["size"], **actions})
            self.reply(200, {"transfer": "basic", "objects": objects}, kind=LFS_JSON)

        def lfs_upload(self, oid: str, body: bytes) -> None:
            limit = hub.refuse_uploads_after
            if limit is not None and len(hub.blobs) >= limit:
                raise HubError(403, "Forbidden")
            if hashlib.sha256(body).hexdigest() != oid:
                raise HubError(400, "BadRequest")
            hub.blobs[oid] = body
            self.reply(200, {})

        def repo(
            self, repo: Repo, name: str, verb: str | None, revision: str, rest: str, body: bytes
        ) -> None:
            revision = revision or "main"
            if verb == "branch":
                if revision in repo.branches:
                    raise HubError(409, "Conflict")
                repo.branches[revision] = dict(repo.branches["main"])
                return self.reply(200, {})
            if verb == "refs":
                refs = [
                    {"name": b, "ref": f"refs/heads/{b}", "targetCommit": repo.sha(b)}
                    for b in repo.branches
                ]
                return self.reply(200, {"branches": refs, "tags": [], "converts": []})
            try:
                files = repo.files(revision)
            except KeyError:
                raise HubError(404, "RevisionNotFound") from None
            branch = next(b for b, content in repo.branches.items() if content is files)
            sha = repo.sha(branch)
            if verb in (None, "revision"):
                siblings = [{"rfilename": path} for path in sorted(files)]
                about = {"_id": "1", "id": name, "sha": sha, "private": repo.private}
                more = {"tags": [], "downloads": 0, "likes": 0, "siblings": siblings}
                return self.reply(200, {**about, **more})
            if verb == "preupload":
                return self.preupload(json.loads(body))
            if verb == "commit":
                return self.commit(repo, name, branch, body)
            if verb == "tree":
                return self.tree(files, rest)
            if verb == "paths-info":
                return self.paths_info(files, body)
            if verb == "resolve":
                return self.resolve(files, rest, sha)
            raise HubError(404, "EntryNotFound")

        def preupload(self, asked: dict[str, Any]) -> None:
            def mode(path: str) -> str:
                return "lfs" if path.endswith(".parquet") else "regular"

            answer = [
                {"path": f["path"], "uploadMode": mode(f["path"]), "shouldIgnore": False}
                for f in asked["files"]
            ]
            self.reply(200, {"files": answer})

        def commit(self, repo: Repo, name: str, branch: str, body: bytes) -> None:
            files = dict(repo.branches[branch])
            for line in body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "deletedFile":
                    del files[value["path"]]
                elif entry["key"] == "lfsFile":
                    files[value["path"]] = hub.blobs[value["oid"]]
            repo.branches[branch] = files
            repo.commits += 1
            sha = repo.sha(branch)
            url = f"{hub.url}/datasets/{name}/commit/{sha}"
            self.reply(200, {"success": True, "commitOid": sha, "commitUrl": url})

        def tree(self, files: Files, folder: str) -> None:
            query = parse_qs(urlsplit(self.path).query)
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
            entries, folders = [], set()
            for path in sorted(files):
                if not path.startswith(prefix):
                    continue
                parts = path[len(prefix) :].split("/")
                depths = range(1, len(parts)) if recursive else range(1, min(len(parts), 2))
                folders.update(prefix + "/".join(parts[:depth]) for depth in depths)
                if recursive or len(parts) == 1:
                    entries.append(file_entry(path, files[path]))
            if prefix and not entries and not folders:
                raise HubError(404, "EntryNotFound")
            self.reply(200, [*map(folder_entry, sorted(folders)), *entries])

        def paths_info(self, files: Files, body: bytes) -> None:
            is_json = "json" in self.headers.get("Content-Type", "")
            asked = json.loads(body)["paths"] if is_json else parse_qs(body.decode())["paths"]
            found = []
            for path in [asked] if isinstance(asked, str) else asked:
                if path in files:
                    found.append(file_entry(path, files[path]))
                elif path and any(p.startswith(f"{path.rstrip('/')}/") for p in files):
                    found.append(folder_entry(path))
            self.reply(200, found)

        def resolve(self, files: Files, path: str, sha: str) -> None:
            if path not in files:
                raise HubError(404, "EntryNotFound")
            data = files[path]
            headers = {
                "X-Repo-Commit": sha,
                "ETag": f'"{digest(data)}"',
                "Accept-Ranges": "bytes",
            }
            asked = re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
            if not asked:
                return self.reply(200, data, headers)
            start = int(asked[1]) if asked[1] else len(data) - int(asked[2])
            end = min(int(asked[2]), len(data) - 1) if asked[1] and asked[2] else len(data) - 1
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            return self.reply(206, data[start : end + 1], headers)

    return Handler


def file_entry(path: str, data: bytes) -> dict[str, Any]:
    """Return a file as the Hub lists it."""
    return {"type": "file", "path": path, "size": len(data), "oid": digest(data)}


def folder_entry(path: str) -> dict[str, Any]:
    """Return a folder as the Hub lists it."""
    return {"type": "directory", "path": path, "size": 0, "oid": digest(path.encode())}
