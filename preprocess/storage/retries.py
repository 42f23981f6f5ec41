"""Which errors of a storage are worth another try, how often, and what is said in the end."""

from __future__ import annotations

import asyncio
import errno
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from preprocess.core.errors import PreprocessError, one_line
from preprocess.storage.types import StorageError

T = TypeVar("T")


class ShortReadError(Exception):
    """A read returned fewer bytes than were asked for."""


class MissingError(StorageError):
    """There is no such file; an error of the storage where something is written."""


@dataclass(frozen=True)
class Retries:
    """How long to try, and how long to wait for an answer.

    Attributes:
        tries: Tries of one request at most, with the first.
        total_s: Seconds after which no further try begins.
        first_s: Upper bound of the first pause; it doubles from pause to pause. Each pause is
            drawn between half the bound and the bound, so that many workers do not return at once.
        longest_s: The longest pause.
        connect_s: Seconds to wait for a connection.
        read_s: Seconds to wait for the next bytes of an answer.
    """

    tries: int = 8
    total_s: float = 300.0
    first_s: float = 0.25
    longest_s: float = 20.0
    connect_s: float = 10.0
    read_s: float = 30.0

    def call(
        self,
        action: Callable[[], T],
        what: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> T:
        """Return what `action` returns, trying again after errors that pass.

        Args:
            action: One request; it may be repeated.
            what: Its subject and verb, for messages: `s3://bucket/a.wav cannot be read`.
            sleep: Waits that many seconds.
            clock: Returns seconds.
            draw: Returns a number from 0 to 1.

        Raises:
            MissingError: There is no such file.
            StorageError: The error does not pass, or did not within the tries and the time.
        """
        start = clock()
        for attempt in range(1, self.tries + 1):
            try:
                return action()
            except PreprocessError:
                raise
            except Exception as error:
                passing = _passing(error)
                if not passing:
                    raise _final(error, what) from error
                pause = min(self.longest_s, self.first_s * 2 ** (attempt - 1)) * (1 + draw()) / 2
                waited = clock() - start
                if attempt == self.tries or waited + pause > self.total_s:
                    times = "once" if attempt == 1 else f"{attempt} times in {waited:.0f} s"
                    raise StorageError(f"{what}: {passing} (tried {times})") from error
                sleep(pause)
        raise ValueError("tries must be at least 1")


_PASSING_STATUS = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_PASSING_CODES = {
    *("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "IncompleteBody"),
    *("BadDigest", "XAmzContentSHA256Mismatch", "ConditionalRequestConflict", "OperationAborted"),
}
_PASSING_ERRNO = {
    *(errno.EBUSY, errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EPIPE),
    *(errno.ETIMEDOUT, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EAGAIN),
    getattr(errno, "EREMOTEIO", errno.EBUSY),
}
_PASSING_NAMES = {
    *("HTTPClientError", "IncompleteReadError", "ResponseStreamingError", "ResponseParserError"),
    *("EndpointConnectionError", "ConnectionError", "FSTimeoutError", "ShortReadError"),
    *("ClientPayloadError", "ClientConnectionError", "ServerTimeoutError"),  # aiohttp's
    *("IncompleteRead", "ProtocolError", "ChunkedEncodingError", "Timeout"),  # http's, requests'
    "TransportError",  # httpx's, google.auth's
}
"""Names of classes, so that no package must be imported to know its errors."""
_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"),
    *("DefaultCredentialsError", "ProfileNotFound", "LocalTokenNotFoundError"),
}
_NO_BUCKET = frozenset(("NoSuchBucket", "InvalidBucketName"))
_NO_REPOSITORY = {"RepositoryNotFoundError", "RevisionNotFoundError"}
_KEYS = "check the credentials (such as AWS_PROFILE or AWS_ACCESS_KEY_ID) and what they allow"


def is_missing(error: BaseException) -> bool:
    """Whether an error says that a file is missing, and not its bucket."""
    missing = isinstance(error, FileNotFoundError) or _status(error) == 404
    return missing and not _codes(error) & _NO_BUCKET and not _names(error) & _NO_REPOSITORY


def _passing(error: BaseException) -> str:
    """Return a text for an error that may pass; empty for one that stays."""
    codes, status = _codes(error), _status(error)
    if isinstance(error, PermissionError | FileNotFoundError | FileExistsError):
        return ""
    timeouts = (TimeoutError, asyncio.TimeoutError, ConnectionError, EOFError)
    is_timeout = any(isinstance(link, timeouts) for link in _chain(error))
    if is_timeout or _names(error) & _PASSING_NAMES:  # a cut answer may have been 200
        return one_line(error)
    if status in _PASSING_STATUS or codes & _PASSING_CODES:
        return " ".join(filter(None, (f"HTTP {status}" if status else "", *sorted(codes))))
    system = (link.errno for link in _chain(error) if isinstance(link, OSError))
    return one_line(error) if not status and _PASSING_ERRNO & set(system) else ""


def _final(error: Exception, what: str) -> StorageError:
    """Return the error that a user sees where another try would not help."""
    codes, status = _codes(error), _status(error)
    names = _names(error)
    if names & _NO_REPOSITORY:
        return StorageError(
            f"{what}: there is no such repository or revision, or it is private; check its name,"
            " and log in with: hf auth login"
        )
    if names & _NO_CREDENTIALS:
        return StorageError(f"{what}: no credentials were found; {_KEYS}")
    if codes & _NO_BUCKET:
        return StorageError(
            f"{what}: the bucket does not exist; check its name and the server (AWS_ENDPOINT_URL)"
        )
    if isinstance(error, PermissionError) or status in (401, 403):
        skewed = "; the clock of this machine is wrong" if "RequestTimeTooSkewed" in codes else ""
        said = ", ".join(sorted(codes - {"401", "403"})) or f"HTTP {status or 403}"
        return StorageError(f"{what}: access is denied ({said}){skewed}; {_KEYS}")
    return StorageError(f"{what}: {one_line(error)}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _names(error: BaseException) -> set[str]:
    """Return the names of the classes of an error and of those that it was raised from."""
    return {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}


def _status(error: BaseException) -> int:
    """Return the HTTP status of an error of botocore, aiohttp, gcsfs, requests or httpx, else 0."""
    for link in _chain(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict):
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            found = getattr(response, "status_code", None)
        code = getattr(link, "code", None) if type(link).__name__ == "HttpError" else None  # gcsfs
        for value in (found, getattr(link, "status", None), code):
            if isinstance(value, int) and 100 <= value < 600:
                return value
    return 0


def _codes(error: BaseException) -> set[str]:
    """Return the words for an error in the answers of S3 (`NoSuchBucket`)."""
    answers = (getattr(link, "response", None) for link in _chain(error))
    texts = (a.get("Error", {}).get("Code") for a in answers if isinstance(a, dict))
    return {text for text in texts if text}
