"""A learner's kernel as the grader has it: forked apart, talked to over files, its cells run one by one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.grading.cold import WIRE
from biollm_widgets.grading.containers import PROGRAMS
from biollm_widgets.grading.limits import TOO_LARGE, TOO_MANY, Limits
from biollm_widgets.grading.sandbox import SOCKETS
from biollm_widgets.grading.warm import CONNECTION

START = 60  # seconds in which a kernel has to answer
GRACE = 6  # seconds that an interrupted cell has to stop
LARGEST = 64 * 2**20  # bytes of a message


class Ended(Exception):
    """The kernel is gone; the text says of what, as the end of a sentence."""


class NotStarted(Exception):
    """No kernel could be started; the text says why."""


WHY = {
    TOO_MANY: "it started too many processes at once",
    TOO_LARGE: "it took more memory than there is for a submission",
    -9: "it was killed; memory may have run out",
    137: "it was killed; memory may have run out",
}


class Kernel:
    """One kernel, from its start to its end.

    Parameters
    ----------
    warm : path
        The socket of the process that forks kernels.
    folder : path
        A short path to an empty folder of the caller's own.
    work : path
        What is to lie beside the notebook.
    isolation : str
        "namespaces", "bubblewrap", "apptainer" or "none".
    hidden : list of str
        Folders not to be seen.
    limits : Limits
    keep : str
        A folder that this one fills with what others will ask for again; for the instructor's own notebook.
    recall : str
        A folder with what such a one has filled; to be read only.
    """

    def __init__(
        self, warm: Path, folder: Path, work: Path, isolation: str, hidden: list[str], limits: Limits, keep: str = "",
        recall: str = "",
    ) -> None:  # fmt: skip
        self._keep, self._recall = keep, recall
        self._warm, self._isolation, self._hidden, self._limits = warm, isolation, hidden, limits
        self._work, self._folder, self._sockets = work, folder, folder / "s"
        self._life: Optional[socket.socket] = None
        self._client: Any = None
        self.end: Optional[socket.socket] = None  # the grader's end of the wire
        self._exit: Optional[int] = None

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        NotStarted
        """
        from jupyter_client.asynchronous.client import AsyncKernelClient
        from zmq import MAXMSGSIZE
        from zmq.asyncio import Context

        self._sockets.mkdir()
        self._sockets.chmod(0o777)  # the user inside is another one; the folder around it is the grader's alone
        key = secrets.token_hex(32)
        inside = str(self._sockets) if self._isolation == "none" else SOCKETS
        info = {f"{channel}_port": n for n, channel in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)}
        info |= {"transport": "ipc", "signature_scheme": "hmac-sha256", "key": key, "kernel_name": ""}  # type: ignore[dict-item]
        path = self._sockets / CONNECTION
        path.write_text(json.dumps({**info, "ip": f"{inside}/k"}), encoding="utf-8")
        apart = self._isolation in PROGRAMS
        wire = socket.socket(socket.AF_UNIX)
        if apart:
            wire.bind(str(self._sockets / WIRE))
            (self._sockets / WIRE).chmod(0o777)
            wire.listen(1)
        self.end, theirs = socket.socketpair()
        with theirs:
            self._life = socket.socket(socket.AF_UNIX)
            self._life.connect(str(self._warm))
            asked = {
                "work": str(self._work), "sockets": str(self._sockets), "hidden": self._hidden,
                "isolation": self._isolation, "limits": asdict(self._limits),
                "keep": self._keep, "recall": self._recall,
            }  # fmt: skip
            socket.send_fds(self._life, [json.dumps(asked).encode()], [theirs.fileno()])
        said = json.loads(await asyncio.to_thread(self._line) or '{"error": "the process that forks kernels is gone"}')
        if "error" in said:
            raise NotStarted(said["error"])
        with wire:
            if apart:
                self.end = await self._connected(wire)
        context = Context()
        context.setsockopt(MAXMSGSIZE, LARGEST)
        self._client = AsyncKernelClient(context=context)
        self._client.load_connection_info({**info, "key": key.encode(), "ip": str(self._sockets / "k")})
        self._client.start_channels(stdin=False, hb=False)
        until = time.monotonic() + START * (4 if apart else 1)  # a container imports torch
        while True:
            try:
                request = self._client.kernel_info(reply=False)
                await self._reply(request, min(until, time.monotonic() + 2))
                await self._heard(request, min(until, time.monotonic() + 1))
                break
            except TimeoutError:
                if time.monotonic() > until:
                    raise NotStarted("the kernel does not answer") from None
            except Ended as problem:
                raise NotStarted(str(problem)) from None

    async def _heard(self, request: str, until: float) -> None:
        """Wait for what a request shows: a subscription that comes later than its cell loses what the cell shows."""
        while True:
            message = await self._message(self._client.iopub_channel, until)
            if message.get("parent_header", {}).get("msg_id") == request and message["msg_type"] == "status":
                return

    async def _connected(self, wire: socket.socket) -> socket.socket:
        """The end of the wire that a container connects to once it runs."""
        wire.setblocking(False)
        until = time.monotonic() + START
        while time.monotonic() < until and self.alive:
            with contextlib.suppress(BlockingIOError):
                end = wire.accept()[0]
                end.setblocking(True)
                return end
            await asyncio.sleep(0.05)
        raise NotStarted("the container did not start")

    def _line(self) -> bytes:
        assert self._life is not None
        self._life.settimeout(START)
        data = b""
        with contextlib.suppress(OSError):
            while not data.endswith(b"\n"):
                part = self._life.recv(1)
                if not part:
                    break
                data += part
        self._life.setblocking(False)
        return data

    @property
    def alive(self) -> bool:
        """Whether its first process is still there."""
        if self._exit is None and self._life is not None:
            try:
                data = self._life.recv(4096)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError:
                data = b""
            try:
                self._exit = json.loads(data or "{}").get("exit", -9)
            except ValueError:
                self._exit = -9
        return self._exit is None

    @property
    def why(self) -> str:
        """What it ended of, as the end of a sentence."""
        return WHY.get(self._exit or 0, "its Python ended")

    def _need(self) -> None:
        if not self.alive:
            raise Ended(self.why)

    async def _message(self, channel: Any, until: float) -> dict[str, Any]:
        """The next message that can be read.

        Raises
        ------
        TimeoutError, Ended
        """
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                if await channel.socket.poll(min(200, int(left * 1000) + 1)):
                    return await channel.get_msg(timeout=0)
            except Exception:  # not signed, not JSON, no message at all: somebody writes to its sockets
                await asyncio.sleep(0.001)
            else:
                self._need()

    async def _reply(self, request: str, until: float) -> dict[str, Any]:
        while True:
            message = await self._message(self._client.shell_channel, until)
            if _answers(message, request):
                return message

    async def run(self, code: str, seconds: float) -> AsyncIterator[dict[str, Any]]:
        """Run code, and give the messages that come of it.

        Raises
        ------
        TimeoutError
            It took too long and was interrupted, which it heeded.
        Ended
            The kernel is gone, or had to be ended because it could not be interrupted.
        """
        request = self._client.execute(code, allow_stdin=False, stop_on_error=False)
        until, late = time.monotonic() + seconds, False
        idle = replied = False
        while not (idle and replied):
            if replied:
                until = min(until, time.monotonic() + 5)  # the last messages are on their way, or were lost
            try:
                if idle:
                    await self._reply(request, until)
                    replied = True
                    continue
                message = await self._message(self._client.iopub_channel, min(until, time.monotonic() + 0.5))
            except TimeoutError:
                if replied and time.monotonic() >= until:
                    await self._listen_anew()
                    break
                if not replied and await self._client.shell_channel.socket.poll(0):
                    with contextlib.suppress(TimeoutError):
                        await self._reply(request, time.monotonic() + 0.05)
                        replied = True
                if time.monotonic() < until:
                    continue
                if late:
                    self.kill()
                    raise Ended("a cell could not be stopped when its time was over") from None
                late, until = True, time.monotonic() + GRACE
                self.interrupt()
                continue
            if not _answers(message, request):
                continue
            if message["msg_type"] == "status":
                content = message["content"]
                idle = isinstance(content, dict) and content.get("execution_state") == "idle"
            else:
                yield message
        if late:
            raise TimeoutError

    async def _listen_anew(self) -> None:
        """Connect to what cells show once more: after a message beyond all measure zmq gives a connection up."""
        self._client.iopub_channel.stop()
        self._client._iopub_channel = None
        self._client.iopub_channel.start()
        await asyncio.sleep(0.2)

    def interrupt(self) -> None:
        """Ask it to stop what it does; the kernel's own thread for control does so."""
        message = self._client.session.msg("interrupt_request", {})
        self._client.control_channel.send(message)

    def kill(self) -> None:
        """End it and all that it has started."""
        if self._life is not None:
            self._life.close()
            self._life = None
        if self._exit is None:
            self._exit = 0

    async def close(self) -> None:
        """End it and take away what it needed."""
        self.kill()
        if self._client is not None:
            self._client.stop_channels()
            self._client.context.destroy(linger=0)
        if self.end is not None:
            self.end.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, True)


def _answers(message: dict[str, Any], request: str) -> bool:
    """Whether a message, which a learner's code may have written, came of a request."""
    parent = message.get("parent_header")
    return isinstance(parent, dict) and parent.get("msg_id") == request
