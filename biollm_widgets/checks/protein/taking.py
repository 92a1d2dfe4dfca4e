"""Checks of the unit on taking designs away: FASTA, and a job for AlphaFold 3."""

from __future__ import annotations

from typing import Any

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, check_of, told
from biollm_widgets.checks.protein.text import wrapped

LOOK = "unit 9, “FASTA and a job for AlphaFold 3”"


@check_of(
    "protein.fasta",
    2,
    "a function to_fasta(names, sequences)",
    LOOK,
    {
        "mark": Mistake(
            "Names have no > in front; a reader takes them for residues.", "Each header begins with >.", 0.25
        ),
        "space": Mistake("A space stands between > and the name; readers then find no name.", "Write >name.", 0.5),
        "one_line": Mistake("The residues stand in one long line.", "Lines of 60 are what all programs read.", 0.75),
        "same_line": Mistake(
            "Name and residues stand in one line.", "The residues begin on a line of their own.", 0.25
        ),
        "names": Mistake(
            "The names are not those handed in, or not each with its own.", "One header a sequence.", 0.25
        ),
        "blank": Mistake(
            "Blank lines stand in the text: between records, or behind a last line that is full.",
            "A record begins right after the one before; try it with 120 residues, too.",
            0.75,
        ),
        "list": Mistake("A list is given, not a text.", '"\\n".join makes a text of it.', 0.5),
        "first": Mistake("Not all records are there.", "Go through all of them.", 0.25),
    },
)
def to_fasta(case: Case, answer: Any) -> None:
    """Read back, record by record."""
    for _ in range(case.rounds):
        n = int(case.rng.integers(3, 6))
        names = [f"design_{one}" for one in case.rng.permutation(90)[:n]]
        sizes = case.rng.integers(70, 190, n)
        sizes[0] = 120  # its last line is full
        sequences = [inputs.protein(case.rng, int(size)) for size in sizes]
        got = case.call(answer, names, sequences)
        if isinstance(got, (list, tuple)):
            case.mistake("list", f"It gives {told(got)}.")
        got = case.text(got)
        truth = "\n".join(f">{name}\n{wrapped(one)}" for name, one in zip(names, sequences, strict=True))
        if got.strip("\n").replace("\r", "") == truth:
            continue
        saw = f"It begins with {got[:40]!r}."
        lines = got.strip("\n").split("\n")
        heads = [line for line in lines if line.startswith(">")]
        case.need(heads, "mark", saw)
        case.need(not any(line.startswith("> ") for line in heads), "space", saw)
        case.need(not any(one[:20] in line for line in heads for one in sequences), "same_line", saw)
        case.need(len(heads) >= n, "first", f"It has {len(heads)} of {n} records.")
        case.need([line[1:].split()[:1] for line in heads] == [[name] for name in names], "names", saw)
        case.need("" not in lines, "blank", saw)
        long = max(len(line) for line in lines)
        case.need(long <= 80, "one_line", f"Its longest line has {long} letters.")
        body = "".join("" if line.startswith(">") else line for line in lines)
        if body == "".join(sequences):
            continue  # lines of another length up to 80, or more in a header: programs read them
        case.mistake("other", saw)
    case.say("One header a protein, lines that every program reads.")


@check_of(
    "protein.alphafold",
    3,
    "a function job(name, sequence, seed) that gives a dictionary",
    LOOK,
    {
        "text": Mistake("JSON text is given; the function is to give the dictionary.", "Leave out json.dumps.", 0.75),
        "list": Mistake(
            "A list stands around the job: that is what the AlphaFold Server takes, not AlphaFold 3 itself.",
            "One dictionary a file.",
            0.5,
        ),
        "dialect": Mistake(
            "dialect or version are missing or others; AlphaFold 3 then refuses the file.",
            '"dialect" is "alphafold3", "version" a whole number from 1.',
            0.5,
        ),
        "seeds": Mistake("modelSeeds is no list of whole numbers.", "At least one seed, in a list.", 0.5),
        "chain": Mistake("The chain's id is no capital letter.", 'As in "A".', 0.5),
        "sequence": Mistake(
            "The sequence is not the one handed in, or stands elsewhere than in sequences, protein.",
            'A list under "sequences", in it {"protein": {"id": ..., "sequence": ...}}.',
            0.25,
        ),
        "msa": Mistake(
            "The job looks for relatives; a protein that nobody has seen may have none.",
            'unpairedMsa and pairedMsa are "", templates is [].',
            0.5,
        ),
        "name": Mistake("The job has another name than the one handed in.", '"name" is the name.', 0.75),
    },
)
def alphafold(case: Case, answer: Any) -> None:
    """An MSA-free job, as the format's description has it (AlphaFold 3, docs/input.md)."""
    for _ in range(case.rounds):
        name, seed = f"design_{int(case.rng.integers(1, 99))}", int(case.rng.integers(1, 10_000))
        sequence = inputs.protein(case.rng, int(case.rng.integers(60, 150)))
        got = case.call(answer, name, sequence, seed)
        if isinstance(got, str):
            case.mistake("text", f"It gives {told(got)}.")
        if isinstance(got, (list, tuple)):
            case.mistake("list", f"It gives {told(got)}.")
        if not isinstance(got, dict):
            case.mistake("kind", f"It gives {told(got)}, not a dictionary.")
        version = got.get("version")
        case.need(
            got.get("dialect") == "alphafold3" and type(version) is int and 1 <= version <= 4,
            "dialect",
            f"dialect is {got.get('dialect')!r:.40}, version {version!r:.20}.",
        )
        case.need(got.get("name") == name, "name", f"name is {got.get('name')!r:.60}.")
        seeds = got.get("modelSeeds")
        case.need(
            isinstance(seeds, list) and seeds and all(type(one) is int for one in seeds) and seed in seeds,
            "seeds",
            f"modelSeeds is {seeds!r:.60}, the seed {seed}.",
        )
        try:
            [entry] = got["sequences"]
            protein = entry["protein"]
            written, chain = protein["sequence"], protein["id"]
        except (KeyError, TypeError, ValueError):
            case.mistake("sequence", f"sequences is {got.get('sequences')!r:.80}.")
        case.need(written == sequence, "sequence", f"The sequence begins with {str(written)[:20]!r}.")
        chains = chain if isinstance(chain, list) else [chain]
        case.need(
            chains and all(isinstance(one, str) and one.isalpha() and one.isupper() for one in chains),
            "chain",
            f"id is {chain!r:.40}.",
        )
        bare = protein.get("unpairedMsa") == "" and protein.get("pairedMsa") == "" and protein.get("templates") == []
        case.need(bare, "msa", f"unpairedMsa is {protein.get('unpairedMsa')!r:.40}.")
    case.say("A job that AlphaFold 3 reads, and that looks for no relatives.")


CHECKS = [to_fasta, alphafold]
