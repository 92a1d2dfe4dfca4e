"""A way to a Jupyter server that can be cut, as when a laptop sleeps or loses its network."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from pathlib import Path
from urllib.parse import urlsplit

from .servers import Server

_NOW = struct.pack("ii", 1, 0)  # a connection that is closed so says no good-bye, as one that is gone


class Line:
    """A server as it is seen through a line that drops: the same `work`, another `url`.

    One thread hands on what comes, either way. While it is cut nothing gets through: what was open is gone, and who
    calls anew is turned away.
    """

    def __init__(self, server: Server) -> None:
        self.work: Path = server.work
        self._there = ("127.0.0.1", urlsplit(server.url).port or 80)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self._other: dict[socket.socket, socket.socket] = {}
        self._turn = threading.RLock()
        self._choose = selectors.DefaultSelector()
        self._choose.register(self._door, selectors.EVENT_READ)
        self._open, self._cut = True, False
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def cut(self) -> int:
        """Drop all connections and let nobody in; how many there were."""
        with self._turn:
            self._cut = True
            count = len(self._other) // 2
            for end in list(self._other):
                self._drop(end)
        return count

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self.cut()
        self._door.close()
        self._choose.close()

    def _go(self) -> None:
        while self._open:
            for key, _ in self._choose.select(0.1):
                with self._turn:
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    if end is self._door:
                        self._let_in()
                    elif end in self._other:
                        self._hand_on(end)

    def _let_in(self) -> None:
        near, _ = self._door.accept()
        if self._cut:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            near.close()
            return
        try:
            far = socket.create_connection(self._there, 5)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            one.settimeout(10)
            self._other[one] = other
            self._choose.register(one, selectors.EVENT_READ)

    def _hand_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(1 << 16)
            if data:
                self._other[end].sendall(data)
                return
        except OSError:
            pass
        self._drop(end, politely=True)

    def _drop(self, end: socket.socket, politely: bool = False) -> None:
        other = self._other.pop(end, None)
        if other is None:
            return
        self._other.pop(other, None)
        for one in (end, other):
            with contextlib.suppress(KeyError, ValueError):
                self._choose.unregister(one)
            if not politely:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            one.close()
