"""Pasted or stored text to one checked sequence: each repair is told, each refusal says where.

Positions are 1-based and count the letters as they were given: line breaks, spaces and the column numbers of GenBank
and Clustal are layout and are not counted, gaps are. Everything works on whole byte strings and arrays, so that a
genome of millions of bases costs milliseconds.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from itertools import islice
from typing import Optional

import numpy as np

from biollm_widgets.errors import InputError

BASES = "ACGT"
# IUPAC codes for more than one base (Cornish-Bowden 1985, Nucleic Acids Research 13:3021).
DNA_AMBIGUITY = {
    "R": "A or G",
    "Y": "C or T",
    "S": "C or G",
    "W": "A or T",
    "K": "G or T",
    "M": "A or C",
    "B": "any base but A",
    "D": "any base but C",
    "H": "any base but G",
    "V": "any base but T",
    "N": "any base",
}
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
# IUPAC-IUB codes beyond the twenty (the two rare amino acids have a code but hardly any model has met them).
PROTEIN_AMBIGUITY = {
    "B": "D or N",
    "J": "I or L",
    "O": "pyrrolysine",
    "U": "selenocysteine",
    "X": "any residue",
    "Z": "E or Q",
}
AMBIGUITY_CHOICES = ("keep", "mask", "refuse")
GAPS = b"-.~"
_LETTERS = {"dna": (BASES, DNA_AMBIGUITY, "N"), "protein": (AMINO_ACIDS, PROTEIN_AMBIGUITY, "X")}
# What pasting from a web page or a word processor brings along, and what was meant by it.
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", None),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u2028\u2029\u0085\x0b\x0c", "\n"),
    }
)
# A number alone before or after the letters of a line: GenBank's and Clustal's columns, not part of the sequence.
_COLUMN = re.compile(r"^[ \t]*\d+(?=[ \t\n]|$)|(?<=[ \t])\d+[ \t]*$", re.MULTILINE)
# The lines around the sequence of a GenBank record.
_GENBANK_FRAME = re.compile(r"^[ \t]*(ORIGIN|//)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Repair:
    """One kind of thing that cleaning changed, or that it kept and you should know of.

    Attributes
    ----------
    kind : str
        "case", "uracil", "gap", "stop", "space", "number", "typography" or "masked": changed.
        "ambiguous", "looks like DNA", "joined" or "renamed": told, the letters stand as they were.
    count : int
        How many letters (for "space" and "number": how many places; for "joined": how many lines).
    positions : ndarray of int64, shape (count,) or empty where a place says nothing
        1-based, in the letters as given (see the module). A space has the position of the letter before it.
    words : str
        The same as a sentence.
    """

    kind: str
    count: int
    positions: np.ndarray = field(compare=False, repr=False)
    words: str

    def __str__(self) -> str:
        return self.words

    def to_dict(self) -> dict:
        """For JSON; positions as runs `[first, last]`, since a soft-masked genome has millions."""
        runs = [list(run) for run in _runs(self.positions)]
        return {"kind": self.kind, "count": self.count, "positions": runs, "words": self.words}


class Cleaned(str):
    """A checked sequence: an ordinary `str` that remembers what was done to it.

    Attributes
    ----------
    repairs : tuple of Repair
    alphabet : str
        "dna" or "protein".
    name : str
        What error messages call it.
    """

    repairs: tuple[Repair, ...]
    alphabet: str
    name: str

    def __new__(cls, sequence: str, repairs: tuple[Repair, ...], alphabet: str, name: str) -> Cleaned:
        self = super().__new__(cls, sequence)
        self.repairs, self.alphabet, self.name = repairs, alphabet, name
        return self

    def __reduce__(self) -> tuple:  # so that a copy keeps what it remembers
        return Cleaned, (self.sequence, self.repairs, self.alphabet, self.name)

    @property
    def sequence(self) -> str:
        """The letters alone."""
        return str.__str__(self)


def clean_dna(
    text: str, *, name: str = "the sequence", ambiguity: str = "keep", gaps: str = "remove", first_line: int = 1
) -> Cleaned:
    """Check one DNA or RNA sequence, repair what is plain, refuse the rest.

    Upper-cased, U turned into T, gaps (`-`, `.`, `~`) and layout (line breaks, spaces, column numbers) taken out.

    Parameters
    ----------
    text : str
        One sequence without a FASTA header; wrapped or not.
    name : str
        What to call it in messages.
    ambiguity : {"keep", "mask", "refuse"}
        What to do with the IUPAC letters RYSWKMBDHVN. "keep" leaves and reports them (most models read each as
        unknown), "mask" turns all of them into N, "refuse" raises at the first.
    gaps : {"remove", "refuse"}
    first_line : int
        The line of a file at which `text` begins, for messages.

    Returns
    -------
    Cleaned
        A `str` of ACGT and, unless refused, IUPAC letters, with `.repairs`.

    Raises
    ------
    InputError
        When nothing is left, or at the first letter that is no base: with name, 1-based position, line and letter.
    """
    return clean(text, "dna", name=name, ambiguity=ambiguity, gaps=gaps, first_line=first_line)


def clean_protein(
    text: str, *, name: str = "the sequence", ambiguity: str = "keep", gaps: str = "remove", first_line: int = 1
) -> Cleaned:
    """Check one protein sequence, repair what is plain, refuse the rest.

    Upper-cased, gaps and layout taken out, and the stop `*` at the end as well; a stop in the middle is refused,
    since the letters after it are no part of the protein. Parameters, returns and raises as in `clean_dna`; the
    letters beyond the twenty are B, Z, J, X, U (selenocysteine) and O (pyrrolysine), "mask" turns them into X.
    """
    return clean(text, "protein", name=name, ambiguity=ambiguity, gaps=gaps, first_line=first_line)


def clean(
    text: str,
    alphabet: str = "dna",
    *,
    name: str = "the sequence",
    ambiguity: str = "keep",
    gaps: str = "remove",
    first_line: int = 1,
) -> Cleaned:
    """`clean_dna` or `clean_protein`, by the name of the alphabet."""
    standard, ambiguous, unknown = letters_of(alphabet)
    if ambiguity not in AMBIGUITY_CHOICES:
        raise InputError(f"ambiguity is one of {', '.join(AMBIGUITY_CHOICES)}, not {ambiguity!r}.")
    if gaps not in ("remove", "refuse"):
        raise InputError(f"gaps is remove or refuse, not {gaps!r}.")
    if not isinstance(text, str):
        raise InputError(f"A sequence is a text of letters, but {name} is {type(text).__name__}; give a str.")

    raw, repairs = _without_layout(text, name, first_line)
    compact = raw.translate(None, delete=b" \t\n\r")
    if not compact:
        raise InputError(f"There are no letters in {name}; give at least one {_unit(alphabet)}.")
    if not compact.translate(None, delete=standard.encode()):
        return Cleaned(compact.decode("ascii"), tuple(repairs), alphabet, name)  # nothing to repair: the common case

    def found(letters: bytes | str) -> np.ndarray:
        """1-based positions of any of these letters; `compact` keeps its length until the last step."""
        table = np.zeros(256, dtype=bool)
        table[list(letters.encode() if isinstance(letters, str) else letters)] = True
        return np.flatnonzero(table[np.frombuffer(compact, dtype=np.uint8)]) + 1

    def told(kind: str, positions: np.ndarray, what: str) -> None:
        if positions.size:
            words = f"{_counted(positions.size, what)} ({_places(positions)})"
            repairs.append(Repair(kind, int(positions.size), positions, words))

    told("case", found(b"abcdefghijklmnopqrstuvwxyz"), "lower-case letter{s} made capital")
    compact = compact.upper()
    if alphabet == "dna":
        told("uracil", found("U"), "U read as T")
        compact = compact.replace(b"U", b"T")
    gap = found(GAPS)
    drop = GAPS
    if gap.size and gaps == "refuse":
        raise _refusal(raw, int(gap[0]), name, first_line, "is a gap; take the gaps out or allow their removal")
    told("gap", gap, "gap{s} taken out")
    if alphabet == "protein":
        bare = compact.rstrip(b"*" + GAPS)
        stops = found("*")
        told("stop", stops[stops > len(bare)], "stop{s} (*) at the end taken out")
        compact = bare + compact[len(bare) :].replace(b"*", b"-")  # drops with the gaps
    bad = _first_outside(compact, standard.encode() + "".join(ambiguous).encode() + drop)
    if bad is not None:
        raise _refusal(raw, bad + 1, name, first_line, _why(chr(compact[bad]), compact, alphabet))

    odd = found("".join(ambiguous))
    if odd.size:
        kinds = sorted({chr(compact[i - 1]) for i in odd[:100_000]})
        listed = ", ".join(f"{letter} = {ambiguous[letter]}" for letter in kinds)
        if ambiguity == "refuse":
            letter = chr(compact[odd[0] - 1])
            raise _refusal(
                raw, int(odd[0]), name, first_line, f"stands for {ambiguous[letter]}; replace it or allow ambiguity"
            )
        if ambiguity == "mask":
            told("masked", odd, f"ambiguous letter{{s}} replaced by {unknown} ({listed})")
            compact = compact.translate(
                bytes.maketrans("".join(ambiguous).encode(), (unknown * len(ambiguous)).encode())
            )
        else:
            told("ambiguous", odd, f"letter{{s}} kept that a model may not know ({listed})")
    sequence = compact.translate(None, delete=drop).decode("ascii")
    if not sequence:
        raise InputError(f"There are no letters in {name}, only gaps; give at least one {_unit(alphabet)}.")
    return Cleaned(sequence, tuple(repairs), alphabet, name)


def letters_of(alphabet: str) -> tuple[str, dict[str, str], str]:
    """The standard letters, the ambiguous ones with their meaning, and the letter for "any", of "dna" or "protein"."""
    if alphabet not in _LETTERS:
        raise InputError(f"The alphabet of a sequence is dna or protein, not {alphabet!r}.")
    return _LETTERS[alphabet]


def _without_layout(text: str, name: str, first_line: int) -> tuple[bytes, list[Repair]]:
    """The text as ASCII with column numbers blanked (line breaks stay, for line numbers in messages), and repairs."""
    repairs: list[Repair] = []
    nothing = np.empty(0, dtype=np.int64)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        meant = text.translate(_TYPOGRAPHY)
        if not meant.isascii():
            letters = "".join(meant.split())
            place = next(i for i, letter in enumerate(letters) if ord(letter) > 127)
            # Latin-1 with a stand-in keeps one byte a letter, so that the position is right.
            flat = "".join(letter if ord(letter) < 128 else "?" for letter in meant)
            called = unicodedata.name(letters[place], "an unknown character").lower()
            raise _refusal(
                flat.encode(),
                place + 1,
                name,
                first_line,
                f"({called}) is no plain letter; type it anew",
                letters[place],
            )
        changed = sum(map(text.count, {letter for letter in text if ord(letter) > 127}))
        repairs.append(
            Repair("typography", changed, nothing, _counted(changed, "typographic space{s} or dash{es} read as plain"))
        )
        text = meant
    if any(map(text.__contains__, "0123456789")):
        text, numbers = _COLUMN.subn(lambda match: " " * len(match.group()), text)
        if numbers:
            repairs.append(Repair("number", numbers, nothing, _counted(numbers, "column number{s} taken out")))
            text = _GENBANK_FRAME.sub("", text)
    raw = text.encode("ascii")
    if b" " in raw or b"\t" in raw:
        array = np.frombuffer(raw, dtype=np.uint8)
        blank = (array == 32) | (array == 9)
        layout = blank | (array == 10)
        before = np.cumsum(~layout)  # letters up to and including each place
        # A run of blanks counts when a letter stands on both sides of it in the same line.
        starts = np.flatnonzero(blank[1:] & ~layout[:-1]) + 1
        after = np.flatnonzero(~blank)
        nxt = np.searchsorted(after, starts)
        inner = [
            i for i, j in zip(starts.tolist(), nxt.tolist(), strict=True) if j < after.size and array[after[j]] != 10
        ]
        if inner:
            positions = before[inner].astype(np.int64)
            words = f"{_counted(len(inner), 'space{s} inside taken out')} ({_places(positions, 'after ')})"
            repairs.append(Repair("space", len(inner), positions, words))
    return raw, repairs


def _first_outside(compact: bytes, allowed: bytes) -> Optional[int]:
    """0-based place of the first letter that is not allowed, or None."""
    rest = compact.translate(None, delete=allowed)
    return None if not rest else compact.index(rest[:1])


def _refusal(
    raw: bytes, position: int, name: str, first_line: int, why: str, letter: Optional[str] = None
) -> InputError:
    """The sentence for the letter at a 1-based position; the line is found by counting, only now that it is needed."""
    place = next(islice((i for i, code in enumerate(raw) if code not in b" \t\n\r"), position - 1, None))
    line = first_line + raw[:place].count(b"\n")
    letter = letter or chr(raw[place])
    shown = f"'{letter}'" if letter.isprintable() else f"character {ord(letter)}"
    where = f"position {position}" + (f" (line {line})" if line > 1 or b"\n" in raw.strip() else "")
    return InputError(f"In {name}, {where}, {shown} {why}.")


def _why(letter: str, compact: bytes, alphabet: str) -> str:
    if letter == ">":
        return "begins a FASTA header, not a sequence; read the text with read_fasta"
    if alphabet == "dna":
        if set(compact.decode("ascii")) & set("EFIJLOPQZ") and not set(compact.decode("ascii")) - set(
            AMINO_ACIDS + "".join(PROTEIN_AMBIGUITY) + "*-.~"
        ):
            return "is no base; the letters look like a protein: read it as one (alphabet='protein', or --protein)"
        if letter in "X?*":
            return "is no base; use N for a base that is not known"
        return "is no base; use A, C, G, T (or U), or an IUPAC letter such as N"
    if letter == "*":
        return "is a stop in the middle of a protein; cut the sequence there or translate it in its reading frame"
    return "is no residue; use the twenty letters of the amino acids, or X for one that is not known"


def _unit(alphabet: str) -> str:
    return "base" if alphabet == "dna" else "residue"


def _counted(count: int, what: str) -> str:
    """`12 gaps taken out` from 12 and `gap{s} taken out`."""
    many = count != 1
    return f"{count:,} " + what.replace("{s}", "s" if many else "").replace("{es}", "es" if many else "")


def _runs(positions: np.ndarray) -> list[tuple[int, int]]:
    """Neighbouring positions as (first, last)."""
    if not positions.size:
        return []
    breaks = np.flatnonzero(np.diff(positions) > 1)
    first = positions[np.concatenate(([0], breaks + 1))]
    last = positions[np.concatenate((breaks, [positions.size - 1]))]
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _places(positions: np.ndarray, lead: str = "position ") -> str:
    runs = _runs(positions)
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:4])
    if lead == "position " and positions.size > 1:
        lead = "positions "
    return lead + shown + (", ..." if len(runs) > 4 else "")
