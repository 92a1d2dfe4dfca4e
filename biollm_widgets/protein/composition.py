"""Which residues a protein or a set of proteins is made of, beside what nature uses.

A single design has a few hundred residues, so its shares are uncertain: a residue of 5 % in nature is seen in 2 to
8 % of 200 drawn at random. Differences are therefore given with an interval, and named only where they stand out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.protein.residues import checked, counts
from biollm_widgets.sequences import AMINO_ACIDS, Record

if TYPE_CHECKING:
    import pandas as pd

# Percent in UniProtKB/Swiss-Prot, release 2013_04 (its release notes, section "amino acid composition"; also ExPASy's
# ProtScale scale "A.A. composition in Swiss-Prot"). Later releases differ by about 0.1 at most.
SWISS_PROT: Mapping[str, float] = {
    "A": 8.25,
    "C": 1.37,
    "D": 5.45,
    "E": 6.75,
    "F": 3.86,
    "G": 7.07,
    "H": 2.27,
    "I": 5.96,
    "K": 5.84,
    "L": 9.66,
    "M": 2.42,
    "N": 4.06,
    "P": 4.70,
    "Q": 3.93,
    "R": 5.53,
    "S": 6.56,
    "T": 5.34,
    "V": 6.87,
    "W": 1.08,
    "Y": 2.92,
}
# Twenty residues are tested at once, so each interval is that of 5 % shared by twenty (Bonferroni): 99.75 %.
CONFIDENCE = 1 - 0.05 / len(AMINO_ACIDS)
# Bits; below 0.055 + 11 / n lie 99.7 % of E. coli's and 98.3 % of yeast's proteins of n residues (20 and more), when
# compared with SWISS_PROT: short ones are far from it by chance, long ones have a character of their own.
_UNUSUAL, _UNUSUAL_SHORT = 0.055, 11.0
SHORTEST = 20

Proteins = Union[str, Iterable[Union[str, Record]]]
Background = Union["Composition", Mapping[str, float], Proteins]


@dataclass(frozen=True, eq=False)
class Composition:
    """How often each of the twenty is in a sequence or a set of them.

    Attributes
    ----------
    counts : ndarray of int64, shape (sequences, 20)
        For each sequence, in the order of `AMINO_ACIDS`.
    others : int
        Letters beyond the twenty; they are left out of the shares.
    """

    counts: np.ndarray
    others: int = 0

    @property
    def sequences(self) -> int:
        """How many sequences."""
        return len(self.counts)

    @property
    def residues(self) -> int:
        """How many residues of the twenty kinds in all of them together."""
        return int(self.counts.sum())

    @property
    def shares(self) -> np.ndarray:
        """Share of each residue, 0 to 1, all sequences taken together; (20,), NaN without residues."""
        return self.counts.sum(axis=0) / self.residues if self.residues else np.full(len(AMINO_ACIDS), np.nan)

    @property
    def errors(self) -> np.ndarray:
        """Standard error of each share; (20,), NaN without residues.

        For one sequence that of residues drawn independently (binomial, with two residues added to each side of the
        draw, Agresti and Coull 1998, so that a share of 0 has an error too). For several the larger of that and of the
        error found from how the sequences differ (a ratio estimate with sequences as the units, Cochran 1977,
        "Sampling Techniques", chapter 6): residues of one protein go together.
        """
        n = self.residues
        if not n:
            return np.full(len(AMINO_ACIDS), np.nan)
        padded = (self.counts.sum(axis=0) + 2) / (n + 4)
        drawn = np.sqrt(padded * (1 - padded) / (n + 4))
        k = self.sequences
        if k < 2:
            return drawn
        rest = self.counts - self.counts.sum(axis=1, keepdims=True) * self.shares
        return np.maximum(drawn, np.sqrt(k / (k - 1) * (rest**2).sum(axis=0)) / n)

    def to_frame(self) -> pd.DataFrame:
        """Twenty rows: residue, count, and percent."""
        import pandas as pd

        return pd.DataFrame(
            {"residue": list(AMINO_ACIDS), "count": self.counts.sum(axis=0), "percent": 100 * self.shares}
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """A composition beside a background.

    Attributes
    ----------
    composition : Composition
    background : ndarray of float64, shape (20,)
        Shares, 0 to 1, that sum to 1.
    differences, low, high : ndarray of float64, shape (20,)
        Share less background, in percentage points, and the ends of its interval (99.75 %: of twenty residues without
        any difference, one in twenty times one is named).
    distance : float
        Jensen-Shannon divergence in bits (Lin 1991, IEEE Trans Inf Theory 37:145): 0 for equal shares, 1 for no
        residue in common; NaN without residues.
    """

    composition: Composition
    background: np.ndarray
    differences: np.ndarray
    low: np.ndarray
    high: np.ndarray
    distance: float

    @property
    def distance_by_chance(self) -> float:
        """The distance that as many residues drawn from the background are expected to have: 19 / (8 n ln 2) bits.

        For small differences the divergence is chi-square over 8 n ln 2, and chi-square has 19 degrees of freedom. Good
        to 10 % from 200 residues on, and a fifth too low for 100.
        """
        n = self.composition.residues
        return (len(AMINO_ACIDS) - 1) / (8 * n * np.log(2)) if n else np.nan

    @property
    def unusual(self) -> bool:
        """Whether natural proteins of this length are hardly ever so far: 0.3 % of E. coli's, 1.7 % of yeast's.

        Meant for single sequences against the default background; False below 20 residues, where all are far.
        """
        n = self.composition.residues
        return n >= SHORTEST and self.distance > _UNUSUAL + _UNUSUAL_SHORT / n

    @property
    def more(self) -> str:
        """Residues that stand out for being more than in the background, the largest difference first."""
        order = np.argsort(-self.differences, kind="stable")
        return "".join(AMINO_ACIDS[i] for i in order if self.low[i] > 0)

    @property
    def less(self) -> str:
        """Residues that stand out for being less, the largest difference first."""
        order = np.argsort(self.differences, kind="stable")
        return "".join(AMINO_ACIDS[i] for i in order if self.high[i] < 0)

    def sentence(self, most: int = 3) -> str:
        """The residues that stand out, at most so many of each kind, in words."""
        made = self.composition
        of = f"{made.residues:,} residues"
        if made.sequences != 1:
            of += f" in {made.sequences:,} sequences"
        if not made.residues:
            return "No residues, so there is no composition."

        def named(letters: str) -> str:
            shown = [
                f"{letter} ({100 * made.shares[i]:.1f} % instead of {100 * self.background[i]:.1f} %)"
                for letter in letters[:most]
                for i in [AMINO_ACIDS.index(letter)]
            ]
            return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)

        if not self.more and not self.less:
            return f"Of {of}, none stands out from the background; {self.distance:.3f} bits from it."
        parts = [f"{kind} {named(letters)}" for kind, letters in (("more", self.more), ("less", self.less)) if letters]
        return f"Of {of}, {'; '.join(parts)}; {self.distance:.3f} bits from the background."

    def to_frame(self) -> pd.DataFrame:
        """Twenty rows: residue, and in percent or percentage points its share, background, difference, low, high."""
        import pandas as pd

        return pd.DataFrame(
            {
                "residue": list(AMINO_ACIDS),
                "percent": 100 * self.composition.shares,
                "background": 100 * self.background,
                "difference": self.differences,
                "low": self.low,
                "high": self.high,
            }
        )


def composition(sequences: Proteins) -> Composition:
    """Count the residues of one sequence or of several.

    Parameters
    ----------
    sequences : str, or iterable of str or Record
        Empty sequences count as sequences without residues.

    Raises
    ------
    InputError
        For a letter that is no residue.
    """
    given = [sequences] if isinstance(sequences, str) else list(sequences)
    texts = [checked(str(sequence), f"sequence {number}") for number, sequence in enumerate(given, start=1)]
    rows = np.array([counts(text) for text in texts], dtype=np.int64).reshape(len(texts), len(AMINO_ACIDS))
    return Composition(rows, sum(map(len, texts)) - int(rows.sum()))


def compare(sequences: Composition | Proteins, background: Background = SWISS_PROT) -> Comparison:
    """Set the composition of one sequence or of several beside a background.

    Parameters
    ----------
    sequences : Composition, str, or iterable of str or Record
    background : mapping of residue to frequency, or what `sequences` may be
        Natural frequencies of Swiss-Prot unless given. Frequencies are divided by their sum. A background of sequences
        has an uncertainty of its own, which widens the intervals.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For a letter that is no residue, or a background without residues or with a frequency below 0.
    """
    made = sequences if isinstance(sequences, Composition) else composition(sequences)
    shares, errors = _background(background)
    k = made.sequences
    from scipy import stats

    # With few sequences, how they differ is itself little known: Student's quantile instead of the normal one.
    tail = (1 + CONFIDENCE) / 2
    by_sequences = k > 1 and bool(made.residues)
    quantile = float(stats.t.ppf(tail, k - 1) if by_sequences else stats.norm.ppf(tail))
    spread = 100 * quantile * np.hypot(made.errors, errors)
    differences = 100 * (made.shares - shares)
    return Comparison(
        made, shares, differences, differences - spread, differences + spread, divergence(made.shares, shares)
    )


def divergence(shares: np.ndarray, others: np.ndarray) -> float:
    """Jensen-Shannon divergence of two distributions in bits, 0 to 1; NaN where one is."""
    middle = (shares + others) / 2
    if np.isnan(middle).any():
        return float("nan")

    def relative(part: np.ndarray) -> float:
        there = part > 0
        return float((part[there] * np.log2(part[there] / middle[there])).sum())

    return max(0.0, (relative(shares) + relative(others)) / 2)


def _background(given: Background) -> tuple[np.ndarray, np.ndarray]:
    """Shares and their standard errors, (20,) each."""
    nothing = np.zeros(len(AMINO_ACIDS))
    if isinstance(given, Mapping):
        strange = sorted(str(key) for key in given if key not in tuple(AMINO_ACIDS))
        if strange:
            raise InputError(f"The background has a frequency of {strange[0]!r}, which is none of the twenty residues.")
        shares = np.array([float(given.get(letter, 0)) for letter in AMINO_ACIDS])
        if not np.isfinite(shares).all() or (shares < 0).any() or not shares.sum():
            raise InputError("The frequencies of a background are numbers from 0, not all of them 0.")
        return shares / shares.sum(), nothing
    made = given if isinstance(given, Composition) else composition(given)
    if not made.residues:
        raise InputError("The background has no residues; give some sequences, or leave it out for Swiss-Prot's.")
    return made.shares, made.errors
