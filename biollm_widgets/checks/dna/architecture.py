"""Checks of the unit on the architecture: where the parameters sit, and what ALiBi adds."""

from __future__ import annotations

from typing import Any

import numpy as np

from biollm_widgets.checks.ground import Case, Mistake, check_of, close

LOOK = "unit 3, “The architecture”"
PARTS = ("embeddings", "attention", "mlp", "pooler")


@check_of(
    "dna.parameters",
    3,
    "a function parameters_by_part(model) that gives a dictionary with the keys embeddings, attention, mlp, pooler",
    LOOK,
    {
        "tensors": Mistake(
            "Tensors are counted, each as one.", "A tensor has .numel() numbers, and each of them is a parameter."
        ),
        "biases": Mistake(
            "Only the large matrices are counted; biases and LayerNorms are parameters too.",
            "Leave none out: go through all of model.named_parameters().",
            0.5,
        ),
        "one_layer": Mistake(
            "One layer is counted, and the model has several.",
            "Every layer has an attention and an mlp of its own.",
            0.25,
        ),
        "trainable": Mistake(
            "Parameters that are frozen are left out; they are in the model all the same.",
            "Do not ask for requires_grad.",
            0.5,
        ),
        "shares": Mistake("Shares are given where numbers were asked for.", "Do not divide by the total.", 0.5),
        "keys": Mistake(
            "The parts have other names than those asked for.",
            "The dictionary has the keys embeddings, attention, mlp and pooler, and no others.",
        ),
        "norms": Mistake(
            "The LayerNorm at the end of a block is not counted with its block.",
            "It belongs to the part in whose name it stands: attention.output.LayerNorm, mlp.layernorm.",
            0.5,
        ),
    },
    rounds=(4, 4),
)
def parameters(case: Case, answer: Any) -> None:
    """Numbers of models whose sizes are drawn, some of them frozen; together they are all there are."""
    from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model

    for _ in range(case.rounds):
        heads, layers = int(case.rng.integers(1, 4)), int(case.rng.integers(2, 4))
        width = heads * 4 * int(case.rng.integers(1, 4))
        config = DNABert2Config(
            vocab_size=int(case.rng.integers(20, 60)), hidden_size=width, num_hidden_layers=layers,
            num_attention_heads=heads, intermediate_size=width * 2,
        )  # fmt: skip
        model = DNABert2Model(config)
        model.encoder.layer[0].mlp.requires_grad_(False)
        for name, value in model.named_parameters():
            if name.startswith("pooler."):
                value.requires_grad_(False)
        named = [(name, tuple(value.shape), value.requires_grad) for name, value in model.named_parameters()]

        def count(
            keep: Any = lambda name, shape, trained: True, one: Any = None, named: Any = named
        ) -> dict[str, float]:
            made = dict.fromkeys(PARTS, 0.0)
            for name, shape, trained in named:
                part = _part(name)
                if part and keep(name, shape, trained):
                    made[part] += 1 if one else float(np.prod(shape))
            return made

        truth = count()
        got = case.call(answer, model)
        if not isinstance(got, dict):
            case.mistake("kind", f"It gives {type(got).__name__}, not a dictionary.")
        case.need(set(got) == set(PARTS), "keys", f"Its keys are {', '.join(map(str, got))}.")
        given = {key: case.number(value, f"Of {key} it") for key, value in got.items()}
        total = sum(truth.values())
        variants = {
            "tensors": count(one=True),
            "biases": count(lambda name, shape, trained: len(shape) > 1),
            "one_layer": count(lambda name, shape, trained: "layer." not in name or "layer.0." in name),
            "trainable": count(lambda name, shape, trained: trained),
            "shares": {key: value / total for key, value in truth.items()},
            "norms": count(lambda name, shape, trained: "norm" not in name.lower() or "embeddings" in name),
        }
        if close(list(given.values()), [100 * truth[key] / total for key in given]):
            case.mistake("shares", f"Its numbers add up to {sum(given.values()):g}.")
        saw = f"Of {total:,.0f} parameters it finds {sum(given.values()):,.6g}."
        case.match(given, truth, variants, lambda a, b: close([a[k] for k in PARTS], [b[k] for k in PARTS]), saw)
    case.say("Every parameter is in one part, in models of several sizes.")


def _part(name: str) -> str:
    return next((part for part in PARTS if f"{part}." in name), "")


@check_of(
    "dna.alibi",
    3,
    "a function alibi(heads, length) that gives an array of shape (heads, length, length)",
    LOOK,
    {
        "sign": Mistake(
            "What is far away is given more weight, not less.", "The bias is added to the scores: far means less.", 0.5
        ),
        "causal": Mistake(
            "Only what stands before a token is counted, as a decoder does.",
            "An encoder looks both ways: the distance has no sign.",
            0.25,
        ),
        "one_slope": Mistake(
            "All heads have the same slope.", "Each head has its own, so that some look near and some far.", 0.25
        ),
        "linear": Mistake(
            "The slopes go down by steps of one size.",
            "They halve: a geometric row, for 8 heads 1/2, 1/4, ... 1/256.",
            0.25,
        ),
        "twelve": Mistake(
            "For heads that are no power of two one row of slopes is stretched over all of them.",
            "DNABERT-2 takes the slopes of the next smaller power of two, then every other one of the next larger.",
            0.75,
        ),
        "sorted": Mistake(
            "The slopes are right, in another order than DNABERT-2's heads have them.",
            "The slopes of 8 heads come first, then those in between.",
            0.75,
        ),
        "square": Mistake("The distance is squared.", "The bias is linear: that is the L in ALiBi.", 0.25),
        "shape": Mistake(
            "The array has another shape than a score for each head, each token and each other token.",
            "(heads, length, length): the first index is the head.",
        ),
    },
)
def alibi(case: Case, answer: Any) -> None:
    """The bias of DNABERT-2's heads, for several numbers of them."""
    import torch

    from biollm_widgets.models.dnabert2 import alibi_bias

    for number in range(case.rounds):
        heads = (12, 8, 4, 6, 16, 2)[number % 6]
        length = int(case.rng.integers(4, 12))
        truth = alibi_bias(heads, length, torch.device("cpu"), torch.float64).reshape(heads, length, length).numpy()
        got = case.array(case.call(answer, heads, length))
        case.need(got.shape == truth.shape, "shape", f"For {heads} heads and {length} tokens it is {got.shape}.")
        slopes = -truth[:, 0, 1]
        places = np.arange(length)
        far = np.abs(places[None] - places[:, None])
        stretched = 2.0 ** (-8 * np.arange(1, heads + 1) / heads)

        def of(row: np.ndarray, far: np.ndarray = far) -> np.ndarray:
            return -row[:, None, None] * far

        wrong = {
            "sign": -truth,
            "sorted": of(np.sort(slopes)[::-1]),
            "twelve": of(stretched),
            "square": of(slopes, far**2),
        }
        saw = f"With {heads} heads, token 0 to 1: the first head adds {got[0, 0, 1]:g}, the last {got[-1, 0, 1]:g}."
        if not close(got, truth):
            for lower in (np.tril(truth), np.triu(truth), np.tril(-truth)):
                causal = np.where(np.isfinite(got) & (got > -1e4), got, 0)
                if close(causal, lower) or (close(np.tril(got), np.tril(truth)) and not close(got, truth)):
                    case.mistake("causal", saw)
            if length > 1 and close(got[0], got[-1]):
                case.mistake("one_slope", saw)
            row = -got[:, 0, 1]
            if heads > 2 and close(got, of(row)) and close(np.diff(row), np.full(heads - 1, np.diff(row)[0])):
                case.mistake("linear", saw)
        case.match(got, truth, wrong, close, saw)
    case.say("The slopes halve from head to head, far counts less, and both ways alike.")


CHECKS = [parameters, alibi]
