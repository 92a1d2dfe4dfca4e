"""Submissions whose answers are alike beyond what the lesson makes likely: worth a look, and no more than that.

Answers are read as tokens and never run. What everybody writes weighs nothing: pieces of the lesson and of the
instructor's solution are left out, and every other piece weighs by how few of the class have it. A cell that matches
counts as many bits as a match with anybody would be surprising: log2(class / those who wrote the same), less where the
names differ and by its length. A pair is told when its bits exceed those of the best pair that chance alone would
give among so many, log2 of the number of pairs, and some more.
"""

from __future__ import annotations

import builtins
import keyword
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

PIECE = 5  # tokens of a shingle
LEAST = 14  # tokens of an answer beside the lesson's own; with fewer, people agree without having met
LONG = 40  # tokens of a match that counts once; a longer one counts up to a fifth more, so two never make a pair
ALIKE = 0.8  # of the weight of the shorter answer's pieces
MORE = 2.0  # bits above what chance gives among so many pairs: one class in four has a pair by chance
_LONGEST = 8_000  # letters of an answer that are read

_TOKEN = re.compile(
    r"""(?P<space>\s+|\\\n)|(?P<comment>\#[^\n]*)
    |(?P<string>[rbfuRBFU]{0,2}(?:'{3}(?:[^\\]|\\.)*?'{3}|\"{3}(?:[^\\]|\\.)*?\"{3}|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<number>\d[\w.]*)|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*=?|//=?|->|:=|[-+*/%@&|^<>=!]=|<<|>>|.)""",
    re.X | re.S,
)
_KNOWN = frozenset(keyword.kwlist) | frozenset(dir(builtins))


@dataclass(frozen=True)
class Match:
    """An answer that two learners share.

    Attributes
    ----------
    cell : str
        Its `grade_id`.
    alike : float
        Share of the shorter one that is in the other, 0 to 1, by weight.
    same_names : bool
        Whether variables are called alike, too; always for prose.
    prose : bool
        Whether it is one in words.
    others : int
        How many others of the class wrote much the same.
    bits : float
        How surprising it is.
    """

    cell: str
    alike: float
    same_names: bool
    prose: bool
    others: int
    bits: float


@dataclass(frozen=True)
class Pair:
    """Two learners and what they share, the most surprising first."""

    left: str
    right: str
    matches: tuple[Match, ...]

    @property
    def bits(self) -> float:
        """The sum."""
        return sum(match.bits for match in self.matches)


def tokens(source: str, names: bool) -> list[str]:
    """An answer in Python as tokens, without comments and layout; broken code is no obstacle.

    Parameters
    ----------
    source : str
    names : bool
        Whether names stay; else those of the learner's own become v1, v2 … in the order in which they come.
    """
    found: list[str] = []
    own: dict[str, str] = {}
    for match in _TOKEN.finditer(source[:_LONGEST]):
        kind, text = match.lastgroup, match[0]
        if kind in ("space", "comment"):
            continue
        if kind == "string":
            text = "'" + text.lstrip("rbfuRBFU").strip("'\"") + "'"
        elif kind == "name" and not names and text not in _KNOWN and not (found and found[-1] == "."):
            text = own.setdefault(text, f"v{len(own) + 1}")
        found.append(text)
    return found


def words(text: str) -> list[str]:
    """An answer in prose as words."""
    return re.findall(r"\w+", text[:_LONGEST].casefold())


class _Answers:
    """The answers of a class to one task."""

    def __init__(self, answers: Mapping[str, str], given: Sequence[str], prose: bool) -> None:
        @cache  # many write the same, and a class of strangers' answers may be long
        def read(source: str) -> tuple[str, ...]:
            return tuple(words(source) if prose else tokens(source, names=False))

        known = {piece for source in given for piece in _pieces(read(source))}
        self._sources, self._prose = answers, prose
        self.length: dict[str, int] = {}
        self.pieces: dict[str, frozenset[int]] = {}
        for learner, source in answers.items():
            whole = read(source)
            own = frozenset(_pieces(whole)) - known
            if len(own) >= LEAST - PIECE + 1:
                self.pieces[learner], self.length[learner] = own, len(whole)
        self._often = Counter(piece for own in self.pieces.values() for piece in own)
        self._class = max(2, len(answers))

    def weight(self, pieces: frozenset[int]) -> float:
        return sum(math.log2(self._class / self._often[piece]) for piece in pieces)

    def matches(self) -> dict[tuple[str, str], tuple[float, bool, float]]:
        """For each pair that is alike: how much, with the same names or not, and the length in tokens."""
        # Pieces that many have say nothing, and would make every pair a candidate.
        most = max(4, self._class // 12)
        who = defaultdict(list)
        for learner, own in self.pieces.items():
            for piece in own:
                if 2 <= self._often[piece] <= most:
                    who[piece].append(learner)
        shared: Counter[tuple[str, str]] = Counter()
        for those in who.values():
            shared.update(combinations(sorted(those), 2))
        weights = {learner: self.weight(own) for learner, own in self.pieces.items()}
        found = {}
        for (left, right), count in shared.items():
            less = min(weights[left], weights[right])
            # A few rare pieces in a long answer are no candidate: the rest cannot make up for it.
            if count < 3 or less <= 0 or min(len(self.pieces[left]), len(self.pieces[right])) > 12 * count:
                continue
            alike = self.weight(self.pieces[left] & self.pieces[right]) / less
            if alike >= ALIKE:
                found[left, right] = alike, self._named(left, right), float(min(self.length[left], self.length[right]))
        return found

    def _named(self, left: str, right: str) -> bool:
        """Whether the learners' own names are mostly the same."""
        if self._prose:
            return True
        one, other = (
            {token for token in tokens(self._sources[who], names=True) if token.isidentifier()} - _KNOWN
            for who in (left, right)
        )
        return len(one & other) >= 0.9 * max(len(one), len(other))


def _pieces(found: Sequence[str]) -> list[int]:
    return [hash(tuple(found[place : place + PIECE])) for place in range(len(found) - PIECE + 1)]


def alike(
    answers: Mapping[str, Mapping[str, str]],
    given: Mapping[str, Sequence[str]],
    prose: Sequence[str] = (),
    most: int = 30,
) -> list[Pair]:
    """Pairs of learners worth a look, the most surprising first.

    Parameters
    ----------
    answers : mapping of mapping
        Of each learner the sources of the cells that he wrote, by `grade_id`.
    given : mapping of str to sequence of str
        By cell, what nobody had to think of: the lesson's stub, the instructor's solution.
    prose : sequence of str
        Cells that are answered in words.
    most : int
        Pairs that are told.
    """
    learners = sorted(answers)
    if len(learners) < 3:  # of two, nobody can say what is rare
        return []
    by_pair: dict[tuple[str, str], list[Match]] = defaultdict(list)
    for cell in sorted({cell for own in answers.values() for cell in own}):
        of_cell = {learner: own[cell] for learner, own in answers.items() if cell in own}
        found = _Answers(of_cell, given.get(cell, ()), cell in prose).matches()
        like: dict[str, set[str]] = defaultdict(set)
        for left, right in found:
            like[left].add(right)
            like[right].add(left)
        for (left, right), (share, named, length) in found.items():
            others = len((like[left] | like[right]) - {left, right})
            bits = math.log2(len(learners) / (others + 2)) * min(1.2, length / LONG) * (1.0 if named else 0.6)
            if bits > 0:
                by_pair[left, right].append(Match(cell, share, named, cell in prose, others, bits))
    least = math.log2(math.comb(len(learners), 2)) + MORE
    pairs = [
        Pair(left, right, tuple(sorted(matches, key=lambda match: -match.bits)))
        for (left, right), matches in by_pair.items()
    ]
    pairs = [pair for pair in pairs if pair.bits >= least]
    return sorted(pairs, key=lambda pair: (-pair.bits, pair.left, pair.right))[:most]
