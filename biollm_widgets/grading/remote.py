"""The grader's end of the wire: a learner's answers, and functions that are called in the learner's process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np

from biollm_widgets.grading.wire import Broken, Extra, Packer, Slow, Wire

GRACE = 5.0  # seconds that an interrupted function has to stop


class Gone(Exception):
    """The learner's process is no longer there."""


class TooLong(Exception):
    """A function did not come to an end in time."""


class Remote:
    """A learner's process, asked over a wire.

    Parameters
    ----------
    end : socket
    seconds : float
        For one call.
    interrupt : callable
        Interrupts what the process does.
    gone : callable
        Whether it is known to be gone, or to listen no more.
    """

    def __init__(self, end: Any, seconds: float, interrupt: Callable[[], None], gone: Callable[[], bool]) -> None:
        self._seconds, self._interrupt = seconds, interrupt
        self._wire = Wire(end, Extra(self._pack, self._unpack), gone)
        self._folders: list[Path] = []
        self._networks: list[_Trained] = []
        self._sent: set[str] = set()
        self.hung = False  # it could not be interrupted: the process has to be ended

    def begin(self) -> None:
        """Wait for the process to listen; raises Gone when it does not."""
        try:
            said = self._wire.receive(self._seconds)
            if isinstance(said, list) and len(said) == 1 and isinstance(said[0], str) and said[0] == "here":
                return
            self._wire.closed = True  # something else was said: nothing on this wire can be told from it any more
        except Broken:
            pass
        except Slow:
            self.hung = True
        raise Gone(
            "The notebook's Python did not answer when its answer was asked for: a cell has changed how it runs."
        )

    def take(self, expressions: tuple[str, ...]) -> list[Any]:
        """What expressions stand for; functions as functions that can be called here.

        Raises
        ------
        Gone
        """
        try:
            found = self._ask(["take", list(expressions)])
        except TooLong:
            raise Gone("The notebook's Python did not hand in its answers.") from None
        if not isinstance(found, list) or len(found) != len(expressions):
            raise Gone("The notebook's Python handed in something else than its answers.")
        return found

    def done(self) -> None:
        """Let the notebook go on."""
        try:
            self._wire.send(["done"])
        except (Broken, Slow):
            self._wire.closed = True

    def cut(self) -> None:
        """Have whoever waits for an answer wait no more."""
        self._wire.close()

    @property
    def usable(self) -> bool:
        """Whether it can still be asked."""
        return not (self.hung or self._wire.closed)

    def call(self, number: int, given: tuple[Any, ...]) -> Any:
        """What a function gives.

        Raises
        ------
        Gone, TooLong
        Exception
            Of the name that the learner's error had.
        """
        self._folders, self._networks = [], []
        return self._ask(["call", number, list(given)])

    def _ask(self, question: list) -> Any:
        if not self.usable:
            raise Gone("The notebook's Python is no longer there.")
        until = time.monotonic() + self._seconds
        try:
            self._wire.send(question)
            answer = self._answer(until)
        except Slow:
            self._interrupt()
            try:
                self._answer(time.monotonic() + GRACE)
            except (Slow, Broken):
                self.hung = True
            raise TooLong(f"it took longer than {self._seconds:g} s") from None
        except Broken as problem:
            self._wire.closed = True
            raise Gone(str(problem)) from None
        return self._read(answer, question[-1])

    def _answer(self, until: float) -> list:
        """The answer to a question; passes of networks that come before it are computed."""
        while True:
            left = until - time.monotonic()
            if left <= 0:  # passes alone come to no answer
                raise Slow("The answer did not come in time.")
            said = self._wire.receive(left)
            if not isinstance(said, list) or not said or not isinstance(said[0], str):
                raise Broken("It said something that is no answer.")
            if said[0] not in ("pass", "back"):
                return said
            self._wire.send(self._pass(said))

    def _pass(self, said: list) -> Any:
        try:
            verb, number, *given = said
            network = self._networks[number]
            return network.forward(*given) if verb == "pass" else network.back(*given)
        except Exception:
            raise Broken("It asked for a pass that cannot be.") from None

    def _read(self, answer: list, given: list) -> Any:
        try:
            kind, *rest, after = answer
            self._apply(after)
            for place in after["changed"]:
                # What was handed over is no longer what it was; here it is enough that this can be seen.
                given[place].drop(index=given[place].index, inplace=True)
            if kind == "value":
                (value,) = rest
                return value
            name, words = rest
        except Exception:
            self._wire.closed = True
            raise Gone("It said something that is no answer.") from None
        raise _error(str(name), str(words))

    def _apply(self, after: dict) -> None:
        """What a call has changed: parameters of networks, files in folders."""
        for number, values in after["networks"].items():
            self._networks[number].load(values)
        for number, files in after["files"].items():
            folder = self._folders[number]
            for name, data in files:
                if not isinstance(name, str) or name != Path(name).name or name in ("", ".", "..") or len(name) > 200:
                    raise ValueError(name)
                (folder / name).write_bytes(np.asarray(data, dtype=np.uint8).tobytes())

    # What travels beside plain values.

    def _unpack(self, data: list, arrays: list) -> Any:
        tag, number, name = data
        if tag != "function" or not isinstance(number, int):
            raise ValueError(tag)
        return Function(self, number, str(name))

    def _pack(self, value: Any, packer: Packer) -> Optional[list]:
        if isinstance(value, Path):
            self._folders.append(value)
            return ["folder", len(self._folders) - 1]
        kind = type(value)
        if kind.__name__ == "Watched" and kind.__module__.startswith("biollm_widgets."):
            network = _Trained(value)
            self._networks.append(network)
            return ["network", len(self._networks) - 1, value.width, packer.aside(network.flat())]
        if kind.__module__ == "biollm_widgets.models.dnabert2":
            frozen = [name for name, one in value.named_parameters() if not one.requires_grad]
            return ["model", kind.__name__, _config(value.config), frozen]
        if hasattr(value, "backend_tokenizer"):
            return self._tokenizer(value)
        return None

    def _tokenizer(self, value: Any) -> list:
        text = value.backend_tokenizer.to_str()
        words: dict[str, Any] = {
            key: str(token) for key, token in value.special_tokens_map.items() if isinstance(token, str)
        }
        words |= {"model_max_length": int(min(value.model_max_length, 10**9)), "padding_side": value.padding_side}
        words |= {"model_input_names": list(value.model_input_names)}
        key = hashlib.sha256(f"{text}{sorted(words.items())}".encode()).hexdigest()
        if key in self._sent:
            return ["tokenizer", key, None, None]
        self._sent.add(key)
        return ["tokenizer", key, text, words]


def _config(config: Any) -> dict[str, Any]:
    """What makes the architecture, as plain values."""
    return {
        key: value
        for key, value in config.to_dict().items()
        if isinstance(value, (int, float, str, bool)) and key not in ("transformers_version", "dtype", "torch_dtype")
    }


def _error(name: str, words: str) -> Exception:
    """An error of the name that the learner's had."""
    if name == "NotImplementedError":
        return NotImplementedError(words)
    kept = "".join(letter for letter in name if letter.isalnum() or letter == "_")[:60] or "Exception"
    return type(kept, (Exception,), {})(words)


class Function:
    """A learner's function, called in the learner's process. Its kind says "function", as the learner knows it."""

    def __init__(self, remote: Remote, number: int, name: str) -> None:
        self._remote, self._number = remote, number
        self.__name__ = "".join(letter for letter in name if letter.isprintable())[:60] or "The function"

    def __call__(self, *given: Any) -> Any:
        return self._remote.call(self._number, given)

    def __deepcopy__(self, memo: dict) -> Function:
        return self


Function.__name__ = Function.__qualname__ = "function"


class _Trained:
    """A `Watched` whose passes are asked for from afar, and which is what its learner's parameters are at the time."""

    KEPT = 4096  # passes that may still be gone back through
    ROWS = 4096  # in one of them
    ALL_ROWS = 500_000  # in all of them

    def __init__(self, watched: Any) -> None:
        self._watched = watched
        self._values = list(watched.parameters())  # to look for them anew in each pass takes longer than the pass
        self._passes: dict[int, tuple[list, Any]] = {}
        self._next = self._rows = 0

    def flat(self) -> np.ndarray:
        import torch

        return torch.cat([value.detach().reshape(-1) for value in self._values]).numpy()

    def load(self, values: Any) -> None:
        """Take parameters, one after the other."""
        import torch

        given = torch.as_tensor(np.asarray(values, dtype=np.float32).copy())
        sizes = [value.numel() for value in self._values]
        if given.numel() != sum(sizes):
            raise ValueError("parameters")
        with torch.no_grad():
            for value, part in zip(self._values, given.split(sizes), strict=True):
                value.data = part.view_as(value)

    def forward(self, rows: Any, values: Any, training: Any, learns: Any) -> list:
        """A pass with these parameters: its number, and the scores."""
        import torch

        if len(rows) > self.ROWS and rows.ndim > 1:
            raise ValueError("rows")
        self.load(values)
        self._watched.train(bool(training))
        # Other tensors than the network's own, which may change before the way back is asked for.
        own = [value.detach().clone().requires_grad_(bool(learns)) for value in self._values]
        with torch.set_grad_enabled(bool(learns)):
            scores = self._watched(rows, own)
        self._next += 1
        if learns:
            self._passes[self._next] = own, scores
            self._rows += len(scores)
            while len(self._passes) > self.KEPT or self._rows > self.ALL_ROWS:
                _, old = self._passes.pop(next(iter(self._passes)))
                self._rows -= len(old)
        return [self._next, scores.detach()]

    def back(self, number: Any, gradient: Any, values: Any, kept: Any) -> Any:
        """The gradients of a pass, one after the other; `kept` says whether older ones were still there."""
        import torch

        own, scores = self._passes[number]
        self.load(values)
        for value in self._values:
            value.grad = torch.ones_like(value) if kept else None
        found = torch.autograd.grad(scores, own, gradient, retain_graph=True)
        for value in self._values:
            value.grad = None
        return torch.cat([one.reshape(-1) for one in found]).numpy()
