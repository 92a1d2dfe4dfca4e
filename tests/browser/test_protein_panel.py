"""ProteinPanel in a real page: asked, watched, cancelled, reloaded, sorted; and what is wrong said beside its field."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from .conftest import Rooms
from .notebooks import Notebook, expect_the_saved_picture
from .panels import FEW, MANY, Panel
from .servers import surroundings

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"
LONG = "ACDEFGHIKLMNPQRSTVWY" * 100  # 2,000 residues
HOSTILE = "<img src=x onerror='window.harmed = 1'><script>window.harmed = 1</script>"
SAME = "[one.sequence for one in panel.generation] == bio.generate(None, 6, max_length=40, seed=1, progress=False)"


def test_generate_lets_all_grow_at_once_and_the_table_has_what_python_has(designs_everywhere: Notebook) -> None:
    designs_everywhere.tell("slow(0.08)")
    panel = Panel(designs_everywhere)
    expect(panel.title).to_have_text("No proteins yet: press Generate")
    panel.page.evaluate("bio.listen()")
    panel.button("Generate").click()
    first = panel.wait_for_residues(2)
    expect(panel.title).to_have_text("6 proteins grow")
    expect(panel.lines).to_have_count(6)
    assert panel.ask("[panel.state, works()]") == ["growing", ["generating"]]  # and the kernel is free meanwhile
    panel.wait_for_residues(first)
    assert all(length > 0 for length in panel.lengths())
    expect(panel.line).to_contain_text(re.compile(r"token \d+ of 39 · \d of 6 still growing"))
    panel.wait_until_judged()
    expect(panel.title).to_have_text(str(panel.ask("panel.title")))
    assert panel.names() == panel.ask("panel.to_frame()['name'].tolist()")
    shown = panel.rows.locator(".bp-cell").all_inner_texts()
    kept = panel.ask("[next(d.sequence for d in panel.generation if d.name == n) for n in panel.to_frame()['name']]")
    assert [words.rstrip("…") for words in shown] == [sequence[:60] for sequence in kept]
    assert panel.ask(f"{SAME}.sequences") is True
    heard = [one for one in panel.page.evaluate("bio.heard") if one["kind"] == "news" and one["type"] == "comm_msg"]
    assert len(heard) >= 3
    assert min(b["at"] - a["at"] for a, b in pairwise(heard)) >= 200  # milliseconds: drawing takes time from the model
    assert max(one["size"] for one in heard[:-1]) < 4000  # differences, not the whole
    assert panel.ask("panel.troubles") == [] == panel.ask("works()")


def test_a_cell_that_awaits_shows_them_grow_and_the_cell_below_has_them(designs: Notebook) -> None:
    designs.tell("slow(0.04)")
    panel = Panel(designs, FEW, "made = await panel.generate()", below="print(len(made), made is panel.generation)")
    first = panel.wait_for_residues(1)
    panel.wait_for_residues(first)
    designs.wait_until_done(panel.cell + 1)
    assert designs.said(panel.cell + 1).strip() == "6 True"
    panel.wait_until_judged()
    assert panel.names() == panel.ask("panel.to_frame()['name'].tolist()")


@pytest.mark.parametrize("call", ["panel", "made = await panel.generate()"], ids=["button", "cell"])
def test_cancel_keeps_what_is_there_and_leaves_the_kernel_ready(designs: Notebook, call: str) -> None:
    designs.tell("slow(0.05)")
    panel = Panel(designs, MANY, call)
    if call == "panel":
        panel.button("Generate").click()
    seen = panel.wait_for_residues(3)
    panel.button("Cancel").click()
    expect(panel.rows).to_have_count(6, timeout=5000)
    designs.wait_until_done(panel.cell)
    expect(panel.title).to_contain_text("6 proteins, 5 cut off by Cancel")
    expect(panel.notice).to_contain_text("Cancelled. What was written until then is kept")
    assert panel.ask("[panel.generation.stopped, works(), panel.troubles]") == [True, [], []]
    assert min(panel.ask("[len(one.sequence) for one in panel.generation]")) >= seen - 3 > 0
    # The kernel is ready, and the panel too: what it makes now is what it makes without a Cancel before.
    designs.tell("quick()")
    panel.field("max_length").fill("40")
    panel.generate()
    expect(panel.notice).not_to_contain_text("Cancelled")
    assert panel.ask(f"{SAME}.sequences") is True


@pytest.mark.parametrize("call", ["panel", "made = await panel.generate()"], ids=["button", "cell"])
def test_the_page_is_loaded_again_while_they_grow_and_stays_alive(designs: Notebook, call: str) -> None:
    designs.tell("slow(0.05)")
    panel = Panel(designs, MANY, call)
    if call == "panel":
        panel.button("Generate").click()
    before = panel.wait_for_residues(3)
    designs.save()
    panel.page.reload()
    designs.wait_until_open()
    panel.look(designs.outputs(panel.cell))
    now = panel.wait_for_residues(before)  # with what was written while nobody looked
    panel.wait_for_residues(now)
    expect(panel.title).to_have_text("6 proteins grow")
    panel.button("Cancel").click()
    panel.wait_until_judged()
    designs.wait_until_ready()
    assert panel.names() == panel.ask("panel.to_frame()['name'].tolist()")
    shown = {len(words.rstrip("…")) for words in panel.rows.locator(".bp-cell").all_inner_texts()}
    assert shown == set(panel.ask("[min(60, one.residues) for one in panel.generation]"))


BAD = [
    ("mktayiakqr", False, "10 residues, 8 tokens; 10 lower-case letters made capital"),
    (f">sp|P1|A motif of some protein\n{MOTIF}\n", False, "42 residues, 28 tokens"),
    ("MKXAY", True, "In the prompt, position 3, 'X' stands for any residue; write one of the twenty amino acids in"),
    ("MK7AY", True, "In the prompt, position 3, '7' is no residue"),
    (LONG, True, "These 2,000 residues take 1,369 tokens, and the model has 1,024 positions in all; the first 1,497"),
    (f">a\n{MOTIF}\n>b\n{MOTIF}", True, "There are 2 records in the prompt (a, b); give one of them."),
    (HOSTILE, True, "In the prompt, position 1, '<' is no residue"),
    ("ATGACCATGATTACGGATTCACTGGCC", True, "The prompt (ATGACCATGATTACGGATTC...) looks like DNA"),
]


def test_a_prompt_that_cannot_be_is_a_sentence_beside_its_field_and_nothing_begins(designs: Notebook) -> None:
    panel = Panel(designs)
    for typed, wrong, words in BAD:  # the first of them brings the model
        panel.prompt.fill(typed)
        check = panel.check("prompt")
        expect(check).to_contain_text(words)
        expect(check).to_have_class("bp-check bp-wrong" if wrong else "bp-check")
        expect(panel.prompt).to_have_attribute("aria-invalid", str(wrong).lower())
        field, sentence = panel.prompt.bounding_box(), check.bounding_box()
        assert field and sentence and 0 <= sentence["y"] - field["y"] - field["height"] < 24  # just below
        if wrong:
            panel.button("Generate").click()
            expect(panel.trouble).to_contain_text("First mend the prompt: " + words[:40])
            assert panel.ask("[panel.state, works()]") == ["idle", []]
    panel.prompt.fill(MOTIF)
    expect(panel.check("prompt")).to_have_text("42 residues, 28 tokens")
    expect(panel.trouble).to_be_hidden()
    panel.generate()
    assert panel.ask("[one.sequence[:42] for one in panel.generation]") == [MOTIF] * 6
    assert panel.page.evaluate("window.harmed") is None


def test_a_prompt_that_does_not_fit_is_refused_when_generate_is_pressed_before_the_model_is_there(
    designs: Notebook,
) -> None:
    panel = Panel(designs, f"{FEW}, prompt={LONG!r}")
    expect(panel.check("prompt")).to_have_text("2,000 residues")
    panel.button("Generate").click()
    expect(panel.check("prompt")).to_contain_text("These 2,000 residues take 1,369 tokens")
    expect(panel.root).to_contain_text("the first 1,497 residues fit")
    expect(panel.button("Generate")).to_be_visible()
    designs.wait_for("works()", lambda at_work: at_work == [])
    assert panel.ask("panel.state") in ("idle", "failed")


def test_numbers_that_cannot_be_are_sentences_beside_their_fields(designs_lab: Notebook) -> None:
    panel = Panel(designs_lab)
    for key, typed, words in [
        ("n", "many", "'many'; give a whole number"),
        ("max_length", "1", "max_length is 1; "),
        ("temperature", "0", "temperature is 0; "),
        ("top_k", "-4", "top_k is -4; "),
        ("top_p", "1.5", "top_p is 1.5; "),
        ("repetition_penalty", HOSTILE, "give a number"),
        ("seed", "7.5", "seed is 7.5; give a whole number"),
    ]:
        panel.field(key).fill(typed)
        expect(panel.check(key)).to_contain_text(words)
        expect(panel.field(key)).to_have_attribute("aria-invalid", "true")
        expect(panel.field(key)).to_have_value(typed)  # what somebody typed is theirs to mend
    panel.button("Generate").click()
    expect(panel.trouble).to_contain_text("First mend ")
    panel.button("Authors' settings").click()
    expect(panel.check("temperature")).to_have_text("")
    for key, typed in (("n", "2"), ("max_length", "30"), ("seed", "")):
        panel.field(key).fill(typed)
    expect(panel.check("seed")).to_have_text("a new one each time")
    panel.generate()
    assert panel.ask("[len(panel.generation), panel.settings.temperature, panel.settings.seed]") == [2, 1.0, None]
    assert panel.page.evaluate("window.harmed") is None


def test_the_authors_settings_are_one_click_and_the_sliders_follow(designs_lab: Notebook) -> None:
    panel = Panel(designs_lab, "temperature=0.5, top_k=20, top_p=0.5, repetition_penalty=1, n=3")
    panel.button("Authors' settings").click()
    for key, value in (("temperature", "1"), ("top_k", "950"), ("top_p", "1"), ("repetition_penalty", "1.2")):
        expect(panel.field(key)).to_have_value(value)
        expect(panel.slider(key)).to_have_attribute("aria-valuetext", value)
    expect(panel.field("n")).to_have_value("3")
    panel.set_slider("temperature", 4, "ArrowRight")
    expect(panel.field("temperature")).to_have_value("1.2")
    panel.notebook.wait_for("panel.settings.temperature", lambda now: now == 1.2)


def test_the_table_sorts_by_any_column_and_what_has_no_value_stands_last(designs: Notebook) -> None:
    panel = Panel(designs)
    panel.generate()
    frame = "panel.to_frame()"
    for key in ("residues", "gravy", "perplexity", "index"):
        for ascending in (True, False):
            panel.root.locator(f"[data-sort={key}]").click()
            order = "['name'].tolist()"
            column = "[int(name.split('_')[1]) for name in panel.to_frame()['name']]" if key == "index" else repr(key)
            by = f"{frame}.assign(index={column})" if key == "index" else frame
            values = panel.ask(f"{by}.sort_values({key!r}, ascending={ascending}, kind='stable'){order}")
            assert sorted(panel.names()) == sorted(values)
            own = dict(panel.ask(f"list(map(list, zip({by}['name'], {by}[{key!r}].astype(float))))"))
            shown = [own[name] for name in panel.names()]
            assert shown == sorted(shown, reverse=not ascending)
            direction = "ascending" if ascending else "descending"
            expect(panel.root.locator(f"th:has([data-sort={key}])")).to_have_attribute("aria-sort", direction)
            expect(panel.root.locator(f"[data-sort={key}]")).to_be_focused()
    panel.button("All columns").click()
    unknown = "[None if value != value else value for value in panel.to_frame()['duplicate_of']]"
    assert panel.ask(f"any({unknown})") is False  # no duplicates here: nothing is said in that column
    assert panel.column("duplicate_of") == [""] * 6


def test_memory_that_runs_out_is_said_and_the_panel_goes_on(designs: Notebook) -> None:
    designs.tell(
        "def fails(*_):\n    raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')\n"
        "held.append(bio.ProteinPanel()._model.here().model.register_forward_pre_hook(fails))"
    )
    panel = Panel(designs)
    panel.button("Generate").click()
    expect(panel.notice).to_have_attribute("data-kind", "failed")
    expect(panel.notice).to_contain_text("Memory ran out.")
    expect(panel.notice).to_contain_text("Ask for fewer sequences (now 6) or shorter ones (now 40 tokens)")
    expect(panel.root).not_to_contain_text("Traceback")
    designs.tell("quick()")
    panel.generate()
    assert panel.ask(f"{SAME}.sequences") is True


def test_an_exception_reaches_the_cell_that_waits_as_itself(designs: Notebook) -> None:
    designs.tell(
        "def fails(*_):\n    raise ZeroDivisionError('by a test')\n"
        "held.append(bio.ProteinPanel()._model.here().model.register_forward_pre_hook(fails))"
    )
    panel = Panel(designs, FEW, "await panel.generate()")
    designs.wait_until_done(panel.cell)
    assert "ZeroDivisionError: by a test" in designs.said(panel.cell)
    expect(panel.notice).to_contain_text("It broke off (ZeroDivisionError: by a test).")


def test_hostile_names_are_text(designs_lab: Notebook) -> None:
    panel = Panel(designs_lab, f"name={HOSTILE!r}, prompt={'>' + HOSTILE + chr(10) + MOTIF!r}, n=2, max_length=40")
    panel.generate()
    panel.open_design(panel.names()[0])
    designs_lab.tell("panel._keep_trouble('x')")
    assert panel.page.evaluate("window.harmed") is None
    assert panel.root.locator("img").count() == 0


def test_opened_again_it_is_the_saved_picture_until_its_cell_runs(
    designs: Notebook, rooms: Rooms, context: BrowserContext
) -> None:
    panel = Panel(designs)
    panel.generate()
    title, names = panel.title.inner_text(), panel.names()
    designs.wait_for("panel._redraw", lambda waits: not waits)
    panel.page.wait_for_timeout(500)  # the saved picture is on its way
    name = designs.save().name
    rooms.leave(designs)
    page = context.new_page()
    Notebook(page, designs.server, name)
    twin = expect_the_saved_picture(page, title, "rotein")
    for design in names:
        expect(twin).to_contain_text(design)
    page.close()


@pytest.mark.parametrize("how", ["saved", "executed"])
def test_nbconvert_keeps_what_was_made(
    designs_lab: Notebook, tmp_path: Path, context: BrowserContext, how: str
) -> None:
    from .notebooks import write_notebook

    source = tmp_path / "panel.ipynb"
    if how == "saved":
        panel = Panel(designs_lab)
        panel.generate()
        panel.page.wait_for_timeout(500)
        shutil.copy(designs_lab.save(), source)
    else:
        cells = ["import biollm_widgets as bio", f"panel = bio.ProteinPanel({FEW})\nawait panel.generate();"]
        shutil.copy(write_notebook(designs_lab.server, "executed.ipynb", cells, "python3"), source)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", *(["--execute"] if how == "executed" else [])]
    subprocess.run([*command, str(source)], check=True, capture_output=True, env=surroundings(tmp_path))
    page = context.new_page()
    page.goto((tmp_path / "panel.html").as_uri())
    expect_the_saved_picture(page, "6 proteins, 5 cut off at 40 tokens; least surprising", "rotein")
    page.close()
