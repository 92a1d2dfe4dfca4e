"""The model behind a ProteinPanel: had when it is first needed, in a thread that whoever waits can leave behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.protein.loading import Generator, known_name, path_of

TURN = 0.02  # seconds between two looks whether to go on waiting


class Cancelled(Exception):
    """Somebody who waited was asked to stop."""


def beside_this(function: Callable[[], Any], given_up: Callable[[], bool], name: str) -> Any:
    """What a function gives, which cannot be stopped: it goes on in a thread of its own when it is given up.

    Raises
    ------
    Cancelled
        When it was given up; otherwise whatever the function raises.
    """
    found: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    while thread.is_alive():
        if given_up():
            raise Cancelled
        thread.join(TURN)
    if errors:
        raise errors[0]
    return found[0]


class Model:
    """A model by name, or a loaded one with its tokenizer, as `bio.generate` takes them.

    Attributes
    ----------
    loaded : Generator or None
    loading : bool
    error : BaseException or None
        Why it could not be had, the last time.

    Raises
    ------
    InputError
        For a loaded model without its tokenizer, or one that writes no text.
    """

    def __init__(self, model: Any, tokenizer: Any, device: Any) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device
        self.name = known_name(path_of(model))
        self.loaded: Optional[Generator] = None
        self.error: Optional[BaseException] = None
        self._explorer: Any = None
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._thread: Optional[threading.Thread] = None
        if not isinstance(model, (str, os.PathLike)):
            self.here()

    @property
    def loading(self) -> bool:
        return self._thread is not None

    def here(self) -> Generator:
        """The model, loaded in this thread if need be. Raises what loading raises."""
        if self.loaded is None:
            from biollm_widgets.protein.loading import generator_of

            self.loaded = generator_of(self.model, self.tokenizer, self.device)
        return self.loaded

    def begin(self, around: Callable[[Callable[[], None]], None]) -> bool:
        """Load it in a thread of its own, unless it is there or on its way; whether one began.

        Parameters
        ----------
        around
            Called in that thread with what loads; it says what is to happen before and after.
        """
        with self._turn:
            if self.loaded is not None or self._thread is not None:
                return False
            self.error = None
            self._over.clear()
            self._thread = threading.Thread(target=around, args=(self._load,), name="loading", daemon=True)
        self._thread.start()
        return True

    def _load(self) -> None:
        try:
            self.here()
        except BaseException as error:
            self.error = error
        finally:
            self._over.set()
            self._thread = None

    def wait(self, given_up: Callable[[], bool]) -> Generator:
        """The model, once it is there.

        Raises
        ------
        Cancelled
            When somebody gave up; loading goes on.
        """
        while not self._over.wait(TURN) and self.loaded is None:
            if given_up():
                raise Cancelled
        if given_up():
            raise Cancelled
        if self.error is not None:
            raise self.error
        return self.here()

    @property
    def explorer(self) -> Any:
        """Of the loaded model.

        Raises
        ------
        InputError
            When it is not loaded.
        """
        if self.loaded is None and self.error is not None:
            raise InputError(f"The model could not be loaded: {' '.join(str(self.error).split())}")
        if self.loaded is None:
            raise InputError("The model is still being loaded; what comes next is shown when it is there.")
        with self._turn:
            if self._explorer is None:
                from biollm_widgets.protein.generation import Explorer

                self._explorer = Explorer(self.loaded.tokenizer, self.loaded.model)
            return self._explorer
