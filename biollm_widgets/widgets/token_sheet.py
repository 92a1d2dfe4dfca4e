"""What a token view shows, without a page: sequences, tokenizers that read them, edits, and words for it all."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import Record
from biollm_widgets.sequences.frames import FRAMES, translate
from biollm_widgets.tokenization import (
    CharTokenizer,
    Comparison,
    Difference,
    EditedSequence,
    KmerTokenizer,
    Match,
    Tokenization,
    compare_tokenizations,
    difference,
    find_motif,
    find_token,
    summary_sentence,
    tokenize,
    tokenize_again,
)
from biollm_widgets.tokenization.reading import backend_of
from biollm_widgets.widgets.lanes import Lane, Scale, scale_of
from biollm_widgets.widgets.reading_lanes import ReadingLane, reading_lane

if TYPE_CHECKING:
    import pandas

MOST_LANES = 12
# Lanes that "+ Compare" offers, by the name that they get.
OFFERED = {
    **{f"{k}-mer": KmerTokenizer(k) for k in (3, 4, 5, 6)},
    "letters": CharTokenizer("dna"),
}
OFFERED_PROTEIN = {"letters": CharTokenizer("protein")}
EDITS = ("change", "insert", "delete", "reverse_complement", "lower_case", "upper_case")


def label_of(tokenizer: Any, long: bool = False) -> str:
    """A short name for a tokenizer: "6-mer", "letters", "BPE"; with `long` also how many words it has: "BPE 4096"."""
    if isinstance(tokenizer, KmerTokenizer):
        return f"{tokenizer.k}-mer"
    if isinstance(tokenizer, CharTokenizer):
        return "letters"
    backend = backend_of(tokenizer)
    kind = type(tokenizer if backend is None else backend.model).__name__
    if long and hasattr(tokenizer, "get_vocab"):
        return f"{kind} {len(tokenizer.get_vocab())}"
    return kind


def labelled(tokenizer: Any) -> dict[str, Any]:
    """One tokenizer, a list of them or a dict by name, as a dict by name; no two have the same.

    Raises
    ------
    InputError
        Where there is none, or more than `MOST_LANES`.
    """
    if isinstance(tokenizer, Mapping):
        found = {str(name): one for name, one in tokenizer.items()}
    else:
        found = {}
        for one in tokenizer if isinstance(tokenizer, (list, tuple)) else [tokenizer]:
            found[free_label(one, found)] = one
    if not found:
        raise InputError("There is no tokenizer; give one, a list of them, or a dict of them by name.")
    if len(found) > MOST_LANES:
        raise InputError(f"{len(found)} tokenizers are more than fit under each other; give at most {MOST_LANES}.")
    return found


def free_label(tokenizer: Any, taken: Collection[str]) -> str:
    """A name for a tokenizer beside others: the short one, the long one, or that with a number."""
    long = label_of(tokenizer, long=True)
    numbered = (f"{long} ({number})" for number in count(2))
    return next(name for name in chain((label_of(tokenizer), long), numbered) if name not in taken)


@dataclass
class Strip:
    """One sequence with what each tokenizer made of it, as given and as edited."""

    name: str
    alphabet: str
    edited: EditedSequence
    before: dict[str, Tokenization]
    now: dict[str, Tokenization] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    read: dict[int, ReadingLane] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return len(next(iter(self.now.values())).sequence)

    @property
    def letters(self) -> str:
        return next(iter(self.now.values())).sequence


class TokenSheet:
    """The sequences and tokenizers of a token view; see `TokenView` for the arguments.

    Positions are letters of a sequence, 0-based and half-open; words for people count from `offset`.
    """

    def __init__(
        self,
        sequence: Union[str, Record, Iterable[Union[str, Record]], Mapping[str, str]],
        tokenizer: Any,
        *,
        scores: Any = None,
        offset: int = 1,
        table: int = 1,
        special_tokens: bool = True,
        alphabet: Optional[str] = None,
    ) -> None:
        if isinstance(offset, bool) or not isinstance(offset, (int, np.integer)):
            raise InputError(f"offset is the number of the first letter, a whole number, not {offset!r}.")
        if alphabet not in (None, "dna", "protein"):
            raise InputError(f'alphabet is "dna" or "protein", not {alphabet!r}; RNA is shown as DNA is.')
        if table != 1:
            translate("", table=table)  # says now, not when a frame is asked for, that there is no such code
        self.offset = int(offset)
        self.table = table
        self.special_tokens = special_tokens
        self.alphabet = alphabet
        self.tokenizers = labelled(tokenizer)
        self.strips = [self._strip(name, one) for name, one in _named(sequence)]
        self.scores = self._scores(scores)
        self._lanes: dict[tuple[int, str], Lane] = {}

    # The parts.

    def __len__(self) -> int:
        return len(self.strips)

    @property
    def labels(self) -> list[str]:
        return list(self.tokenizers)

    @property
    def unit(self) -> str:
        """What a letter is called: "base" or "residue"."""
        return "residue" if self.strips and self.strips[0].alphabet == "protein" else "base"

    @property
    def dna(self) -> bool:
        return all(strip.alphabet == "dna" for strip in self.strips)

    @property
    def special(self) -> bool:
        """Whether any sequence has special tokens, which need room beside the letters."""
        return any(bool(read.columns.special.any()) for strip in self.strips for read in strip.now.values())

    def strip(self, number: int) -> Strip:
        """A sequence by its place from 0. Raises InputError where there is none."""
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < len(self):
            there = "no sequences" if not self.strips else f"sequences 0 to {len(self) - 1}"
            raise InputError(f"There is no sequence {number!r}; here are {there}.")
        return self.strips[number]

    def lane(self, number: int, label: str) -> Lane:
        """One tokenizer's reading of one sequence, with its scores."""
        if (number, label) not in self._lanes:
            strip = self.strip(number)
            if label not in self.tokenizers:
                raise InputError(f"There is no tokenizer called {label!r} here; there are {', '.join(self.labels)}.")
            values = None if strip.edited.edits else self.scores.get((number, label))
            self._lanes[number, label] = Lane(label, strip.now[label], values)
        return self._lanes[number, label]

    def lanes(self, number: int) -> list[Lane]:
        return [self.lane(number, label) for label in self.labels]

    def scale(self, color: str, scores_name: str = "score") -> Scale:
        """The scale of a quantity over all sequences and lanes; that of scores outlasts edits, which take them away."""
        if color == "scores":
            lanes = [Lane(label, self.strips[i].before[label], row) for (i, label), row in self.scores.items()]
        else:
            lanes = [lane for number in range(len(self)) for lane in self.lanes(number)]
        return scale_of(lanes, color, scores_name)

    def reading(self, number: int, frame: int) -> ReadingLane:
        """A reading frame of one sequence, translated once."""
        strip = self.strip(number)
        if frame not in strip.read:
            strip.read[frame] = reading_lane(strip.letters, frame, self.table)
        return strip.read[frame]

    def _strip(self, name: str, one: Union[str, Record]) -> Strip:
        found = {
            label: tokenize(
                one, tokenizer, special_tokens=self.special_tokens, alphabet=self.alphabet,
                **({} if isinstance(one, Record) else {"name": name}),
            )
            for label, tokenizer in self.tokenizers.items()
        }  # fmt: skip
        for label, read in found.items():
            self._same_letters(found, label, read)
        first = next(iter(found.values()))
        return Strip(name, first.alphabet, self._unedited(first), found, dict(found))

    @staticmethod
    def _same_letters(others: Mapping[str, Tokenization], label: str, read: Tokenization) -> None:
        """Refuse a reading that counts other letters than the first of the others: one ruler could not be right."""
        first, known = next(iter(others.items()))
        if read.sequence == known.sequence:
            return
        apart = int(np.flatnonzero(read.counted != known.counted)[0])
        special, letters, by = (label, first, read) if known.counted[apart] else (first, label, known)
        what = next(t.text for t in by if t.special and t.text_start <= apart < t.text_end)
        where = f" in {known.name}" if known.name else ""
        raise InputError(
            f"{special} takes {what}{where} as a special token, {letters} takes it as letters; "
            f"show them in views of their own, or take {what} out of the sequence."
        )

    def _unedited(self, read: Tokenization) -> EditedSequence:
        """A sequence as it was given; what is special in its text is as its tokenizer has it."""
        return EditedSequence(read.text, offset=self.offset, alphabet=read.alphabet, counted=read.counted)

    def _scores(self, given: Any) -> dict[tuple[int, str], np.ndarray]:
        """Scores by sequence and tokenizer, checked: one number a token, special ones with or without."""
        if given is None:
            return {}
        by_label = dict(given) if isinstance(given, Mapping) else {self.labels[0]: given}
        found = {}
        for label, values in by_label.items():
            if label not in self.tokenizers:
                raise InputError(f"scores name {label!r}, but the tokenizers here are {', '.join(self.labels)}.")
            if not isinstance(values, Iterable) or isinstance(values, (str, Mapping)):
                raise InputError(f"scores are one number a token, or a list of them, not {type(values).__name__}.")
            rows = [values] if len(self) == 1 and not _nested(values) else list(values)
            if len(rows) != len(self):
                raise InputError(f"scores hold {len(rows)} lists for {len(self)} sequences; give one list a sequence.")
            for number, row in enumerate(rows):
                found[number, label] = self._fitted(row, number, label)
        return found

    def _fitted(self, row: Any, number: int, label: str) -> np.ndarray:
        read = self.strips[number].now[label]
        special = read.columns.special
        try:
            values = np.asarray(row.detach().cpu() if hasattr(row, "detach") else row, dtype=np.float64).ravel()
        except (TypeError, ValueError) as error:
            raise InputError(f"scores for {label} are not all numbers; give one number a token.") from error
        if len(values) == len(read):
            return values
        if len(values) == int((~special).sum()):
            whole = np.full(len(read), np.nan)
            whole[~special] = values
            return whole
        raise InputError(
            f"scores for {label} are {len(values):,} numbers, but there are {len(read):,} tokens "
            f"({int((~special).sum()):,} without special ones); give one number a token."
        )

    # Other tokenizers beside the first.

    def add(self, tokenizer: Any) -> str:
        """One more lane: a tokenizer, or the name of one of `OFFERED`. Returns its label."""
        if isinstance(tokenizer, str):
            offered = self.offered()
            if tokenizer not in offered:
                names = ", ".join(offered) or "none any more"
                raise InputError(f"{tokenizer!r} is no tokenizer offered here ({names}); give the tokenizer itself.")
            tokenizer = offered[tokenizer]
        if len(self.tokenizers) >= MOST_LANES:
            raise InputError(f"There are {MOST_LANES} tokenizers already; take one away first.")
        new = free_label(tokenizer, self.tokenizers)
        made = [self._read(strip, new, tokenizer) for strip in self.strips]  # before anything changes: it may refuse
        self.tokenizers[new] = tokenizer
        for strip, (before, now) in zip(self.strips, made, strict=True):
            strip.before[new], strip.now[new] = before, now
            if strip.edited.edits:
                strip.differences[new] = difference(before, now, strip.edited)
        return new

    def remove(self, label: str) -> None:
        """Take a lane away; the last one stays."""
        if label not in self.tokenizers:
            raise InputError(f"There is no tokenizer called {label!r} here; there are {', '.join(self.labels)}.")
        if len(self.tokenizers) == 1:
            raise InputError("This is the only tokenizer here; add another before you take it away.")
        del self.tokenizers[label]
        for number, strip in enumerate(self.strips):
            for held in (strip.before, strip.now, strip.differences):
                held.pop(label, None)
            self._lanes.pop((number, label), None)
            self.scores.pop((number, label), None)  # or a tokenizer that gets this name later would have them

    def offered(self) -> dict[str, Any]:
        """The tokenizers that can be added by name."""
        offered = OFFERED if self.dna else OFFERED_PROTEIN
        return {name: one for name, one in offered.items() if name not in self.tokenizers}

    def read_alone(self, number: int, label: str, text: str) -> Tokenization:
        """A piece of a sequence's text read by one tokenizer, without special tokens."""
        strip = self.strip(number)
        return tokenize(text, self.tokenizers[label], special_tokens=False, alphabet=strip.alphabet)

    def _read(self, strip: Strip, label: str, tokenizer: Any) -> tuple[Tokenization, Tokenization]:
        def once(text: str) -> Tokenization:
            return tokenize(
                text, tokenizer, special_tokens=self.special_tokens, alphabet=strip.alphabet, name=strip.name
            )

        before = once(strip.edited.original)
        self._same_letters(strip.before, label, before)
        now = once(strip.edited.text) if strip.edited.edits else before
        self._same_letters(strip.now, label, now)
        return before, now

    # Edits.

    def edit(self, number: int, kind: str, *given: Any) -> None:
        """Change a sequence by one of `EDITS`, and read it again with every tokenizer."""
        if kind not in EDITS:
            raise InputError(f"An edit is one of {', '.join(EDITS)}, not {kind!r}.")
        self._take(number, getattr(self.strip(number).edited, kind)(*given))

    def undo(self, number: int) -> None:
        """Take the last edit back."""
        if not self.strip(number).edited.edits:
            raise InputError("There is no change to take back.")
        self._take(number, self.strips[number].edited.undo())

    def reset(self, number: int) -> None:
        """The sequence as it was given."""
        self._take(number, self._unedited(next(iter(self.strip(number).before.values()))))

    def _take(self, number: int, edited: EditedSequence) -> None:
        strip = self.strips[number]
        now = {
            label: strip.before[label]
            if not edited.edits
            else tokenize_again(strip.now[label], edited.text, one, special_tokens=self.special_tokens)
            for label, one in self.tokenizers.items()
        }
        for label, read in now.items():
            if len(read.sequence) != len(edited):
                raise InputError(
                    f"{label} would read other letters as a special token after this edit; "
                    "edit another place, or write the sequence without special tokens."
                )
        strip.differences = (
            {label: difference(strip.before[label], now[label], edited) for label in now} if edited.edits else {}
        )
        strip.edited, strip.now, strip.read = edited, now, {}
        self._lanes = {place: lane for place, lane in self._lanes.items() if place[0] != number}

    def changed(self, number: int, label: str) -> Optional[np.ndarray]:
        """Which tokens of a lane the edits have changed, bool (n,); None without edits."""
        strip = self.strip(number)
        if label not in strip.differences:
            return None
        marked = np.zeros(len(strip.now[label]), dtype=bool)
        marked[strip.differences[label].new] = True
        return marked

    def edits(self, number: int) -> Optional[dict]:
        """What was changed and what it did, in words; None for a sequence as it was given."""
        strip = self.strip(number)
        if not strip.edited.edits:
            return None
        said = [found.sentence(label) for label, found in strip.differences.items()]
        if any(place[0] == number for place in self.scores):
            said.append('Scores belong to the sequence as given: edits take them away, "Start again" brings them back')
        return {
            "summary": summary_sentence(strip.differences, strip.edited),
            "lanes": said,
            "log": strip.edited.descriptions,
        }

    # Words and tables.

    @property
    def title(self) -> str:
        """The finding: "59 bases became 15 tokens, 3.9 bases each, 0 unknown"."""
        if not self.strips:
            return "No sequence yet"
        label = self.labels[0]
        if len(self) == 1:
            strip = self.strips[0]
            if not strip.length and not any(strip.edited.edits):
                return "An empty sequence"
            return strip.now[label].finding
        read = [strip.now[label] for strip in self.strips]
        letters = sum(len(one.sequence) for one in read)
        tokens = sum(int((~one.columns.special).sum()) for one in read)
        unknown = sum(int(one.columns.unknown.sum()) for one in read)
        each = f", {letters / tokens:.1f} {self.unit}s each, {unknown:,} unknown" if tokens else ""
        return f"{len(self):,} sequences: {letters:,} {self.unit}s became {tokens:,} tokens{each}"

    @property
    def notes(self) -> list[str]:
        """What else is worth knowing of the first tokenizer's reading; of all sequences together, each note once."""
        if not self.strips:
            return ['Give TokenView a sequence: TokenView("ACGTAGCATCGG", tokenizer).']
        if len(self) == 1 and not self.strips[0].length:
            return ["There is no letter to read; give TokenView a sequence, or insert letters with Mutate."]
        found: dict[str, int] = {}
        for strip in self.strips:
            for note in strip.now[self.labels[0]].notes:
                found[note] = found.get(note, 0) + 1
        if len(self) == 1:
            return list(found)
        return [f"{note} ({times:,} sequence{'s'[: times != 1]})" for note, times in list(found.items())[:6]]

    def lane_facts(self) -> list[dict]:
        """For each lane its label, how many rows it needs, and its tokens and letters a token over all sequences."""
        facts = []
        for label in self.labels:
            read = [strip.now[label] for strip in self.strips]
            letters = sum(len(one.sequence) for one in read)
            tokens = sum(int((~one.columns.special).sum()) for one in read)
            unknown = sum(int(one.columns.unknown.sum()) for one in read)
            rows = max((self.lane(number, label).stack[0] for number in range(len(self))), default=1)
            said = f"{tokens:,} token{'s'[: tokens != 1]}"
            if tokens:
                said += f" · {letters / tokens:.1f} {self.unit}s each · {unknown:,} unknown"
            backend = backend_of(self.tokenizers[label])
            bpe = backend is not None and type(backend.model).__name__ == "BPE"
            facts.append({"label": label, "rows": rows, "said": said, "bpe": bpe})
        return facts

    def comparison(self, number: int = 0) -> Comparison:
        """The tokenizers beside each other on one sequence."""
        strip = self.strip(number)
        return compare_tokenizations([strip.now[label] for label in self.labels], self.labels)

    def comparison_table(self, number: int = 0) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of a comparison as people read it: what each tokenizer makes of one sequence."""
        found = self.comparison(number)
        rows = []
        for lane in found.lanes:
            use = "" if not lane.words else f" of {lane.words:,} ({100 * lane.distinct / lane.words:.1f} %)"
            each = "–" if math.isnan(lane.letters_per_token) else f"{lane.letters_per_token:.1f}"
            cuts = "they overlap" if lane.overlapping else "everywhere" if lane.single else f"{lane.borders:,}"
            rows.append([lane.label, f"{lane.tokens:,}", each, f"{lane.unknown:,}", f"{lane.distinct:,}{use}", cuts])
        return ["tokenizer", "tokens", f"{self.unit}s each", "unknown", "words used", "cuts"], rows

    def frame(self, label: Optional[str] = None) -> pandas.DataFrame:
        """One row a token of every sequence and lane; see `TokenView.to_frame`."""
        import pandas

        if label is not None and label not in self.tokenizers:
            raise InputError(f"There is no tokenizer called {label!r} here; there are {', '.join(self.labels)}.")
        lanes = [
            (number, self.lane(number, one))
            for number in range(len(self))
            for one in (self.labels if label is None else [label])
        ]
        edited = any(strip.edited.edits for strip in self.strips)
        scored = any(lane.values is not None for _, lane in lanes)
        # Column by column over everything: a frame for each of thousands of sequences takes most of a minute.
        held: dict[str, list] = {}
        for number, lane in lanes:
            read = lane.tokenization
            own = read.to_columns()
            part = {
                "sequence": [self.strips[number].name] * len(read),
                "tokenizer": [lane.label] * len(read),
                **{name: own.pop(name) for name in ("index", "id", "token", "text", "start", "end")},
                "gc": lane.quantity("gc"),
                "times": read.counts,
                **own,
            }
            if scored:
                part["score"] = np.full(len(read), np.nan) if lane.values is None else lane.values
            if edited:
                changed = self.changed(number, lane.label)
                part["changed"] = np.zeros(len(read), dtype=bool) if changed is None else changed
            for name, column in part.items():
                held.setdefault(name, []).append(column)
        return pandas.DataFrame(
            {
                name: list(chain.from_iterable(parts)) if isinstance(parts[0], list) else np.concatenate(parts)
                for name, parts in held.items()
            }
        )

    # Searching.

    def find_motif(self, motif: str) -> list[tuple[int, Match]]:
        """A motif in all sequences, each place with the number of its sequence."""
        return [
            (number, match)
            for number, strip in enumerate(self.strips)
            for match in find_motif(strip.letters, motif, strip.alphabet)
        ]

    def find_token(self, what: Union[str, int]) -> list[tuple[int, Match]]:
        """A token of the first tokenizer, by text, name or id, in all sequences."""
        places = []
        for number, strip in enumerate(self.strips):
            read = strip.now[self.labels[0]]
            for index in find_token(read, what).tolist():
                start, end = int(read.columns.starts[index]), int(read.columns.ends[index])
                places.append((number, Match(start, end, 1)))
        return places


def check_frames(frames: Any, dna: bool) -> list[int]:
    """Reading frames as a list without doubles. Raises InputError for one that there is not, or for a protein."""
    found = [frames] if isinstance(frames, int) else list(frames or ())
    for frame in found:
        if isinstance(frame, bool) or frame not in FRAMES:
            raise InputError(f"A reading frame is 1, 2, 3, -1, -2 or -3, not {frame!r}.")
    if found and not dna:
        raise InputError("Reading frames are of DNA; these are proteins.")
    return [frame for frame in FRAMES if frame in found]


def _named(sequence: Any) -> list[tuple[str, Union[str, Record]]]:
    """Names and sequences of whatever was given."""
    if isinstance(sequence, Record):
        return [(sequence.name, sequence)]
    if isinstance(sequence, str):
        if sequence.lstrip().startswith(">") and "\n" in sequence:
            raise InputError("This is FASTA, not a bare sequence; give TokenView what read_fasta(...) returns.")
        return [("", sequence)]
    if isinstance(sequence, Mapping):
        return [(str(name), one) for name, one in sequence.items()]
    if not isinstance(sequence, Iterable) or isinstance(sequence, (bytes, bytearray)):
        raise InputError(f"A sequence is a str, a Record or a list of them, not {type(sequence).__name__}.")
    named = []
    for number, one in enumerate(sequence, start=1):
        if not isinstance(one, (str, Record)):
            raise InputError(f"Sequence {number} is no text but {type(one).__name__}; give a list of str or Record.")
        named.append((one.name if isinstance(one, Record) else f"sequence_{number}", one))
    return named


def _nested(values: Any) -> bool:
    """Whether scores are a list for each sequence rather than one list of numbers."""
    first = next(iter(values), None)
    return getattr(first, "ndim", 0) > 0 or isinstance(first, (list, tuple))
