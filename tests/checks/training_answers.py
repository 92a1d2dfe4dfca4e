"""Answers to the checks of a training: loops with one thing wrong in each, and what is told of one's own run."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from .answers import Answers

loss_of = nn.functional.cross_entropy


def _loop(
    network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int, *, rate: float = 0.01, batch: int = 8,
    step: bool = True, back: bool = True, clear: bool = True, first: bool = False, dropout: bool = True,
    end: bool = True, ask: bool = True, parameters: Any = None, optimizer: Any = torch.optim.AdamW,
) -> Tensor:  # fmt: skip
    moving = optimizer(list(network.parameters()) if parameters is None else parameters, lr=rate)
    network.train(dropout)
    for _ in range(epochs):
        for number, some in enumerate(torch.randperm(len(rows)).split(batch) if not first else [torch.arange(batch)]):
            assert number < len(rows)
            loss = loss_of(network(rows[some]), labels[some])
            if clear:
                moving.zero_grad()
            if back:
                loss.backward()
            if step:
                moving.step()
    if end:
        network.eval()
    if not ask:
        return others
    with torch.no_grad():
        return network(others).argmax(dim=1)


def _loader(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> list[int]:
    moving = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network.train()
    for _ in range(epochs):
        for some, right in DataLoader(TensorDataset(rows, labels), batch_size=16, shuffle=True):
            loss_of(network(some), right).backward()
            moving.step()
            moving.zero_grad()
    network.eval()
    return network(others).argmax(-1).tolist()


def _by_hand(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Any:
    network.train()
    for _ in range(epochs):
        for start in range(0, len(rows), 10):
            loss_of(network(rows[start : start + 10]), labels[start : start + 10]).backward()
            with torch.no_grad():
                for value in network.parameters():
                    value -= 0.1 * value.grad
                    value.grad = None
    network.eval()
    return network(others).detach().numpy().argmax(1)


def _gathered(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    """Two batches to a step, and the test rows beside them without a part in the loss."""
    moving = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(epochs):
        for some in torch.randperm(len(rows)).split(8):
            for half in some.split(4):
                scores = network.train()(torch.cat([rows[half], others[:4]]))[: len(half)]
                (loss_of(scores, labels[half]) / 2).backward()
            moving.step()
            moving.zero_grad()
    return network.eval()(others).argmax(1)


def _row_by_row(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> list[int]:
    """Not even batches: a row has one dimension; dropout is off in between, to see how it goes, and on again."""
    moving = torch.optim.SGD(network.parameters(), lr=0.02)
    for _ in range(epochs):
        network.train()
        for row, label in zip(rows, labels, strict=True):
            moving.zero_grad()
            loss_of(network(row), label).backward()
            moving.step()
        network.eval()
        loss_of(network(rows), labels)
    return [int(network(row).argmax()) for row in others]


def _margin(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    """A loss that many rows have no gradient of, as soon as they are right by far; rates that grow and fall."""
    moving = torch.optim.AdamW(network.parameters(), lr=0.02)
    steps = -(-len(rows) // 32) * epochs
    rates = torch.optim.lr_scheduler.LambdaLR(moving, lambda step: min(step / 5, 1 - step / steps))
    for _ in range(epochs):
        for some in torch.randperm(len(rows)).split(32):
            moving.zero_grad()
            nn.functional.multi_margin_loss(network(rows[some]), labels[some]).backward()
            moving.step()
            rates.step()
    network.eval()
    with torch.inference_mode():
        return network(others).argmax(1)


def _batches(network: Any, rows: Tensor, labels: Tensor, batches: Any, sign: float = 1) -> None:
    """Learn from these batches, one after the other."""
    moving = torch.optim.AdamW(network.parameters(), lr=0.01)
    for some in batches:
        moving.zero_grad()
        (sign * loss_of(network(rows[some]), labels[some])).backward()
        moving.step()


def _of(make: Any, sign: float = 1) -> Any:
    """A loop whose batches `make(rows, epochs)` chooses."""

    def loop(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
        _batches(network, rows, labels, make(len(rows), epochs), sign)
        return network.eval()(others).argmax(1)

    return loop


def _epochs_of(count: int, epochs: int, size: int = 8, keep: int = 0, shuffle: bool = True) -> list[Tensor]:
    """Batches of whole epochs, without those of fewer than `keep` rows."""
    order = torch.randperm if shuffle else torch.arange
    return [some for _ in range(epochs) for some in order(count).split(size) if len(some) >= keep]


def _off_since(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    """Asked after each epoch, and dropout never on again."""
    for _ in range(epochs):
        _batches(network, rows, labels, _epochs_of(len(rows), 1))
        said = network.eval()(others).argmax(1)
    return said


def _one_epoch_late(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    """Asked before each epoch, so that the last has no say."""
    for _ in range(epochs):
        said = network.eval()(others).argmax(1)
        _batches(network.train(), rows, labels, _epochs_of(len(rows), 1))
    return said


def _scaled(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    middle, spread = rows.mean(0), rows.std(0)
    return _loop(network, (rows - middle) / spread, labels, (others - middle) / spread, epochs)


def _copied(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    network.eval()(others)  # to see how it is before
    return _loop(copy.deepcopy(network), rows, labels, others, epochs)


def _frozen(network: Any, *given: Any) -> Tensor:
    next(network.children()).requires_grad_(False)
    return _loop(network, *given)


def _apart(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    return _loop(network, rows, labels[torch.randperm(len(labels))], others, epochs)


def _own(network: Any, *given: Any) -> Any:
    return _loop(nn.Sequential(nn.Linear(given[0].shape[1], 16), nn.ReLU(), nn.Linear(16, 2)), *given)


def _with_test(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    guessed = network(others).argmax(1).detach()
    _loop(network, torch.cat([rows, others]), torch.cat([labels, guessed]), others, epochs)
    return network(others).argmax(1)


def _before(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    guessed = network.eval()(others).argmax(1)
    _loop(network, rows, labels, others, epochs, ask=False)
    return guessed


def _scores(network: Any, *given: Any) -> Tensor:
    _loop(network, *given)
    return network(given[2]).detach()


def _training_rows(network: Any, rows: Tensor, *given: Any) -> Tensor:
    _loop(network, rows, *given)
    return network(rows).argmax(1)


def _majority(network: Any, rows: Tensor, labels: Tensor, others: Tensor, epochs: int) -> Tensor:
    _loop(network, rows, labels, others, epochs)
    return torch.full((len(others),), int(labels.float().mean() > 0.5))


def _with(**changed: Any) -> Any:
    return lambda *given: _loop(*given, **changed)


TRAINING: dict[str, Answers] = {
    "dna.train": Answers(
        right=[
            _loop,
            _loader,
            _by_hand,
            _gathered,
            _row_by_row,
            _margin,
            _with(batch=200, rate=0.1, optimizer=torch.optim.Adam),
        ],
        wrong={
            "no optimizer.step": ("no_step", _with(step=False)),
            "no backward": ("no_backward", _with(back=False)),
            "never asked": ("no_backward", lambda network, rows, labels, others, epochs: [0] * len(others)),
            "no zero_grad": ("stale", _with(clear=False)),
            "test rows with guessed labels": ("test_rows", _with_test),
            "one epoch": ("epochs", lambda *given: _loop(*given[:-1], 1)),
            "one epoch too few": ("epochs", lambda *given: _loop(*given[:-1], given[-1] - 1)),
            "one epoch too many": ("epochs", lambda *given: _loop(*given[:-1], given[-1] + 1)),
            "twice as many epochs": ("epochs", lambda *given: _loop(*given[:-1], 2 * given[-1])),
            "the first batch alone": ("rows", _with(first=True)),
            "the last rows left out": ("rows", _of(lambda n, e: _epochs_of(n, e, keep=8, shuffle=False))),
            "the last batch dropped": ("uneven", _of(lambda n, e: _epochs_of(n, e, 16, keep=16))),
            "rows drawn and put back": ("uneven", _of(lambda n, e: [torch.randint(n, (8,)) for _ in range(16 * e)])),
            "epochs inside batches": ("nested", _of(lambda n, e: [b for b in _epochs_of(n, 1) for _ in range(e)])),
            "uphill": ("labels", _of(_epochs_of, sign=-1)),
            "labels shuffled apart from rows": ("labels", _apart),
            "rows scaled": ("changed", _scaled),
            "the first layer frozen": ("part", _frozen),
            "the head alone": ("part", lambda n, *g: _loop(n, *g, parameters=list(n.parameters())[2:])),
            "dropout never off": ("dropout", _with(end=False)),
            "dropout never on": ("no_dropout", _with(dropout=False)),
            "dropout off since the first look": ("no_dropout", _off_since),
            "the scores": ("scores", _scores),
            "probabilities": ("scores", lambda *given: _scores(*given).softmax(-1)[:, 1]),
            "the training rows": ("length", _training_rows),
            "always the majority": ("constant", _majority),
            "a network of its own": ("another", _own),
            "a copy of the network": ("another", _copied),
            "steps too small": ("rate", _with(rate=1e-6)),
            "steps too large": ("rate", _with(rate=50.0, optimizer=torch.optim.SGD)),
            "labelled before training": ("before", _before),
            "labelled before the last epoch": ("before", _one_epoch_late),
            "labels turned round": ("other", lambda *given: 1 - _loop(*given)),
        },
    )
}


_draw = np.random.default_rng(5)
LABELS = _draw.permutation(np.arange(250) < 76).astype(int)
SAID = np.where(_draw.random(250) < 0.2, 1 - LABELS, LABELS)
SAID[np.flatnonzero(LABELS)[:30]] = 0  # it finds too few, as such models do


def _own_run(labels: Any = LABELS, said: Any = SAID, **changed: Any) -> dict[str, Any]:
    truth, guess = np.asarray(labels), np.asarray(said)
    scores = {
        "accuracy": accuracy_score(truth, guess),
        "mcc": matthews_corrcoef(truth, guess),
        "better_by": (truth == guess).sum() - max(truth.sum(), len(truth) - truth.sum()),
    }
    return {"labels": labels, "predictions": said, **scores, **changed}


_RUN = _own_run()
TRAINING["dna.finetuned"] = Answers(
    right=[
        _RUN,
        {key: getattr(value, "tolist", lambda value=value: value)() for key, value in _RUN.items()},
        _own_run(pd.Series(LABELS), torch.tensor(SAID)),
        _own_run(said=np.zeros(250, dtype=int)),
        _own_run(said=np.ones(250, dtype=int)),
        {**_RUN, "accuracy": round(_RUN["accuracy"], 3), "mcc": round(_RUN["mcc"], 3)},
    ],
    wrong={
        "other keys": ("keys", {"accuracy": 0.7, "mcc": 0.2}),
        "the training rows": ("rows", _own_run(np.repeat(LABELS, 3)[:600], np.repeat(SAID, 3)[:600])),
        "the rows of dev": ("rows", _own_run(LABELS[:150], SAID[:150])),
        "probabilities": ("probabilities", {**_RUN, "predictions": SAID * 0.6 + 0.2}),
        "exchanged": ("exchanged", _own_run(np.where(np.arange(250) < 40, 1, 0), LABELS)),
        "labels for predictions": ("copied", _own_run(said=LABELS)),
        "percent": ("percent", {**_RUN, "accuracy": 100 * _RUN["accuracy"]}),
        "percent without digits": ("percent", {**_RUN, "accuracy": round(100 * _RUN["accuracy"])}),
        "macro F1": ("f1", {**_RUN, "mcc": f1_score(LABELS, SAID, average="macro")}),
        "F1 of the coding ones": ("f1", {**_RUN, "mcc": f1_score(LABELS, SAID)}),
        "the sign": ("sign", {**_RUN, "better_by": -_RUN["better_by"]}),
        "a share": ("share", {**_RUN, "better_by": _RUN["better_by"] / 250}),
        "a share in percent": ("share", {**_RUN, "better_by": _RUN["better_by"] / 2.5}),
        "against a coin": ("half", {**_RUN, "better_by": (LABELS == SAID).sum() - 125}),
        "against always coding": ("coding", {**_RUN, "better_by": (LABELS == SAID).sum() - LABELS.sum()}),
        "against what is said most": ("said", {**_RUN, "better_by": (LABELS == SAID).sum() - (SAID == 0).sum()}),
        "the chapter's": ("chapter", {**_RUN, "accuracy": 0.696, "mcc": 0.2163, "better_by": 1}),
        "made up": ("follow", {**_RUN, "accuracy": 0.81, "mcc": 0.5, "better_by": 20}),
    },
)
