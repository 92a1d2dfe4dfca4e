"""TokenView in a real page: what it draws, what the mouse and the keys do, and that Python and the page agree."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .notebooks import Notebook
from .token_views import SEQUENCE, View

COMPARED = 'bio.TokenView(SEQUENCE, [dna, bio.KmerTokenizer(6), bio.CharTokenizer("dna")])'


def test_it_draws_every_token_says_the_finding_and_hides_its_saved_picture(everywhere: Notebook) -> None:
    view = View(everywhere)
    expect(view.title).to_have_text(view.ask("view.title"))
    expect(view.title).to_contain_text(re.compile(r"59 bases became \d+ tokens, \d\.\d bases each"))
    drawn = view.texts()
    assert drawn == view.ask("[t.text for t in view.tokenizations[0][view.labels[0]] if not t.special]")
    assert "".join(drawn) == SEQUENCE
    expect(view.strip.locator(".bw-special")).to_have_text(["[CLS]", "[SEP]"])
    twin = everywhere.page.locator(f".{view.ask('view._twin')}")
    expect(twin).to_have_count(1)
    expect(twin).to_be_hidden()


def test_a_click_on_a_token_selects_it_in_python_and_tells_about_it(everywhere: Notebook) -> None:
    view = View(everywhere)
    everywhere.tell("heard = []; view.observe(lambda change: heard.append(change.new), 'selection')")
    piece = view.pieces.nth(2)
    piece.click()
    text = piece.text_content()
    start = len("".join(view.texts()[:2]))
    view.wait_for_selection(start, start + len(text))
    assert view.ask("view.selection.sequence") == text
    assert view.ask("[t.text for t in view.selection.tokens]") == [text]
    expect(view.details).to_contain_text(f"id {view.ask('view.selection.ids[0]')}")
    expect(view.details).to_contain_text(f"[{start}, {start + len(text)})")
    expect(view.details).to_contain_text(re.compile(r"GC \d+ %.*(here).*rank \d.* of \d.*merge"))
    everywhere.wait_for("len(heard)")


def test_a_drag_selects_letters_of_several_tokens(everywhere: Notebook) -> None:
    view = View(everywhere)
    texts = view.texts()
    view.strip.scroll_into_view_if_needed()
    first, last = view.pieces.nth(1).bounding_box(), view.pieces.nth(3).bounding_box()
    mouse = everywhere.page.mouse
    mouse.move(first["x"] + 3, first["y"] + 9)
    mouse.down()
    mouse.move(last["x"] + last["width"] - 3, last["y"] + 9, steps=4)
    mouse.up()
    start = len(texts[0])
    view.wait_for_selection(start, start + len("".join(texts[1:4])))
    assert view.ask("len(view.selection.tokens)") == 3


def test_what_python_selects_is_marked_in_the_page(everywhere: Notebook) -> None:
    view = View(everywhere)
    everywhere.tell("view.selection = (10, 20)")
    expect(view.chosen).to_be_visible()
    expect(view.details).to_contain_text("bases 11–20, 10 letters")
    everywhere.tell("view.selection = None")
    expect(view.chosen).to_have_count(0)


def test_the_keys_move_select_widen_and_let_go(everywhere: Notebook) -> None:
    view = View(everywhere)
    texts = view.texts()
    view.strip.focus()
    everywhere.page.keyboard.press("ArrowRight")  # [CLS]
    everywhere.page.keyboard.press("ArrowRight")
    everywhere.page.keyboard.press("Enter")
    view.wait_for_selection(0, len(texts[0]))
    everywhere.page.keyboard.press("Shift+ArrowRight")
    view.wait_for_selection(0, len(texts[0] + texts[1]))
    everywhere.page.keyboard.press("Escape")
    everywhere.wait_for("view.selection is None")
    expect(view.strip).to_be_focused()
    everywhere.page.keyboard.press("Escape")
    expect(view.strip).not_to_be_focused()


def test_a_changed_base_tells_how_many_tokens_changed_and_a_key_is_no_command_of_the_notebook(
    everywhere: Notebook,
) -> None:
    view = View(everywhere, "bio.TokenView(SEQUENCE, [dna, bio.KmerTokenizer(6)])")
    cells = everywhere.page.locator(".jp-Notebook .jp-Cell").count()
    panel = view.open("Mutate")
    bases = view.card.locator(".bw-base")
    expect(bases).to_have_count(59)
    bases.nth(20).click()
    expect(panel).to_contain_text(f"Base 21 is {SEQUENCE[20]}")
    to = "G" if SEQUENCE[20] != "G" else "C"
    panel.get_by_role("button", name=f"Change to {to}", exact=True).click()
    summary = panel.locator(".bw-summary")
    expect(summary).to_contain_text(re.compile(r"1 BPE token .*changes 6 of the 54 6-mers"))
    everywhere.wait_for("view.tokenizations[0]['6-mer'].sequence", lambda text: text[20] == to)
    expect(view.card.locator(".bw-t.bw-changed").first).to_be_visible()
    # The same by a key: "a" is the notebook's own key for a new cell.
    view.strip.focus()
    everywhere.page.keyboard.press("a")
    everywhere.wait_for("view.tokenizations[0]['6-mer'].sequence", lambda text: text[20] == "A")
    assert everywhere.page.locator(".jp-Notebook .jp-Cell").count() == cells
    panel.get_by_role("button", name="Start again").click()
    everywhere.wait_for("view.tokenizations[0]['6-mer'].sequence", lambda text: text == SEQUENCE)
    expect(summary).to_have_count(0)


def test_the_merge_player_replays_from_letters_to_the_tokens(everywhere: Notebook) -> None:
    view = View(everywhere)
    tokens = view.texts()
    panel = view.open("Merges")
    played = view.card.locator(".bw-played")
    expect(played).to_have_count(59)
    expect(panel).to_contain_text("single letters")
    panel.get_by_role("button", name="Next").click()
    expect(played).to_have_count(58)
    expect(panel).to_contain_text(re.compile(r"Step 1 of \d+: [ACGT]+ \+ [ACGT]+ became [ACGT]+ at base"))
    slider = panel.get_by_role("slider", name="Merges done")
    slider.press("End")
    expect(played).to_have_text(tokens)
    slider.press("Home")
    expect(played).to_have_count(59)
    panel.get_by_role("button", name="Play").click()
    expect(played).not_to_have_count(59)


def test_edits_by_hand_read_the_sequence_again(lab: Notebook) -> None:
    view = View(lab)
    sequence = "view.tokenizations[0][view.labels[0]].sequence"
    panel = view.open("Mutate")
    panel.get_by_role("textbox", name="Letters to insert").fill("GG")
    panel.get_by_role("button", name="Insert at the end").click()
    lab.wait_for(sequence, lambda text: text == SEQUENCE + "GG")
    panel.get_by_role("button", name="Undo").click()
    lab.wait_for(sequence, lambda text: text == SEQUENCE)
    panel.get_by_role("button", name="Reverse complement all").click()
    lab.wait_for(sequence, lambda text: text == SEQUENCE.translate(str.maketrans("ACGT", "TGCA"))[::-1])
    panel.get_by_role("button", name="Lower case all").click()
    expect(view.card.locator(".bw-t.bw-unknown").first).to_be_visible()
    view.card.locator(".bw-t.bw-unknown").first.hover()
    expect(view.details).to_contain_text("lower case")
    panel.get_by_role("textbox", name="Letters to insert").fill("")
    panel.get_by_role("button", name="Insert at the end").click()
    expect(view.trouble).to_contain_text("Type the letters to insert first")


def test_tokenizers_stand_on_one_ruler_and_one_more_is_added_and_taken_away(lab: Notebook) -> None:
    view = View(lab, COMPARED)
    labels = view.ask("view.labels")
    assert len(labels) == 3
    panel = view.open("Compare")
    expect(panel.get_by_role("table").get_by_role("row")).to_have_count(4)
    # The 6-mers overlap: six rows under each other, and one base further each.
    names = [f"^{SEQUENCE[i : i + 6]}, 6-mer, bases {i + 1}–" for i in range(7)]
    boxes = [view.card.get_by_role("option", name=re.compile(name)).bounding_box() for name in names]
    assert len({round(box["y"]) for box in boxes[:6]}) == 6
    assert round(boxes[6]["y"]) == round(boxes[0]["y"])
    step = boxes[1]["x"] - boxes[0]["x"]
    assert boxes[2]["x"] - boxes[1]["x"] == pytest.approx(step, abs=0.5)
    assert step == pytest.approx(boxes[0]["width"] / 6, abs=0.5)
    panel.get_by_role("button", name="Add 3-mer").click()
    expect(panel.get_by_role("table").get_by_role("row")).to_have_count(5)
    assert view.ask("view.labels") == [*labels, "3-mer"]
    panel.get_by_role("button", name="Take 3-mer away").click()
    expect(panel.get_by_role("table").get_by_role("row")).to_have_count(4)
    assert view.ask("view.labels") == labels


def test_a_motif_and_a_token_are_found_marked_and_stepped_through(lab: Notebook) -> None:
    view = View(lab)
    panel = view.open("Find")
    field = panel.get_by_role("textbox", name="Motif or token")
    field.fill("ATCTA")
    field.press("Enter")
    places = [match.start() for match in re.finditer("(?=ATCTA)", SEQUENCE)]
    expect(panel).to_contain_text(re.compile(r"ATCTA: \d+ place"))
    view.wait_for_selection(places[0], places[0] + 5)
    assert view.card.locator(".bw-found").count() >= len(places)
    panel.get_by_role("button", name="Next").click()
    lab.wait_for("view.selection.start", lambda start: start != places[0])
    panel.get_by_role("combobox", name="What to find").select_option("token")
    token = view.pieces.nth(1).text_content()
    panel.get_by_role("textbox", name="Motif or token").fill(token)
    panel.get_by_role("button", name="Find", exact=True).click()
    lab.wait_for("view.selection.sequence", lambda text: text == token)
    panel.get_by_role("combobox", name="What to find").select_option("motif")
    panel.get_by_role("textbox", name="Motif or token").fill("AC!GT")
    panel.get_by_role("button", name="Find", exact=True).click()
    expect(view.trouble).to_contain_text("!")


def test_what_is_taken_away_is_in_a_box_to_copy_and_in_a_download(lab: Notebook) -> None:
    view = View(lab)
    lab.tell("view.selection = (4, 16)")
    expect(view.chosen).to_be_visible()
    panel = view.open("Save")
    panel.get_by_role("button", name="Selection (FASTA)").click()
    box = panel.get_by_role("textbox")
    expect(box).to_have_value(re.compile(f"^>.*\n{SEQUENCE[4:16]}\n$"))
    with lab.page.expect_download() as download:
        panel.get_by_role("link").click()
    assert download.value.suggested_filename.endswith(".fasta")
    assert download.value.path().read_text().splitlines()[-1] == SEQUENCE[4:16]
    panel.get_by_role("button", name="Tokens (TSV)").click()
    expect(box).to_have_value(re.compile(r"token\t.*start\tend"))
    panel.get_by_role("button", name="Picture (SVG)").click()
    expect(box).to_have_value(re.compile(r"^<svg|^<\?xml"))
    panel.get_by_role("button", name="Picture (PNG)").click()
    picture = panel.locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 200


def test_colours_and_frames_are_chosen_in_the_page_and_in_python(lab: Notebook) -> None:
    view = View(lab)
    colour = view.card.get_by_role("combobox", name="Colour")
    for choice in ("length", "gc", "frequency"):
        colour.select_option(choice)
        lab.wait_for("view.color", lambda now, choice=choice: now == choice)
        expect(view.card.locator(".bw-legend")).to_contain_text("bar under a token")
        expect(view.pieces.first.locator(".bw-bar")).to_be_attached()
    lab.tell("view.color = 'token'")
    expect(colour).to_have_value("token")
    panel = view.open("Frames")
    panel.get_by_role("checkbox", name="+1").check()
    lab.wait_for("view.frames", lambda frames: frames == [1])
    expect(view.card.locator(".bw-amino")).to_have_count(59 // 3)
    assert "".join(view.card.locator(".bw-codon").all_text_contents()) == SEQUENCE[:57]
    expect(view.card.locator(".bw-stop").first).to_be_visible()


def test_scores_colour_the_pieces_and_are_read_at_each_token(lab: Notebook) -> None:
    count = "len([t for t in bio.tokenize(SEQUENCE, dna) if not t.special])"
    scores = f"scores=[-i / 4 for i in range({count})], scores_name='log-probability'"
    view = View(lab, f"bio.TokenView(SEQUENCE, dna, color='scores', {scores})")
    view.pieces.nth(2).hover()
    expect(view.details).to_contain_text("log-probability -0.5")
    hues = view.pieces.evaluate_all("nodes => nodes.map((n) => n.style.getPropertyValue('--bw-hue'))")
    assert len(set(hues)) == len(hues)


def test_several_sequences_each_have_a_name_and_their_own_selection(lab: Notebook) -> None:
    view = View(lab, "bio.TokenView({'lacZ': SEQUENCE[:30], 'promoter': SEQUENCE[30:]}, dna)")
    expect(view.card.locator(".bw-name")).to_have_text(["lacZ · 30 bases", "promoter · 29 bases"])
    lab.tell("view.select(3, 9, number=1)")
    expect(view.details).to_contain_text("of promoter")
    assert view.ask("view.selection.sequence") == SEQUENCE[33:39]


def test_two_showings_of_one_view_agree(lab: Notebook) -> None:
    view = View(lab)
    again = lab.run("view").locator("section.biollm")
    view.pieces.nth(1).click()
    expect(again.locator(".bw-chosen")).to_be_visible()
    expect(view.chosen).to_be_visible()


def test_a_million_bases_open_and_scroll_with_few_nodes_on_the_page(lab: Notebook) -> None:
    view = View(lab, "bio.TokenView(''.join(__import__('random').Random(1).choices('ACGT', k=1_000_000)), dna)")
    expect(view.title).to_contain_text("1,000,000 bases became")
    sequence = "view.tokenizations[0][view.labels[0]].sequence"

    def few_nodes() -> None:
        assert 100 < view.card.locator("*").count() < 5000

    expect(view.pieces.nth(50)).to_be_attached()  # the title comes first
    few_nodes()
    first = view.pieces.first.text_content()
    assert view.ask(f"{sequence}[:{len(first)}]") == first
    height = view.strip.evaluate("strip => strip.scrollHeight")
    for share in (0.25, 0.5, 0.999, 0.75):
        view.strip.evaluate("(strip, top) => { strip.scrollTop = top; }", height * share)
        expect(view.card.locator(".bw-await")).to_have_count(0)
        few_nodes()
    view.strip.focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("End")
    expect(view.card.get_by_role("option", name=re.compile("–1,000,000"))).to_be_visible()
    few_nodes()
    # What is drawn there is what is there.
    shown = view.card.get_by_role("option", name=re.compile("–1,000,000")).text_content()
    assert view.ask(f"{sequence}[-{len(shown)}:]") == shown
