"""A hub of one's own: a real HTTP server that speaks what huggingface_hub and this package ask of huggingface.co.

It lists a model with sizes and hashes (`/api/models/<id>`), serves its files (`/<id>/resolve/<revision>/<file>`) and,
as the real one, sends those who want a large file on to another host. It can be told to fail, and notes every request.
`Proxy` is a forward proxy in front of it, for host names that only the proxy knows.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlsplit

LARGE = (".bin", ".safetensors", ".msgpack", ".h5", ".onnx")  # what the hub keeps in Git LFS
STALL = 30.0  # seconds of silence, unless the server is closed before


@dataclass
class Stored:
    """A file of a repository as the hub knows it."""

    content: bytes
    large: bool
    blob_id: str = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        head = b"blob %d\0" % len(self.content)
        self.blob_id = hashlib.sha1(head + self.content, usedforsecurity=False).hexdigest()
        self.sha256 = hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.blob_id


@dataclass
class Seen:
    """One request, and how many bytes of a body it was sent."""

    method: str
    host: str
    path: str
    range: Optional[str]
    token: Optional[str]
    sent: int = 0


@dataclass
class Fault:
    """What goes wrong for requests whose path the pattern finds, so many times (None: always)."""

    pattern: str
    kind: str
    times: Optional[int] = None
    status: int = 0
    error: str = ""
    at: int = 0


class Server:
    """A server on a free port of this machine, as a context manager."""

    handler: type[BaseHTTPRequestHandler]

    def __enter__(self) -> Any:
        self.closing = threading.Event()
        outer = self
        handler = type("Handler", (self.handler,), {"owner": outer})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class _HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = urlsplit(self.path).path
        seen = Seen(
            self.command,
            self.headers.get("Host", ""),
            path,
            self.headers.get("Range"),
            self.headers.get("Authorization"),
        )
        self.owner.requests.append(seen)
        fault = self.owner.due(path)
        with suppress(BrokenPipeError, ConnectionResetError):
            if fault is not None and fault.kind == "status":
                return self.refuse(fault.status, fault.error)
            if fault is not None and fault.kind == "stall" and not fault.at:
                self.owner.closing.wait(STALL)
                return self.hang_up()
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+|/tree/[^/]+)?", path):
                return self.about(match[1], tree=(match[2] or "").startswith("/tree"))
            if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self.file(seen, fault, *match.groups())
            if match := re.fullmatch(r"/files/(.+)", path):
                stored = self.owner.files.get(match[1])
                if stored is None:
                    return self.refuse(404, "")
                return self.body(seen, fault, stored, {"ETag": f'"{stored.etag}"'})
            if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
                stored = next(
                    one for files in self.owner.models.values() for one in files.values() if one.sha256 == match[1]
                )
                return self.body(seen, fault, stored, {"ETag": f'"{stored.etag}"'})
            return self.refuse(404, "RepoNotFound")

    def about(self, name: str, tree: bool) -> None:
        files = self.owner.models.get(name)
        if files is None:
            # What huggingface.co says of a name that it does not know, so as not to tell which private ones there are.
            return self.refuse(401, "RepoNotFound")
        entries = []
        for path, stored in files.items():
            lfs = {"size": len(stored.content), "sha256": stored.sha256, "oid": stored.sha256, "pointerSize": 134}
            entry: dict[str, Any] = {"size": len(stored.content), **({"lfs": lfs} if stored.large else {})}
            if tree:
                entries.append({"type": "file", "path": path, "oid": stored.blob_id, **entry})
            else:
                entries.append({"rfilename": path, "blobId": stored.blob_id, **entry})
        if tree:
            return self.send(entries)
        return self.send({"_id": "0", "id": name, "modelId": name, "sha": self.owner.commit(name), "siblings": entries})

    def send(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def file(self, seen: Seen, fault: Optional[Fault], name: str, revision: str, file: str) -> None:
        files = self.owner.models.get(name)
        if files is None:
            return self.refuse(401, "RepoNotFound")
        if revision not in ("main", self.owner.commit(name)):
            return self.refuse(404, "RevisionNotFound")
        if file not in files:
            return self.refuse(404, "EntryNotFound", self.owner.commit(name))
        stored = files[file]
        head = {"X-Repo-Commit": self.owner.commit(name), "ETag": f'"{stored.etag}"'}
        if not stored.large:
            return self.body(seen, fault, stored, head)
        self.send_response(302)
        host = self.owner.large_host or f"localhost:{self.owner.port}"
        for key, value in {
            **head,
            "Location": f"http://{host}/lfs/{stored.sha256}?signature=x",
            "X-Linked-Etag": f'"{stored.sha256}"',
            "X-Linked-Size": str(len(stored.content)),
            "Content-Length": "0",
        }.items():
            self.send_header(key, value)
        self.end_headers()

    def body(self, seen: Seen, fault: Optional[Fault], stored: Stored, head: dict[str, str]) -> None:
        content = stored.content
        if fault is not None and fault.kind == "corrupt":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        if fault is not None and fault.kind == "gzip":
            content, head = gzip.compress(content), {**head, "Content-Encoding": "gzip"}
        start, status = 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", seen.range or "")
        if self.headers.get("If-Range", head.get("ETag")) != head.get("ETag"):
            wanted = None  # another content than the asker has a part of (RFC 9110, 13.1.5)
        if wanted and not (fault is not None and fault.kind == "no range"):
            start, status = int(wanted[1]), 206
            head = {**head, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self.send_response(status)
        for key, value in {**head, "Content-Length": str(len(content) - start), "Accept-Ranges": "bytes"}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        broken = fault is not None and fault.kind in ("cut", "stall")
        until = fault.at if fault is not None and broken else len(content)
        seen.sent = max(0, until - start)
        self.wfile.write(content[start : max(start, until)])
        self.wfile.flush()
        if broken:
            if fault is not None and fault.kind == "stall":
                self.owner.closing.wait(STALL)
            self.hang_up()

    def refuse(self, status: int, error: str, commit: Optional[str] = None) -> None:
        self.send_response(status)
        if error:
            self.send_header("X-Error-Code", error)
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, *_: object) -> None:
        pass


class Hub(Server):
    """The hub. `models` maps an id to its files; `requests` is what was asked; `fail` switches a fault on.

    `files`, when filled, stand at /files/<name>, as on any web server.

    Parameters
    ----------
    models : dict of id to (folder, or dict of file name to bytes)
    """

    handler = _HubHandler

    def __init__(self, models: dict[str, Any]) -> None:
        self.models: dict[str, dict[str, Stored]] = {}
        for name, files in models.items():
            if isinstance(files, Path):
                files = {file.name: file.read_bytes() for file in sorted(files.iterdir()) if file.is_file()}
            self.models[name] = {path: Stored(content, path.endswith(LARGE)) for path, content in files.items()}
        self.files: dict[str, Stored] = {}
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self.large_host = ""

    def commit(self, name: str) -> str:
        files = self.models[name]
        return hashlib.sha1("".join(file.etag for file in files.values()).encode(), usedforsecurity=False).hexdigest()

    def fail(self, pattern: str, kind: str, times: Optional[int] = None, **details: Any) -> None:
        """From now on, answer requests for matching paths with a fault.

        kind: "status" (with `status` and perhaps `error`), "stall" or "cut" (after `at` bytes of the whole file),
        "corrupt" (one byte is another), "no range" (every answer begins at the first byte), "gzip" (compressed, though
        nobody asked for it).
        """
        self.faults.append(Fault(pattern, kind, times, **details))

    def due(self, path: str) -> Optional[Fault]:
        for fault in self.faults:
            if re.search(fault.pattern, path) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def heal(self) -> None:
        self.faults.clear()

    def sent(self, name: str, file: str) -> list[int]:
        """Bytes of body sent for a file, one number for each GET of its content."""
        stored = self.models[name][file]
        ends = f"/lfs/{stored.sha256}" if stored.large else f"/{file}"
        return [seen.sent for seen in self.requests if seen.method == "GET" and seen.path.endswith(ends)]

    def asked_for(self, wanted: Callable[[str], bool]) -> list[str]:
        """The paths of all requests, of any method, for files of whose name this is true."""
        large = {f"/lfs/{file.sha256}": name for files in self.models.values() for name, file in files.items()}
        names = [(large.get(seen.path) or seen.path.rpartition("/")[2], seen.path) for seen in self.requests]
        return [path for name, path in names if wanted(name)]


class _ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Proxy

    def do_GET(self) -> None:
        self.forward()

    def do_HEAD(self) -> None:
        self.forward()

    def forward(self) -> None:
        asked = urlsplit(self.path)
        self.owner.hosts.append(asked.hostname or "")
        onward = http.client.HTTPConnection("127.0.0.1", self.owner.behind, timeout=10)
        path = asked.path + (f"?{asked.query}" if asked.query else "")
        onward.request(self.command, path, headers=dict(self.headers.items()))
        answer = onward.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("connection", "date", "server"):
                self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        onward.close()

    def log_message(self, *_: object) -> None:
        pass


class Proxy(Server):
    """A forward proxy that brings every request, whatever its host, to the port `behind` it; `hosts` notes them."""

    handler = _ProxyHandler

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.hosts: list[str] = []
