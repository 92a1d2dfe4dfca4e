"""Input for AlphaFold 3 and jobs for AlphaFold Server.

References
----------
AlphaFold 3's input: github.com/google-deepmind/alphafold3, docs/input.md and src/alphafold3/common/folding_input.py.
AlphaFold Server's jobs: github.com/google-deepmind/alphafold, server/README.md.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Union

from biollm_widgets.errors import InputError
from biollm_widgets.protein.export.plain import Entry, json_text, write
from biollm_widgets.sequences import AMINO_ACIDS, PROTEIN_AMBIGUITY

# Version 1 is the first that AlphaFold 3 read and says all that a protein chain needs; every release still reads it.
ALPHAFOLD3_VERSION = 1
SERVER_VERSION = 1
LARGEST_SEED = 2**32 - 1  # both dialects take seeds of 32 bits without a sign
# alphafoldserver.com/faq: a job has at most 5,000 tokens, and a residue is one.
SERVER_TOKENS = 5000
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # no file names on Windows
_LONGEST_NAME = 100


def to_alphafold3(
    entry: Entry, *, model_seeds: Sequence[int] = (1,), msa_free: bool = False, copies: int = 1
) -> dict[str, Any]:
    """One design as a job of AlphaFold 3 (dialect "alphafold3", version 1); one such object makes one file.

    Parameters
    ----------
    entry : Entry
        Its name is written as `safe_name` has it, since AlphaFold 3 calls its output folder after it and drops all
        other characters.
    model_seeds : sequence of int
        One structure prediction is made for each; 0 to 4,294,967,295.
    msa_free : bool
        Fold from the sequence alone: no search for relatives (`unpairedMsa` and `pairedMsa` are "") and no templates.
        Quick, and for a design without relatives little is lost; otherwise AlphaFold 3 searches for both itself.
    copies : int
        How many chains of this sequence, for a homomer.

    Returns
    -------
    dict
        For `json.dump`.

    Raises
    ------
    InputError
        For a letter that is none of the twenty standard residues, no residues at all, a name of which nothing is
        left, no seed or one outside the range or given twice, and fewer copies than one.
    """
    name = _job_name(entry)
    _check_residues(entry, "AlphaFold 3")
    seeds = _seeds(model_seeds)
    if not seeds:
        raise InputError("AlphaFold 3 needs at least one seed; give model_seeds=(1,).")
    ids = [_chain_id(number) for number in range(_copies(copies))]
    protein: dict[str, Any] = {"id": ids[0] if copies == 1 else ids, "sequence": entry.sequence}
    if msa_free:
        protein.update(unpairedMsa="", pairedMsa="", templates=[])
    return {
        "name": name,
        "modelSeeds": seeds,
        "sequences": [{"protein": protein}],
        "dialect": "alphafold3",
        "version": ALPHAFOLD3_VERSION,
    }


def to_alphafold_server(
    entries: Iterable[Entry], *, model_seeds: Sequence[int] = (), copies: int = 1, templates: bool = True
) -> list[dict[str, Any]]:
    """Designs as jobs for the AlphaFold Server (dialect "alphafoldserver", version 1): a list, one file for all.

    Parameters
    ----------
    entries : iterable of Entry
    model_seeds : sequence of int
        None: the server draws one, as its documentation recommends. The server wants seeds as texts; they are.
    copies : int
        How many chains of each sequence.
    templates : bool
        Whether known structures may be used. (The server always searches for relatives: it has no MSA-free way.)

    Returns
    -------
    list of dict
        For `json.dump`; the names are made safe and different from each other.

    Raises
    ------
    InputError
        As `to_alphafold3`; a job of more than 5,000 residues; no entries.
    """
    entries = list(entries)
    if not entries:
        raise InputError("There are no designs to write; give at least one.")
    count, seeds = _copies(copies), _seeds(model_seeds)
    jobs = []
    for entry, name in zip(entries, _job_names(entries), strict=True):
        _check_residues(entry, "the AlphaFold Server")
        if len(entry.sequence) * count > SERVER_TOKENS:
            raise InputError(
                f"{entry.name} makes a job of {len(entry.sequence) * count:,} residues and the AlphaFold Server takes "
                f"{SERVER_TOKENS:,}; ask for fewer copies or cut it."
            )
        chain: dict[str, Any] = {"sequence": entry.sequence, "count": count}
        if not templates:
            chain["useStructureTemplate"] = False
        jobs.append(
            {
                "name": name,
                "modelSeeds": [str(seed) for seed in seeds],
                "sequences": [{"proteinChain": chain}],
                "dialect": "alphafoldserver",
                "version": SERVER_VERSION,
            }
        )
    return jobs


def write_alphafold3(
    entries: Iterable[Entry],
    folder: Union[str, os.PathLike],
    *,
    model_seeds: Sequence[int] = (1,),
    msa_free: bool = False,
    copies: int = 1,
) -> list[Path]:
    """Write one file a design, `<folder>/<name>.json`, for `run_alphafold.py --input_dir`.

    All designs are checked before the first file is written. Names are made safe (see `safe_name`) and different
    from each other, whatever their case; a file that is there under such a name is replaced.

    Returns
    -------
    list of Path
        In the order of the entries.

    Raises
    ------
    InputError
        As `to_alphafold3`; no entries; a folder that cannot be written to.
    """
    entries = list(entries)
    if not entries:
        raise InputError("There are no designs to write; give at least one.")
    jobs = [to_alphafold3(entry, model_seeds=model_seeds, msa_free=msa_free, copies=copies) for entry in entries]
    paths = []
    for job, name in zip(jobs, _job_names(entries), strict=True):
        job["name"] = name
        paths.append(write(Path(folder) / f"{name}.json", json_text(job)))
    return paths


def write_alphafold_server(
    entries: Iterable[Entry],
    path: Union[str, os.PathLike],
    *,
    model_seeds: Sequence[int] = (),
    copies: int = 1,
    templates: bool = True,
) -> Path:
    """Write the jobs of `to_alphafold_server` into one file. Returns its path, raises as `to_alphafold_server`."""
    jobs = to_alphafold_server(entries, model_seeds=model_seeds, copies=copies, templates=templates)
    return write(path, json_text(jobs))


def safe_name(name: str) -> str:
    """A name that AlphaFold 3 keeps as it is and that is a file name everywhere: letters, digits, `_`, `-`, `.`.

    Anything else becomes `_`; at most 100 characters; empty when nothing is left.
    """
    safe = _UNSAFE.sub("_", name).strip("_.-")[:_LONGEST_NAME].rstrip(".")
    return f"design_{safe}" if _DEVICES.fullmatch(safe) else safe


def _job_name(entry: Entry) -> str:
    name = safe_name(entry.name)
    if not name:
        raise InputError(
            f"Nothing is left of the name {entry.name!r} once all but letters, digits, _, - and . are gone; rename it."
        )
    return name


def _job_names(entries: Sequence[Entry]) -> list[str]:
    """Safe names, different whatever their case: some file systems and the server's history know no case."""
    names: list[str] = []
    taken: set[str] = set()
    for entry in entries:
        first = name = _job_name(entry)
        number = 2
        while name.casefold() in taken:
            name = f"{first[: _LONGEST_NAME - 6]}_{number}"
            number += 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _chain_id(number: int) -> str:
    """A, B, ..., Z, AA, BA, CA, ...: the order in which AlphaFold 3 itself names the chains of a server's job."""
    letters = ""
    while number >= 0:
        letters += chr(ord("A") + number % 26)
        number = number // 26 - 1
    return letters


def _check_residues(entry: Entry, reader: str) -> None:
    if not entry.sequence:
        raise InputError(f"{entry.name} has no residues, so there is nothing to fold; leave it out.")
    rest = entry.sequence.translate(dict.fromkeys(map(ord, AMINO_ACIDS)))
    if not rest:
        return
    letter = rest[0]
    place = f"In {entry.name}, position {entry.sequence.index(letter) + 1}, {letter!r}"
    if letter.upper() in AMINO_ACIDS:
        raise InputError(f"{place} is lower case and {reader} takes capitals; pass the sequence through clean_protein.")
    meaning = f" ({PROTEIN_AMBIGUITY[letter]})" if letter in PROTEIN_AMBIGUITY else ""
    # Selenocysteine and pyrrolysine are rare variants of these two, and fold like them.
    instead = {"U": "C", "O": "K"}.get(letter, "the residue you mean")
    raise InputError(
        f"{place}{meaning} is none of the twenty standard residues that {reader} takes; put {instead} in its place or "
        "leave the design out."
    )


def _seeds(given: Sequence[int]) -> list[int]:
    seeds: list[int] = []
    for seed in [given] if isinstance(given, (int, str)) else given:
        try:
            number = operator.index(seed)
        except TypeError:
            number = -1
        if isinstance(seed, bool) or not 0 <= number <= LARGEST_SEED:
            raise InputError(f"A seed of AlphaFold is a whole number from 0 to {LARGEST_SEED}, not {seed!r}.")
        if number in seeds:
            raise InputError(f"The seed {number} is given twice, which would give one structure twice; drop one.")
        seeds.append(number)
    return seeds


def _copies(copies: int) -> int:
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise InputError(f"copies is how many chains there are, 1 or more, not {copies!r}.")
    return copies
