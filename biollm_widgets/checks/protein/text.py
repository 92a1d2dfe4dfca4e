"""Checks of the units on ProtGPT2's text: residues, tokens, line breaks, and what of it is an end."""

from __future__ import annotations

from functools import cache
from typing import Any

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, among, apart, check_of, close

LOOK = "unit 2, “Residues, tokens and line breaks”"
ENDS = "unit 4, “Ten proteins: finished or cut off”"
COST = "unit 5, “A beginning, and what it costs”"
PROTGPT2 = "nferruz/ProtGPT2"
END = "<|endoftext|>"
LINE = 60  # residues, as in the text that the model was trained on


def wrapped(sequence: str, width: int = LINE) -> str:
    """In lines, as ProtGPT2 knows proteins."""
    return "\n".join(sequence[i : i + width] for i in range(0, len(sequence), width))


@cache
def small_tokenizer() -> Any:
    """A BPE tokenizer of residues with ProtGPT2's mark and line break and few merges: no other one cuts as it does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    merges = [("A", "L"), ("G", "S"), ("E", "K"), ("V", "I"), ("D", "T")]
    words = [END, "Ċ", *"ABCDEFGHIKLMNPQRSTVWXYZ", *("".join(pair) for pair in merges)]
    raw = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=END, eos_token=END, unk_token=END)


def _tokenizers(number: int) -> tuple[Any, Any]:
    """For a round the tokenizer that is handed over, and the one that is not: by turns ProtGPT2's and the small one."""
    both = inputs.embedded_tokenizer(PROTGPT2), small_tokenizer()
    return both[number % 2], both[1 - number % 2]


@check_of(
    "protein.residues",
    2,
    "a function residues(text)",
    LOOK,
    {
        "prefix": Mistake(
            "<|endoftext|> is kept, as if it were protein.", "It says where a protein begins; take it away.", 0.25
        ),
        "breaks": Mistake(
            "Line breaks are kept; a program that reads the sequence takes them for letters.",
            "Look at it with print(repr(...)), and join the lines.",
            0.5,
        ),
        "first_line": Mistake(
            "Only the first line is taken, 60 residues of it.",
            "A protein goes on until the text or <|endoftext|> ends.",
        ),
        "last_line": Mistake(
            "The last line is left out, as if it were always the mark's.",
            "A text that was cut off ends in residues: is the mark in the last line?",
            0.25,
        ),
        "letters": Mistake(
            "Residues are lost at an end: by counting letters, or by strip, which takes away letters and not words.",
            "Print the first and the last ten residues beside those of the text; text.replace takes away a word.",
            0.25,
        ),
        "number": Mistake("The residues are counted.", "Give them back as a text; len of that is their number."),
        "raw": Mistake("The text comes back as it was.", "Take away the mark and the line breaks."),
        "small": Mistake("The residues come back in small letters.", "Residues are written in capitals.", 0.5),
    },
)
def residues(case: Case, answer: Any) -> None:
    """Of texts with the mark in front, some with it behind."""
    for number in range(case.rounds):
        # Three lines or more, so that the first line is another thing than all but the last.
        sequence = inputs.protein(case.rng, int(case.rng.integers(130, 230)))
        text = f"{END}\n{wrapped(sequence)}" + (f"\n{END}" if number % 2 else "")
        got = case.call(answer, text)
        if isinstance(got, int):
            case.mistake("number", f"It gives {got}.")
        got = case.text(got)
        if got == sequence:
            continue
        saw = f"Of {len(sequence)} residues in a text of {len(text)} letters it makes {got[:30]!r}... of {len(got)}."
        case.need(got != text, "raw", saw)
        case.need(END not in got, "prefix", saw)
        case.need(got.upper() != sequence, "small", saw)
        case.need("".join(got.split()) != sequence, "breaks", saw)
        case.need(got != sequence[:LINE], "first_line", saw)
        shorter = "".join(got.split())
        case.need(shorter != sequence[: (len(sequence) - 1) // LINE * LINE], "last_line", saw)
        if shorter and shorter in sequence and len(shorter) < len(sequence):
            case.mistake("letters" if len(sequence) - len(shorter) < LINE else "first_line", saw)
        case.mistake("prefix" if "endoftext" in got.lower() or "|" in got or "<" in got else "other", saw)
    case.say("The residues alone, with the mark in front, behind, or both.")


@check_of(
    "protein.residues_per_token",
    2,
    "a function residues_per_token(text, tokenizer)",
    LOOK,
    {
        "one": Mistake("Each token is taken for a residue.", "How many residues stand in a token such as 'AKQ'?"),
        "everything": Mistake(
            "Line breaks and <|endoftext|> are counted as tokens of the protein.",
            "They stand for no residue: count the tokens that do.",
            0.5,
        ),
        "letters": Mistake(
            "The letters of <|endoftext|> and the line breaks are counted as residues.",
            "Count the protein's own letters.",
            0.25,
        ),
        "inverted": Mistake("Tokens are divided by residues.", "How many residues stand behind one token: 1 or more."),
        "quoted": Mistake(
            "The number is one that was read somewhere; it is the same for every protein.",
            "Count the residues and the tokens of the text that the function is given.",
        ),
        "breaks": Mistake(
            "Line breaks are counted, <|endoftext|> is not.", "A line break is a token of its own and no residue.", 0.75
        ),
        "joined": Mistake(
            "The lines are joined before they are cut into tokens; then there are tokens that reach across a line's "
            "end, and the model saw none of those.",
            "Cut the text as it is, and leave out tokens afterwards.",
            0.75,
        ),
        "own": Mistake(
            "Another tokenizer is used than the one that the function is given.",
            "Use the parameter `tokenizer` in the function, not a variable of the notebook.",
            0.5,
        ),
    },
)
def residues_per_token(case: Case, answer: Any) -> None:
    """Residues over tokens that stand for residues, of two tokenizers."""
    found: list[float] = []
    for number in range(case.rounds):
        tokenizer, other = _tokenizers(number)
        for _ in range(200):
            sequence = inputs.protein(case.rng, int(case.rng.integers(190, 290)))
            text = f"{END}\n{wrapped(sequence)}"
            size = len(tokenizer(text)["input_ids"])
            breaks = text.count("\n")
            no_mark, own = size - 1, size - 1 - breaks
            joined = len(tokenizer(sequence)["input_ids"])
            not_handed = len(other(text)["input_ids"]) - 1 - breaks
            truth = len(sequence) / own
            shares = [len(sequence) / count for count in (size, no_mark, joined, not_handed)]
            letters = [base / count for base in (len(text), len(sequence) + breaks) for count in (own, size, no_mark)]
            if number or apart(truth, *shares, *letters):
                break  # the first one tells all mistakes apart but one, the other tokenizer; the second tells that
        got = case.number(case.call(answer, text, tokenizer))
        found.append(got)
        if close(got, truth):
            continue
        if number == 0 and got != 1:
            others = [f"{END}\n{wrapped(inputs.protein(case.rng, size))}" for size in (97, 131, 149)]
            again = {case.number(case.call(answer, one, tokenizer)) for one in others}
            case.need(again != {got}, "quoted", f"It gives {got:g} for different proteins.")
        variants = {
            "one": 1.0,
            "everything": shares[0],
            "breaks": shares[1],
            "joined": shares[2],
            "own": shares[3],
            "letters": among(got, *letters),
            "inverted": among(got, own / len(sequence), size / len(sequence), no_mark / len(sequence)),
        }
        saw = f"{len(sequence)} residues in {own} tokens are {truth:.3f} residues a token; it gives {got:.3f}."
        case.match(got, truth, variants, close, saw)
    case.say("Residues over the tokens that stand for residues, of two tokenizers, one of which cuts smaller.")


@check_of(
    "protein.finished",
    3,
    "a function is_finished(ids, eos)",
    ENDS,
    {
        "first": Mistake(
            "The mark at the beginning is taken for an end; every text begins with it.",
            "Look for it behind the first place.",
            0.25,
        ),
        "last": Mistake(
            "Only the last token is looked at; in a batch what is finished is filled up behind its end.",
            "Is the mark anywhere behind the first place?",
            0.5,
        ),
        "length": Mistake(
            "The number of tokens is taken to tell; one that ends by itself can be of any length.",
            "What does the model write where a protein ends?",
        ),
        "twice": Mistake(
            "Exactly two marks are asked for; what is finished is often filled up with further ones.",
            "One mark behind the first place is enough, and more do no harm.",
            0.5,
        ),
        "always": Mistake("The answer is the same for all.", "Some end by themselves, some are cut off."),
        "opposite": Mistake("Finished and cut off are exchanged.", "With the mark behind it, it is finished.", 0.5),
        "zero": Mistake("The mark's number is written into the function.", "Use the parameter `eos`.", 0.5),
    },
    rounds=(8, 12),
)
def is_finished(case: Case, answer: Any) -> None:
    """Rows of a batch: ended and filled up, ended at the very last token, cut off; several numbers of the mark."""
    kinds = ("cut", "last", "filled", "cut", "filled", "last", "cut", "filled")
    rows, truths, marks = [], [], []
    for number in range(case.rounds):
        eos = 0 if number < 3 or number == 7 else 7
        # Of every kind there are short ones and long ones, so that the length tells nothing; 100 is the chapter's.
        length = (25, 30, 28, 98, 88, 97, 60, 50)[number % 8] + (0 if number % 8 == 3 else int(case.rng.integers(0, 2)))
        body = [int(one) for one in case.rng.integers(200, 500, length)]
        kind = kinds[number % 8]
        row = [eos, 199, *body]
        if kind != "cut":
            row.append(eos)
        if kind == "filled":
            # A batch is filled up with the mark, as transformers does it, or with another token.
            row += [eos if number % 8 == 7 else 3] * int(case.rng.integers(2, 9))
        rows.append(row)
        truths.append(kind != "cut")
        marks.append(eos)
    got = []
    for row, eos in zip(rows, marks, strict=True):
        value = case.call(answer, row, eos)
        if type(value).__name__ not in ("bool", "bool_", "int", "int64") or value not in (0, 1):
            case.mistake("kind", f"It gives {value!r:.40}, not True or False.")
        got.append(bool(value))
    saw = f"Of {len(rows)} rows {sum(truths)} are finished; it says so of {sum(got)}."
    if got != truths:
        everywhere = [eos in row for row, eos in zip(rows, marks, strict=True)]
        by_last = [row[-1] == eos for row, eos in zip(rows, marks, strict=True)]
        with_zero = [0 in row[1:] for row in rows]
        case.need(got != [not one for one in truths], "opposite", saw)
        case.need(got != with_zero, "zero", saw)
        case.need(got != by_last, "last", saw)
        case.need(got != [row.count(eos) == 2 for row, eos in zip(rows, marks, strict=True)], "twice", saw)
        if len(set(got)) == 1:
            first = case.call(answer, [5, 199, 30, 31], 0)
            case.mistake("first" if got == everywhere and not first else "always", saw)
        lengths = sorted((len(row), one) for row, one in zip(rows, got, strict=True))
        ordered = [one for _, one in lengths]
        case.need(ordered not in (sorted(ordered), sorted(ordered, reverse=True)), "length", saw)
        case.mistake("other", saw)
    case.say("Ended at the last token or before it, filled up with other tokens, and cut off.")


@check_of(
    "protein.prompt_cost",
    2,
    "a function prompt_tokens(sequence, tokenizer)",
    COST,
    {
        "residues": Mistake("Each residue is taken for a token.", "The tokenizer joins residues: ask it."),
        "characters": Mistake(
            "The letters of the text are counted, those of <|endoftext|> with them.",
            "len of a text counts letters; the tokenizer says how many tokens they are.",
        ),
        "own": Mistake(
            "Another tokenizer is used than the one that the function is given.",
            "Use the parameter `tokenizer` in the function, not a variable of the notebook.",
            0.5,
        ),
        "last_break": Mistake(
            "A line break stands behind the last line too; a beginning ends with its last residue.",
            "A break stands between two lines. How many are there between three?",
            0.75,
        ),
        "bare": Mistake(
            "<|endoftext|> and the line break before the first residue are left out; they cost a token each.",
            "Put in front what the model's own texts begin with.",
            0.5,
        ),
        "no_break": Mistake(
            "The line break after <|endoftext|> is left out.",
            "In the model's texts the residues begin on a new line.",
            0.75,
        ),
        "one_line": Mistake(
            "The residues stand in one long line; the model knows lines of 60, each with a break.",
            "Break the line after every 60 residues before you count.",
            0.75,
        ),
        "end": Mistake(
            "An end is counted with the beginning; the model is to write that itself.",
            "Leave out what comes behind.",
            0.5,
        ),
        "quoted": Mistake("The number is the chapter's 17, for whatever is handed in.", "Count the tokens."),
        "room": Mistake("What is left of 100 is given.", "The question is what the beginning costs.", 0.5),
    },
)
def prompt_tokens(case: Case, answer: Any) -> None:
    """Of beginnings of one line to four, one of them full, and of two tokenizers."""
    for number in range(case.rounds):
        tokenizer, other = _tokenizers(number)

        def count(text: str, tokenizer: Any = tokenizer) -> float:
            return float(len(tokenizer(text)["input_ids"]))

        for _ in range(200):
            # Four lines, so that every mistake costs another number of tokens; later short ones too.
            size = int(case.rng.integers(185, 239)) if number % 2 == 0 else int(case.rng.integers(20, 59))
            size = 120 if number == 2 else size
            sequence = inputs.protein(case.rng, size)
            lines = wrapped(sequence)
            truth, one_line = count(f"{END}\n{lines}"), count(f"{END}\n{sequence}")
            bare = (count(sequence), count(lines))
            room, not_handed = 100.0 - truth, count(f"{END}\n{lines}", other)
            if number or apart(
                truth, one_line, truth - 1, *bare, room, truth + 1, truth + 2, not_handed, 17, size, size + 1, size + 2
            ):
                break
        got = case.number(case.call(answer, sequence, tokenizer))
        variants = {
            "own": not_handed,
            "quoted": 17.0,
            "residues": among(got, size, size + 1, size + 2),
            "characters": among(got, *(len(END) + size + more for more in (0, 1, 1 + lines.count("\n")))),
            "bare": among(got, *bare),
            "one_line": one_line,
            "no_break": count(f"{END}{lines}"),
            "end": count(f"{END}\n{lines}\n{END}"),
            "last_break": count(f"{END}\n{lines}\n"),
            "room": room,
        }
        case.match(got, truth, variants, close, f"{size} residues cost {truth:g} tokens; it gives {got:g}.")
    case.say("With <|endoftext|>, the line break behind it, one between lines of 60, and two tokenizers.")


CHECKS = [residues, residues_per_token, is_finished, prompt_tokens]
