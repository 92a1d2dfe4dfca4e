"""What is judged and what is taken away, in a page: details, composition, known proteins, files."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import expect

import biollm_widgets as bio

from .notebooks import Notebook
from .panels import FEW, Panel

NATURAL = (
    "MSDKIIHLTDDSFDTDVLKADGAILVDFWAEWCGPCKMIAPILDEIADEYQGKLTVAKLNIDQNPGTAPKYGIRGIPTLLLFKNGEVAATKVGALSKGQLKEFLDANLA"
)


def taken(panel: Panel, kind: str) -> tuple[str, bytes]:
    """The file behind a button: its name and what is in it."""
    panel.root.locator(f"[data-kind={kind}]").click()
    link = panel.root.locator(".bp-handed a")
    expect(link).to_contain_text("Download")
    with panel.page.expect_download() as download:
        link.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_what_is_taken_away_is_what_python_has(designs: Notebook, tmp_path: Path) -> None:
    panel = Panel(designs)
    panel.generate()
    panel.open("Take away")
    name, data = taken(panel, "fasta")
    assert name.endswith(".fasta") and data.decode() == panel.ask("panel.to_fasta()")
    records = bio.read_fasta(io.StringIO(data.decode()), alphabet="protein")
    assert [one.sequence for one in records] == panel.ask("[one.sequence for one in panel.generation]")
    expect(panel.root.get_by_label(f"{name}, to copy")).to_have_value(data.decode())
    name, data = taken(panel, "csv")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert name.endswith(".csv") and data.decode() == panel.ask("panel.to_csv()")
    assert [row["name"] for row in rows] == panel.names() and {"perplexity", "sequence"} <= set(rows[0])
    name, data = taken(panel, "json")
    (tmp_path / name).write_bytes(data)
    designs.tell(f"again = bio.generate_again({str(tmp_path / name)!r}, progress=False)")
    assert panel.ask("again.sequences == panel.generation.sequences") is True
    name, data = taken(panel, "png")
    assert name.endswith(".png") and data.startswith(b"\x89PNG")


def test_alphafold_jobs_come_as_an_archive_with_and_without_relatives(designs: Notebook) -> None:
    panel = Panel(designs)
    panel.generate()
    panel.open("Take away")
    sequences = panel.ask("[one.sequence for one in panel.generation]")
    for free in (False, True):
        panel.root.get_by_label("AlphaFold 3 without relatives").set_checked(free)
        name, data = taken(panel, "alphafold3")
        assert name.endswith(".zip")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            jobs = [json.loads(archive.read(one)) for one in archive.namelist() if one.endswith(".json")]
        proteins = [job["sequences"][0]["protein"] for job in jobs]
        assert [one["sequence"] for one in proteins] == sequences
        assert all(job["dialect"] == "alphafold3" for job in jobs)
        assert [one.get("unpairedMsa") for one in proteins] == [("" if free else None)] * 6


def test_where_the_page_cannot_download_python_writes(designs: Notebook, tmp_path: Path) -> None:
    panel = Panel(designs)
    panel.generate()
    panel.open("Take away")
    folder = panel.root.get_by_label("Folder to write into, where Python runs")
    folder.fill("")
    panel.button("Write").click()
    expect(panel.trouble).to_contain_text("Name a folder to write into")
    folder.fill(str(tmp_path / "out"))
    panel.page.keyboard.press("Enter")
    expect(panel.root).to_contain_text(re.compile(r"Wrote \d+ files into "))
    expect(panel.trouble).to_be_hidden()
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert any(one.endswith(".fasta") for one in written) and any(one.endswith(".csv") for one in written)
    [fasta] = (tmp_path / "out").glob("*.fasta")
    assert fasta.read_text() == panel.ask("panel.to_fasta()")


def test_a_row_opens_all_that_is_known_of_it(designs: Notebook) -> None:
    panel = Panel(designs)
    panel.generate()
    name = panel.names()[2]
    details = panel.open_design(name)
    whole = panel.ask(f"next(one.sequence for one in panel.generation if one.name == {name!r})")
    assert details.locator(".bp-whole").inner_text() == whole
    facts = details.locator(".bp-facts")
    for words in ("perplexity", "pI (pH)", "GRAVY", "instability", "low complexity"):
        expect(facts).to_contain_text(words)
    frame = f"panel.to_frame().set_index('name').loc[{name!r}]"
    expect(facts).to_contain_text(f"{panel.ask(f'float({frame}.perplexity)'):,.1f}")
    expect(details.locator("figure")).to_contain_text(f"n = {len(whole)} residues of 1 protein")
    expect(panel.button(name)).to_be_focused()
    panel.button(name).click()
    expect(details).to_be_hidden()


def test_composition_is_of_all_with_n_and_stands_in_one_place_with_a_designs_details(designs: Notebook) -> None:
    panel = Panel(designs)
    panel.generate()
    panel.open("Composition")
    residues = panel.ask("sum(one.residues for one in panel.generation)")
    figure = panel.root.locator(".bp-side figure")
    expect(figure).to_contain_text(f"n = {residues:,} residues of 6 proteins")
    shares = figure.get_by_role("img").get_attribute("aria-label") or ""
    share = panel.ask(
        "sum(one.sequence.count('L') for one in panel.generation) / sum(map(len, panel.generation.sequences))"
    )
    assert f"L {100 * share:.1f} %" in shares
    panel.open_design(panel.names()[0])
    expect(panel.button("Composition")).to_have_attribute("aria-expanded", "false")
    expect(panel.root.locator(".bp-side")).to_be_hidden()
    panel.open("Composition")
    expect(figure).to_contain_text("of 6 proteins")
    expect(panel.root.locator(".bp-details")).to_be_hidden()


def test_known_proteins_are_compared_with_and_what_is_no_file_is_said(designs: Notebook, tmp_path: Path) -> None:
    panel = Panel(designs, f"prompt={NATURAL[:40]!r}, {FEW}")
    panel.generate()
    panel.open("Composition")
    path = panel.root.get_by_label("FASTA file of known proteins, where Python runs")
    path.fill("nowhere.fasta")
    panel.button("Compare").click()
    expect(panel.root).to_contain_text("There is no file nowhere.fasta where Python runs")
    known = tmp_path / "known.fasta"
    known.write_text(f">P0AA25 thioredoxin\n{NATURAL}\n>other\n{NATURAL[::-1]}\n")
    path.fill(str(known))
    path.press("Enter")
    expect(panel.column_head("nearest_identity")).to_be_visible()
    nearest = panel.ask("panel.to_frame()['nearest'].tolist()")
    assert set(nearest) <= {"P0AA25", "other", ""}  # to the residues that the model wrote; the prompt is no news
    details = panel.open_design(panel.names()[0])
    expect(details).to_contain_text(f"Nearest known protein: {nearest[0]}: ")
    identity, columns = panel.ask(
        "panel.to_frame()[['nearest_identity', 'nearest_columns']].astype(float).values[0].tolist()"
    )
    expect(details).to_contain_text(f"{identity:.0f} % identical over {columns:.0f} columns")


def test_a_repeat_with_low_perplexity_is_marked_and_why(designs: Notebook) -> None:
    repeats = "prompt='MAAAAAAAAAAAAAAAAAAAAAAA', temperature=0.1, top_k=2, repetition_penalty=1"
    panel = Panel(designs, f"{repeats}, n=3, seed=1, max_length=60")
    panel.generate()
    why = dict(panel.ask("panel.to_frame()[['name', 'why']].values.tolist()"))
    deceiving = [name for name in panel.names() if why[name].startswith("Low perplexity, but ")]
    assert deceiving
    for row, name in zip(panel.rows.all(), panel.names(), strict=True):
        expect(row).to_have_class("bp-deceives" if name in deceiving else "")
        if name in deceiving:
            expect(row.locator("td.bp-col-flags")).to_have_text(why[name])
    assert re.match("Low perplexity, but it repeats itself: residues \\d+ to \\d+ are all A", why[deceiving[0]])
    expect(panel.open_design(deceiving[0]).locator(".bp-why")).to_have_text(why[deceiving[0]])


def test_duplicates_are_told(designs: Notebook) -> None:
    panel = Panel(designs, "n=3, seed=1, max_length=20, temperature=0.1, top_k=1")
    panel.generate()
    assert len(set(panel.ask("panel.generation.sequences"))) == 1
    assert sorted(panel.column("duplicate_of")) == ["", "design_1", "design_1"]
