"""What a person asks a ProteinPanel for: each setting checked as it is typed, the rest kept as it was."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.protein.generation import Settings
from biollm_widgets.protein.prompts import read_prompt
from biollm_widgets.widgets import protein_words as words

NUMBERS = ("n", "max_length", "temperature", "top_k", "top_p", "repetition_penalty")
KEYS = ("prompt", *NUMBERS, "seed", "precision")  # what a page may change, in its order
AUTHORS = ("temperature", "top_k", "top_p", "repetition_penalty")
LONGEST = 100_000  # letters of a prompt: no protein has as many, and a whole FASTA file is read elsewhere
KEPT = 5_000  # letters of what is wrong, which a page that comes anew shows again
SHOWN = 40  # letters of a value that is none, in a sentence about it
_WHOLE = re.compile(r"[+-]?\d{1,3}(,\d{3})+")


class Ask:
    """Settings as they stand, and what was typed that cannot be.

    Parameters
    ----------
    settings : Settings
        To begin with; the prompt may be what `read_prompt` takes.

    Attributes
    ----------
    typed : dict
        What was accepted last, each as it was typed: the prompt with its header, a seed of None for a new one each
        time.
    prompt : Prompt
        The prompt of it, read.
    wrong : dict
        For settings that stand otherwise in the page: what is typed there, and the sentence about it.

    Raises
    ------
    InputError
        For settings that cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self.prompt = read_prompt(settings.prompt)
        checked = settings.checked()
        self.fixed: dict[str, Any] = {
            "do_sample": checked.do_sample,
            "eos_token_id": checked.eos_token_id,
            "model": checked.model,
        }
        self.typed: dict[str, Any] = {key: getattr(checked, key) for key in KEYS}
        self.typed["prompt"], self.typed["seed"] = settings.prompt or "", settings.seed
        self.wrong: dict[str, tuple[str, str]] = {}

    @property
    def settings(self) -> Settings:
        """What was accepted, with the prompt's residues; the seed may be None.

        Raises
        ------
        InputError
            When it does not go together.
        """
        whole = Settings(**{**self.typed, "prompt": self.prompt.sequence}, **self.fixed)
        return replace(whole.checked(), seed=whole.seed)

    def change(self, key: str, given: Any) -> None:
        """Take what was typed for one setting, or keep the sentence that says why not."""
        if key not in KEYS:
            raise InputError(f"There is no setting {_short(key)!r} here; there are {', '.join(KEYS)}.")
        try:
            if key == "prompt":
                text = _text(given)
                if len(text) > LONGEST:
                    raise InputError(f"This is {len(text):,} letters long; give one protein, or a stretch of it.")
                self.prompt, self.typed[key] = read_prompt(text), text
            else:
                self.typed[key] = _read(key, given)
        except InputError as error:
            typed, sentence = _text(given), str(error)
            if not typed.strip():  # "n is ''" says nothing
                sentence = sentence.partition("; ")[2]
                sentence = sentence[:1].upper() + sentence[1:]
            self.wrong[key] = (typed, sentence)
        else:
            self.wrong.pop(key, None)

    def change_all(self, changes: Mapping[str, Any]) -> None:
        """Take several, as Python gives them.

        Raises
        ------
        InputError
            At the first that cannot be; nothing is changed then.
        """
        before = self.prompt, dict(self.typed), dict(self.wrong)
        for key, given in changes.items():
            self.change(key, given)
            if key in self.wrong:
                sentence = self.wrong[key][1]
                self.prompt, self.typed, self.wrong = before
                raise InputError(sentence)

    def authors(self) -> None:
        """What ProtGPT2's authors sample with."""
        for key in AUTHORS:
            self.change(key, getattr(Settings, key))

    def checks(self, reader: Optional[Reader] = None) -> dict[str, dict[str, Any]]:
        """A sentence beside each field: {key: {"wrong": bool, "words": str}}, with what is typed where it is wrong."""
        found: dict[str, dict[str, Any]] = {key: {"wrong": False, "words": ""} for key in KEYS}
        found["prompt"]["words"] = words.prompt(
            self.prompt, None if reader is None else reader.tokens(self.prompt.sequence)
        )
        if self.typed["seed"] is None:
            found["seed"]["words"] = "a new one each time"
        if reader is not None:
            self._check_room(found, reader)
        for key, (typed, sentence) in self.wrong.items():
            if key in found:
                found[key] = {"wrong": True, "words": sentence, "typed": typed[:KEPT]}
        return found

    def _check_room(self, found: dict[str, dict[str, Any]], reader: Reader) -> None:
        """What the model has to say: whether the prompt fits, and what there is room for after it."""
        sequence, most = self.prompt.sequence, self.typed["max_length"]
        taken, positions = reader.tokens(sequence), reader.positions
        if positions is not None and taken >= positions:
            fits = reader.fitting(sequence)
            found["prompt"] = {"wrong": True, "words": words.too_long(len(sequence), taken, positions, fits)}
        elif positions is not None and most > positions:
            found["max_length"] = {"wrong": True, "words": words.beyond(most, positions)}
        elif taken >= most:
            found["max_length"] = {"wrong": True, "words": words.no_room(taken, most)}
        else:
            residues = len(sequence) + (most - taken) * reader.residues_per_token
            found["max_length"]["words"] = f"about {words.rounded(residues)} residues"


class Reader:
    """What a model's tokenizer makes of prompts.

    Parameters
    ----------
    explorer : biollm_widgets.protein.generation.Explorer
    positions : int or None
        Tokens that the model has positions for.
    """

    def __init__(self, explorer: Any, positions: Optional[int]) -> None:
        self.explorer, self.positions = explorer, positions
        self.residues_per_token: float = explorer.residues_per_token()
        self._last: tuple[str, int] = ("", len(explorer.opening("")))
        self._fits: tuple[str, int] = ("", 0)

    def tokens(self, sequence: str) -> int:
        """That a protein with these first residues begins with."""
        if self._last[0] != sequence:
            self._last = (sequence, len(self.explorer.opening(sequence)))
        return self._last[1]

    def fitting(self, sequence: str) -> int:
        """How many of these residues the model can read and have a position left for one more token."""
        if self._fits[0] != sequence:
            low, high = 0, len(sequence)
            while low < high:
                middle = (low + high + 1) // 2
                fits = len(self.explorer.opening(sequence[:middle])) < (self.positions or math.inf)
                low, high = (middle, high) if fits else (low, middle - 1)
            self._fits = (sequence, low)
        return self._fits[1]


def _read(key: str, given: Any) -> Any:
    """A setting from a number or a text; the sentences are those of `Settings`.

    Raises
    ------
    InputError
        For what it cannot be.
    """
    value = given
    if isinstance(given, str):
        text = given.strip()
        if key == "seed" and not text:
            return None
        value = text if key == "precision" else _number(text)
    if key == "seed" and value is None:
        return None
    if isinstance(value, float) and value.is_integer() and key in ("n", "max_length", "top_k", "seed"):
        value = int(value)
    # By itself: whether it goes with the others is said beside them.
    alone = Settings(**{**({"n": 1} if key != "n" else {}), key: _short(value)})
    return getattr(alone.checked(), key)


def _number(text: str) -> Any:
    """The number that a text says, in whatever digits; otherwise the text itself."""
    if _WHOLE.fullmatch(text):
        text = text.replace(",", "")
    for kind in (int, float):
        try:
            return kind(text)
        except (ValueError, OverflowError):
            continue
    return text


def _short(value: Any) -> Any:
    """What nobody would read to its end, cut."""
    if isinstance(value, (str, list, dict)) and len(str(value)) > SHOWN:
        return str(value)[:SHOWN] + "..."
    if isinstance(value, int) and abs(value) > 10**SHOWN:
        return math.inf if value > 0 else -math.inf
    return value


def _text(given: Any) -> str:
    return given if isinstance(given, str) else "" if given is None else str(given)
