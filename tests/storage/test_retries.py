"""Which errors are worth another try, with which pauses, and what the others say."""

from __future__ import annotations

import errno
import pickle

import pytest

from preprocess.core.errors import PreprocessError
from preprocess.storage.retries import MissingError, Retries, ShortReadError, is_missing
from preprocess.storage.store import StorageError

WHAT = "s3://b/a.wav cannot be read"


class ClientError(Exception):
    """As botocore's: an answer with a status and a code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {
            "ResponseMetadata": {"HTTPStatusCode": status},
            "Error": {"Code": code, "Message": code},
        }


class ReadTimeoutError(Exception):
    """Not a subclass of anything that passes."""


class HTTPClientError(Exception):
    """As botocore's."""


class NoCredentialsError(Exception):
    """As botocore's."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Clock:
    def __init__(self, request_s: float = 0.0) -> None:
        self.now, self.request_s, self.pauses = 1e9, request_s, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def run(errors, retries=None, clock=None, draw=lambda: 1.0):
    """Call an action that raises these errors in turn, and then returns; return its tries too."""
    clock = clock or Clock()
    left, tries = list(errors), []

    def action() -> str:
        tries.append(1)
        clock.now += clock.request_s
        if left:
            raise left.pop(0)
        return "done"

    done = (retries or Retries()).call(action, WHAT, clock.sleep, clock, draw)
    return done, len(tries)


@pytest.mark.parametrize(
    "error",
    [
        ClientError(503, "SlowDown"),
        ClientError(500, "InternalError"),
        ClientError(429, "TooManyRequests"),
        ClientError(400, "RequestTimeout"),
        caused(OSError(errno.EBUSY, "Reduce your rate"), ClientError(503, "SlowDown")),
        caused(OSError(errno.EIO, "?"), ClientError(502, "502")),
        OSError(errno.ECONNRESET, "reset"),
        ConnectionResetError(),
        TimeoutError(),
        HTTPClientError("cut"),
        caused(Exception("payload"), ConnectionResetError()),
        ShortReadError("3 bytes came instead of 4"),
    ],
)
def test_an_error_that_passes_is_tried_again(error):
    assert run([error, error]) == ("done", 3)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ClientError(403, "AccessDenied"), r"access is denied \(AccessDenied\); check the cred"),
        (caused(PermissionError("Forbidden"), ClientError(403, "403")), r"denied \(HTTP 403\)"),
        (ClientError(403, "RequestTimeTooSkewed"), "the clock of this machine is wrong"),
        (caused(FileNotFoundError(), ClientError(404, "NoSuchBucket")), "bucket does not exist"),
        (NoCredentialsError("Unable"), "no credentials were found; check"),
        (ClientError(400, "InvalidArgument"), "ClientError: An error occurred"),
        (OSError(errno.ENOSPC, "full"), "OSError: .*full"),
        (ReadTimeoutError("?"), "ReadTimeoutError"),
    ],
)
def test_an_error_that_stays_is_one_line_at_once(error, text):
    clock = Clock()
    with pytest.raises(StorageError, match=text) as raised:
        run([error], clock=clock)
    assert str(raised.value).startswith(WHAT + ": ")
    assert "\n" not in str(raised.value)
    assert not clock.pauses
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_what_is_missing_and_our_own_errors_pass_through():
    for error in (MissingError("x"), PreprocessError("x")):
        with pytest.raises(type(error), match=r"^x$"):
            run([error])


def test_a_missing_file_is_not_a_missing_bucket():
    assert is_missing(FileNotFoundError())
    assert is_missing(ClientError(404, "NoSuchKey"))
    assert not is_missing(caused(FileNotFoundError(), ClientError(404, "NoSuchBucket")))
    assert not is_missing(ClientError(403, "AccessDenied"))


def test_pauses_double_up_to_the_longest_and_tries_end():
    clock = Clock()
    retries = Retries(tries=6, total_s=1_000, first_s=1, longest_s=5)
    with pytest.raises(StorageError, match=r"TimeoutError \(tried 6 times in 17 s\)$"):
        run([TimeoutError()] * 9, retries, clock)
    assert clock.pauses == [1, 2, 4, 5, 5]


def test_a_pause_is_drawn_from_the_upper_half():
    for drawn, pause in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        clock = Clock()
        run([TimeoutError()], Retries(first_s=1), clock, lambda drawn=drawn: drawn)
        assert clock.pauses == [pause]


def test_time_ends_before_tries():
    clock = Clock(request_s=30)
    with pytest.raises(StorageError, match=r"tried 4 times in 127 s"):
        run([TimeoutError()] * 9, Retries(tries=9, total_s=130, first_s=1), clock)
    assert clock.now - 1e9 <= 130, "no try begins after the bound"


def test_one_try_was_made_once():
    with pytest.raises(StorageError, match=r"\(tried once\)$"):
        run([TimeoutError()], Retries(tries=1))
