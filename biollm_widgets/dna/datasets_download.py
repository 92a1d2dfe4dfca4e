"""The bytes of a data set from a web server: how many there are, and the rest of a file that broke off."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, BinaryIO, Optional
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from biollm_widgets.models.cache import in_words
from biollm_widgets.models.download import Count, receive
from biollm_widgets.models.hub import HubError

CHUNK = 1 << 16  # bytes read at once: what a broken connection can cost
LARGEST = 500_000_000  # bytes; the real file is far below, and an endless answer must not fill the disk
ELSEWHERE = "or give the path of a CSV file, or 'simulated'"
_PROBLEMS = (URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError)


class DownloadError(HubError):
    """A data set could not be had from its server: its sentence begins with the address."""

    def __init__(self, url: str, because: str, remedy: str, *, passing: bool = False, unreached: str = "") -> None:
        super().__init__(url, because, remedy, state="", passing=passing, unreached=unreached)
        self.args = (f"{url} {because}; {remedy}.",)


@dataclass(frozen=True)
class Remote:
    """A file on a web server.

    Attributes
    ----------
    url : str
    size : int or None
        Bytes, None where the server does not tell.
    version : str
        What the server calls this content (ETag, or the time of the last change); empty where it does not.
    """

    url: str
    size: Optional[int]
    version: str

    @property
    def key(self) -> str:
        """By which a part of this content is known from a part of another."""
        return hashlib.sha256(f"{self.url} {self.version} {self.size}".encode()).hexdigest()[:12]


def ask(url: str, timeout: float) -> Remote:
    """What the server says of a file before its first byte.

    Raises
    ------
    DownloadError
        When it cannot be reached, refuses, or has something far too large.
    """
    for method in ("HEAD", "GET"):
        try:
            with urlopen(_request(url, method), timeout=timeout) as answer:
                remote = Remote(url, _length(answer), _version(answer))
            break
        except HTTPError as problem:
            if method == "HEAD" and problem.code in (400, 403, 405, 501):  # a server that knows no HEAD
                continue
            raise _explained(problem, url, timeout) from problem
        except (*_PROBLEMS, OSError, ValueError) as problem:
            raise _explained(problem, url, timeout) from problem
    if remote.size is not None and remote.size > LARGEST:
        raise _too_large(url)
    return remote


def download(remote: Remote, out: BinaryIO, timeout: float, bar: Any, count: Count) -> str:
    """Add to `out` what it lacks of the file, and return the SHA-256 of the whole.

    Raises
    ------
    DownloadError
        When the server refuses, stops in the middle for good, or sends another file than it spoke of. What has arrived
        is in `out`.
    OSError
        When `out` cannot be written.
    """

    def failed(problem: Optional[BaseException], have: int, last: bool) -> None:
        trouble = _explained(problem, remote.url, timeout) if problem else None
        if trouble is not None and not have:
            raise trouble from problem  # nothing ever came: more tries would only make a learner wait
        if trouble is not None and not trouble.passing:
            raise trouble from problem
        if last:
            raise _broken_off(remote, have, trouble) from problem

    return receive(
        out, remote.size, hashlib.sha256, lambda start: _content(remote, start, timeout), _PROBLEMS, failed, bar, count
    )


@contextmanager
def _content(remote: Remote, start: int, timeout: float) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The file from byte `start` on, or from its beginning where the server begins there all the same."""
    begins = start
    try:
        answer = urlopen(_request(remote.url, "GET", start, remote.version), timeout=timeout)
    except HTTPError as problem:
        if problem.code != 416 or not start:
            raise
        answer, begins = urlopen(_request(remote.url, "GET"), timeout=timeout), 0  # it has no such range
    if answer.status != 206:
        begins = 0
    elif not re.match(rf"bytes {start}-", answer.headers.get("Content-Range", "")):
        answer.close()  # another part than was asked for
        answer, begins = urlopen(_request(remote.url, "GET"), timeout=timeout), 0
    with answer:
        length, version = _length(answer), _version(answer)
        changed = bool(remote.version and version) and version != remote.version
        if changed or (length is not None and remote.size is not None and begins + length != remote.size):
            raise DownloadError(remote.url, "has another file than a moment ago", "try again")
        yield begins, _chunks(remote, answer)


def _chunks(remote: Remote, answer: Any) -> Iterator[bytes]:
    came = 0
    while chunk := answer.read1(CHUNK):
        came += len(chunk)
        if came > LARGEST:
            raise _too_large(remote.url)
        yield chunk


def _request(url: str, method: str, start: int = 0, version: str = "") -> Request:
    # identity: a compressed answer has another length, and no place in it to begin at.
    headers = {"User-Agent": "biollm-widgets", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version and not version.startswith("W/"):  # a weak one is not for ranges (RFC 9110, 13.1.5)
            headers["If-Range"] = version
    return Request(url, headers=headers, method=method)


def _length(answer: Any) -> Optional[int]:
    announced = answer.headers.get("Content-Length")
    return int(announced) if announced and announced.isdigit() else None


def _version(answer: Any) -> str:
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def _explained(problem: BaseException, url: str, timeout: float) -> DownloadError:
    if isinstance(problem, DownloadError):
        return problem
    remedy = f"check the connection, {ELSEWHERE}"
    reason = problem.reason if isinstance(problem, URLError) else problem
    if isinstance(problem, HTTPError):
        passing = problem.code >= 500
        return DownloadError(url, f"answers {problem.code} ({problem.reason})", remedy, passing=passing)
    if isinstance(reason, TimeoutError):
        because = f"sent nothing for {timeout:g} seconds"
        return DownloadError(url, because, remedy, passing=True, unreached="silent")
    if isinstance(problem, URLError):
        because = f"cannot be reached ({problem.reason})"
        return DownloadError(url, because, remedy, passing=True, unreached="silent")
    passing = isinstance(problem, _PROBLEMS)
    return DownloadError(url, f"cannot be downloaded ({problem})", remedy, passing=passing)


def _broken_off(remote: Remote, have: int, trouble: Optional[DownloadError]) -> DownloadError:
    of = "" if remote.size is None else f" of {remote.size:,}"
    because = f"stopped after {have:,}{of} bytes" if trouble is None else f"{trouble.because}, at {have:,}{of} bytes"
    again = "try again" if remote.size is None else "try again, which goes on from there"
    return DownloadError(remote.url, because, f"{again}, {ELSEWHERE}")


def _too_large(url: str) -> DownloadError:
    return DownloadError(url, f"sends more than {in_words(LARGEST)}", "that is not the data set: give a CSV file")
