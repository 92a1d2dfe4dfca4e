"""Generated proteins: what each one is, how it came about, and ways to take them along."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from biollm_widgets import news
from biollm_widgets.protein.generation.decoding import Choice
from biollm_widgets.protein.generation.settings import Settings
from biollm_widgets.sequences import AMINO_ACIDS

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Design:
    """One generated protein.

    Attributes
    ----------
    name : str
        `design_1` and so on, in the order in which they were made.
    sequence : str
        Its residues alone, the prompt's included.
    finished : bool
        Whether the model ended it itself; otherwise it was cut off, by `max_length` or by a stop.
    tokens : int
        Of the whole text: the start, the prompt, line breaks and the end included.
    perplexity : float
        As `perplexity` gives for the sequence; NaN where it was not asked for or cannot be had.
    text : str
        What the model wrote, prompt included, without its start and end.
    choices : tuple of Choice
        The tokens after the prompt, each with its probability.
    left_out : int
        Characters in the text that stand for no amino acid, and are not in the sequence.
    opening : tuple of Choice
        The tokens before `choices`, the start and the prompt's: not chosen, so their `probability` is NaN; their
        `log_probability` is too where it was not asked for, and for the first, which follows nothing.
    """

    name: str
    sequence: str
    finished: bool
    tokens: int
    perplexity: float
    text: str
    choices: tuple[Choice, ...]
    left_out: int
    opening: tuple[Choice, ...] = ()

    @property
    def residues(self) -> int:
        """Length of the sequence."""
        return len(self.sequence)


@dataclass(frozen=True)
class Fidelity:
    """What a lighter precision does to perplexity, on a few of the sequences.

    Attributes
    ----------
    precision : str
    sequences : int
        How many were compared.
    lighter, float32 : float
        Mean perplexity of the same sequences in this precision and in float32.
    """

    precision: str
    sequences: int
    lighter: float
    float32: float

    def __str__(self) -> str:
        change = self.lighter / self.float32 - 1
        return (
            f"{self.precision}: mean perplexity {self.lighter:.2f} against {self.float32:.2f} in float32 "
            f"({change:+.1%}), the same {'sequence' if self.sequences == 1 else f'{self.sequences} sequences'}."
        )


@dataclass(frozen=True)
class Generation:
    """Proteins that were generated together; iterates over its designs.

    Attributes
    ----------
    designs : tuple of Design
        In the order in which they were made.
    settings : Settings
        What makes the same sequences again, the seed included.
    model : str
        Where the model came from, in words.
    source : str
        "folder", "cache", "hub", "embedded" or, for a model that was handed over, "given".
    stopped : bool
        Whether it was ended early, by a callback or by Ctrl-C.
    seconds : float
        That generating took.
    fidelity : Fidelity or None
        What a lighter precision did to perplexity; None for float32.
    """

    designs: tuple[Design, ...]
    settings: Settings
    model: str
    source: str
    stopped: bool
    seconds: float
    fidelity: Optional[Fidelity] = None

    def __iter__(self) -> Iterator[Design]:
        return iter(self.designs)

    def __len__(self) -> int:
        return len(self.designs)

    def __getitem__(self, place: int) -> Design:
        return self.designs[place]

    @property
    def made_with(self) -> str:
        """The model's name for files that travel; a stand-in is called so."""
        return f"stand-in for {self.settings.model}" if self.source == "embedded" else self.settings.model

    @property
    def sequences(self) -> list[str]:
        """The residues of each design."""
        return [design.sequence for design in self.designs]

    @property
    def finding(self) -> str:
        """What came out, in a sentence or two."""
        count = len(self.designs)
        ended = sum(design.finished for design in self.designs)
        residues = sum(design.residues for design in self.designs)
        new = sum(len(design.choices) for design in self.designs)
        words = f"{count} protein{'s'[: count != 1]}, {residues:,} residues, in {self.seconds:.1f} s "
        words += f"({new / max(self.seconds, 1e-9):,.0f} tokens a second): {ended} ended by {_itself(ended)}"
        cut = count - ended
        if cut:
            by = "when you stopped" if self.stopped else f"at {self.settings.max_length} tokens"
            words += f", {cut} {'was' if cut == 1 else 'were'} cut off {by}"
        left_out = sum(design.left_out for design in self.designs)
        if left_out:
            words += (
                f"; {left_out} {'thing' if left_out == 1 else 'things'} in the text that stand for no residue left out"
            )
        return f"{words}. Seed {self.settings.seed}."

    def to_frame(
        self,
        references: Any = None,
        background: Any = None,
        progress: Optional[Callable[[int, int], None]] = None,
    ) -> pandas.DataFrame:
        """A table with one row a design, the least surprising first, as the authors of ProtGPT2 rank them.

        Parameters
        ----------
        references : References, FASTA path or records, optional
            Known proteins: adds the nearest to each design, and how alike they are.
        background : optional
            What to compare the composition with; natural proteins unless given.
        progress : callable, optional
            Called with how many are judged and how many there are, after each.

        Returns
        -------
        DataFrame
            `name`, `perplexity`, `finished`, `tokens`, then the columns of `judge` that apply (those of the prompt and
            of the references only where there are some; the order is the rank), `model`, and `sequence` last.
        """
        import pandas as pd

        from biollm_widgets.protein.judging import judge

        options = {} if background is None else {"background": background}
        verdict = judge(
            self.sequences,
            names=[design.name for design in self.designs],
            perplexity=[design.perplexity for design in self.designs],
            prompt=self.settings.prompt or None,
            references=references,
            progress=progress,
            **options,
        )
        idle = [] if self.settings.prompt else [name for name in verdict.columns if name.startswith("prompt_")]
        if references is None:
            idle += [name for name in verdict.columns if name.startswith(("nearest", "longest_shared", "shared_with"))]
        frame = pd.DataFrame(
            {
                "name": pd.Series([design.name for design in self.designs], dtype=object),
                "finished": [design.finished for design in self.designs],
                "tokens": [design.tokens for design in self.designs],
            }
        ).merge(verdict.drop(columns=idle), on="name", validate="one_to_one")
        first = ["name", "perplexity", "finished", "tokens", "residues"]
        rest = [name for name in frame.columns if name not in (*first, "rank", "sequence")]
        frame["flags"] = [
            "; ".join(filter(None, (flags, _left_out(design))))
            for flags, design in zip(frame["flags"], self.designs, strict=True)
        ]
        frame["model"] = self.made_with
        frame = frame[[*first, *rest, "model", "sequence"]]
        return frame.sort_values("perplexity", kind="stable", na_position="last").reset_index(drop=True)

    def entries(self) -> list[Any]:
        """The designs as the export functions take them, with what is known of each; none without residues."""
        from biollm_widgets.protein.export import Entry

        found = []
        for design in self.designs:
            if design.sequence:
                facts: dict[str, object] = {"residues": design.residues, "finished": design.finished}
                if design.perplexity == design.perplexity:
                    facts["perplexity"] = round(design.perplexity, 3)
                found.append(Entry(design.name, design.sequence, facts))
        return found

    def to_fasta(self, path: Union[str, os.PathLike, None] = None) -> str:
        """FASTA text, 60 residues a line, settings in each header; written to `path` too, if given."""
        from biollm_widgets.protein.export import to_fasta

        return _written(to_fasta(self.entries(), self._told()), path)

    def to_csv(self, path: Union[str, os.PathLike, None] = None, **options: Any) -> str:
        """The table of `to_frame(**options)` as CSV; written to `path` too, if given."""
        from biollm_widgets.protein.export import to_csv

        return _written(to_csv(self.to_frame(**options)), path)

    def to_alphafold3(
        self, folder: Union[str, os.PathLike, None] = None, *, msa_free: bool = False, model_seeds: Any = (1,)
    ) -> list[dict]:
        """Input for AlphaFold 3, one JSON object a design; written into `folder`, a file each, if given.

        Parameters
        ----------
        msa_free : bool
            Predict from the sequence alone: no search for relatives, which a new protein may not have.
        model_seeds : sequence of int
            AlphaFold 3's own seeds; each gives a prediction.

        Designs without residues, or with letters beyond the twenty amino acids, which AlphaFold 3 does not take, are
        left out; the latter are named on standard error.
        """
        from biollm_widgets.errors import InputError
        from biollm_widgets.protein.export import to_alphafold3, write_alphafold3

        jobs, fit = [], []
        for entry in self.entries():
            try:
                jobs.append(to_alphafold3(entry, model_seeds=model_seeds, msa_free=msa_free))
                fit.append(entry)
            except InputError as problem:
                if set(entry.sequence) <= set(AMINO_ACIDS):
                    raise  # not the design is at fault, but the seeds
                news.say(f"{entry.name} is left out. {problem}")
        if folder is not None and fit:
            write_alphafold3(fit, Path(folder).expanduser(), model_seeds=model_seeds, msa_free=msa_free)
        return jobs

    def to_json(self, path: Union[str, os.PathLike, None] = None) -> str:
        """The settings as JSON: `generate_again` and `biollm generate --settings` make the same sequences from it."""
        return _written(self.settings.to_json(self.made_with), path)

    def _told(self) -> Mapping[str, object]:
        """The settings for a FASTA header: all but the prompt, which is in the sequence."""
        told = {**self.settings.as_dict(), "model": self.made_with}
        return {key: value for key, value in told.items() if key != "prompt" and value is not None}


def _left_out(design: Design) -> str:
    count = design.left_out
    return (
        f"{count} {'thing' if count == 1 else 'things'} in its text stand{'s' * (count == 1)} for no residue"
        if count
        else ""
    )


def _itself(count: int) -> str:
    return "itself" if count == 1 else "themselves"


def _written(text: str, path: Union[str, os.PathLike, None]) -> str:
    if path is not None:
        from biollm_widgets.protein.export.plain import write

        write(Path(path).expanduser(), text)
    return text
