"""Every model that the lessons name, and what is known of it before anything is loaded.

Where a figure comes from stands beside it. What could not be checked is None, and shown as "not known".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from biollm_widgets.errors import InputError

EMBEDDED = Path(__file__).parent / "embedded"
NOT_RUN = "it needs code from its own repository, which this package never runs"


@dataclass(frozen=True)
class Model:
    """One model of the catalog.

    Attributes
    ----------
    name : str
        What people call it.
    id : str
        Its id on the hub; the name again where it is not there.
    on_hub : bool
        Whether the hub has it from its authors.
    published : str
        Where it is published.
    architecture, task, tokenizer : str
        In the field's words.
    alphabet : {"dna", "protein"}
    parameters : int or None
        Of the published checkpoint.
    licence : str or None
        Of the weights.
    size_bytes : int or None
        What one weight format takes on disk.
    paper : str
        doi or arXiv number.
    verbs : tuple of str
        Which commands take it by name. Empty where it cannot be loaded.
    obstacle : str
        Why it cannot be loaded here, as a clause; empty where it can.
    instead : str
        What to take in its place for the verbs it lacks, as a clause.
    stand_in : Path or None
        The folder of the small embedded model that takes its place without internet.
    stand_in_words : str
        What that small model is, in a sentence for learners.
    """

    name: str
    id: str
    on_hub: bool
    published: str
    architecture: str
    task: str
    alphabet: str
    parameters: Optional[int]
    tokenizer: str
    licence: Optional[str]
    size_bytes: Optional[int]
    paper: str
    verbs: tuple[str, ...] = ()
    obstacle: str = ""
    instead: str = ""
    stand_in: Optional[Path] = None
    stand_in_words: str = ""

    @property
    def loadable(self) -> bool:
        """Whether transformers, or a class of this package, loads it without remote code."""
        return not self.obstacle

    @property
    def advice(self) -> str:
        """What to take instead, as a sentence with a blank in front; empty where nothing takes its place."""
        return f" Instead, {self.instead}." if self.instead else ""


_DNA = ("tokenize", "embed", "classify", "finetune")

CATALOG = (
    Model(
        name="DNABERT",
        id="zhihan1996/DNA_bert_6",  # its sisters DNA_bert_3, _4 and _5 differ in k alone
        on_hub=True,
        published="https://huggingface.co/zhihan1996/DNA_bert_6",
        architecture="BERT encoder",  # its config.json points at remote code, but says `bert` and loads as one
        task="masked-LM on the human genome",
        alphabet="dna",
        # BertForMaskedLM with 4,101 tokens has 89,196,549, the pooler 590,592 more: 359 MB, as the hub lists it
        parameters=89_787_141,
        tokenizer="overlapping 6-mers (finetune --kmer 6), 4,101 tokens",
        licence="Apache-2.0",
        size_bytes=359_000_000,
        paper="doi:10.1093/bioinformatics/btab083",
        verbs=_DNA,
    ),
    Model(
        name="DNABERT-2",
        id="zhihan1996/DNABERT-2-117M",
        on_hub=True,
        published="https://huggingface.co/zhihan1996/DNABERT-2-117M",
        architecture="BERT encoder with ALiBi and a gated feed-forward block",
        task="masked-LM on the genomes of 135 species",
        alphabet="dna",
        parameters=117_070_082 - 2 * 768 - 2,  # counted from this package's class, less the two-class head
        tokenizer="BPE, 4,096 tokens",
        licence="Apache-2.0",
        size_bytes=468_000_000,
        paper="arXiv:2306.15006",
        verbs=_DNA,
        stand_in=EMBEDDED / "dna",
        stand_in_words="the same architecture made small, trained on the E. coli genome alone",
    ),
    Model(
        name="DNABERT-S",
        id="zhihan1996/DNABERT-S",
        on_hub=True,
        published="https://huggingface.co/zhihan1996/DNABERT-S",
        architecture="DNABERT-2's architecture",
        task="embeddings that tell species apart (contrastive, from DNABERT-2)",
        alphabet="dna",
        parameters=117_070_082 - 2 * 768 - 2,  # the authors' repository has DNABERT-2's config; 468 MB are as many
        tokenizer="BPE, DNABERT-2's",
        licence="Apache-2.0",
        size_bytes=468_000_000,
        paper="arXiv:2402.08777",
        verbs=_DNA,
    ),
    Model(
        name="DNAGPT",
        id="DNAGPT",
        on_hub=False,
        published="https://github.com/TencentAILabHealthcare/DNAGPT",
        architecture="GPT decoder with heads for classes and numbers",
        task="next token, order of pieces and GC content of mammalian genomes",
        alphabet="dna",
        parameters=100_000_000,  # "0.1B" in the authors' README, which also offers 3B
        tokenizer="k-mers with tokens for species and numbers",
        licence=None,
        size_bytes=None,
        paper="arXiv:2307.05628",
        obstacle="its weights are on a shared drive, for the authors' own program",
        instead="take DNABERT-2 for embeddings of DNA",
    ),
    Model(
        name="HyenaDNA",
        id="LongSafari/hyenadna-large-1m-seqlen-hf",
        on_hub=True,
        published="https://huggingface.co/LongSafari/hyenadna-large-1m-seqlen-hf",
        architecture="Hyena decoder: long convolutions in place of attention",
        task="next base of the human genome, up to a million bases at once",
        alphabet="dna",
        parameters=None,
        tokenizer="single bases",
        licence="BSD-3-Clause",
        size_bytes=218_000_000,  # as the hub lists it; tables of positions take a part of it
        paper="arXiv:2306.15794",
        obstacle=NOT_RUN,
        instead="take DNABERT-2 for embeddings of DNA, and --char to see single bases as tokens",
    ),
    Model(
        name="GROVER",
        id="PoetschLab/GROVER",
        on_hub=True,
        published="https://huggingface.co/PoetschLab/GROVER",
        architecture="BERT encoder",
        task="masked-LM on the human genome",
        alphabet="dna",
        parameters=None,
        tokenizer="BPE, about 600 tokens",
        licence=None,  # its page on the hub names none
        size_bytes=None,
        paper="doi:10.1038/s42256-024-00872-0",
        verbs=_DNA,
    ),
    Model(
        name="ProtGPT2",
        id="nferruz/ProtGPT2",
        on_hub=True,
        published="https://huggingface.co/nferruz/ProtGPT2",
        architecture="GPT-2 decoder",
        task="next token of natural proteins",
        alphabet="protein",
        parameters=774_030_080,  # counted from transformers' class; the paper and the chapter say 738 million
        tokenizer="BPE, 50,257 tokens",
        licence="Apache-2.0",  # on its model card; the LICENSE file beside it is MIT
        size_bytes=3_130_000_000,
        paper="doi:10.1038/s41467-022-32007-7",
        verbs=("tokenize", "generate"),
        instead="embed DNA with DNABERT-2; this package makes no embeddings of proteins",
        stand_in=EMBEDDED / "protein",
        stand_in_words="the same architecture made small, trained on the proteins of E. coli and yeast alone",
    ),
    Model(
        name="ProteinBERT",
        id="ProteinBERT",
        on_hub=False,
        published="https://github.com/nadavbra/protein_bert",
        architecture="convolutions and global attention, two tracks",
        task="masked residues and Gene Ontology terms",
        alphabet="protein",
        parameters=16_000_000,  # "about 16 million" in the paper
        tokenizer="single residues",
        licence="MIT",
        size_bytes=None,
        paper="doi:10.1093/bioinformatics/btac020",
        obstacle="it is a Keras model, a pickle file for the authors' own package, protein-bert",
        instead="take ProtGPT2 for tokens and new proteins",
    ),
    Model(
        name="ESMFold",
        id="facebook/esmfold_v1",
        on_hub=True,
        published="https://huggingface.co/facebook/esmfold_v1",
        architecture="ESM-2 encoder (3B) and a folding trunk",
        task="structure from one sequence",
        alphabet="protein",
        # counted from transformers' class; the stem in half precision and the rest in single make the 8.44 GB listed
        parameters=3_525_038_915,
        tokenizer="single residues, 33 tokens",
        licence="MIT",
        size_bytes=8_440_000_000,
        paper="doi:10.1126/science.ade2574",
        verbs=("tokenize",),
        instead="fold with transformers' own EsmForProteinFolding, on a GPU",
    ),
    Model(
        name="ProGen",
        id="ProGen",
        on_hub=False,
        published="https://github.com/salesforce/progen",
        architecture="GPT decoder conditioned on tags",
        task="next residue of natural proteins, given family and function",
        alphabet="protein",
        parameters=1_200_000_000,  # "1.2B" in the paper
        tokenizer="single residues and control tags",
        licence="BSD-3-Clause",
        size_bytes=None,
        paper="doi:10.1038/s41587-022-01618-2",
        obstacle="its weights are for the authors' own code",
        instead="take ProtGPT2 for new proteins",
    ),
)


def find(name: str) -> Optional[Model]:
    """The catalog's entry for a hub id or a model's name, whatever its case; None when the lessons do not name it."""
    wanted = name.strip().lower()
    return next((model for model in CATALOG if wanted in (model.id.lower(), model.name.lower())), None)


def require(name: str, verb: str) -> Optional[Model]:
    """The catalog's entry, when the verb can take the model; None for a model or folder that the catalog does not name.

    Parameters
    ----------
    name : str
        A hub id, a model's name, or a folder (of which the catalog knows nothing, so that it passes).
    verb : str
        "tokenize", "embed", "classify", "finetune", "generate" or "fetch".

    Raises
    ------
    InputError
        When the catalog knows that this model cannot do that here: it says why, and what to take instead.
    """
    entry = find(name)
    if entry is None or Path(name).expanduser().is_dir():
        return None
    if entry.obstacle:
        raise InputError(f"{entry.name} cannot be loaded here: {entry.obstacle}.{entry.advice}")
    if verb != "fetch" and verb not in entry.verbs:
        able = " and ".join(filter(None, (", ".join(entry.verbs[:-1]), *entry.verbs[-1:])))
        others = [model.id for model in CATALOG if verb in model.verbs]
        advice = entry.advice or (f" Instead, take {others[0]}." if others else "")
        raise InputError(f"{entry.name} ({entry.task}) is for {able} here, not for {verb}.{advice}")
    return entry


def stand_ins() -> str:
    """The ids of the models that have an embedded stand-in, as words."""
    return " or ".join(model.id for model in CATALOG if model.stand_in is not None)
