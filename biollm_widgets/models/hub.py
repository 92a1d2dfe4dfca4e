"""Asking the hub: what a model consists of, and the bytes of a file from any place on.

Requests go through the hub client's own session, for its proxies, certificates, token and endpoint (HF_ENDPOINT,
HF_TOKEN, HF_HUB_OFFLINE, HTTPS_PROXY). The session is httpx's in huggingface_hub 1 and 2 and requests's before; both
are served here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from biollm_widgets.errors import InputError

HUB_TIMEOUT = 5.0  # seconds to wait for the hub's first answer: a learner on a train must not wait a minute
CHUNK = 1 << 16  # bytes read at once: what a broken connection can cost
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class HubError(InputError):
    """A model could not be had from the hub.

    Attributes
    ----------
    because : str
        The reason as a clause: "the hub does not answer".
    passing : bool
        Whether trying again at once makes sense.
    unreached : {"", "off", "silent"}
        Whether the server was not reached at all, as the network is switched off here or nothing answers: then all that
        is asked of it fails alike.
    """

    def __init__(
        self,
        name: str,
        because: str,
        remedy: str,
        *,
        state: str = "is not in the local cache",
        passing: bool = False,
        unreached: str = "",
    ) -> None:
        super().__init__(f"{name} {state} and {because}; {remedy}.")
        self.name, self.because, self.remedy, self.passing = name, because, remedy, passing
        self.unreached = unreached


@dataclass(frozen=True)
class HubFile:
    """One file of a model on the hub.

    Attributes
    ----------
    name : str
        Its path in the repository.
    size : int
        Bytes.
    etag : str
        The hash of its content, by which the cache calls it: SHA-256 for large files, git's SHA-1 for the rest.
    """

    name: str
    size: int
    etag: str


@dataclass(frozen=True)
class Listing:
    """What the hub has of a model: its newest commit, and the files in it."""

    name: str
    commit: str
    files: tuple[HubFile, ...]


def is_name(text: str) -> bool:
    """Whether this can be the id of a model on the hub, or its name: not a path, no blanks."""
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+|[\w-][\w.-]*", text)) and not text.startswith((".", "~"))


def listing(name: str, timeout: float = HUB_TIMEOUT) -> Listing:
    """Ask the hub, once, for the files of a model.

    Raises
    ------
    HubError
        When the hub is switched off, does not answer within `timeout` seconds, refuses, or does not know the name.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    if constants.HF_HUB_OFFLINE:
        raise explain(OfflineModeIsEnabled(), name)
    try:
        # The client's call for one file asks up to five times and prints a paragraph each time; this one asks once.
        with _no_telemetry():
            info = HfApi().model_info(name, files_metadata=True, timeout=timeout)
        files = []
        for file in info.siblings or []:
            etag, size = (file.lfs.sha256, file.lfs.size) if file.lfs else (file.blob_id or "", file.size)
            # It becomes the name of a file here, as the commit does, so nothing but a hash will do.
            if not _HASH.fullmatch(etag) or size is None:
                raise ValueError(f"no hash or no size for {file.rfilename}")
            files.append(HubFile(file.rfilename, int(size), etag))
        if not _HASH.fullmatch(info.sha or ""):
            raise ValueError("no commit")
        return Listing(name, str(info.sha), tuple(files))
    except Exception as problem:  # every way in which a network can fail, and each library's own name for it
        raise explain(problem, name) from problem


@contextmanager
def content(name: str, commit: str, file: HubFile, start: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Open a file of the hub at byte `start`.

    Gives the byte at which the answer really begins (0 when the server cannot begin elsewhere) and an iterator over
    what comes. Whatever goes wrong, also while reading, is raised as it comes: `explain` puts it into words.
    """
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(name, file.name, revision=commit)
    # identity: a compressed answer has another length, and no place in it to begin at.
    with _no_telemetry():
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    session: Any = get_session()
    if callable(getattr(session, "stream", None)):  # httpx; with requests it is a setting
        with session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
            if answer.status_code >= 400:
                answer.read()
            hf_raise_for_status(answer)
            # Some proxy may compress all the same; the bytes as they come otherwise, so that none is held back.
            chunks = answer.iter_bytes() if answer.headers.get("Content-Encoding") else answer.iter_raw()
            yield start if answer.status_code == 206 else 0, chunks
    else:  # requests
        with session.get(url, headers=headers, timeout=timeout, stream=True) as answer:
            hf_raise_for_status(answer)
            yield start if answer.status_code == 206 else 0, answer.iter_content(CHUNK)


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """As with HF_HUB_DISABLE_TELEMETRY: without it, client 2.4 first asks the hub for a list that it needs to describe
    its surroundings, and waits three seconds where no hub answers.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_TELEMETRY
    constants.HF_HUB_DISABLE_TELEMETRY = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = before


def network_problems() -> tuple[type[BaseException], ...]:
    """The exceptions of whichever library carries the requests, from the outermost class on."""
    from huggingface_hub.errors import HfHubHTTPError

    carriers = ("httpx", "httpx2", "requests")
    mine = [base for base in HfHubHTTPError.__mro__ if base.__module__.partition(".")[0] in carriers]
    return (mine[-1], TimeoutError, ConnectionError)


def explain(problem: BaseException, name: str) -> HubError:
    """What went wrong between here and the hub, in words, with its remedy."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    if isinstance(problem, HubError):
        return problem
    status = getattr(getattr(problem, "response", None), "status_code", None)
    passing, unreached = False, ""
    if isinstance(problem, OfflineModeIsEnabled):
        unreached = "off"
        because, remedy = "the hub is switched off here (HF_HUB_OFFLINE)", "unset HF_HUB_OFFLINE, or give a folder"
    elif isinstance(problem, GatedRepoError):
        because = "the hub wants you to accept its licence and log in first"
        remedy = f"accept it at {constants.ENDPOINT}/{name} and set HF_TOKEN to a token of yours"
    elif isinstance(problem, RepositoryNotFoundError) or status in (401, 404):  # 401: also for unknown names
        if get_token():
            because = "the hub does not know it, or does not accept your token (HF_TOKEN)"
        else:
            because = "the hub does not know it"
        remedy = "check the name and the token, or give a folder" if get_token() else "check the name, or give a folder"
    elif status == 429:
        because, remedy, passing = "the hub is asked too often from here (error 429)", "try again in a while", True
    elif status is not None:
        because, remedy = f"the hub answers with error {status}", "try again later, or give a folder"
        passing = status >= 500
    elif type(problem).__name__ == "ProxyError":
        because = "the proxy does not let the request through (HTTPS_PROXY, HTTP_PROXY)"
        remedy = "check the address of the proxy, or give a folder"
    elif isinstance(problem, (ValueError, KeyError, TypeError)):  # no JSON, or not the hub's; requests' own is both
        because = f"{constants.ENDPOINT} does not answer as the hub does (a login page of this network?)"
        remedy = "open a page in a browser first, or give a folder"
    elif isinstance(problem, network_problems()):
        because, remedy, passing = "the hub does not answer", "check the connection, or give a folder", True
        unreached = "silent"
    elif isinstance(problem, OSError) and problem.filename:  # the client looks for a token beside the cache
        because = f"{problem.filename} cannot be read ({problem.strerror})"
        remedy = "set HF_HOME to a folder of your own"
    else:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        because, remedy = f"asking the hub failed ({first})", "check the connection, or give a folder"
    return HubError(name, because, remedy, passing=passing, unreached=unreached)
