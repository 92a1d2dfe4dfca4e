"""What can come next: a model's probabilities for the next token, and what each setting makes of them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch import Tensor

from biollm_widgets.protein.generation.cache import beginning
from biollm_widgets.protein.generation.decoding import last_only
from biollm_widgets.protein.generation.reading import Pieces
from biollm_widgets.protein.generation.sampling import staged
from biollm_widgets.protein.generation.settings import Settings
from biollm_widgets.protein.layout import layout_of
from biollm_widgets.protein.loading import MODEL, generator_of, in_precision
from biollm_widgets.protein.prompts import told_prompt
from biollm_widgets.protein.scoring import check_opening, check_pair, check_vocabulary
from biollm_widgets.protein.threads import WHOLE, threads_for

if TYPE_CHECKING:
    import pandas as pd

KEPT = 64  # contexts whose scores are kept; one takes 200 kB at ProtGPT2's vocabulary
# Green fluorescent protein of Aequorea victoria (UniProt P42212): 238 residues of every kind, and no protein of the
# two species that the embedded model was trained on.
NATURAL = (
    "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNYKT"
    "RAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDPNEKRD"
    "HMVLLEFVTAAGITHGMDELYK"
)
WORDS = {
    "repetition_penalty": "the repetition penalty",
    "temperature": "temperature",
    "top_k": "top-k",
    "top_p": "top-p",
}


@dataclass(frozen=True)
class Stage:
    """What is left to choose from once one of the settings has done its part.

    Attributes
    ----------
    name : str
        "model" for the model alone, then the settings in the order in which they are applied: "repetition_penalty",
        "temperature", "top_k", "top_p"; or "greedy" where the likeliest token is taken.
    left : int
        Tokens with a probability above nothing.
    entropy : float
        In bits.
    """

    name: str
    left: int
    entropy: float


@dataclass(frozen=True)
class Candidate:
    """A token that may come next.

    Attributes
    ----------
    id : int
    text : str
        Decoded, as `Pieces.text` has it.
    kind : str
        "residues", "line break", "end" or "other".
    before : float
        Its probability by the model alone.
    after : float
        What it is drawn with, after all settings; 0 where it is cut off.
    cut_by : str
        The stage that left it no probability: "top_k", "top_p", "greedy", or a temperature near nothing; else empty.
    penalized : bool
        Whether it stands in the text already, so that a repetition penalty changed its score.
    """

    id: int
    text: str
    kind: str
    before: float
    after: float
    cut_by: str
    penalized: bool


@dataclass(frozen=True)
class NextToken:
    """The choice of the next token.

    Attributes
    ----------
    candidates : tuple of Candidate
        The likeliest before and the likeliest after all settings, in the order of `before`.
    stages : tuple of Stage
        "model" first, then each setting that changes something.
    vocabulary : int
        Tokens that the model knows.
    before_rest, after_rest : float
        Probability of all tokens that are no candidates, taken together.
    """

    candidates: tuple[Candidate, ...]
    stages: tuple[Stage, ...]
    vocabulary: int
    before_rest: float
    after_rest: float

    @property
    def entropy_before(self) -> float:
        """Of the model's own choice, in bits."""
        return self.stages[0].entropy

    @property
    def entropy_after(self) -> float:
        """Of the choice after all settings, in bits."""
        return self.stages[-1].entropy

    @property
    def left(self) -> int:
        """Tokens that can come after all settings."""
        return self.stages[-1].left

    @property
    def finding(self) -> str:
        """What the settings make of the choice, in a sentence."""
        before, after = f"{self.entropy_before:.1f}", f"{self.entropy_after:.1f}"
        if self.stages[-1].name == "greedy":
            taken = max(self.candidates, key=lambda candidate: candidate.after)
            return f"The likeliest token is taken, {taken.text!r}: of {before} bits nothing is left to chance."
        by = [now.name for last, now in pairwise(self.stages) if now.left < last.left]
        if by:
            names = [WORDS[name] for name in by]
            who = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
            words = f"{who} leave{'s' if len(names) == 1 else ''} {self.left:,} of {self.vocabulary:,} tokens"
            words = words[0].upper() + words[1:]
        else:
            words = f"All {self.vocabulary:,} tokens can come"
        if self.left == 1:
            return f"{words}: nothing is left to chance."
        if before == after:
            return f"{words}; the choice is worth {after} bits."
        how = "of" if self.entropy_after < self.entropy_before else "instead of"
        return f"{words}; the choice is worth {after} {how} {before} bits."

    def to_frame(self) -> pd.DataFrame:
        """A row for each candidate: `id`, `text`, `kind`, `before`, `after`, `cut_by`, `penalized`."""
        import pandas as pd

        columns = list(Candidate.__dataclass_fields__)
        return pd.DataFrame(
            [[getattr(candidate, name) for name in columns] for candidate in self.candidates], columns=columns
        )


class _Read(NamedTuple):
    """A text that the model has read, and what it keeps of it."""

    ids: tuple[int, ...]
    past: Any


class Explorer:
    """Asks one model what comes next, again and again with other settings: it reads a text once.

    The scores of the last texts are kept, and of a text that begins as the last one did only the rest is read; so a
    setting that changes costs a few milliseconds, and the next token of a text one step of the model.

    Parameters
    ----------
    tokenizer, model
        A causal language model of transformers and its tokenizer; the model is not changed.

    Raises
    ------
    InputError
        When the two do not belong together.
    """

    def __init__(self, tokenizer: Any, model: Any) -> None:
        check_pair(tokenizer, model)
        self.tokenizer, self.model = tokenizer, model
        self.layout = layout_of(tokenizer)
        self.pieces = Pieces(tokenizer, self.layout)
        self._scores: OrderedDict[tuple[str, tuple[int, ...]], Tensor] = OrderedDict()
        self._last: dict[str, _Read] = {}
        self._lock = Lock()  # a slider that is moved while a text is read waits for it

    def opening(self, prompt: str) -> list[int]:
        """The tokens that a protein with these first residues begins with."""
        return self.layout.ids(self.tokenizer, self.layout.opening(prompt))

    def residues_per_token(self) -> float:
        """Residues that a token stands for on average, line breaks included.

        Measured with this tokenizer on green fluorescent protein (UniProt P42212), which comes with the package: 2.8
        with ProtGPT2's, 1.65 with the embedded model's, each within 3 % of what the whole proteome of *E. coli* gives.
        """
        around = self.layout.ids(self.tokenizer, self.layout.start + self.layout.end)
        whole = self.layout.ids(self.tokenizer, self.layout.whole(NATURAL))
        return len(NATURAL) / max(1, len(whole) - len(around))

    def after(self, ids: Sequence[int], settings: Settings, shown: int = 24, chosen: Optional[int] = None) -> NextToken:
        """What comes after these tokens with these settings.

        Parameters
        ----------
        ids : sequence of int
            The text so far, as `opening` gives it or as a design has it.
        settings : Settings
            Checked; the precision counts as well, and how many and how long do not.
        shown : int
            How many of the likeliest tokens to list, before and after the settings.
        chosen : int, optional
            A token to list in any case.

        Raises
        ------
        InputError
            For no tokens, or so many that the model has no position left for the next.
        """
        check_vocabulary(ids, self.model)
        check_opening(ids, self.model, sum(len(self.pieces(token)) for token in ids))
        with self._lock, torch.inference_mode():
            scores = self._read(tuple(ids), settings.precision)
            return self._choice(torch.tensor([list(ids)]), scores, settings, shown, chosen)

    def _read(self, ids: tuple[int, ...], precision: str) -> Tensor:
        """The model's scores for the next token, (1, V)."""
        key = (precision, ids)
        if key in self._scores:
            self._scores.move_to_end(key)
            return self._scores[key]
        network = in_precision(self.model, precision)
        device = next(network.parameters()).device
        last = self._last.get(precision)
        shared = min(_in_common(ids, last.ids), len(ids) - 1) if last else 0
        past = beginning(last.past, shared) if last and shared else None
        if past is None:
            shared = 0
        new = torch.tensor([ids[shared:]], device=device)
        with threads_for(network, len(ids) - shared, WHOLE):
            known = {} if past is None else {"past_key_values": past}
            out = network(new, use_cache=True, **known, **last_only(network))
        past = getattr(out, "past_key_values", None)
        # Going back in a text, all of what was read further on stays good.
        if past is not None and not (last and last.ids[: len(ids)] == ids):
            self._last[precision] = _Read(ids, past)
        self._scores[key] = out.logits[:, -1].float().cpu()
        while len(self._scores) > KEPT:
            self._scores.popitem(last=False)
        return self._scores[key]

    def _choice(self, ids: Tensor, scores: Tensor, settings: Settings, shown: int, chosen: Optional[int]) -> NextToken:
        steps = [("model", scores), *staged(settings, ids, scores)]
        vocabulary = scores.size(-1)
        likely = {name: made[0].softmax(-1) for name, made in steps}  # (V,) each, as tokens are drawn
        before, after = likely["model"], likely[steps[-1][0]]
        most = min(max(1, shown), vocabulary)
        listed = set(before.topk(most).indices.tolist())
        last = after.topk(most)
        listed |= set(last.indices[last.values > 0].tolist())
        if chosen is not None and 0 <= chosen < vocabulary:
            listed.add(chosen)
        order = sorted(listed)
        values = before[order].tolist()
        order = [token for _, token in sorted(zip(values, order, strict=True), key=lambda pair: (-pair[0], pair[1]))]
        place = torch.tensor(order)
        cut = [""] * len(order)
        for name, _ in steps[1:]:
            gone = (likely[name][place] == 0).tolist()
            cut = [was or (name if lost else "") for was, lost in zip(cut, gone, strict=True)]
        there = set(ids[0].tolist()) if settings.repetition_penalty != 1 else set()
        end = settings.eos_token_id
        candidates = tuple(
            Candidate(token, self.pieces.text(token), self.pieces.kind(token, end), first, last, by, token in there)
            for token, first, last, by in zip(order, before[place].tolist(), after[place].tolist(), cut, strict=True)
        )
        return NextToken(
            candidates,
            tuple(_stage(name, likely[name]) for name, _ in steps),
            vocabulary,
            _rest(candidate.before for candidate in candidates),
            _rest(candidate.after for candidate in candidates),
        )


def _in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with in common."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def _stage(name: str, likely: Tensor) -> Stage:
    there = likely[likely > 0].double()
    return Stage(name, len(there), max(0.0, -(there * there.log2()).sum().item()))


def _rest(listed: Iterable[float]) -> float:
    return max(0.0, 1.0 - math.fsum(listed))


def explore(
    prompt: Optional[str] = None,
    *,
    do_sample: bool = True,
    temperature: float = 1.0,
    top_k: int = 950,
    top_p: float = 1.0,
    repetition_penalty: float = 1.2,
    eos_token_id: Optional[int] = None,
    model: Any = MODEL,
    tokenizer: Any = None,
    precision: str = "float32",
    device: Any = None,
    shown: int = 24,
) -> NextToken:
    """What a language model would write next, and what temperature, top-k, top-p and repetition penalty make of it.

    Parameters
    ----------
    prompt : str, optional
        The first residues, or one FASTA record; none for the beginning of a protein.
    do_sample, temperature, top_k, top_p, repetition_penalty, eos_token_id, model, tokenizer, precision, device
        As for `generate`, with the same defaults.
    shown : int
        How many of the likeliest tokens to list, before and after the settings.

    Returns
    -------
    NextToken
        `.candidates`, `.stages` (tokens left and entropy after each setting), `.finding`, `.to_frame()`.

    Raises
    ------
    InputError
        As `generate`, and for a prompt that fills all of the model's positions.
    """
    settings = Settings(
        n=1,
        do_sample=do_sample,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        eos_token_id=eos_token_id,
        precision=precision,
    ).checked()
    start = told_prompt(prompt)
    source = generator_of(model, tokenizer, device)
    explorer = Explorer(source.tokenizer, source.model)
    return explorer.after(explorer.opening(start.sequence), settings, shown)
