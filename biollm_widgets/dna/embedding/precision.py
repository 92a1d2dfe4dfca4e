"""Which number format to compute in: what was asked, or what a short probe finds faster; and how true it is."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Optional

import numpy as np
from torch import nn

from biollm_widgets.dna.embedding.encoding import SequenceEncoder
from biollm_widgets.errors import InputError
from biollm_widgets.models.lighter import lighter_copy, packed_copy

# Under this many tokens, packing weights ahead costs more than it saves, and so does looking for a faster precision.
FEW_TOKENS = 4096
# "auto" takes a format that is this much faster, and whose vectors all point where float32's do.
WORTH = 1.15
COSINE = 0.99


@dataclass(frozen=True)
class Fidelity:
    """How far vectors are from float32's, on a sample of the sequences.

    Attributes
    ----------
    sequences : int
        Size of the sample.
    cosine_min, cosine_mean : float
        Between a sequence's two vectors.
    error : float
        Root mean square of the difference, over that of the vectors around their mean. Vectors of one model all point
        much the same way, which flatters a cosine; this is what a classifier meets. NaN for a sample of one.
    """

    sequences: int
    cosine_min: float
    cosine_mean: float
    error: float

    def __str__(self) -> str:
        words = f"cosine to float32 at least {self.cosine_min:.5f}, mean {self.cosine_mean:.5f}"
        if np.isfinite(self.error):
            words += f", error {self.error:.1%} of the spread between sequences"
        return f"{words} ({self.sequences} sequences compared)"

    def as_dict(self) -> dict:
        """For JSON, which knows no NaN."""
        return asdict(self) | {"error": self.error if np.isfinite(self.error) else None}

    @classmethod
    def from_dict(cls, stored: dict) -> Fidelity:
        """What `as_dict` made."""
        return cls(**(stored | {"error": float("nan") if stored["error"] is None else stored["error"]}))


def fidelity(vectors: np.ndarray, reference: np.ndarray) -> Fidelity:
    """Compare vectors (n, C) with float32's."""
    a, b = vectors.astype(np.float64), reference.astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    spread = np.sqrt(((b - b.mean(0)) ** 2).mean())
    error = float(np.sqrt(((a - b) ** 2).mean()) / spread) if len(b) > 1 and spread > 0 else float("nan")
    return Fidelity(len(b), float(cosines.min()), float(cosines.mean()), error)


@dataclass(frozen=True)
class Choice:
    """A precision, the encoder that computes in it, how true it is, and the line to show (empty for float32)."""

    precision: str
    encoder: nn.Module
    fidelity: Optional[Fidelity]
    said: str


def with_encoder(reader: SequenceEncoder, encoder: nn.Module) -> SequenceEncoder:
    """The same reader on another copy of the encoder."""
    return SequenceEncoder(encoder, reader.pooling, reader.layer, reader.special_tokens, reader.pad)


def encoder_for(precision: str, encoder: nn.Module, tokens: int) -> nn.Module:
    """The copy of a float32 encoder that computes in `precision`, for a work of `tokens` tokens."""
    if precision != "float32":
        return lighter_copy(encoder, precision)
    return (packed_copy(encoder) if tokens > FEW_TOKENS else None) or encoder


def choose(
    precision: str,
    reader: SequenceEncoder,
    ids: list[np.ndarray],
    special: list[np.ndarray],
    tokens: int,
) -> Choice:
    """Settle the precision on a sample (`ids`, `special`, sorted by length) of a work of `tokens` tokens.

    Raises
    ------
    InputError
        When the precision asked for is not to be had here, or gives vectors that are not finite.
    """
    plain = reader.encoder
    exact = encoder_for("float32", plain, tokens)
    if precision == "float32":
        return Choice("float32", exact, None, "")
    if precision == "auto" and tokens <= FEW_TOKENS:
        return Choice("float32", exact, None, f"float32: {tokens:,} tokens are too few for another precision to pay.")

    reference, base = _timed(with_encoder(reader, exact), ids, special, once=precision != "auto")
    if precision != "auto":
        encoder = encoder_for(precision, plain, tokens)
        vectors, _ = _timed(with_encoder(reader, encoder), ids, special, once=True)
        if not np.isfinite(vectors).all():
            raise InputError(f"In {precision} this model gives vectors that are not finite; use precision='float32'.")
        found = fidelity(vectors, reference)
        return Choice(precision, encoder, found, f"{precision}: {found}.")

    best = Choice("float32", exact, None, "")
    fastest, tried = WORTH, []
    for name in ("bf16", "int8") if reader.device.type == "cpu" else ("bf16",):
        try:
            encoder = encoder_for(name, plain, tokens)
            vectors, seconds = _timed(with_encoder(reader, encoder), ids, special)
        except (InputError, RuntimeError):
            tried.append(f"{name} does not work here")
            continue
        found = fidelity(vectors, reference)
        speed = base / seconds
        tried.append(f"{name} {speed:.2f} times as fast as float32, {found}")
        if speed > fastest and found.cosine_min >= COSINE:
            fastest, best = speed, Choice(name, encoder, found, "")
    return Choice(best.precision, best.encoder, best.fidelity, f"{best.precision} is used: {'; '.join(tried)}.")


def _timed(
    reader: SequenceEncoder, ids: list[np.ndarray], special: list[np.ndarray], once: bool = False
) -> tuple[np.ndarray, float]:
    """Vectors of the sample and the seconds they took, the quicker of two goes unless `once`."""
    seconds = float("inf")
    vectors = np.empty((0, 0), np.float32)
    for _ in range(1 if once else 2):
        start = time.perf_counter()
        vectors = reader(ids, special)  # ends with a copy to the CPU, so the device is done
        seconds = min(seconds, time.perf_counter() - start)
    return vectors, seconds
