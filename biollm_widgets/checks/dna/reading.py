"""Checks of the units on reading DNA: tokens, letters, the other strand."""

from __future__ import annotations

from typing import Any

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, check_of, close

TOKENS = "unit 1, “Tokens”"
LETTERS = "unit 2, “Letters that the model does not know”"
DNABERT2 = "zhihan1996/DNABERT-2-117M"


@check_of(
    "dna.bases_per_token",
    2,
    "a function bases_per_token(sequence, tokenizer)",
    TOKENS,
    {
        "special": Mistake(
            "[CLS] and [SEP] are counted as if they stood for bases.",
            "Ask the tokenizer for the tokens without its special ones (add_special_tokens=False), or leave out two.",
            0.5,
        ),
        "quoted": Mistake(
            "The number is one that was read somewhere; it is the same for every sequence.",
            "Count the tokens of the very sequence that the function is given.",
        ),
        "inverted": Mistake("Tokens are divided by bases.", "How many bases stand behind one token: more than 1."),
        "one": Mistake(
            "Each base is taken for a token.", "len(sequence) counts bases; the tokens come from the tokenizer."
        ),
        "own": Mistake(
            "Another tokenizer is used than the one that the function is given.",
            "Use the parameter `tokenizer` in the function, not a variable of the notebook.",
        ),
        "distinct": Mistake(
            "Each kind of token is counted once.", "A token that comes three times counts three times."
        ),
        "tokens": Mistake("The tokens are counted, and that is all.", "Divide the bases by that number."),
    },
)
def bases_per_token(case: Case, answer: Any) -> None:
    """Bases over tokens that stand for bases, of fresh sequences and of two tokenizers."""
    found: list[float] = []
    for number in range(case.rounds):
        tokenizer = inputs.small_tokenizer() if number % 2 else inputs.embedded_tokenizer(DNABERT2)
        other = inputs.embedded_tokenizer(DNABERT2) if number % 2 else inputs.small_tokenizer()
        sequence = inputs.dna(case.rng, int(case.rng.integers(40, 300)))
        got = case.number(case.call(answer, sequence, tokenizer))
        found.append(got)
        bases, count = len(sequence), len(tokenizer.tokenize(sequence, add_special_tokens=False))
        if close(got, bases / count):
            continue
        variants = _counted(sequence, tokenizer, other)
        if len({round(value, 6) for value in found}) == 1 and not close(got, variants["one"]):
            # A number by heart shows only when it stays the same; it may be one of the variants by chance.
            again = _unlike(sequence, tokenizer, other, case.rng)
            heart = case.number(case.call(answer, again, tokenizer)) == got
            case.need(not heart, "quoted", f"It gives {got:g} for sequences of different letters.")
        saw = f"{bases} bases in {count} tokens are {bases / count:.3f} bases a token; it gives {got:.3f}."
        case.match(got, bases / count, variants, close, saw)
    case.say(f"Right for {case.rounds} sequences and two tokenizers, one of which cuts smaller.")


def _counted(sequence: str, tokenizer: Any, other: Any) -> dict[str, float]:
    """What each known mistake makes of a sequence."""
    tokens = tokenizer.tokenize(sequence, add_special_tokens=False)
    return {
        "special": len(sequence) / (len(tokens) + 2),
        "inverted": len(tokens) / len(sequence),
        "one": 1.0,
        "own": len(sequence) / len(other.tokenize(sequence, add_special_tokens=False)),
        "distinct": len(sequence) / len(set(tokens)),
        "tokens": float(len(tokens)),
    }


def _unlike(sequence: str, tokenizer: Any, other: Any, rng: Any) -> str:
    """Another sequence, of which each mistake makes another number: who gives the same one knows it by heart."""
    before = _counted(sequence, tokenizer, other)
    while True:
        again = inputs.dna(rng, int(rng.integers(40, 300)))
        after = _counted(again, tokenizer, other)
        if not any(close(before[name], after[name]) for name in before if name != "one"):
            return again


_FROM, _TO = "ACGTUNacgtun", "TGCAANtgcaan"
COMPLEMENT = str.maketrans(_FROM, _TO)


@check_of(
    "dna.clean",
    2,
    "a function clean(text)",
    LETTERS,
    {
        "case": Mistake(
            "Small letters are left as they are; the tokenizer knows capitals only, and makes [UNK] of the others.",
            "Python's texts have a method for that.",
            0.5,
        ),
        "uracil": Mistake("U is left as it is; the tokenizer knows T only.", "RNA's U stands where DNA has T.", 0.5),
        "space": Mistake(
            "Spaces or line breaks stay; they change the tokens and nothing says so.",
            "Look at the text with print(repr(text)): a line break is a letter too.",
            0.5,
        ),
        "dropped": Mistake(
            "Unknown bases (N) are taken out, which moves all that comes after them.",
            "An N holds the place of a base; it stays, and costs one [UNK].",
            0.25,
        ),
        "replaced": Mistake(
            "Unknown bases (N) become a base that nobody has read.", "An N stays an N: it says that nobody knows.", 0.25
        ),
        "same": Mistake("The text comes back as it was.", "Capitals, U to T, no spaces and no line breaks."),
        "complement": Mistake(
            "The other strand comes back.", "U becomes T, and nothing else is exchanged; the strand stays the same."
        ),
    },
)
def clean(case: Case, answer: Any) -> None:
    """Capitals, T for U, no white space; N stays."""
    for _ in range(case.rounds):
        letters = list(inputs.dna(case.rng, 30))
        letters[3], letters[11], letters[20] = "N", "U", "u"
        letters = [one.lower() if case.rng.random() < 0.4 else one for one in letters]
        letters.insert(8, " ")
        letters.insert(17, "\n")
        text = "".join(letters) + "\r\n"
        got = case.text(case.call(answer, text))
        bare = "".join(text.split())
        truth = bare.upper().replace("U", "T")
        variants = {
            "same": text,
            "case": bare.replace("U", "T").replace("u", "t"),
            "uracil": bare.upper(),
            "dropped": truth.replace("N", ""),
            "complement": truth.translate(COMPLEMENT),
        }
        saw = f"Of {text!r} it makes {got!r}."
        if got != truth:
            joined = "".join(got.split())
            case.need(not (joined == truth and joined != got), "space", saw)
            case.need(got.upper() != truth or got == truth, "case", saw)
            kept = [a for a, b in zip(got, truth, strict=False) if b != "N"]
            if len(got) == len(truth) and kept == [b for b in truth if b != "N"]:
                case.mistake("replaced", saw)
        case.match(got, truth, variants, lambda a, b: a == b, saw)
    case.say("Capitals, T for U, no white space, and each N in its place.")


@check_of(
    "dna.reverse_complement",
    2,
    "a function reverse_complement(sequence)",
    LETTERS,
    {
        "reversed": Mistake(
            "Read backwards, the bases are still those of the same strand.", "Pair each base too.", 0.25
        ),
        "complement": Mistake(
            "Each base is paired, but the other strand is read from its wrong end.",
            "Strands run in opposite ways.",
            0.25,
        ),
        "swapped": Mistake("Bases are paired with the wrong ones.", "A pairs with T, C pairs with G.", 0.25),
        "same": Mistake("The sequence comes back as it was.", "Pair each base, and read from the other end."),
        "dropped": Mistake("Letters that are no A, C, G or T are lost.", "An N pairs with an N.", 0.5),
        "rna": Mistake("A is paired with U, as in RNA.", "In DNA A pairs with T.", 0.5),
    },
)
def reverse_complement(case: Case, answer: Any) -> None:
    """Of sequences with an N in them; twice over it is the sequence itself."""
    for _ in range(case.rounds):
        sequence = inputs.dna(case.rng, 20) + "N" + inputs.dna(case.rng, 9) + "A"
        got = case.text(case.call(answer, sequence))
        truth = sequence.translate(COMPLEMENT)[::-1]
        variants: dict[str, Any] = {
            "same": sequence,
            "reversed": sequence[::-1],
            "complement": sequence.translate(COMPLEMENT),
            "dropped": truth.replace("N", ""),
            "rna": truth.replace("T", "U"),
        }
        variants["swapped"] = next(
            (
                one
                for one in (
                    sequence.translate(str.maketrans("ACGT", pairs))[::-1] for pairs in ("CATG", "GTAC", "ATGC"[::-1])
                )
                if one == got and one != truth
            ),
            None,
        )
        case.match(got, truth, variants, lambda a, b: a == b, f"Of {sequence} it makes {got!r:.60}.")
    case.say("Right for sequences with an N, and twice over it gives the sequence back.")


@check_of(
    "dna.changed_tokens",
    2,
    "a function changed_tokens(before, after, tokenizer)",
    TOKENS,
    {
        "sets": Mistake(
            "Kinds of tokens are compared, without how often or where they stand.",
            "A token that comes twice counts twice: compare the two lists from both ends.",
            0.25,
        ),
        "places": Mistake(
            "Tokens are compared place by place: after one more token all that follow count as changed.",
            "What is the same at the beginning and at the end of both lists has not changed; the rest has.",
            0.5,
        ),
        "difference": Mistake(
            "The numbers of tokens are compared.", "Two lists of one length can have different tokens."
        ),
        "one": Mistake(
            "One changed base is taken for one changed token.", "Look at both lists: their cuts move with the change."
        ),
    },
)
def changed_tokens(case: Case, answer: Any) -> None:
    """How many of the tokens before are gone after one base has changed: all but the common beginning and end."""
    tried = 0
    while tried < case.rounds:
        tokenizer = inputs.small_tokenizer() if tried % 2 else inputs.embedded_tokenizer(DNABERT2)
        words = [inputs.dna(case.rng, 5) for _ in range(4)]  # what comes again tells sets from lists
        before = "".join(case.rng.choice(words, 16))
        place = int(case.rng.integers(20, 60))
        after = before[:place] + str(case.rng.choice(sorted(set("ACGT") - {before[place]}))) + before[place + 1 :]
        a, b = (tokenizer.tokenize(text, add_special_tokens=False) for text in (before, after))
        truth = len(a) - _common(a, b)
        sets = len(set(a) - set(b))
        places = sum(x != y for x, y in zip(a, b, strict=False))
        same_length = len(a) == len(b)
        # The first one tells all mistakes apart but one, that of comparing places; the second one tells that.
        if tried == 0 and (not same_length or len({truth, sets, 1, 0}) < 4 or places in (sets, 1)):
            continue
        if tried == 1 and places == truth:
            continue
        got = case.number(case.call(answer, before, after, tokenizer))
        variants = {
            "places": float(places),
            "sets": float(sets),
            "difference": float(abs(len(a) - len(b))),
            "one": 1.0,
        }
        case.match(got, float(truth), variants, close, f"{truth} of {len(a)} tokens change; it gives {got:g}.")
        tried += 1
    case.say("Right also where the number of tokens changes.")


def _common(a: list[str], b: list[str]) -> int:
    """Tokens at the beginning and at the end that are the same, each counted once."""
    most = min(len(a), len(b))
    start = next((i for i in range(most) if a[i] != b[i]), most)
    end = next((i for i in range(most - start) if a[-1 - i] != b[-1 - i]), most - start)
    return start + end


CHECKS = [bases_per_token, changed_tokens, clean, reverse_complement]
