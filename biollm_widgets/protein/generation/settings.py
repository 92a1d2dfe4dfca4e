"""Everything that decides which proteins come out, checked at the door."""

from __future__ import annotations

import math
import os
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.protein.export import settings_from_json, settings_to_json
from biollm_widgets.protein.loading import MODEL

PRECISIONS = ("float32", "bf16", "int8")
KINDS: dict[str, Union[type, tuple[type, ...]]] = {
    "prompt": str,
    "n": int,
    "max_length": int,
    "do_sample": bool,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "repetition_penalty": float,
    "eos_token_id": (int, type(None)),
    "seed": (int, type(None)),
    "model": str,
    "precision": str,
    "made_with": str,
}
MOST = 1_000  # sequences at once; their keys and values take 370 kB a token and sequence at ProtGPT2's size


@dataclass(frozen=True)
class Settings:
    """How proteins are generated. The defaults are what ProtGPT2's authors sample with.

    Attributes
    ----------
    prompt : str
        The first residues; empty for none.
    n : int
        How many sequences (transformers says `num_return_sequences`).
    max_length : int
        Tokens at most, those of the prompt and the start included. A token is about three residues for ProtGPT2 on
        natural proteins.
    do_sample : bool
        Draw each token by its probability; otherwise always take the likeliest.
    temperature : float
        Scores are divided by it: below 1 bets on what is likely, above 1 is more daring. 1 unless asked otherwise;
        transformers' own default depends on its version.
    top_k : int
        Only this many of the likeliest tokens are drawn from; 0 for all. The authors take 950.
    top_p : float
        Only the likeliest tokens that together have this probability are drawn from; 1 for all.
    repetition_penalty : float
        Scores of tokens that are there already are divided by it (multiplied, where below nothing); 1 for none. The
        authors take 1.2.
    eos_token_id : int, optional
        The token that ends a sequence; the tokenizer's own unless given (0 for ProtGPT2).
    seed : int, optional
        The same seed gives the same sequences; one is chosen, and told, unless given.
    model : str
        The name or folder.
    precision : {"float32", "bf16", "int8"}
        What the network computes in.
    """

    prompt: str = ""
    n: int = 10
    max_length: int = 100
    do_sample: bool = True
    temperature: float = 1.0
    top_k: int = 950
    top_p: float = 1.0
    repetition_penalty: float = 1.2
    eos_token_id: Optional[int] = None
    seed: Optional[int] = None
    model: str = MODEL
    precision: str = "float32"

    def checked(self) -> Settings:
        """The same with whole numbers as int and the others as float, and with a seed.

        Raises
        ------
        InputError
            Naming the setting, what it is, and what it may be.
        """
        whole: dict[str, Any] = {
            "n": _whole("n", self.n, 1, MOST),
            "max_length": _whole("max_length", self.max_length, 2, None),
            "top_k": _whole("top_k", 0 if self.top_k is None else self.top_k, 0, None),
        }
        real: dict[str, Any] = {
            # Scores times a thousand are still numbers; much further they are not, and nothing could be drawn.
            "temperature": _real("temperature", self.temperature, 1e-3, 1e3, "from 0.001 to 1,000; 1 changes nothing"),
            "top_p": _real("top_p", 1.0 if self.top_p is None else self.top_p, 1e-9, 1.0, "above 0 and up to 1"),
            "repetition_penalty": _real(
                "repetition_penalty", self.repetition_penalty, 1e-2, 1e2, "from 0.01 to 100; 1 changes nothing"
            ),
        }
        if not isinstance(self.do_sample, bool):
            raise InputError(f"do_sample is {self.do_sample!r}; give True to draw tokens, False for the likeliest.")
        if not self.do_sample and whole["n"] > 1:
            raise InputError(
                f"Without sampling all {whole['n']} sequences would be the same; ask for one (n=1), or sample."
            )
        if self.eos_token_id is not None:
            whole["eos_token_id"] = _whole("eos_token_id", self.eos_token_id, 0, None)
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}.")
        seed = secrets.randbelow(2**32) if self.seed is None else _whole("seed", self.seed, 0, 2**32 - 1)
        return replace(self, **whole, **real, seed=seed)

    def as_dict(self) -> dict[str, Any]:
        """For JSON and for the header of a FASTA file."""
        return asdict(self)

    def to_json(self, made_with: str = "") -> str:
        """As JSON text; `made_with` says in words which model made the sequences."""
        return settings_to_json({**self.as_dict(), "made_with": made_with}, KINDS)


def read_settings(source: Union[str, os.PathLike]) -> tuple[Settings, str]:
    """Settings, and which model they were used with, from the JSON that `to_json` wrote (a path, or the text).

    Raises
    ------
    InputError
        For a file that cannot be read, a setting that there is not, or one of the wrong kind.
    """
    found = settings_from_json(source, KINDS)
    made_with = str(found.pop("made_with", ""))
    return Settings(**found), made_with


def _whole(name: str, value: Any, least: int, most: Optional[int]) -> int:
    fits = not isinstance(value, bool) and hasattr(value, "__index__")
    number = int(value) if fits else least - 1
    if number < least or (most is not None and number > most):
        span = f"from {least} up" if most is None else f"from {least} to {most:,}"
        raise InputError(f"{name} is {value!r}; give a whole number {span}.")
    return number


def _real(name: str, value: Any, least: float, most: float, words: str) -> float:
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most:
        raise InputError(f"{name} is {value!r}; give a number {words}.")
    return number
