"""What an edit did to the tokens: which are gone, which are new, which cuts stand as before, and that in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization.comparison import boundaries
from biollm_widgets.tokenization.editing import Edit, EditedSequence
from biollm_widgets.tokenization.tokens import Tokenization


@dataclass(frozen=True)
class Difference:
    """Two readings of a sequence by one tokenizer, before and after edits. Special tokens are left out everywhere.

    A token stays when its letters are the same stretch of the original, read in the same direction, and its id is the
    same.

    Attributes
    ----------
    gone : ndarray of int32
        Indices into the tokens before.
    new : ndarray of int32
        Indices into the tokens after.
    tokens_before, tokens_after : int
    cuts_before, cuts_after : int
        Borders (see `boundaries`); 0 where tokens overlap.
    cuts_kept : int
        Borders after the edits that stand between the same two letters of the original as one before.
    unknown_before, unknown_after : int
    overlapping : bool
        Whether tokens overlap, before or after.
    turned : bool
        Whether the whole sequence is read from the other strand now.
    """

    gone: np.ndarray = field(repr=False, compare=False)
    new: np.ndarray = field(repr=False, compare=False)
    tokens_before: int
    tokens_after: int
    cuts_before: int
    cuts_after: int
    cuts_kept: int
    unknown_before: int
    unknown_after: int
    overlapping: bool
    turned: bool

    @property
    def stayed(self) -> int:
        """How many tokens are as before."""
        return self.tokens_before - len(self.gone)

    def sentence(self, label: str) -> str:
        """What happened to one tokenizer's tokens: "BPE: 2 tokens became 3; 13 stayed"."""
        before, after = self.tokens_before, self.tokens_after
        gone, new, stayed = len(self.gone), len(self.new), self.stayed
        if self.turned and not stayed and before:
            words = self._from_the_other_strand()
        elif not gone and not new:
            words = "nothing changed" + (f"; all {before:,} tokens stayed" if before > 1 else "")
        elif not before:
            words = f"{_tokens(new)} where there {'was' if new == 1 else 'were'} none"
        elif not after:
            words = "no token is left"
        elif not stayed:
            words = f"all {_tokens(before)} changed" if before > 1 else "the one token changed"
            words += f"; there {'is' if after == 1 else 'are'} {after:,} now" if after != before else ""
        elif gone == new:
            rest = f"the other {stayed:,} stayed"
            words = f"{gone:,} of {before:,} tokens changed" if self.overlapping else f"{_tokens(gone)} changed, {rest}"
        elif not gone:
            words = f"{new:,} new token{'s'[: new != 1]}; all {stayed:,} others stayed"
            words = words if stayed > 1 else f"{new:,} new token{'s'[: new != 1]}; the other stayed"
        elif not new:
            words = f"{_tokens(gone)} {'is' if gone == 1 else 'are'} gone; {stayed:,} stayed"
        elif self.overlapping:
            words = f"{gone:,} of {before:,} tokens became {new:,}"
        else:
            words = f"{_tokens(gone)} became {new:,}; {stayed:,} stayed"
        more = self.unknown_after - self.unknown_before
        if more > 0 and self.unknown_after == after:
            words += "; the model knows none of them" if after > 1 else "; the model does not know it"
        elif more:
            words += f"; {abs(more):,} {'more' if more > 0 else 'fewer'} unknown"
        return f"{label}: {words}"

    def _from_the_other_strand(self) -> str:
        words = "read from the other strand"
        if self.overlapping:
            words += ", every token changed"
        elif self.cuts_before:
            kept, all_cuts = self.cuts_kept, self.cuts_before
            if all_cuts == 1:
                words += f", its one cut is in {'the same' if kept else 'another'} place"
            else:
                how_many = "all" if kept == all_cuts else "none" if not kept else f"{kept:,}"
                words += f", {how_many} of its {all_cuts:,} cuts {'is' if kept == 1 else 'are'} in the same place"
                words += "s" if kept > 1 else ""
        if self.tokens_after != self.tokens_before:
            words += f"; {_tokens(self.tokens_before)} became {self.tokens_after:,}"
        return words


def difference(before: Tokenization, after: Tokenization, edited: EditedSequence) -> Difference:
    """Compare what one tokenizer made of a sequence before and after edits.

    Parameters
    ----------
    before, after : Tokenization
        Of `edited.original` and of `edited.text`, by the same tokenizer.
    edited : EditedSequence

    Returns
    -------
    Difference

    Raises
    ------
    InputError
        When they are not the readings of these texts.
    """
    for read, letters, which in ((before, edited.original_length, "original"), (after, len(edited), "edited")):
        if len(read.sequence) != letters:
            raise InputError(
                f"This tokenizer reads {len(read.sequence):,} letters in the {which} text, which has {letters:,} as a "
                "sequence; tokenize `original` and `text` of the edited sequence, without special tokens in them."
            )
    origin, turned = edited.origin, edited.turned
    old, new = before.columns, after.columns
    kept_old, kept_new = np.zeros(len(before), dtype=bool), np.zeros(len(after), dtype=bool)
    start = _starts_before(new.starts, new.ends, origin, turned)
    candidates = np.flatnonzero((start >= 0) & ~new.special)
    ordinary = np.flatnonzero(~old.special)
    most = int(max(old.ids.max(initial=0), new.ids.max(initial=0))) + 1
    # One number says where a token stood, whether it has letters, and its id.
    held = _keys(old.starts, old.ends, old.ids, most)[ordinary]
    sought = _keys(start, start + new.ends - new.starts, new.ids, most)[candidates]
    if len(held):
        order = np.argsort(held, kind="stable")  # nearly sorted as it is
        ranked = held[order]
        place = np.minimum(np.searchsorted(ranked, sought), len(held) - 1)
        partner = ordinary[order[place]]
        lengths, new_lengths = old.ends - old.starts, new.ends - new.starts
        same = (ranked[place] == sought) & (lengths[partner] == new_lengths[candidates])
        kept_new[candidates[same]] = True
        # Several tokens of one id at one place (bytes of one letter, blank lines) stay or go together.
        group = np.cumsum(np.diff(ranked, prepend=ranked[0]) != 0)
        stays = np.zeros(group[-1] + 1, dtype=bool)
        stays[group[place[same]]] = True
        kept_old[ordinary[order]] = stays[group]

    cuts_old, cuts_new = boundaries(before), boundaries(after)
    left, right = origin[cuts_new - 1], origin[cuts_new]
    beside = (left >= 0) & (right >= 0) & (np.abs(left - right) == 1)
    stood = np.zeros(edited.original_length + 1, dtype=bool)
    stood[cuts_old] = True
    cuts_kept = int(np.count_nonzero(stood[np.maximum(left, right)[beside]]))
    return Difference(
        np.flatnonzero(~kept_old & ~old.special).astype(np.int32),
        np.flatnonzero(~kept_new & ~new.special).astype(np.int32),
        before.ordinary,
        after.ordinary,
        len(cuts_old),
        len(cuts_new),
        cuts_kept,
        int(np.count_nonzero(old.unknown)),
        int(np.count_nonzero(new.unknown)),
        before.overlapping or after.overlapping,
        bool(len(turned)) and bool(turned.all()),
    )


def _starts_before(starts: np.ndarray, ends: np.ndarray, origin: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Where each token of the edited sequence began in the original, -1 if it is no one stretch of that; int64 (n,)."""
    count = len(origin)
    # Places where a stretch of the original breaks off, counted up to each letter.
    broken = np.concatenate(([0, 0], np.cumsum(np.diff(origin) != 1)))[: count + 1] if count else np.zeros(1, int)
    odd = np.concatenate(([0], np.cumsum(turned | (origin < 0))))
    found = np.full(len(starts), -1, dtype=np.int64)
    wide = ends > starts
    first, last = starts[wide], ends[wide]
    whole = (broken[last] == broken[first + 1]) & (odd[last] == odd[first])
    found[wide] = np.where(whole, origin[first], -1)
    # White space has no letter of its own: it stands behind the letter before it, or else in front of the next one.
    at = starts[~wide]
    if count:
        behind, ahead = origin[np.maximum(at - 1, 0)] + 1, origin[np.minimum(at, count - 1)]
        usable = (at > 0) & (odd[at] == odd[np.maximum(at - 1, 0)])
        next_usable = (at < count) & (odd[np.minimum(at + 1, count)] == odd[at])
        found[~wide] = np.where(usable, behind, np.where(next_usable, ahead, -1))
    else:
        found[~wide] = 0
    return found


def _keys(starts: np.ndarray, ends: np.ndarray, ids: np.ndarray, most: int) -> np.ndarray:
    return (2 * starts.astype(np.int64) + (ends > starts)) * most + ids


def summary_sentence(
    differences: Mapping[str, Difference], edits: Union[EditedSequence, Sequence[Edit]], unit: str = "base"
) -> str:
    """What the edits did to all tokenizers' tokens, in one sentence.

    Parameters
    ----------
    differences : mapping of str to Difference
        By the tokenizer's label.
    edits : EditedSequence, or its edits
    unit : str
        What a letter is called; an `EditedSequence` knows it.

    Returns
    -------
    str
        "One changed base changes 1 BPE token and 6 of the 54 6-mers."
    """
    if isinstance(edits, EditedSequence):
        unit, edits = edits.unit, edits.edits
    if not edits:
        return "Nothing was edited."
    subject, many = _subject(edits, unit)
    phrases: list[tuple[str, list[str]]] = []  # each verb with what it is said of
    for label, found in differences.items():
        verb, thing = _effect(label, found)
        if phrases and phrases[-1][0] == verb:
            phrases[-1][1].append(thing)
        else:
            phrases.append((verb, [thing]))
    if not phrases:
        return f"{subject}."
    said = [f"{_verb(verb, many)} {_listed(things)}{' unchanged' * (verb == 'leave')}" for verb, things in phrases]
    # A comma where a list stands inside the list.
    last = ", and " if any(len(things) > 1 for _, things in phrases) else " and "
    return f"{subject} {_listed(said, last)}."


def _subject(edits: Sequence[Edit], unit: str) -> tuple[str, bool]:
    """What the sentence is about, and whether that is more than one thing."""
    kinds = {edit.kind for edit in edits}
    if len(kinds) > 1:
        return f"{len(edits):,} edits together", True
    [kind] = kinds
    if kind == "reverse_complement":
        return "Reading from the other strand", False
    if kind in ("lower_case", "upper_case"):
        return "Lower case" if kind == "lower_case" else "Writing capitals", False
    count = sum(max(len(edit.old), len(edit.new)) for edit in edits)
    done = {"change": "changed", "insert": "inserted", "delete": "deleted"}[kind]
    return (f"One {done} {unit}", False) if count == 1 else (f"{count:,} {done} {unit}s", True)


def _effect(label: str, found: Difference) -> tuple[str, str]:
    gone, new = len(found.gone), len(found.new)
    if not gone and not new:
        return "leave", _named(label, found.tokens_before, True)
    if not gone:
        return "add", _named(label, new)
    if not new:
        return "take away", _named(label, gone)
    part = gone < found.tokens_before and (found.overlapping or label == "letters")
    thing = f"{gone:,} of the {_named(label, found.tokens_before)}" if part else _named(label, gone, not found.stayed)
    if gone != new:
        return "turn", f"{thing} into {new:,}"
    return "change", thing


def _verb(verb: str, many: bool) -> str:
    if many:
        return verb
    first, _, rest = verb.partition(" ")
    return f"{first}s {rest}".rstrip()


def _named(label: str, count: int, all_of_them: bool = False) -> str:
    """`6 BPE tokens`; a k-mer and a letter are their own word for a token: `54 6-mers`."""
    if re.fullmatch(r"\d+-mers?", label):
        noun = label.removesuffix("s") + "s"[: count != 1]
    elif label == "letters":
        noun = "letter" + "s"[: count != 1]
    else:
        noun = f"{label} token" + "s"[: count != 1]
    if all_of_them:
        return f"the one {noun}" if count == 1 else f"all {count:,} {noun}"
    return f"{count:,} {noun}"


def _tokens(count: int) -> str:
    return f"{count:,} token{'s'[: count != 1]}"


def _listed(things: Sequence[str], last: str = " and ") -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])}{last}{things[-1]}"
