"""Whether the hub of models can be asked from here: settings, proxy, certificates, token. All works without it."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Optional
from urllib.parse import urlsplit

from biollm_widgets.diagnosis.findings import (
    BROKEN,
    FINE,
    NOTE,
    Finding,
    how_set,
    in_notebook,
    inside,
    shown,
    unset,
    variable,
)
from biollm_widgets.models import hub
from biollm_widgets.models.catalog import CATALOG
from biollm_widgets.models.hub import HubError
from biollm_widgets.models.locate import SOURCES

GROUP = "hub"
SECONDS = 3.0
ASKED = next(model.id for model in CATALOG if model.stand_in is not None)
WITHOUT = "The lessons run on the small stand-ins meanwhile"


def look() -> Iterator[Finding]:
    """The settings first; the hub is asked only where they allow it."""
    from huggingface_hub import constants

    source = os.environ.get("BIOLLM_MODELS")
    if source and source not in SOURCES:
        yield Finding(
            "models-source",
            GROUP,
            BROKEN,
            f"BIOLLM_MODELS is {source!r}, but it is auto, hub or embedded, so no model is found.",
            f"Forget it; {how_set()}:",
            unset("BIOLLM_MODELS"),
        )
    elif source == "embedded":
        yield Finding(
            "models-source",
            GROUP,
            NOTE,
            "BIOLLM_MODELS is embedded: the lessons use the small stand-ins, and no model of the hub.",
            f"To use the real models, forget it; {how_set()}:",
            unset("BIOLLM_MODELS"),
        )
        return
    if constants.HF_HUB_OFFLINE:
        name = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
        yield Finding(
            "hub-offline",
            GROUP,
            NOTE,
            f"The hub is switched off here ({name}), so nothing can be downloaded. {WITHOUT}.",
            f"To download models, forget it; {how_set()}:",
            unset(name),
        )
        return
    yield ask_hub(constants.ENDPOINT)


def ask_hub(endpoint: str) -> Finding:
    """One question to the hub, as the lessons ask it; where it fails, the likeliest reason."""
    from huggingface_hub import get_token

    proxy = proxy_for(endpoint)
    through = f" through the proxy {without_password(proxy[1])}" if proxy else ""
    if proxy and (trouble := _closed(proxy[1])):
        return Finding(
            "hub-proxy",
            GROUP,
            NOTE,
            f"The proxy {without_password(proxy[1])} ({proxy[0]}) does not answer ({trouble}). {WITHOUT}.",
            f"Ask for its right address, or go without it; {how_set()}:",
            unset(proxy[0]),
        )
    try:
        hub.listing(ASKED, timeout=SECONDS)
    except HubError as problem:
        token = bool(get_token())
        # A hub that is silent with a token is so without: asked again, the time would be up before anything is said.
        if token and not problem.unreached and _answers_without_token():
            return _refused_token(endpoint, through)
        return _explained(problem, endpoint, proxy, through)
    logged_in = ", with a token that it accepts" if get_token() else ""
    return Finding("hub", GROUP, FINE, f"{urlsplit(endpoint).hostname} answers{through}{logged_in}")


def _refused_token(endpoint: str, through: str) -> Finding:
    from huggingface_hub import constants

    # The first of them that is set counts, if there is more in it than blanks; else what a login kept in a file.
    name = next((one for one in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(one)), "")
    if name and os.environ[name].strip():
        whence, how, command = name, how_set(), unset(name)
    else:
        # Not `hf auth logout`: older clients have no such program, and in a cell it is no Python.
        code = "from huggingface_hub import logout; logout()"
        whence, how = f"the one kept in {shown(constants.HF_TOKEN_PATH)}", "this forgets it for good"
        command = code if in_notebook() else inside(sys.executable, "-c", code)
    return Finding(
        "hub-token",
        GROUP,
        NOTE,
        f"The hub answers{through}, but does not accept your token ({whence}), so it refuses every model.",
        f"Make a new one at {endpoint}/settings/tokens, or go without it; {how}:",
        command,
    )


def _explained(problem: HubError, endpoint: str, proxy: Optional[tuple[str, str]], through: str) -> Finding:
    causes = list(_causes(problem))
    if any(isinstance(one, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(one) for one in causes):
        return Finding(
            "hub-certificate",
            GROUP,
            NOTE,
            f"{urlsplit(endpoint).hostname} answers{through} with a certificate that this Python does not trust, "
            f"as where a firewall reads along. {WITHOUT}.",
            f"Ask your computing centre for its certificate, and name the file; {how_set()}:",
            variable(_certificates(), "/path/to/certificate.pem"),
        )
    if proxy and not problem.passing:
        return Finding(
            "hub-proxy",
            GROUP,
            NOTE,
            f"The proxy {without_password(proxy[1])} ({proxy[0]}) does not let the request through: {problem.because}. "
            f"{WITHOUT}.",
            f"Ask for its right address and password, or go without it; {how_set()}:",
            unset(proxy[0]),
        )
    return Finding(
        "hub",
        GROUP,
        NOTE,
        f"{endpoint} cannot be asked{through}: {problem.because}. {WITHOUT}.",
        "Nothing is to be done for the lessons. For the real models, connect, or fetch them where there is a "
        "connection and name that folder with HF_HOME.",
    )


def _certificates() -> str:
    """The variable that names certificates to whichever library carries the requests."""
    carrier = hub.network_problems()[0].__module__.partition(".")[0]
    return "REQUESTS_CA_BUNDLE" if carrier == "requests" else "SSL_CERT_FILE"


def proxy_for(endpoint: str) -> Optional[tuple[str, str]]:
    """The variable that names a proxy for an address, and its value; None where requests go straight."""
    from urllib.request import proxy_bypass

    parts = urlsplit(endpoint)
    if proxy_bypass(parts.hostname or ""):  # NO_PROXY
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for spelt in (name, name.upper()):
            if os.environ.get(spelt):
                return spelt, os.environ[spelt]
    return None


def without_password(address: str) -> str:
    """The address of a proxy as it may be shown."""
    parts = urlsplit(address if "//" in address else f"http://{address}")
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.hostname or '?'}{port}"


def _closed(address: str) -> str:
    """Why nothing listens at the address of a proxy; empty when something does."""
    parts = urlsplit(address if "//" in address else f"http://{address}")
    try:
        port = parts.port or {"https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "", port), timeout=SECONDS / 2).close()
    except ValueError:
        return "its address has no proper port"
    except OSError as problem:
        return (problem.strerror or str(problem) or "it is silent").lower()
    return ""


def _answers_without_token() -> bool:
    from huggingface_hub import HfApi

    try:
        with hub._no_telemetry():
            HfApi(token=False).model_info(ASKED, timeout=SECONDS)
    except Exception:  # every way in which a network can fail
        return False
    return True


def _causes(problem: Optional[BaseException]) -> Iterator[BaseException]:
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        yield problem
        problem = problem.__cause__ or problem.__context__
