"""An HTTP proxy on loopback that answers 503, cuts connections and stalls, and counts what passes."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: Answer with this status, without asking the server.
        cut_after: Close the connection after so many bytes of the body.
        stall_s: Wait so long after `cut_after` bytes, then close the connection.
        drop: Close the connection without an answer, after `stall_s`. The server has one.
    """

    status: int | None = None
    cut_after: int | None = None
    stall_s: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Seen:
    """A request that came in.

    Attributes:
        method: Such as `GET`.
        path: With its query.
        asked: Bytes that its range asks for; those of the body if it names none.
    """

    method: str
    path: str
    asked: int


@dataclass
class FaultyProxy:
    """A proxy before a server; as a context it runs.

    Attributes:
        server: The URL of the server.
        choose: Returns the fault for a request by its method, path and number among those with
            the same method.
        seen: The requests so far.
        bucket: A bucket on the server, for tests.
    """

    server: str
    choose: Callable[[str, str, int], Fault | None] = lambda method, path, number: None
    seen: list[Seen] = field(default_factory=list)
    bucket: str = ""

    def __enter__(self) -> FaultyProxy:
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        return self

    def __exit__(self, *_) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def wait(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.seen)

    def asked(self, method: str = "GET") -> int:
        return sum(request.asked for request in self.seen if request.method == method)


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    target = urlsplit(proxy.server)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                number = proxy.count(self.command)
                fault = proxy.choose(self.command, self.path, number) or Fault()
                index = len(proxy.seen)
                proxy.seen.append(Seen(self.command, self.path, _range_bytes(self.headers)))
            if fault.status:
                self._answer_status(fault.status)
                return
            server = http.client.HTTPConnection(target.hostname, target.port, timeout=30)
            # The server checks the signature of the host that the client meant.
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            content = answer.read()
            server.close()
            if not proxy.seen[index].asked:
                proxy.seen[index] = Seen(self.command, self.path, len(content))
            if fault.drop:
                proxy.wait(fault.stall_s)
                self.close_connection = True
                return
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            if self.command != "HEAD" and not answer.getheader("Content-Length"):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self._send(content, fault)

        def _send(self, content: bytes, fault: Fault) -> None:
            if fault.cut_after is None and not fault.stall_s:
                self.wfile.write(content)
                return
            self.wfile.write(content[: fault.cut_after or 0])
            self.wfile.flush()
            proxy.wait(fault.stall_s)
            self.close_connection = True

        def _answer_status(self, status: int) -> None:
            word = {503: "SlowDown", 500: "InternalError", 403: "AccessDenied"}.get(status, "Error")
            text = f"<Error><Code>{word}</Code><Message>{word}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one

        def log_message(self, *_) -> None:
            pass

    return Handler


def _range_bytes(headers) -> int:
    """Return how many bytes the header `Range: bytes=0-99` asks for, 0 without one."""
    value = headers.get("Range") or ""
    if not value.startswith("bytes="):
        return 0
    start, _, stop = value.removeprefix("bytes=").partition("-")
    return int(stop) - int(start) + 1
