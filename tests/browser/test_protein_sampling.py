"""The explorer of ProteinPanel in a page: its bars are what transformers' own processors make of the model's scores."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .notebooks import Notebook
from .panels import FEW, Panel

MOTIF = "MKTAYIAKQRQISFVKSHFSRQ"

# By transformers alone, from the model's own scores: each token's share before and after, and of each stage the tokens
# that are left and the entropy.
TRUTH = """
from transformers import (
    LogitsProcessorList, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
)


def truth(ids, settings):
    loaded = panel._model.here()
    ids = torch.tensor([ids])
    with torch.no_grad():
        scores = loaded.model(ids).logits[:, -1].float()
    stages, before = [], torch.softmax(scores, -1)[0]
    steps = [("the model alone", None)]
    if settings.repetition_penalty != 1:
        steps.append(("repetition penalty", RepetitionPenaltyLogitsProcessor(settings.repetition_penalty)))
    if settings.temperature != 1:
        steps.append(("temperature", TemperatureLogitsWarper(settings.temperature)))
    if settings.top_k:
        steps.append(("top-k", TopKLogitsWarper(settings.top_k)))
    if settings.top_p != 1:
        steps.append(("top-p", TopPLogitsWarper(settings.top_p)))
    for name, processor in steps:
        scores = scores if processor is None else LogitsProcessorList([processor])(ids, scores)
        shares = torch.softmax(scores.double(), -1)[0]
        left = shares[shares > 0]
        stages.append([name, f"{abs(float((left * left.log2()).sum())):.1f} bits", len(left)])
    named = {}
    for token in range(len(before)):
        text = loaded.tokenizer.decode([token])
        named["end of the protein" if text == "<|endoftext|>" else "line break" if text == chr(10) else text] = [
            100 * float(before[token]), 100 * float(shares[token])]
    return {"shares": named, "stages": stages}


def opening():
    return panel._model.explorer.opening(panel.settings.prompt)
"""


@pytest.fixture
def explored(designs: Notebook) -> Panel:
    """A panel with a prompt and all that is between the model and a choice, opened at what comes next."""
    designs.tell(TRUTH)
    options = f"prompt={MOTIF!r}, temperature=0.8, top_k=40, top_p=0.9, repetition_penalty=1.3, {FEW}"
    panel = Panel(designs, options)
    panel.open_ahead()
    return panel


def agrees(said: str, share: float) -> bool:
    """Whether a percentage as it is shown is this one, to the digits that it has."""
    if said == "< 0.001":
        return 0 < share < 0.001
    digits = len(said.partition(".")[2])
    return abs(float(said) - share) <= 0.51 * 10**-digits + 1e-4 * share


def expect_the_truth(panel: Panel, call: str = "truth(opening(), panel.settings)") -> None:
    """What the page shows is what transformers' processors give."""
    found = panel.ask(call)
    stages = [[label, entropy, left] for label, entropy, left in found["stages"]]
    words = [f"{label} {entropy}, {left:,} {'token' if left == 1 else 'tokens'}" for label, entropy, left in stages]
    expect(panel.stages).to_have_text(words)
    bars = panel.bars()
    rest = bars.pop("all others")
    assert len(bars) >= 12
    most = max(max(found["shares"][name]) for name in bars)
    seen = [0.0, 0.0]
    for name, (before, after, cut, long_before, long_after) in bars.items():
        true_before, true_after = found["shares"][name]
        assert agrees(before, true_before), (name, before, true_before)
        assert agrees(after, true_after), (name, after, true_after)
        assert cut == (true_after == 0)
        assert abs(long_before - 100 * true_before / most) < 0.1  # the bars are as long as they say
        assert abs(long_after - 100 * true_after / most) < 0.1
        seen[0] += true_before
        seen[1] += true_after
    assert agrees(rest[0], 100 - seen[0]) and (agrees(rest[1], 100 - seen[1]) or 100 - seen[1] < 1e-3)
    # The likeliest are all there: no token that is not shown is likelier than those that are.
    hidden = [shares[0] for name, shares in found["shares"].items() if name not in bars]
    assert max(hidden) <= sorted((found["shares"][name][0] for name in bars), reverse=True)[11] + 1e-6


def test_the_bars_are_those_of_transformers_processors_and_stay_so_as_sliders_move(explored: Panel) -> None:
    expect_the_truth(explored)
    for key, times, way in [
        ("temperature", 8, "ArrowRight"),
        ("top_k", 3, "ArrowLeft"),
        ("top_p", 30, "ArrowLeft"),
        ("repetition_penalty", 6, "ArrowLeft"),
    ]:
        before = explored.next.inner_text()
        explored.set_slider(key, times, way)
        settled = explored.slider(key).get_attribute("aria-valuetext")
        explored.notebook.wait_for(
            f"f'{{panel.settings.{key}:g}}'", lambda now, settled=settled: now == settled.split()[0]
        )
        expect(explored.next).not_to_have_text(before)
        expect_the_truth(explored)
    # With the processors that change nothing taken away, before and after are one.
    for key, neutral in (("temperature", "1"), ("top_k", "0"), ("top_p", "1"), ("repetition_penalty", "1")):
        explored.field(key).fill(neutral)
    expect(explored.stages).to_have_count(1)
    expect_the_truth(explored)
    assert all(before == after for before, after, *_ in explored.bars().values())


# Python takes its time over each question of the sliders, as a busy kernel does.
SLOWLY = """
import time
at_once = panel._answer_settings
panel._answer_settings = lambda **given: (time.sleep(0.2), at_once(**given))[1]
"""


def test_a_slider_stays_where_it_was_put_while_python_is_still_answering(explored: Panel) -> None:
    explored.notebook.tell(SLOWLY)
    seen = []
    for _ in range(8):
        explored.set_slider("temperature", 1, "ArrowRight")
        explored.page.wait_for_timeout(90)  # so that answers to earlier steps are painted between two steps
        seen.append(float(explored.slider("temperature").get_attribute("aria-valuetext")))
    assert seen == sorted(set(seen)), "the slider went back"
    explored.notebook.wait_for("panel.settings.temperature", lambda now: abs(now - seen[-1]) < 1e-9)
    expect_the_truth(explored)


def test_another_prompt_has_other_bars_and_one_that_cannot_be_leaves_those_of_the_last(explored: Panel) -> None:
    before = explored.next.inner_text()
    explored.prompt.fill(MOTIF[:5])
    expect(explored.next).not_to_have_text(before)
    explored.notebook.wait_for("panel.settings.prompt", lambda now: now == MOTIF[:5])
    expect_the_truth(explored)
    explored.prompt.fill("MKX")
    expect(explored.check("prompt")).to_contain_text("'X' stands for any residue")
    expect_the_truth(explored)
    explored.prompt.fill("")
    expect(explored.topic).to_have_text("What comes next, at the beginning of a protein")
    explored.notebook.wait_for("panel.settings.prompt == ''")
    expect_the_truth(explored)


def test_log_scale_shows_the_unlikely_and_more_tokens_shows_more(explored: Panel) -> None:
    few = explored.bars()
    shortest = min((bar for *_, bar, _ in few.values() if bar > 0), default=0)
    explored.button("Log scale").click()
    expect(explored.button("Log scale")).to_have_attribute("aria-pressed", "true")
    assert min(bar for *_, bar, _ in explored.bars().values() if bar > 0) > 2 * shortest
    explored.button("Log scale").click()
    explored.button("More tokens").click()
    expect(explored.next.locator("tbody tr").nth(len(few) + 20)).to_be_visible()
    expect_the_truth(explored)


def test_a_question_that_was_lost_is_asked_again(designs: Notebook) -> None:
    designs.tell(TRUTH)
    panel = Panel(designs, f"prompt={MOTIF!r}, {FEW}")
    panel.open_ahead()
    # Python hears the change and its answer is lost, as when a connection drops.
    designs.tell("sent, panel.send = panel.send, lambda *given, **more: setattr(panel, 'send', sent)")
    panel.field("temperature").fill("0.5")
    designs.wait_for("panel.settings.temperature", lambda now: now == 0.5)
    expect(panel.stages.nth(2)).to_contain_text("temperature", timeout=15_000)
    expect_the_truth(panel)
    panel.generate()
    assert panel.ask("panel.generation.settings.temperature") == 0.5


def test_while_the_model_writes_it_says_so_and_comes_back(designs: Notebook) -> None:
    designs.tell(TRUTH)
    panel = Panel(designs, f"prompt={MOTIF!r}, {FEW}")
    panel.open_ahead()
    before = panel.next.inner_text()
    designs.tell("slow(0.05)")
    panel.button("Generate").click()
    expect(panel.root).to_contain_text("The model is writing; what comes next is shown when it has ended.")
    panel.wait_until_judged()
    expect(panel.next).to_have_text(before, use_inner_text=True)


def test_a_design_is_walked_with_the_probability_of_each_choice(designs: Notebook) -> None:
    designs.tell(TRUTH)
    panel = Panel(designs, f"prompt={MOTIF!r}, {FEW}, top_k=30")
    panel.generate()
    name = panel.names()[1]
    index = int(name.split("_")[1]) - 1
    panel.open_design(name).get_by_role("button", name="Token by token").click()
    expect(panel.tokens.first).to_be_visible()
    steps = panel.ask(
        f"[[s.text, s.start, s.end, s.given, s.probability, s.by_model, s.id] for s in panel.walk({index})]"
    )
    expect(panel.tokens).to_have_count(len(steps))
    texts = panel.tokens.all_inner_texts()
    assert texts[0] == "start"
    residues = "".join(text for text, (_, start, end, *_) in zip(texts, steps, strict=True) if end > start)
    assert residues == panel.ask(f"panel.generation[{index}].sequence") and residues.startswith(MOTIF)
    said = panel.root.locator(".bp-walk + p")
    drawn = [place for place, step in enumerate(steps) if not step[3] and step[4] == step[4]]
    for place in (drawn[0], drawn[len(drawn) // 2], drawn[-1]):
        panel.tokens.nth(place).click()
        expect(panel.tokens.nth(place)).to_have_attribute("aria-selected", "true")
        expect(panel.topic).to_have_text(f"What could come as token {place} of {name}")
        got = re.search(r"drawn with (.*) %; by the model alone (.*) %\.", said.inner_text())
        assert got and agrees(got[1], 100 * steps[place][4]) and agrees(got[2], 100 * steps[place][5])
        # Beside it all that could have come there, by transformers again, and the one that did is marked.
        ids = f"[c.id for c in (*panel.generation[{index}].opening, *panel.generation[{index}].choices)][:{place}]"
        chosen = panel.next.locator("tr.bp-chosen")
        expect(chosen).to_have_count(1)
        expect(panel.next.locator("tr.bp-chosen td").nth(2)).to_have_text(re.compile(re.escape(got[1])))
        expect_the_truth(panel, f"truth({ids}, panel.generation.settings)")
    # The keys go from token to token, and Escape back to the prompt.
    panel.page.keyboard.press("Home")
    expect(panel.tokens.nth(1)).to_have_attribute("aria-selected", "true")
    expect(said).to_contain_text("given, not drawn")
    panel.page.keyboard.press("ArrowRight")
    expect(panel.tokens.nth(2)).to_have_attribute("aria-selected", "true")
    panel.page.keyboard.press("Escape")
    expect(panel.topic).to_have_text("What comes next, after the prompt")
    expect_the_truth(panel)
