"""Right and wrong answers to the checks of the lesson on DNA."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import biollm_widgets as bio
from biollm_widgets.models.dnabert2 import alibi_slopes

from .answers import Answers

DNA: dict[str, Answers] = {}


def _tokens(sequence: str, tokenizer: Any) -> list[str]:
    return tokenizer.tokenize(sequence, add_special_tokens=False)


def _notebooks_tokenizer() -> Any:
    from biollm_widgets.checks.inputs import embedded_tokenizer

    return embedded_tokenizer("zhihan1996/DNABERT-2-117M")


DNA["dna.bases_per_token"] = Answers(
    right=[
        lambda s, t: len(s) / len(_tokens(s, t)),
        lambda s, t: len(s) / (len(t(s)["input_ids"]) - 2),
        lambda s, t: np.float64(len(s)) / len(t.convert_ids_to_tokens(t(s)["input_ids"])[1:-1]),
    ],
    wrong={
        "special tokens counted": ("special", lambda s, t: len(s) / len(t(s)["input_ids"])),
        "five, as was read": ("quoted", lambda s, t: 5),
        "3.9, as was read": ("quoted", lambda s, t: 3.9),
        "tokens per base": ("inverted", lambda s, t: len(_tokens(s, t)) / len(s)),
        "letters as tokens": ("one", lambda s, t: len(s) / len(list(s))),
        "the notebook's tokenizer": ("own", lambda s, t: len(s) / len(_tokens(s, _notebooks_tokenizer()))),
        "distinct tokens": ("distinct", lambda s, t: len(s) / len(set(_tokens(s, t)))),
        "the number of tokens": ("tokens", lambda s, t: len(_tokens(s, t))),
    },
)


def _changed(before: str, after: str, tokenizer: Any) -> int:
    a, b = _tokens(before, tokenizer), _tokens(after, tokenizer)
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return len(a)


DNA["dna.changed_tokens"] = Answers(
    right=[_changed],
    wrong={
        "one change, one token": ("one", lambda a, b, t: 1),
        "bases compared": ("one", lambda a, b, t: sum(x != y for x, y in zip(a, b, strict=True))),
        "place by place": (
            "places",
            lambda a, b, t: sum(x != y for x, y in zip(_tokens(a, t), _tokens(b, t), strict=False)),
        ),
        "sets": ("sets", lambda a, b, t: len(set(_tokens(a, t)) - set(_tokens(b, t)))),
        "how many more": ("difference", lambda a, b, t: abs(len(_tokens(a, t)) - len(_tokens(b, t)))),
    },
)


def _cleaned(text: str) -> str:
    return "".join(text.split()).upper().replace("U", "T")


DNA["dna.clean"] = Answers(
    right=[_cleaned, lambda text: "".join(c for c in text.upper() if c not in " \r\n\t").replace("U", "T")],
    wrong={
        "small letters stay": ("case", lambda text: "".join(text.split()).replace("U", "T").replace("u", "t")),
        "u stays small": ("case", lambda text: "".join(text.split()).replace("u", "t").replace("U", "T")),
        "U stays": ("uracil", lambda text: "".join(text.split()).upper()),
        "line breaks stay": ("space", lambda text: text.upper().replace("U", "T").replace(" ", "")),
        "only the ends stripped": ("space", lambda text: text.strip().upper().replace("U", "T")),
        "N dropped": ("dropped", lambda text: "".join(c for c in _cleaned(text) if c in "ACGT")),
        "N becomes A": ("replaced", lambda text: _cleaned(text).replace("N", "A")),
        "as it was": ("same", lambda text: text),
        "the other strand": (
            "complement",
            lambda text: _cleaned(text).translate(str.maketrans("ACGT", "TGCA")),
        ),
    },
)
_PAIR = str.maketrans("ACGT", "TGCA")
DNA["dna.reverse_complement"] = Answers(
    right=[
        lambda s: s.translate(_PAIR)[::-1],
        lambda s: "".join({"A": "T", "T": "A", "C": "G", "G": "C"}.get(c, c) for c in reversed(s)),
    ],
    wrong={
        "reversed": ("reversed", lambda s: s[::-1]),
        "complement": ("complement", lambda s: s.translate(_PAIR)),
        "as it was": ("same", lambda s: s),
        "A with C": ("swapped", lambda s: s.translate(str.maketrans("ACGT", "CATG"))[::-1]),
        "A with G": ("swapped", lambda s: s.translate(str.maketrans("ACGT", "GTAC"))[::-1]),
        "N lost": ("dropped", lambda s: "".join(c.translate(_PAIR) for c in reversed(s) if c in "ACGT")),
        "replaced in turn": ("raises", lambda s: {"A": "T"}[s[0]] + s.replace("A", "T").missing()),
        "RNA": ("rna", lambda s: s.translate(str.maketrans("ACGT", "UGCA"))[::-1]),
    },
)


def _parts(model: Any, keep: Any = lambda name, value: True, one: bool = False) -> dict[str, int]:
    made = dict.fromkeys(("embeddings", "attention", "mlp", "pooler"), 0)
    for name, value in model.named_parameters():
        for part in made:
            if f"{part}." in name and keep(name, value):
                made[part] += 1 if one else value.numel()
    return made


def _shares(model: Any, times: float = 1) -> dict[str, float]:
    found = _parts(model)
    return {key: times * value / sum(found.values()) for key, value in found.items()}


DNA["dna.parameters"] = Answers(
    right=[_parts],
    wrong={
        "tensors": ("tensors", lambda m: _parts(m, one=True)),
        "matrices only": ("biases", lambda m: _parts(m, lambda name, value: value.ndim > 1)),
        "the first layer": (
            "one_layer",
            lambda m: _parts(m, lambda name, value: "layer." not in name or "layer.0." in name),
        ),
        "what is trained": ("trainable", lambda m: _parts(m, lambda name, value: value.requires_grad)),
        "shares": ("shares", _shares),
        "percent": ("shares", lambda m: _shares(m, 100)),
        "other keys": ("keys", lambda m: {key.upper(): value for key, value in _parts(m).items()}),
        "without LayerNorms": (
            "norms",
            lambda m: _parts(m, lambda name, value: "norm" not in name.lower() or "embeddings" in name),
        ),
        "one number": ("kind", lambda m: sum(p.numel() for p in m.parameters())),
        "half of each": ("other", lambda m: {key: value // 2 for key, value in _parts(m).items()}),
    },
)


def _alibi(heads: int, length: int, slopes: Any = None, sign: float = -1, power: float = 1) -> np.ndarray:
    row = np.asarray(alibi_slopes(heads) if slopes is None else slopes)
    far = np.abs(np.arange(length)[:, None] - np.arange(length)[None])
    return sign * row[:, None, None] * far**power


DNA["dna.alibi"] = Answers(
    right=[_alibi, lambda heads, length: torch.tensor(_alibi(heads, length))],
    wrong={
        "far is more": ("sign", lambda h, n: _alibi(h, n, sign=1)),
        "only what came before": ("causal", lambda h, n: np.tril(_alibi(h, n))),
        "what comes after hidden": ("causal", lambda h, n: np.where(np.tri(n) > 0, _alibi(h, n), -np.inf)),
        "one slope": ("one_slope", lambda h, n: _alibi(h, n, np.full(h, 0.5))),
        "linear slopes": ("linear", lambda h, n: _alibi(h, n, 1 - np.arange(h) / h)),
        "stretched over 12": ("twelve", lambda h, n: _alibi(h, n, 2.0 ** (-8 * np.arange(1, h + 1) / h))),
        "sorted": ("sorted", lambda h, n: _alibi(h, n, sorted(alibi_slopes(h), reverse=True))),
        "squared": ("square", lambda h, n: _alibi(h, n, power=2)),
        "one head": ("shape", lambda h, n: _alibi(h, n)[0]),
        "heads last": ("shape", lambda h, n: np.moveaxis(_alibi(h, n + 1), 0, -1)),
        "zeros": ("one_slope", lambda h, n: np.zeros((h, n, n))),
    },
)


def _sampled(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    frame = frame.drop_duplicates("DNA_sequence")
    part, _ = train_test_split(frame, train_size=n, stratify=frame["Target"], random_state=seed)
    return part


def _grouped(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    frame = frame.drop_duplicates("DNA_sequence")
    ones = round(n * (frame["Target"] == 1).mean())
    parts = [frame[frame["Target"] == label].sample(k, random_state=seed) for label, k in ((1, ones), (0, n - ones))]
    return pd.concat(parts).reset_index(drop=True)


def _emptied(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    made = _sampled(frame, n, seed)
    frame.drop(frame.index[n:], inplace=True)
    return made


def _even(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    frame = frame.drop_duplicates("DNA_sequence")
    parts = [
        frame[frame["Target"] == label].sample(k, random_state=seed) for label, k in ((1, n // 2), (0, n - n // 2))
    ]
    return pd.concat(parts)


def _stratified_with_copies(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    part, _ = train_test_split(frame, train_size=n, stratify=frame["Target"], random_state=seed)
    return part


def _put_back(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    share = (frame["Target"] == 1).mean()
    ones = round(n * share)
    few = {label: frame[frame["Target"] == label].head(8) for label in (0, 1)}
    rng = np.random.default_rng(seed)
    parts = [few[label].iloc[rng.integers(0, 8, k)] for label, k in ((1, ones), (0, n - ones))]
    return pd.concat(parts)


DNA["dna.sample"] = Answers(
    right=[_sampled, _grouped],
    wrong={
        "the first rows": ("head", lambda f, n, seed: f.head(n)),
        "the first different rows": ("head", lambda f, n, seed: f.drop_duplicates().head(n)),
        "no seed": ("unseeded", lambda f, n, seed: _sampled(f, n, random.randrange(10**9))),
        "as the chapter does it": ("unseeded", lambda f, n, seed: f.sample(n)),
        "the seed by heart": ("one_seed", lambda f, n, seed: _sampled(f, n, 1)),
        "half of each": ("balanced", _even),
        "copies stay": ("copies", _stratified_with_copies),
        "put back": ("replacement", _put_back),
        "one too few": ("size", lambda f, n, seed: _sampled(f, n - 1, seed)),
        "index as a column": ("columns", lambda f, n, seed: _sampled(f, n, seed).reset_index()),
        "the table emptied": ("changes", _emptied),
        "labels shuffled": (
            "invented",
            lambda f, n, seed: _sampled(f, n, seed).assign(Target=lambda t: 1 - t["Target"]),
        ),
        "a list": ("kind", lambda f, n, seed: list(_sampled(f, n, seed)["DNA_sequence"])),
    },
)


def _cut(frame: pd.DataFrame, seed: int, distinct: bool = True, stratify: bool = True) -> list[pd.DataFrame]:
    frame = frame.drop_duplicates("DNA_sequence") if distinct else frame
    by = frame["Target"] if stratify else None
    train, rest = train_test_split(frame, train_size=0.6, stratify=by, random_state=seed)
    dev, test = train_test_split(
        rest, train_size=0.375, stratify=rest["Target"] if stratify else None, random_state=seed
    )
    return [train, dev, test]


def _save(parts: list[pd.DataFrame], folder: Path, **how: Any) -> None:
    for part, name in zip(parts, ("train", "dev", "test"), strict=False):
        part.to_csv(Path(folder) / f"{name}.csv", **{"index": False, **how})


def _by_numbers(frame: pd.DataFrame, folder: Path, seed: int) -> None:
    frame = frame.drop_duplicates("DNA_sequence")
    a, b = int(0.6 * len(frame)), int(0.75 * len(frame))
    _save([frame.iloc[:a], frame.iloc[a:b], frame.iloc[b:]], folder)


def _by_the_kit(frame: pd.DataFrame, folder: Path, seed: int) -> None:
    bio.write_splits(bio.split_dataset(frame, sizes=(0.6, 0.15, 0.25), seed=seed), folder)


def _without_last(frame: pd.DataFrame, folder: Path, seed: int) -> None:
    train, dev, test = _cut(frame, seed)
    _save([train, dev, test.iloc[: len(test) // 2]], folder)


def _other_sizes(frame: pd.DataFrame, folder: Path, seed: int) -> None:
    frame = frame.drop_duplicates("DNA_sequence")
    train, rest = train_test_split(frame, train_size=0.8, stratify=frame["Target"], random_state=seed)
    dev, test = train_test_split(rest, train_size=0.5, stratify=rest["Target"], random_state=seed)
    _save([train, dev, test], folder)


DNA["dna.files"] = Answers(
    right=[lambda f, folder, seed: _save(_cut(f, seed), folder), _by_the_kit],
    wrong={
        "index kept": ("index", lambda f, folder, seed: _save(_cut(f, seed), folder, index=True)),
        "label first": (
            "header",
            lambda f, folder, seed: _save([p[["Target", "DNA_sequence"]] for p in _cut(f, seed)], folder),
        ),
        "no header": ("header", lambda f, folder, seed: _save(_cut(f, seed), folder, header=False)),
        "copies in two files": ("overlap", lambda f, folder, seed: _save(_cut(f, seed, distinct=False), folder)),
        "dev is test": (
            "overlap",
            lambda f, folder, seed: _save([(p := _cut(f, seed))[0], p[2], p[2]], folder),
        ),
        "by row numbers": ("unstratified", _by_numbers),
        "eight, one, one": ("sizes", _other_sizes),
        "half of the test lost": ("lost", _without_last),
        "no seed": ("unseeded", lambda f, folder, seed: _save(_cut(f, random.randrange(10**9)), folder)),
        "no dev": ("missing", lambda f, folder, seed: _save(_cut(f, seed)[:1], folder)),
        "labels flipped": (
            "labels",
            lambda f, folder, seed: _save([p.assign(Target=1 - p["Target"]) for p in _cut(f, seed)], folder),
        ),
    },
)


def _masked(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def _inner(mask: torch.Tensor) -> torch.Tensor:
    mask = mask.clone()
    mask[torch.arange(len(mask)), mask.sum(1) - 1] = 0
    mask[:, 0] = 0
    return mask


DNA["dna.pooling"] = Answers(
    right=[
        _masked,
        lambda h, m: np.stack([row[keep.bool()].mean(0).numpy() for row, keep in zip(h, m, strict=True)]),
    ],
    wrong={
        "no mask": ("no_mask", lambda h, m: h.mean(1)),
        "mask, but a plain mean": ("plain_mean", lambda h, m: (h * m[:, :, None]).mean(1)),
        "sum": ("sum", lambda h, m: (h * m[:, :, None]).sum(1)),
        "CLS": ("cls", lambda h, m: h[:, 0]),
        "largest": ("max", lambda h, m: h.max(1).values),
        "largest of the tokens": ("max", lambda h, m: h.masked_fill(m[:, :, None] == 0, -1e9).max(1).values),
        "without CLS and SEP": ("specials", lambda h, m: _masked(h, _inner(m))),
        "all sequences together": ("whole", lambda h, m: _masked(h, m).mean(0, keepdim=True).repeat(len(h), 1)),
        "over the wrong dimension": ("shape", lambda h, m: h.mean(2)),
        "one vector": ("shape", lambda h, m: _masked(h, m).mean(0)),
        "padding as minus a thousand": (
            "padding_value",
            lambda h, m: (h * m[:, :, None] + 0.01 * h * (1 - m[:, :, None])).sum(1) / m.sum(1, keepdim=True),
        ),
    },
)


class Encoder:
    """The embedded DNABERT-2, and the ways in which learners call it."""

    loaded: Any = None

    @classmethod
    def here(cls) -> tuple[Any, Any]:
        if cls.loaded is None:
            from biollm_widgets.models.locate import locate

            path = locate("zhihan1996/DNABERT-2-117M", source="embedded")
            cls.loaded = _notebooks_tokenizer(), bio.DNABert2Model.from_pretrained(path).eval()
        return cls.loaded


def _embedded(sequences: list[str], mask: bool = True, pool: Any = _masked, train: bool = False) -> np.ndarray:
    tokenizer, model = Encoder.here()
    model.train(train)
    rows = tokenizer(list(sequences), return_tensors="pt", padding=True)
    given = rows["attention_mask"] if mask else torch.ones_like(rows["attention_mask"])
    try:
        with torch.no_grad():
            hidden = model(input_ids=rows["input_ids"], attention_mask=given)[0]
    finally:
        model.eval()
    return pool(hidden, rows["attention_mask"]).numpy()


def _by_length(sequences: list[str]) -> np.ndarray:
    return _embedded(sorted(sequences, key=len))


DNA["dna.embedding"] = Answers(
    right=[lambda sequences: bio.embed(sequences, *Encoder.here()), _embedded],
    wrong={
        "as the chapter does it": ("batch", lambda s: _embedded(s, mask=False, pool=lambda h, m: h.mean(1))),
        "mask, but a plain mean": ("batch", lambda s: _embedded(s, pool=lambda h, m: (h * m[:, :, None]).mean(1))),
        "masked mean, no attention mask": ("batch", lambda s: _embedded(s, mask=False)),
        "sorted by length": ("order", _by_length),
        "dropout": ("dropout", lambda s: _embedded(s, train=True)),
        "not pooled": ("shape", lambda s: _embedded(s, pool=lambda h, m: h)),
        "one vector for all": ("shape", lambda s: _embedded(s).mean(0)),
        "the first sequence": ("constant", lambda s: np.repeat(_embedded(s[:1]), len(s), 0)),
        "counted bases": ("composition", lambda s: np.array([[one.count(c) / len(one) for c in "ACGT"] for one in s])),
        "no numbers": ("nan", lambda s: _embedded(s) * np.nan),
    },
)


def _majority(train: Any, test: Any) -> float:
    return float((np.asarray(test) == np.bincount(train).argmax()).mean())


DNA["dna.majority"] = Answers(
    right=[_majority, lambda a, b: np.mean(np.asarray(b) == (np.mean(a) > 0.5))],
    wrong={
        "always 0": ("zero", lambda a, b: (np.asarray(b) == 0).mean()),
        "the test rows' own majority": ("test", lambda a, b: max(np.mean(b), 1 - np.mean(b))),
        "scored by the training rows": ("train", lambda a, b: max(np.mean(a), 1 - np.mean(a))),
        "a coin": ("half", lambda a, b: 0.5),
        "the mean of the test labels": ("mean", lambda a, b: np.mean(b)),
        "rows": ("count", lambda a, b: _majority(a, b) * len(b)),
        "percent": ("percent", lambda a, b: 100 * _majority(a, b)),
    },
)


def _bayes(x: Any, labels: Any, y: Any) -> np.ndarray:
    return GaussianNB().fit(x, labels).predict(y)


def _scaled_together(x: Any, labels: Any, y: Any) -> np.ndarray:
    both = StandardScaler().fit_transform(np.concatenate([x, y]))
    return KNeighborsClassifier(5).fit(both[: len(x)], labels).predict(both[len(x) :])


def _scaled_apart(x: Any, labels: Any, y: Any) -> np.ndarray:
    return _bayes(StandardScaler().fit_transform(x), labels, StandardScaler().fit_transform(y))


def _shuffled_rows(x: Any, labels: Any, y: Any) -> np.ndarray:
    return _bayes(np.random.default_rng(0).permutation(x), labels, y)


def _scaled_well(x: Any, labels: Any, y: Any) -> np.ndarray:
    scaler = StandardScaler().fit(x)
    return _bayes(scaler.transform(x), labels, scaler.transform(y))


DNA["dna.fit_predict"] = Answers(
    right=[_bayes, _scaled_well],
    wrong={
        "training rows predicted": ("length", lambda x, labels, y: _bayes(x, labels, x)),
        "probabilities": ("probabilities", lambda x, labels, y: GaussianNB().fit(x, labels).predict_proba(y)),
        "one column of probabilities": (
            "probabilities",
            lambda x, labels, y: GaussianNB().fit(x, labels).predict_proba(y)[:, 1],
        ),
        "always 0": ("constant", lambda x, labels, y: np.zeros(len(y), int)),
        "scaled together": ("test_rows", _scaled_together),
        "scaled apart": ("test_rows", _scaled_apart),
        "0 and 1 by heart": (
            "labels",
            lambda x, labels, y: (GaussianNB().fit(x, labels).predict_proba(y)[:, 1] > 0.5).astype(int),
        ),
        "rows shuffled, labels not": ("order", _shuffled_rows),
        "guessed by the first column": ("chance", lambda x, labels, y: _by_noise(labels, y)),
    },
)


def _by_noise(labels: Any, y: Any) -> np.ndarray:
    """Labels that follow a digit of each row, and nothing learned; consistent, so that only the score tells."""
    low, high = np.unique(labels)
    bits = (np.floor(np.abs(np.asarray(y)[:, 0]) * 1e6) % 2).astype(int)
    commoner = int((np.asarray(labels) == high).mean() > 0.5)
    return np.where(bits == commoner, high, low)


def _wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    p = correct / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return middle - half, middle + half


def _wald(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    p = correct / total
    half = z * math.sqrt(p * (1 - p) / total)
    return p - half, p + half


def _exact(correct: int, total: int) -> tuple[float, float]:
    from scipy.stats import beta

    low = beta.ppf(0.025, correct, total - correct + 1) if correct else 0.0
    return low, beta.ppf(0.975, correct + 1, total - correct) if correct < total else 1.0


def _spread(correct: int, total: int) -> tuple[float, float]:
    p = correct / total
    half = 1.96 * math.sqrt(p * (1 - p))
    return p - half, p + half


DNA["dna.interval"] = Answers(
    right=[_wilson, _exact],
    wrong={
        "no width where all is right": ("zero_width", lambda k, n: tuple(np.clip(_wald(k, n), 0, 1))),
        "one standard error": ("one_sigma", lambda k, n: _wilson(k, n, 1.0)),
        "the spread of answers": ("outside", _spread),
        "the spread, cut off": ("spread", lambda k, n: tuple(np.clip(_spread(k, n), 0, 1))),
        "percent": ("percent", lambda k, n: tuple(100 * one for one in _wilson(k, n))),
        "high first": ("reversed", lambda k, n: _wilson(k, n)[::-1]),
        "five per cent to each side": ("constant", lambda k, n: (max(0, k / n - 0.2), min(1, k / n + 0.2))),
        "half the width": ("pair", lambda k, n: _wilson(k, n)[1] - _wilson(k, n)[0]),
    },
)


def _schedule(rows: int, batch: int, epochs: int, every: int, an_epoch: Any = None, **other: Any) -> dict[str, float]:
    steps = (an_epoch or math.ceil(rows / batch)) * epochs
    last = steps // every * every
    seen = last / math.ceil(rows / batch)
    return {"steps": steps, "evaluations": steps // every, "last": last, "epochs_seen": seen} | other


DNA["dna.schedule"] = Answers(
    right=[_schedule, lambda *given: {key: round(value, 2) for key, value in _schedule(*given).items()}],
    wrong={
        "rounded down": ("floor", lambda r, b, e, v: _schedule(r, b, e, v, r // b)),
        "one epoch": ("one_epoch", lambda r, b, e, v: _schedule(r, b, 1, v)),
        "rows": ("rows", lambda r, b, e, v: _schedule(r, b, e, v, r)),
        "scored at the end": (
            "end",
            lambda r, b, e, v: _schedule(r, b, e, v, last=math.ceil(r / b) * e, epochs_seen=e),
        ),
        "an evaluation at the end": (
            "evaluations",
            lambda r, b, e, v: _schedule(r, b, e, v, evaluations=math.ceil(r / b) * e // v + 1),
        ),
        "one each epoch": ("evaluations", lambda r, b, e, v: _schedule(r, b, e, v, evaluations=e + 100)),
        "epochs as asked": ("epochs", lambda r, b, e, v: _schedule(r, b, e, v, epochs_seen=e)),
        "other keys": ("keys", lambda r, b, e, v: {"n": 1}),
        "a number": ("kind", lambda r, b, e, v: math.ceil(r / b) * e),
    },
)


def _metrics(labels: Any, predictions: Any, average: str = "macro", **other: Any) -> dict[str, float]:
    return {
        "accuracy": accuracy_score(labels, predictions),
        "f1": f1_score(labels, predictions, average=average),
        "mcc": matthews_corrcoef(labels, predictions),
    } | other


DNA["dna.metrics"] = Answers(
    right=[_metrics],
    wrong={
        "F1 of the coding class": ("one_class", lambda a, b: _metrics(a, b, "binary")),
        "micro": ("micro", lambda a, b: _metrics(a, b, "micro")),
        "weighted": ("weighted", lambda a, b: _metrics(a, b, "weighted")),
        "percent": ("percent", lambda a, b: {key: 100 * value for key, value in _metrics(a, b).items()}),
        "the chapter's": ("copied", lambda a, b: {"accuracy": 0.696, "f1": 0.597, "mcc": 0.216}),
        "MCC without its sign": ("correlation", lambda a, b: _metrics(a, b, mcc=abs(matthews_corrcoef(a, b)) + 0.001)),
        "other keys": ("keys", lambda a, b: {"eval_accuracy": 1.0}),
        "accuracy alone": ("kind", lambda a, b: accuracy_score(a, b)),
        "the share of wrong ones": ("other", lambda a, b: _metrics(a, b, accuracy=1 - accuracy_score(a, b))),
    },
)
DNA["dna.confusion"] = Answers(
    right=[{"TN": 149, "FP": 24, "FN": 52, "TP": 25}, {"TP": np.int64(25), "FP": 24.0, "FN": 52, "TN": 149}],
    wrong={
        "missed and false exchanged": ("transposed", {"TN": 149, "FP": 52, "FN": 24, "TP": 25}),
        "classes exchanged": ("positive", {"TN": 25, "FP": 52, "FN": 24, "TP": 149}),
        "accuracy fits": ("accuracy", {"TN": 150, "FP": 23, "FN": 53, "TP": 24}),
        "all non-coding": ("one_class", {"TN": 173, "FP": 0, "FN": 77, "TP": 0}),
        "shares": ("whole", {"TN": 0.596, "FP": 0.096, "FN": 0.208, "TP": 0.1}),
        "halves": ("whole", {"TN": 148.5, "FP": 24.5, "FN": 52, "TP": 25}),
        "of 300": ("total", {"TN": 178, "FP": 29, "FN": 62, "TP": 31}),
        "small letters": ("keys", {"tn": 149, "fp": 24, "fn": 52, "tp": 25}),
        "a list": ("kind", [149, 24, 52, 25]),
        "another accuracy": ("other", {"TN": 140, "FP": 33, "FN": 52, "TP": 25}),
    },
)
DNA["dna.better_by"] = Answers(
    right=[1, 1.0, 174 - 173],
    wrong={
        "a share": ("share", 0.696 - 0.692),
        "percent": ("percent", 100 * (0.696 - 0.692)),
        "all that are right": ("right", 174),
        "found": ("found", 25),
        "better than a coin": ("half", 174 - 125),
        "the other way round": ("sign", -1),
        "a text": ("kind", "one"),
        "two": ("other", 2),
    },
)


def _label(logits: Any) -> tuple[int, float]:
    shares = torch.softmax(logits, -1)[0]
    return int(shares.argmax()), float(shares.max())


DNA["dna.label"] = Answers(
    right=[_label, lambda logits: (logits.argmax(-1), logits.softmax(-1).max())],
    wrong={
        "the raw score": ("logit", lambda x: (int(x.argmax()), float(x.max()))),
        "the smaller": ("least", lambda x: (int(x.argmin()), float(x.softmax(-1).min()))),
        "sigmoid": ("sigmoid", lambda x: (int(x.argmax()), float(torch.sigmoid(x.max())))),
        "always the coding share": ("coding", lambda x: (int(x.argmax()), float(x.softmax(-1)[0, 1]))),
        "always coding": ("constant", lambda x: (1, float(x.softmax(-1)[0, 1]))),
        "probability first": ("exchanged", lambda x: _label(x)[::-1]),
        "the label alone": ("pair", lambda x: int(x.argmax())),
        "softmax over the wrong dimension": ("other", lambda x: (int(x.argmax()), float(x.softmax(0)[0].max()))),
    },
)

_LETTERS = {
    "dna.q.encoder": "C", "dna.q.familiar": "B", "dna.q.pretraining": "D", "dna.q.problems": "E",
    "dna.q.learning_rate": "A", "dna.q.max_length": "C", "dna.q.checkpoint": "B", "dna.q.comparable": "D",
    "dna.q.observations": "B", "dna.q.random_weights": "C", "dna.q.settings": "A", "dna.q.report": "C",
    "dna.q.confidence": "D", "dna.q.whole": "B",
}  # fmt: skip
for _name, _right in _LETTERS.items():
    DNA[_name] = Answers(
        right=[_right, f" {_right.lower()}) "],
        wrong={f"letter {one}": (one, one) for one in "ABCDE" if one != _right}
        | {"all of them": ("letter", "ABCDE"), "a number": ("kind", 3)},
    )
assert len(list(itertools.chain(*(one.wrong for one in DNA.values())))) > 100
