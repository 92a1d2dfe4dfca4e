"""Right and wrong answers to the checks of the lesson on proteins."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from transformers import RepetitionPenaltyLogitsProcessor, TopPLogitsWarper

from biollm_widgets.checks import inputs

from .answers import Answers

PROTEIN: dict[str, Answers] = {}
END = "<|endoftext|>"
TWENTY = "ACDEFGHIKLMNPQRSTVWY"


def _lines(sequence: str, width: int = 60) -> str:
    return "\n".join(sequence[i : i + width] for i in range(0, len(sequence), width))


def _by_pattern(sequence: str) -> str:
    """With an empty line behind where the last one is full."""
    return re.sub("(.{60})", r"\1\n", sequence)


def _bare(text: str) -> str:
    return text.replace(END, "").replace("\n", "")


PROTEIN["protein.residues"] = Answers(
    right=[
        _bare,
        lambda text: "".join(c for c in text.split(END)[1] if c.isupper()),
        lambda text: text.strip(END + "\n").replace("\n", ""),  # those letters are small: no residue is lost
    ],
    wrong={
        "prefix kept": ("prefix", lambda text: text.replace("\n", "")),
        "line breaks kept": ("breaks", lambda text: text.replace(END, "")),
        "ends stripped": ("breaks", lambda text: text.replace(END, "").strip()),
        "first line": ("first_line", lambda text: text.split("\n")[1]),
        "the first M stripped too": ("letters", lambda text: _bare(text).lstrip("M")),
        "ten letters cut off": ("letters", lambda text: text[len(END) + 10 :].replace("\n", "").replace(END, "")),
        "the last line": ("last_line", lambda text: "".join(text.split("\n")[1:-1])),
        "how many": ("number", lambda text: len(_bare(text))),
        "as it was": ("raw", lambda text: text),
        "small letters": ("small", lambda text: _bare(text).lower()),
    },
)


def _pieces(text: str, tokenizer: Any) -> list[str]:
    return [tokenizer.decode([one]) for one in tokenizer(text)["input_ids"]]


def _own(text: str, tokenizer: Any) -> int:
    return sum(one != END and one.strip() != "" for one in _pieces(text, tokenizer))


def _notebooks() -> Any:
    return inputs.embedded_tokenizer("nferruz/ProtGPT2")


PROTEIN["protein.residues_per_token"] = Answers(
    right=[
        lambda text, t: len(_bare(text)) / _own(text, t),
        lambda text, t: (
            len(_bare(text)) / len([one for one in t.tokenize(text) if one not in (t.eos_token, *t.tokenize("\n"))])
        ),
    ],
    wrong={
        "a token a residue": ("one", lambda text, t: 1),
        "all tokens": ("everything", lambda text, t: len(_bare(text)) / len(t(text)["input_ids"])),
        "all but the mark": ("breaks", lambda text, t: len(_bare(text)) / (len(t(text)["input_ids"]) - 1)),
        "the whole text": ("letters", lambda text, t: len(text) / len(t(text)["input_ids"])),
        "line breaks as residues": ("letters", lambda text, t: len(text.replace(END, "")) / _own(text, t)),
        "tokens per residue": ("inverted", lambda text, t: _own(text, t) / len(_bare(text))),
        "four, as was read": ("quoted", lambda text, t: 4),
        "lines joined first": ("joined", lambda text, t: len(_bare(text)) / len(t.tokenize(_bare(text)))),
        "the notebook's tokenizer": ("own", lambda text, t: len(_bare(text)) / _own(text, _notebooks())),
    },
)
PROTEIN["protein.finished"] = Answers(
    right=[lambda ids, eos: eos in ids[1:], lambda ids, eos: np.bool_((np.asarray(ids) == eos).sum() > 1)],
    wrong={
        "the first mark": ("first", lambda ids, eos: eos in ids),
        "the last token": ("last", lambda ids, eos: ids[-1] == eos),
        "shorter than 40": ("length", lambda ids, eos: len(ids) < sorted([30, 45])[1]),
        "shorter than 100": ("length", lambda ids, eos: len(ids) < 100),
        "two marks": ("twice", lambda ids, eos: list(ids).count(eos) == 2),
        "always": ("always", lambda ids, eos: True),
        "never": ("always", lambda ids, eos: False),
        "cut off": ("opposite", lambda ids, eos: eos not in ids[1:]),
        "zero": ("zero", lambda ids, eos: 0 in ids[1:]),
        "a sentence": ("kind", lambda ids, eos: "finished"),
    },
)


def _cost(text: str, tokenizer: Any) -> int:
    return len(tokenizer(text)["input_ids"])


PROTEIN["protein.prompt_cost"] = Answers(
    right=[
        lambda s, t: _cost(f"{END}\n{_lines(s)}", t),
        lambda s, t: len(t.tokenize(_lines(s))) + 2,
    ],
    wrong={
        "residues": ("residues", lambda s, t: len(s)),
        "residues and two": ("residues", lambda s, t: len(s) + 2),
        "the residues' tokens": ("bare", lambda s, t: _cost(s, t)),
        "in lines, without the mark": ("bare", lambda s, t: _cost(_lines(s), t)),
        "no line break behind the mark": ("no_break", lambda s, t: _cost(END + _lines(s), t)),
        "one line": ("one_line", lambda s, t: _cost(f"{END}\n{s}", t)),
        "with an end": ("end", lambda s, t: _cost(f"{END}\n{_lines(s)}\n{END}", t)),
        "letters": ("characters", lambda s, t: len(f"{END}\n{_lines(s)}")),
        "a break behind each line": ("last_break", lambda s, t: _cost(f"{END}\n{_lines(s)}\n", t)),
        "a break behind each full line": ("last_break", lambda s, t: _cost(f"{END}\n{_by_pattern(s)}", t)),
        "the notebook's tokenizer": ("own", lambda s, t: _cost(f"{END}\n{_lines(s)}", _notebooks())),
        "17": ("quoted", lambda s, t: 17),
        "what is left": ("room", lambda s, t: 100 - _cost(f"{END}\n{_lines(s)}", t)),
    },
)


def _soft(scores: Any) -> np.ndarray:
    shares = np.exp(np.asarray(scores) - np.max(scores))
    return shares / shares.sum()


def _cut(scores: np.ndarray, k: int, fill: float = -np.inf, least: bool = False) -> np.ndarray:
    if not k:
        return scores
    kept = np.argsort(scores)[:k] if least else np.argsort(scores)[-k:]
    made = np.full(len(scores), fill)
    made[kept] = scores[kept]
    return made


def _no_zero(scores: np.ndarray, t: float, k: int) -> np.ndarray:
    made = np.zeros(len(scores))
    kept = np.argsort(scores)[::-1][:k]
    made[kept] = _soft(scores / t)[kept]
    return made / made.sum() if k else made


def _torch_distribution(scores: Any, t: float, k: int) -> torch.Tensor:
    scores = torch.tensor(scores) / t
    if k:
        scores[scores < scores.topk(k).values.min()] = -torch.inf
    return scores.softmax(-1)


PROTEIN["protein.distribution"] = Answers(
    right=[lambda x, t, k: _soft(_cut(x / t, k)), _torch_distribution],
    wrong={
        "times the temperature": ("multiplied", lambda x, t, k: _soft(_cut(x * t, k))),
        "temperature last": ("after", lambda x, t, k: _soft(_cut(x, k)) / t),
        "softmax twice": ("after", lambda x, t, k: _soft(_cut(_soft(x) / t, k))),
        "no temperature": ("after", lambda x, t, k: _soft(_cut(x, k))),
        "not adding up": ("no_sum", lambda x, t, k: np.where(np.isfinite(_cut(x, k)), _soft(x / t), 0)),
        "the least likely": ("least", lambda x, t, k: _soft(_cut(x / t, k, least=True))),
        "nothing cut": ("all", lambda x, t, k: _soft(x / t)),
        "zero for what is cut": ("leak", lambda x, t, k: _soft(_cut(x / t, k, fill=0.0))),
        "0 keeps none": ("zero_k", _no_zero),
        "scores": ("scores", lambda x, t, k: x / t),
        "the kept ones alone": ("shape", lambda x, t, k: _soft(np.sort(x / t)[-max(k, 1) :])),
    },
)


def _nucleus(shares: np.ndarray, p: float, cross: bool = True) -> np.ndarray:
    order = np.argsort(-shares)
    total = np.cumsum(shares[order])
    inside = total - shares[order] < p if cross else total <= p
    made = np.zeros(len(shares))
    made[order[inside]] = shares[order[inside]]
    return made


def _norm(shares: np.ndarray) -> np.ndarray:
    return shares / max(shares.sum(), 1e-12)


def _from_below(shares: np.ndarray, p: float) -> np.ndarray:
    order = np.argsort(shares)
    before = np.cumsum(shares[order]) - shares[order]
    made = np.zeros(len(shares))
    made[order[before < p]] = shares[order[before < p]]
    return made


def _first_to_reach(shares: np.ndarray, p: float) -> np.ndarray:
    order = np.argsort(shares)[::-1]
    total = np.cumsum(shares[order])
    kept = order[: next(i for i, reached in enumerate(total) if reached >= p) + 1]
    made = np.zeros(len(shares))
    made[kept] = shares[kept] / shares[kept].sum()
    return made


def _as_they_stand(shares: np.ndarray, p: float) -> np.ndarray:
    return np.where(np.cumsum(shares) - shares < p, shares, 0)


PROTEIN["protein.top_p"] = Answers(
    right=[
        lambda s, p: _norm(_nucleus(s, p)),
        lambda s, p: TopPLogitsWarper(p)(None, torch.tensor(s).log()[None])[0].softmax(-1),
        _first_to_reach,
    ],
    wrong={
        "without the one that crosses": ("crossing", lambda s, p: _norm(_nucleus(s, p, False)) if p < 1 else s),
        "each against p": ("threshold", lambda s, p: np.where(s >= p, s, 0)),
        "each against 1 - p": ("threshold", lambda s, p: np.where(s >= 1 - p, s, 0)),
        "each against p, adding up": ("threshold", lambda s, p: _norm(np.where(s >= 1 - p, s, 0))),
        "not adding up": ("no_sum", lambda s, p: _nucleus(s, p)),
        "from the least likely": ("least", lambda s, p: _norm(_from_below(s, p))),
        "sorted": ("sorted", lambda s, p: np.sort(_norm(_nucleus(s, p)))[::-1]),
        "as they stand": ("order", lambda s, p: _norm(_as_they_stand(s, p))),
        "nothing cut": ("all", lambda s, p: s),
        "what is left alone": ("shape", lambda s, p: _norm(_nucleus(s, p)[_nucleus(s, p) > 0])),
    },
)


def _penalty(scores: np.ndarray, ids: Any, change: Any) -> np.ndarray:
    made = np.array(scores, dtype=float)
    for one in ids:
        made[one] = change(made[one])
    return made


def _on_shares(scores: np.ndarray, ids: Any, penalty: float) -> np.ndarray:
    shares = _soft(scores)
    shares[list(set(ids))] /= penalty
    return shares / shares.sum()


PROTEIN["protein.penalty"] = Answers(
    right=[
        lambda x, ids, p: _penalty(x, set(ids), lambda s: s / p if s > 0 else s * p),
        lambda x, ids, p: RepetitionPenaltyLogitsProcessor(p)(torch.tensor([ids]), torch.tensor(x)[None])[0],
    ],
    wrong={
        "all divided": ("negative", lambda x, ids, p: _penalty(x, set(ids), lambda s: s / p)),
        "taken off": ("subtracted", lambda x, ids, p: _penalty(x, set(ids), lambda s: s - p)),
        "once for each time": ("repeated", lambda x, ids, p: _penalty(x, ids, lambda s: s / p if s > 0 else s * p)),
        "every token": ("everywhere", lambda x, ids, p: np.where(x > 0, x / p, x * p)),
        "multiplied": ("rewarded", lambda x, ids, p: _penalty(x, set(ids), lambda s: s * p)),
        "turned round": ("rewarded", lambda x, ids, p: _penalty(x, set(ids), lambda s: s * p if s > 0 else s / p)),
        "forbidden": ("forbidden", lambda x, ids, p: _penalty(x, set(ids), lambda s: -np.inf)),
        "on probabilities": ("probabilities", _on_shares),
        "as they were": ("same", lambda x, ids, p: x),
    },
)


def _bits(shares: Any) -> float:
    return float(-sum(one * math.log2(one) for one in shares if one > 0))


def _plain_bits(shares: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(-(shares * np.log2(shares)).sum())


PROTEIN["protein.entropy"] = Answers(
    right=[_bits, lambda s: torch.distributions.Categorical(torch.tensor(s)).entropy() / math.log(2)],
    wrong={
        "nats": ("nats", lambda s: _bits(s) * math.log(2)),
        "below 0": ("sign", lambda s: -_bits(s)),
        "NaN": ("zeros", _plain_bits),
        "of equally likely tokens": ("most", lambda s: math.log2(len(s))),
        "how many choices": ("perplexity", lambda s: 2 ** _bits(s)),
        "not weighted": ("unweighted", lambda s: -np.log2(s[s > 0]).mean()),
        "the likeliest token": ("first", lambda s: -math.log2(max(s))),
    },
)


def _logs(logits: Any) -> np.ndarray:
    return torch.tensor(logits).log_softmax(-1).numpy()


def _surprises(logits: Any, ids: Any) -> np.ndarray:
    return -_logs(logits)[np.arange(len(ids) - 1), ids[1:]]


def _loss(logits: Any, ids: Any) -> float:
    return float(torch.nn.functional.cross_entropy(torch.tensor(logits[:-1]), torch.tensor(ids[1:])))


PROTEIN["protein.perplexity"] = Answers(
    right=[lambda x, ids: math.exp(_loss(x, ids)), lambda x, ids: np.exp(_surprises(x, ids).mean())],
    wrong={
        "not shifted": ("not_shifted", lambda x, ids: np.exp(-_logs(x)[np.arange(len(ids)), ids].mean())),
        "shifted the wrong way": (
            "other_way",
            lambda x, ids: np.exp(-_logs(x)[np.arange(1, len(ids)), ids[:-1]].mean()),
        ),
        "the sum": ("sum", lambda x, ids: np.exp(_surprises(x, ids).sum())),
        "without exp": ("nats", _loss),
        "two bases": ("base", lambda x, ids: 2 ** _loss(x, ids)),
        "mean probability": ("mean_p", lambda x, ids: 1 / np.exp(-_surprises(x, ids)).mean()),
        "divided by all tokens": ("first", lambda x, ids: np.exp(_surprises(x, ids).sum() / len(ids))),
        "below 1": ("sign", lambda x, ids: math.exp(-_loss(x, ids))),
    },
)
PROTEIN["protein.authors_text"] = Answers(
    right=[lambda s: f"{END}\n{_lines(s)}\n{END}", lambda s: "\n".join([END, *re.findall(".{1,60}", s), END])],
    wrong={
        "bare": ("bare", lambda s: s),
        "in lines": ("bare", _lines),
        "one line": ("one_line", lambda s: f"{END}\n{s}\n{END}"),
        "an empty line": ("empty_line", lambda s: f"{END}\n{_by_pattern(s)}\n{END}"),
        "a line break behind": ("empty_line", lambda s: f"{END}\n{_lines(s)}\n{END}\n"),
        "lines of 50": ("width", lambda s: f"{END}\n{_lines(s, 50)}\n{END}"),
        "no mark in front": ("no_start", lambda s: f"{_lines(s)}\n{END}"),
        "no mark behind": ("no_end", lambda s: f"{END}\n{_lines(s)}"),
        "no line breaks at the marks": ("breaks", lambda s: f"{END}{_lines(s)}{END}"),
    },
)


def _ranked(names: Any, values: Any, finished: Any) -> list[str]:
    return [name for _, name, done in sorted(zip(values, names, finished, strict=True)) if done]


PROTEIN["protein.ranking"] = Answers(
    right=[_ranked, lambda n, v, f: np.array(n)[np.argsort(v)][np.array(f)[np.argsort(v)]]],
    wrong={
        "falling": ("falling", lambda n, v, f: _ranked(n, v, f)[::-1]),
        "all of them": ("cut_off", lambda n, v, f: [name for _, name in sorted(zip(v, n, strict=True))]),
        "those cut off": ("only_cut_off", lambda n, v, f: _ranked(n, v, [not one for one in f])),
        "as they came": ("unsorted", lambda n, v, f: [name for name, done in zip(n, f, strict=True) if done]),
        "places": ("places", lambda n, v, f: [int(i) for i in np.argsort(v) if f[i]]),
        "perplexities": ("values", lambda n, v, f: sorted(x for x, done in zip(v, f, strict=True) if done)),
        "by name": ("by_name", lambda n, v, f: sorted(name for name, done in zip(n, f, strict=True) if done)),
    },
)


def _composition(sequences: Any, letters: str = TWENTY) -> dict[str, float]:
    whole = Counter("".join(sequences))
    total = sum(whole[one] for one in TWENTY)
    return {one: whole[one] / total for one in letters}


def _twenty(sequences: Any) -> int:
    return len(re.sub(f"[^{TWENTY}]", "", "".join(sequences)))


PROTEIN["protein.composition"] = Answers(
    right=[_composition, lambda s: {one: sum(x.count(one) for x in s) / _twenty(s) for one in reversed(TWENTY)}],
    wrong={
        "counts": ("counts", lambda s: {one: "".join(s).count(one) for one in TWENTY}),
        "percent": ("percent", lambda s: {key: 100 * value for key, value in _composition(s).items()}),
        "those that occur": ("missing", lambda s: {key: value for key, value in _composition(s).items() if value}),
        "the mean of each": (
            "per_sequence",
            lambda s: {one: np.mean([_composition([x])[one] for x in s]) for one in TWENTY},
        ),
        "X as a residue": (
            "denominator",
            lambda s: {one: "".join(s).count(one) / len("".join(s)) for one in TWENTY},
        ),
        "a share of X": ("extra", lambda s: _composition(s, TWENTY + "X")),
        "the first protein": ("first", lambda s: _composition(s[:1])),
        "a list": ("kind", lambda s: list(_composition(s).values())),
    },
)


def _shuffled(sequence: str, seed: Any, start: int = 1) -> str:
    rest = list(sequence[start:])
    random.Random(seed).shuffle(rest)
    return sequence[:start] + "".join(rest)


def _in_words(sequence: str, seed: int) -> str:
    rest = [sequence[i : i + 12] for i in range(1, len(sequence), 12)]
    random.Random(seed).shuffle(rest)
    return sequence[0] + "".join(rest)


def _drawn(sequence: str, seed: int) -> str:
    return "M" + "".join(random.Random(seed).choices(sequence[1:], k=len(sequence) - 1))


PROTEIN["protein.shuffled"] = Answers(
    right=[_shuffled, lambda s, seed: s[0] + "".join(np.random.default_rng(seed).permutation(list(s[1:])))],
    wrong={
        "drawn anew": ("drawn", _drawn),
        "backwards": ("reversed", lambda s, seed: s[::-1]),
        "as it was": ("same", lambda s, seed: s),
        "M moved": ("start", lambda s, seed: _shuffled(s, seed, 0)),
        "no seed": ("unseeded", lambda s, seed: _shuffled(s, random.randrange(10**9))),
        "one seed": ("one_seed", lambda s, seed: _shuffled(s, 1)),
        "pieces": ("words", _in_words),
        "a list": ("list", lambda s, seed: list(_shuffled(s, seed))),
    },
)


def _pairs(a: str, b: str) -> list[tuple[str, str]]:
    return [(x, y) for x, y in zip(a, b, strict=True) if "-" not in (x, y)]


def _same(pairs: Any) -> int:
    return sum(x == y for x, y in pairs)


def _residues(aligned: str) -> int:
    return len(aligned.replace("-", ""))


def _by_arrays(a: str, b: str) -> float:
    x, y = np.array(list(a)), np.array(list(b))
    both = (x != "-") & (y != "-")
    return (x[both] == y[both]).mean()


def _without_gaps(a: str, b: str) -> float:
    pairs = list(zip(a.replace("-", ""), b.replace("-", ""), strict=False))
    return _same(pairs) / len(pairs)


PROTEIN["protein.identity"] = Answers(
    right=[lambda a, b: _same(_pairs(a, b)) / len(_pairs(a, b)), _by_arrays],
    wrong={
        "percent": ("percent", lambda a, b: 100 * _same(_pairs(a, b)) / len(_pairs(a, b))),
        "all columns": ("columns", lambda a, b: _same(_pairs(a, b)) / len(a)),
        "gaps alike": ("gaps", lambda a, b: _same(zip(a, b, strict=True)) / len(a)),
        "residues of the first": ("shorter", lambda a, b: _same(_pairs(a, b)) / len(a.replace("-", ""))),
        "residues of the longer": ("shorter", lambda a, b: _same(_pairs(a, b)) / max(map(_residues, (a, b)))),
        "how many": ("number", lambda a, b: _same(_pairs(a, b))),
        "letters in both": ("letters", lambda a, b: len(set(a) & set(b)) / len(set(a) | set(b))),
        "gaps out first": ("ungapped", _without_gaps),
    },
)


def _fasta(names: Any, sequences: Any, head: str = ">", between: str = "\n", width: int = 60) -> str:
    return between.join(f"{head}{n}\n{_lines(s, width)}" for n, s in zip(names, sequences, strict=True))


PROTEIN["protein.fasta"] = Answers(
    right=[_fasta, lambda n, s: _fasta(n, s) + "\n", lambda n, s: _fasta(n, s, width=80)],
    wrong={
        "no >": ("mark", lambda n, s: _fasta(n, s, head="")),
        "a space": ("space", lambda n, s: _fasta(n, s, head="> ")),
        "one long line": ("one_line", lambda n, s: _fasta(n, s, width=10_000)),
        "name and residues in one line": (
            "same_line",
            lambda n, s: "\n".join(f">{a} {b}" for a, b in zip(n, s, strict=True)),
        ),
        "one name for all": ("names", lambda n, s: _fasta(["design"] * len(n), s)),
        "blank lines": ("blank", lambda n, s: _fasta(n, s, between="\n\n")),
        "an empty line behind a full one": (
            "blank",
            lambda n, s: "\n".join(f">{a}\n{_by_pattern(b)}" for a, b in zip(n, s, strict=True)),
        ),
        "a list": ("list", lambda n, s: _fasta(n, s).split("\n")),
        "the first": ("first", lambda n, s: _fasta(n[:1], s[:1])),
    },
)


def _job(name: str, sequence: str, seed: int, msa: bool = False, **other: Any) -> dict[str, Any]:
    bare = {} if msa else {"unpairedMsa": "", "pairedMsa": "", "templates": []}
    protein = {"id": other.pop("id", "A"), "sequence": other.pop("written", sequence), **bare}
    job = {
        "name": name, "modelSeeds": [seed], "sequences": [{"protein": protein}], "dialect": "alphafold3", "version": 1,
    }  # fmt: skip
    return {key: value for key, value in {**job, **other}.items() if value is not None}


PROTEIN["protein.alphafold"] = Answers(
    right=[_job, lambda *given: _job(*given, id=["A"], version=2)],
    wrong={
        "JSON": ("text", lambda *given: json.dumps(_job(*given))),
        "a list around it": ("list", lambda *given: [_job(*given)]),
        "no dialect": ("dialect", lambda *given: _job(*given, dialect=None)),
        "version as text": ("dialect", lambda *given: _job(*given, version="1")),
        "a seed without a list": ("seeds", lambda *given: _job(*given, modelSeeds=given[2])),
        "no seed": ("seeds", lambda *given: _job(*given, modelSeeds=[])),
        "small chain": ("chain", lambda *given: _job(*given, id="a")),
        "line breaks in it": ("sequence", lambda *given: _job(*given, written=_lines(given[1]))),
        "a sequence by itself": ("sequence", lambda *given: _job(*given, sequences=[given[1]])),
        "looks for relatives": ("msa", lambda *given: _job(*given, msa=True)),
        "another name": ("name", lambda *given: _job(*given) | {"name": "job"}),
    },
)
_LETTERS = {
    "protein.q.decoder": "B", "protein.q.temperature": "D", "protein.q.cut_off": "A", "protein.q.low_perplexity": "E",
    "protein.q.novel": "C", "protein.q.responsible": "B", "protein.q.defaults": "D", "protein.q.begins": "C",
    "protein.q.natural_like": "A", "protein.q.beside": "E",
}  # fmt: skip
for _name, _right in _LETTERS.items():
    PROTEIN[_name] = Answers(
        right=[_right, f" {_right.lower()}. "],
        wrong={f"letter {one}": (one, one) for one in "ABCDE" if one != _right}
        | {"two letters": ("letter", "AB"), "a list": ("kind", ["A"])},
    )
