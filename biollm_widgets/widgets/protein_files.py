"""What can be taken away of a generation: FASTA, CSV, settings, and jobs for AlphaFold 3, as bytes or into a folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.protein.generation import Generation

# kind -> what it is called, and its media type
FILES = {
    "fasta": ("designs.fasta", "text/x-fasta"),
    "csv": ("designs.csv", "text/csv"),
    "json": ("settings.json", "application/json"),
    "alphafold3": ("alphafold3.zip", "application/zip"),
    "svg": ("designs.svg", "image/svg+xml"),
    "png": ("designs.png", "image/png"),
}
README = """Jobs for AlphaFold 3, one file a design:

    run_alphafold.py --input_dir jobs --output_dir structures

{msa}
"""
MSA_FREE = "They fold from the sequence alone: no search for relatives, and no templates."
WITH_MSA = "AlphaFold 3 searches for relatives and templates itself, which takes its databases and most of its time."


def chosen(generation: Generation, places: Optional[Sequence[Any]]) -> Generation:
    """Some designs of a generation; all where none are named.

    Raises
    ------
    InputError
        For a place where there is none.
    """
    if places is None:
        return generation
    wrong = [
        place for place in places
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(generation)
    ]  # fmt: skip
    if wrong or not places:
        raise InputError(f"There are {len(generation)} designs, counted from 0; name some of them, not {places!r:.60}.")
    return replace(generation, designs=tuple(generation[place] for place in dict.fromkeys(places)))


def content(generation: Generation, frame: pandas.DataFrame, kind: str, msa_free: bool = False) -> Union[str, bytes]:
    """A file that is no picture: text, or the bytes of an archive.

    Parameters
    ----------
    frame : DataFrame
        The judged designs; rows of others are left out.
    """
    if kind == "fasta":
        text = generation.to_fasta()
        if not text:
            raise InputError("None of these designs has residues, so there is nothing to write.")
        return text
    if kind == "csv":
        from biollm_widgets.protein.export import to_csv

        names = {design.name for design in generation}
        return to_csv(frame[frame["name"].isin(names)])
    if kind == "json":
        return generation.to_json()
    return archive(generation, msa_free)


def archive(generation: Generation, msa_free: bool) -> bytes:
    """The AlphaFold 3 jobs as a .zip: a folder `jobs` with a file each, and a README."""
    from biollm_widgets.protein.export.plain import json_text

    jobs = generation.to_alphafold3(msa_free=msa_free)
    if not jobs:
        raise InputError("AlphaFold 3 takes none of these designs: they have no residues, or others than the twenty.")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("README.txt", README.format(msa=MSA_FREE if msa_free else WITH_MSA))
        for job in jobs:
            packed.writestr(f"jobs/{job['name']}.json", json_text(job))
    return held.getvalue()


def write_all(
    generation: Generation, frame: pandas.DataFrame, folder: Union[str, Path], msa_free: bool
) -> tuple[Path, list[Path]]:
    """Write everything into a folder of its own: nothing that is there is written over.

    Returns
    -------
    Path, list of Path
        The folder (with a number where the one that was named holds something), and what is in it.

    Raises
    ------
    InputError
        When it cannot be written there.
    """
    place = _free(Path(folder).expanduser())
    written = []
    for kind in ("fasta", "csv", "json"):
        if kind == "fasta" and not any(design.sequence for design in generation):
            continue
        data = content(generation, frame, kind)
        assert isinstance(data, str)
        path = place / FILES[kind][0]
        with whole_file(path) as temporary:
            temporary.write_text(data, encoding="utf-8", newline="")
        written.append(path)
    jobs = place / "alphafold3"
    generation.to_alphafold3(jobs, msa_free=msa_free)
    if jobs.is_dir():
        written += sorted(jobs.iterdir())
    return place, written


def _free(folder: Path) -> Path:
    """A folder of this name with nothing in it, or the first with a number behind: designs-2, designs-3."""
    for number in range(1, 10_000):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            if not place.exists() or (place.is_dir() and not any(place.iterdir())):
                return place
        except OSError as problem:
            raise InputError(f"Cannot look into {place} ({problem.strerror or problem}); name another.") from problem
    raise InputError(f"There are 10,000 folders {folder.name}; name another.")
