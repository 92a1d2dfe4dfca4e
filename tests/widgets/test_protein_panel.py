"""ProteinPanel from Python and through a page's questions: the same proteins as elsewhere, judged, and taken away."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from biollm_widgets import cli
from biollm_widgets.errors import InputError
from biollm_widgets.protein.generation import Design, Generation, Settings, generate, generate_again
from biollm_widgets.protein.references import References
from biollm_widgets.sequences import read_fasta, wrap
from biollm_widgets.widgets import live, protein_table
from biollm_widgets.widgets.protein_growth import GROWING, Grown, digit
from biollm_widgets.widgets.protein_panel import ProteinPanel
from biollm_widgets.widgets.protein_words import finding

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"  # the chapter's prompt


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages follow each other without a gap, for which the end of each work would wait."""
    monkeypatch.setattr(live, "GAP", 0.0)
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")


class Page:
    """Asks, and remembers what it was told."""

    def __init__(self, panel: ProteinPanel) -> None:
        self.panel, self.heard = panel, []
        panel.send = lambda content, buffers=None: self.heard.append((content, buffers))  # type: ignore[method-assign]

    def ask(self, verb: str, **given: Any) -> Any:
        self.panel._hear(None, {"ask": verb, "number": 1, **given}, [])
        return next((content, buffers) for content, buffers in reversed(self.heard) if "answer" in content)

    def told(self, verb: str, **given: Any) -> dict[str, Any]:
        content = self.ask(verb, **given)[0]
        assert "error" not in content, content
        return content

    def refused(self, verb: str, **given: Any) -> str:
        words = self.ask(verb, **given)[0]["error"]
        assert "Python stopped" not in words
        return words


@pytest.fixture(scope="module")
def panel() -> ProteinPanel:
    """Four proteins from the chapter's motif."""
    made = ProteinPanel(prompt=MOTIF, n=4, seed=7, max_length=60)
    made.generate_sync()
    return made


@pytest.fixture
def page(panel: ProteinPanel) -> Page:
    return Page(panel)


def shot(panel: ProteinPanel) -> dict[str, Any]:
    """As a page gets it, through JSON."""
    return json.loads(json.dumps(panel.get_state()["_shot"], allow_nan=False))


# --- The same proteins


def test_panel_python_and_command_make_the_same_sequences(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    given = {"n": 3, "seed": 11, "max_length": 50, "temperature": 0.9, "top_k": 100, "top_p": 0.95}
    made = ProteinPanel(prompt=MOTIF, repetition_penalty=1.1, **given).generate_sync()
    python = generate(MOTIF, repetition_penalty=1.1, **given)
    assert made.sequences == python.sequences and made.settings == python.settings
    assert [one.perplexity for one in made] == [one.perplexity for one in python]
    assert (made.model, made.source, made.made_with) == (python.model, python.source, python.made_with)
    words = "-n 3 --seed 11 --max-length 50 --temperature 0.9 --top-k 100 --top-p 0.95 --repetition-penalty 1.1 --json"
    capsys.readouterr()
    with pytest.raises(SystemExit):
        cli.run(["generate", MOTIF, *words.split()])
    command = json.loads(capsys.readouterr().out)
    by_name = {one["name"]: one["sequence"] for one in command["designs"]}
    assert [by_name[one.name] for one in made] == made.sequences


def test_the_settings_beside_the_files_make_the_same_sequences_again(panel: ProteinPanel, tmp_path: Path) -> None:
    panel.to_json(tmp_path / "settings.json")
    assert generate_again(tmp_path / "settings.json").sequences == panel.generation.sequences


def test_a_seed_that_was_drawn_is_told_and_the_next_time_there_is_another() -> None:
    panel = ProteinPanel(n=1, max_length=8)
    one = panel.generate_sync()
    assert panel.settings.seed is None and shot(panel)["ask"]["seed"] is None
    assert (
        shot(panel)["table"]["made"]["seed"] == one.settings.seed
        and f"seed {one.settings.seed}" in (shot(panel)["line"])
    )
    assert panel.generate_sync().settings.seed != one.settings.seed
    again = panel.generate_sync(seed=one.settings.seed)
    assert again.sequences == one.sequences and panel.settings.seed == one.settings.seed


def test_a_loaded_model_is_taken_as_it_is(panel: ProteinPanel) -> None:
    held = panel._model.here()
    with pytest.raises(InputError, match="A loaded model goes with its tokenizer"):
        ProteinPanel(held.model)
    other = ProteinPanel(held.model, tokenizer=held.tokenizer, n=2, seed=1, max_length=20)
    assert shot(other)["model"]["loaded"]
    made = other.generate_sync()
    assert made.sequences == generate(n=2, seed=1, max_length=20).sequences
    assert made.source == generate(n=2, seed=1, max_length=20, model=held.model, tokenizer=held.tokenizer).source


# --- From Python


def test_it_is_made_and_described_without_its_model() -> None:
    code = "import sys\nimport biollm_widgets as bio\np = bio.ProteinPanel(prompt='MKT')\nprint(p, p.settings.prompt)\n"
    code += "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<ProteinPanel: No proteins yet: press Generate.> MKT\n"


def test_its_options_are_those_of_generate_with_the_same_defaults() -> None:
    ours, theirs = (inspect.signature(one).parameters for one in (ProteinPanel, generate))
    for name, parameter in theirs.items():
        if name not in ("num_return_sequences", "callback", "stop", "with_perplexity", "progress", "n", "prompt"):
            assert ours[name].default == parameter.default, name
    assert ours["n"].default == Settings.n
    with pytest.raises(TypeError, match="ProteinPanel has no option 'temprature'; did you mean temperature"):
        ProteinPanel(temprature=1)
    with pytest.raises(TypeError, match=r"There is no setting 'topk'; did you mean top_k\? They are prompt, n,"):
        ProteinPanel().generate(topk=1)
    with pytest.raises(InputError, match="top_p is 2"):
        ProteinPanel(top_p=2)
    with pytest.raises(InputError, match="'X' stands for any residue"):
        ProteinPanel(prompt="MKX")


def test_before_there_is_anything_each_question_says_what_to_do() -> None:
    panel = ProteinPanel()
    for ask in (lambda: panel.generation, panel.to_frame, panel.to_fasta, panel.to_csv, lambda: panel.walk(0)):
        with pytest.raises(InputError, match="Nothing was generated yet; press Generate, or write await"):
            ask()
    with pytest.raises(InputError, match="nothing to cancel"):
        panel.cancel()
    assert (panel.state, panel.title) == ("idle", "No proteins yet: press Generate")


def test_awaited_it_begins_then_and_not_before() -> None:
    panel = ProteinPanel(n=2, seed=1, max_length=20)
    waiting = panel.generate()
    assert repr(waiting) == "Nothing has begun yet: write await in front, as in `await panel.generate(...)`."
    assert panel.state == "idle"

    async def go() -> Generation:
        return await waiting

    made = asyncio.run(go())
    assert made.sequences == generate(n=2, seed=1, max_length=20).sequences and panel.generation is made


def test_the_table_is_that_of_the_generation(panel: ProteinPanel) -> None:
    frame, plain = panel.to_frame(), panel.generation.to_frame()
    assert frame.equals(plain) and list(frame["perplexity"]) == sorted(frame["perplexity"])
    frame["name"] = "mine"  # a copy
    assert panel.to_frame().equals(plain)


def test_references_are_compared_with_and_can_come_later(tmp_path: Path) -> None:
    made = generate(n=2, seed=5, max_length=60)
    place = max(range(2), key=lambda i: made[i].residues)
    known, name = {"itself": made[place].sequence, "other": MOTIF}, made[place].name
    panel = ProteinPanel(n=2, seed=5, max_length=60, references=References(known))
    panel.generate_sync()
    frame = panel.to_frame().set_index("name")
    assert frame.loc[name, "nearest"] == "itself" and frame.loc[name, "nearest_identity"] == 100
    assert frame.loc[name, "longest_shared"] == made[place].residues
    row = next(one for one in shot(panel)["table"]["rows"] if one["name"] == name)
    assert row["nearest"] == "itself" and row["nearest_more_than_chance"] is True
    details = Page(panel).told("design", design=place)
    assert details["nearest"]["words"].startswith("itself: 100 % identical over")
    assert details["nearest"]["words"].endswith("more than chance.") and details["nearest"]["shared_with"] == "itself"
    later = ProteinPanel(n=2, seed=5, max_length=60)
    later.generate_sync()
    assert "nearest" not in later.to_frame()
    later.judge(known)
    assert list(later.to_frame()["nearest"]) == list(panel.to_frame()["nearest"])


def test_known_proteins_that_cannot_be_read_are_said_before_anything_is_written(tmp_path: Path) -> None:
    panel = ProteinPanel(n=1, max_length=10, references=tmp_path / "none.fasta")
    with pytest.raises(InputError, match=r"none\.fasta"):
        panel.generate_sync()
    assert panel.state == "failed" and "none.fasta" in shot(panel)["notice"]["words"][0]
    assert panel.troubles == []  # a person mends this


def test_what_goes_wrong_while_it_generates_comes_out_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = ProteinPanel(n=2, seed=1)
    panel.generate_sync()
    error, model = RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), panel._model.here().model
    passes: list[int] = []

    def fail(*_: Any) -> None:
        passes.append(1)
        if len(passes) == 5:
            raise error

    hook = model.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError) as caught:
            panel.generate_sync()
    finally:
        hook.remove()
    assert caught.value is error and panel.state == "failed" and panel.title == "It broke off at token 4"
    said = shot(panel)
    assert said["table"]["rows"] == [] and said["composition"] is None  # of the one before
    with pytest.raises(InputError, match="Nothing was generated yet"):
        _ = panel.generation
    assert said["notice"]["words"][0] == "Memory ran out." and "DefaultCPUAllocator" in panel.troubles[-1]
    assert said["buttons"] == ["generate"] and len(said["growth"]) == 2 and said["growth"][0]["text"]
    assert len(panel.generate_sync()) == 2 and panel.state == "done"


def test_a_model_that_cannot_be_had_is_said_and_can_be_tried_again() -> None:
    panel = ProteinPanel("no/such-model", n=1, max_length=10)
    page = Page(panel)
    assert page.told("ready")["model"]["loaded"] is False
    thread = next(one for one in threading.enumerate() if one.name == "loading")
    thread.join(20)
    assert shot(panel)["notice"]["kind"] == "failed" and "no/such-model" in shot(panel)["notice"]["words"][0]
    assert "The model could not be loaded: " in page.refused("explore") and panel.troubles == []
    with pytest.raises(InputError, match="no/such-model"):
        panel.generate_sync()
    page.ask("generate")
    next(one for one in threading.enumerate() if one.name == "generating").join(20)
    assert panel.state == "failed" and panel._control is None
    panel._model.model = "nferruz/ProtGPT2"  # as if the hub answered again
    panel.generate_sync()
    assert panel.state == "done" and page.told("explore")["next"]["vocabulary"] == 512


def test_closing_it_ends_what_it_does() -> None:
    panel = ProteinPanel(n=2, seed=1, max_length=1000)
    hook = panel._model.here().model.register_forward_pre_hook(lambda *_: time.sleep(0.02))
    try:
        Page(panel).ask("generate")
        work = next(one for one in threading.enumerate() if one.name == "generating")
        panel.close()
        work.join(10)
        assert not work.is_alive()
    finally:
        hook.remove()


def test_known_proteins_can_be_read_before_there_is_anything_to_compare(tmp_path: Path) -> None:
    panel = ProteinPanel(n=1, seed=5, max_length=30)
    panel.judge({"one": MOTIF})
    assert (panel.state, panel.title) == ("idle", "No proteins yet: press Generate")
    assert shot(panel)["notice"]["words"] == ["1 known protein to compare with."]
    panel.generate_sync()
    assert "nearest" in panel.to_frame()


# --- What the page is told


def test_the_title_says_the_finding() -> None:
    named = [("design_1", True, 50.04), ("design_2", False, 41.2), ("design_3", False, float("nan"))]
    assert finding(named, 100, False) == (
        "3 proteins, 2 cut off at 100 tokens; least surprising: design_2, perplexity 41.2"
    )
    assert finding(named[1:2], 1024, False) == "1 protein, cut off at 1,024 tokens; perplexity 41.2"
    assert finding(named[:1], 100, False) == "1 protein, ended by itself; perplexity 50.0"
    assert finding(named[1:], 100, True) == "2 proteins, all cut off by Cancel; perplexity 41.2"
    assert finding([named[0]] * 2, 100, False).startswith("2 proteins, all ended by themselves; least surprising")
    assert finding([named[2]], 100, True) == "1 protein, cut off by Cancel"


def test_the_shot_holds_the_generation_in_plain_json(panel: ProteinPanel) -> None:
    got = shot(panel)
    assert got["phase"] == "done" and got["live"] is False and got["buttons"] == ["generate"]
    assert got["title"].startswith("4 proteins") and got["share"] is None and got["notice"] is None
    assert got["authors"] == {"temperature": 1.0, "top_k": 950, "top_p": 1.0, "repetition_penalty": 1.2}
    assert got["model"]["vocabulary"] == 512 and got["model"]["positions"] == 1024
    for place, (design, grown) in enumerate(zip(panel.generation, got["growth"], strict=True)):
        assert grown["text"] == design.sequence and len(grown["p"]) == len(design.sequence), place
        assert grown["p"].startswith("-" * len(MOTIF)) and grown["ended"] == design.finished
        assert set(grown["p"][len(MOTIF) :]) <= set("0123456789")
    rows = got["table"]["rows"]
    assert [row["perplexity"] for row in rows] == sorted(row["perplexity"] for row in rows)
    for row in rows:
        design = panel.generation[row["index"]]
        assert (row["name"], row["residues"], row["finished"]) == (design.name, design.residues, design.finished)
        assert row["prompt_kept"] is True and {"flags", "why", "deceives"} <= set(row)
    for column in got["table"]["columns"]:
        assert column["help"] and column["kind"] in ("number", "text", "yes")
        assert all(column["key"] in row for row in rows)
    assert "comparable only within one model" in next(
        one["help"] for one in got["table"]["columns"] if one["key"] == "perplexity"
    )
    assert got["composition"]["all"]["n_sequences"] == 4
    assert sum(got["composition"]["all"]["shares"]) == pytest.approx(1, abs=1e-3)
    assert got["composition"]["all"]["n_residues"] == sum(one.residues for one in panel.generation)


def test_an_end_that_is_a_token_of_residues_is_no_part_of_what_is_shown(panel: ProteinPanel) -> None:
    leucine = panel._model.explorer.opening("L")[-1]
    short = ProteinPanel(n=8, seed=2, eos_token_id=leucine)
    made = short.generate_sync()
    assert any(design.finished and design.tokens > 4 for design in made)
    assert [one["text"] for one in shot(short)["growth"]] == made.sequences


def test_a_probability_is_a_digit_that_tells_thousandths_from_tenths() -> None:
    assert [digit(p) for p in (1, 0.5, 0.1, 0.01, 0.001, 1e-12, 0.0)] == list("9863000")
    assert digit(float("nan")) == "-"


def fake(name: str, sequence: str, perplexity: float, finished: bool = True) -> Design:
    return Design(name, sequence, finished, 9, perplexity, sequence, (), 0)


def generation_of(designs: list[Design], **settings: Any) -> Generation:
    made = Settings(n=max(1, len(designs)), seed=1, **settings).checked()
    return Generation(tuple(designs), made, "a model", "given", False, 1.0)


def test_a_repeat_rich_sequence_of_low_perplexity_is_marked_and_why() -> None:
    natural = "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFF"
    made = generation_of([fake("design_1", natural, 90.0), fake("design_2", "MGKGKGKGKG" * 8, 12.9)])
    rows = protein_table.table(made, made.to_frame())["rows"]
    assert [(row["name"], row["deceives"]) for row in rows] == [("design_2", True), ("design_1", False)]
    assert rows[0]["why"].startswith("Low perplexity, but it repeats itself")


def test_designs_without_residues_or_perplexity_or_with_odd_letters_have_their_rows() -> None:
    made = generation_of(
        [
            fake("design_1", "", float("nan"), False),
            fake("design_2", "MXBZUOJK", 5.0),
            fake("design_3", "MK", float("nan")),
        ]
    )
    for frame in (protein_table.before_judging(made), made.to_frame()):
        table = protein_table.table(made, frame)
        json.dumps(table, allow_nan=False)
        assert [row["name"] for row in table["rows"]] == ["design_2", "design_1", "design_3"]
        assert table["rows"][1]["perplexity"] is None and table["rows"][1]["residues"] == 0
        for record in frame.to_dict("records"):
            design = next(one for one in made if one.name == record["name"])
            json.dumps(protein_table.details(design, record, table["columns"]), allow_nan=False)
    json.dumps(protein_table.composition(made.designs), allow_nan=False)
    json.dumps(protein_table.composition(made.designs[:1]), allow_nan=False)


def test_a_thousand_sequences_do_not_drown_the_page_and_the_table_says_so() -> None:
    rng = np.random.default_rng(1)
    designs = [fake(f"design_{i + 1}", "M", 1 + rng.random()) for i in range(1000)]
    made = generation_of(designs)
    frame = protein_table.before_judging(made)
    table = protein_table.table(made, frame)
    assert len(table["rows"]) == protein_table.ROWS == 200
    assert "The 200 least surprising of 1,000 are shown; CSV and FASTA have all." in table["words"]
    assert max(row["perplexity"] for row in table["rows"]) == np.sort([one.perplexity for one in designs])[199]
    grown = Grown(lambda token: "MKT", "", 1000)
    assert sum(one is not None for one in grown.all) == GROWING == 50
    panel = ProteinPanel(n=1000, seed=1, max_length=6)
    page = Page(panel)
    panel.generate_sync()
    sizes = [len(json.dumps(content)) for content, _ in page.heard]
    assert max(sizes) < 250_000 and sum(one is not None for one in shot(panel)["growth"]) == 200
    assert len(panel.to_frame()) == len(read_fasta(panel.to_fasta(), "protein", duplicates="keep"))


def test_news_are_differences_and_a_missed_one_is_made_good() -> None:
    panel = ProteinPanel(n=2, seed=1, max_length=30)
    panel._model.here()
    sheet = panel._sheet
    sheet.look_again()
    assert "fresh" in sheet.news() and sheet.news() is None
    panel._answer_settings({"n": "3"})
    news = sheet.news()["news"]
    assert set(news) == {"serial", "ask"} and news["ask"]["n"] == 3 and news["serial"] == 2
    page = Page(panel)
    panel.generate_sync()
    assert any("fresh" in content for content, _ in page.heard)  # another growth, another table
    assert sheet.news() is None
    sheet.forget_what_was_sent()
    assert sheet.news()["fresh"]["title"] == panel.title


def test_what_is_told_next_joins_on_to_what_a_page_that_came_anew_was_given(panel: ProteinPanel) -> None:
    class Growing:
        choices: list[list[Any]] = [[], []]  # noqa: RUF012
        finished = [False, False]  # noqa: RUF012

    design = next(one for one in panel.generation if one.finished)
    grown = Grown(panel._model.explorer.pieces, MOTIF, 2)
    grown.sent()
    told = [one["text"] for one in grown.shot()]
    for step in range(len(design.choices)):
        Growing.choices = [list(design.choices[: step + 1])] * 2
        grown.take(Growing)
        if step % 3 == 0:  # others look on as well, between two messages
            for index, text, p, _ in grown.news():
                told[index] += text
                assert len(text) == len(p)
        if step % 5 == 4:
            told = [one["text"] for one in grown.shot()]
    Growing.finished = [True, True]
    grown.take(Growing)
    last = grown.news()
    assert [ended for *_, ended in last] == [True, True] and grown.news() == []
    for index, text, *_ in last:
        told[index] += text
    assert told == [design.sequence] * 2


def test_a_page_that_cannot_be_told_ends_no_generating() -> None:
    panel = ProteinPanel(n=2, seed=1, max_length=20)

    def broken(*_: Any) -> None:
        raise ValueError("no page")

    panel.send = broken  # type: ignore[method-assign]
    assert panel.generate_sync().sequences == generate(n=2, seed=1, max_length=20).sequences
    assert "no page" in panel.troubles[-1]


# --- Questions of the page


def test_each_change_is_checked_and_the_authors_settings_are_one_click() -> None:
    page = Page(ProteinPanel(top_k=5, seed=1))
    got = page.told("settings", changes={"n": "abc", "seed": "", "prompt": "mkt"})
    assert got["checks"]["n"] == {"wrong": True, "words": "n is 'abc'; give a whole number from 1 to 1,000.",
                                  "typed": "abc"}  # fmt: skip
    assert (got["ask"]["n"], got["ask"]["seed"], got["ask"]["prompt"]) == (10, None, "mkt")
    assert page.refused("generate") == (
        "First mend the number of sequences: n is 'abc'; give a whole number from 1 to 1,000."
    )
    with pytest.raises(InputError, match="First mend the number of sequences"):
        page.panel.generate()
    got = page.told("authors")
    assert got["ask"]["top_k"] == 950 and got["checks"]["n"]["wrong"]
    assert not page.told("settings", changes={"n": "2"})["checks"]["n"]["wrong"]
    assert page.told("settings", changes="nonsense")["ask"]["n"] == 2
    assert "There is no setting 'nonsense' here" in page.refused("settings", changes={"nonsense": 1})


def test_the_explorer_answers_for_the_prompt_and_for_each_token_of_a_design(page: Page, panel: ProteinPanel) -> None:
    got = page.told("explore", shown=5)["next"]
    assert 5 <= len(got["candidates"]) <= 10 and got["vocabulary"] == 512
    assert [stage["name"] for stage in got["stages"]] == ["model", "repetition_penalty", "top_k"]
    assert [stage["label"] for stage in got["stages"]] == ["the model alone", "repetition penalty", "top-k"]
    assert sum(one["before"] for one in got["candidates"]) + got["before_rest"] == pytest.approx(1)
    assert got["finding"] == panel.explore().finding and not any(one["chosen"] for one in got["candidates"])
    design = panel.generation[2]
    place = len(design.opening) + 3
    got = page.told("explore", design=2, position=place, shown=3)["next"]
    [chosen] = [one for one in got["candidates"] if one["chosen"]]
    assert chosen["id"] == design.choices[3].id and chosen["after"] == pytest.approx(
        design.choices[3].probability, 1e-3
    )
    page.told("settings", changes={"temperature": 0.3, "top_k": 3})  # a design keeps those that it was made with
    assert page.told("explore", design=2, position=place, shown=3)["next"] == got
    page.told("authors")
    for wrong in ({"design": 9}, {"design": "0"}, {"design": True}, {"design": -1}):
        assert "There are 4 designs, counted from 0" in page.refused("explore", **wrong)
    for position in (0, 1000, -1, "3", True):
        assert "tokens; name one from 1" in page.refused("explore", design=2, position=position)


def test_moving_a_slider_changes_what_comes_next() -> None:
    page = Page(ProteinPanel(seed=1))
    assert "still being loaded" in page.refused("explore")
    page.panel._model.here()
    page.told("settings", changes={"top_k": 5, "temperature": 0.5})
    got = page.told("explore")["next"]
    assert got["stages"][-1]["left"] == 5 and sum(one["after"] > 0 for one in got["candidates"]) == 5
    assert any(one["cut_by"] == "top_k" for one in got["candidates"])


def test_an_answer_to_a_setting_brings_what_comes_next_where_it_is_looked_at() -> None:
    page = Page(ProteinPanel(seed=1))
    got = page.told("settings", changes={"top_k": 5}, explore=12)
    assert "still being loaded" in got["unexplored"] and got["ask"]["top_k"] == 5 and "next" not in got
    page.panel._model.here()
    got = page.told("settings", changes={"top_k": 7}, explore=12)
    assert got["next"] == page.told("explore", shown=12)["next"] and got["next"]["stages"][-1]["left"] == 7
    assert page.told("authors", explore=12)["next"] == page.told("explore", shown=12)["next"]
    assert not {"next", "unexplored"} & set(page.told("settings", changes={"top_k": 9}))


def test_a_design_is_walked_token_by_token(page: Page, panel: ProteinPanel) -> None:
    steps = page.told("walk", design=1)["steps"]
    design = panel.generation[1]
    assert len(steps) == design.tokens and [step["i"] for step in steps] == list(range(design.tokens))
    assert [step["given"] for step in steps] == [True] * len(design.opening) + [False] * len(design.choices)
    chosen = [step for step in steps if not step["given"]]
    assert [step["p"] for step in chosen] == [pytest.approx(choice.probability) for choice in design.choices]
    assert steps[-1]["end"] == design.residues and steps[0]["p"] is None
    json.dumps(steps, allow_nan=False)


def test_the_details_of_a_design(page: Page, panel: ProteinPanel) -> None:
    got = page.told("design", design=0)
    assert got["text"] == panel.generation[0].text and got["nearest"] is None
    facts = {label: value for label, value, _ in got["facts"]}
    assert facts["residues"] == f"{panel.generation[0].residues}" and facts["prompt kept"] == "yes"
    assert all(words for _, value, words in got["facts"] if value)
    assert got["composition"]["n_sequences"] == 1
    assert "There are 4 designs" in page.refused("design", design=4)


def test_a_generation_of_which_nothing_was_written_has_all_ways_out() -> None:
    made = generation_of([])
    assert list(made.to_frame()) == list(generation_of([fake("design_1", "MK", 5.0)]).to_frame())
    assert (len(made.to_frame()), made.sequences, made.to_fasta(), made.to_alphafold3()) == (0, [], "", [])
    assert made.to_csv().startswith("name,perplexity,") and json.loads(made.to_json())["settings"]["seed"] == 1


def test_each_file_is_what_python_writes(page: Page, panel: ProteinPanel) -> None:
    assert page.told("file", kind="fasta")["text"] == panel.generation.to_fasta() == panel.to_fasta()
    assert page.told("file", kind="csv")["text"] == panel.generation.to_csv() == panel.to_csv()
    assert page.told("file", kind="json")["text"] == panel.generation.to_json()
    assert page.told("file", kind="svg")["text"].startswith("<svg")
    content, [png] = page.ask("file", kind="png")
    assert content["kind"] == "image/png" and png.startswith(b"\x89PNG")
    for kind in ("docx", "", "__class__"):
        assert "There is no file of the kind" in page.refused("file", kind=kind)


def test_some_designs_alone_can_be_taken(page: Page) -> None:
    text = page.told("file", kind="fasta", designs=[2, 0])["text"]
    assert [record.name for record in read_fasta(text, "protein")] == ["design_3", "design_1"]
    assert len(page.told("file", kind="csv", designs=[1])["text"].splitlines()) == 2
    for wrong in ([9], [], ["a"], [True], "01"):
        assert "There are 4 designs, counted from 0" in page.refused("file", kind="fasta", designs=wrong)


@pytest.mark.parametrize("msa_free", [True, False])
def test_alphafold_jobs_come_as_an_archive_of_a_file_each(page: Page, panel: ProteinPanel, msa_free: bool) -> None:
    content, [data] = page.ask("file", kind="alphafold3", msa_free=msa_free)
    assert content["name"] == "alphafold3.zip" and content["kind"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        assert held.namelist() == ["README.txt", *(f"jobs/design_{i}.json" for i in range(1, 5))]
        jobs = [json.loads(held.read(name)) for name in held.namelist()[1:]]
        assert ("no search for relatives" in held.read("README.txt").decode()) == msa_free
    assert jobs == panel.to_alphafold3(msa_free=msa_free)
    assert all(("unpairedMsa" in job["sequences"][0]["protein"]) == msa_free for job in jobs)


def test_python_writes_all_of_it_where_the_page_cannot_and_never_over_what_is_there(
    page: Page, panel: ProteinPanel, tmp_path: Path
) -> None:
    got = page.told("write", folder=str(tmp_path / "designs"), msa_free=True)
    names = sorted(str(Path(path).relative_to(tmp_path / "designs")) for path in got["files"])
    jobs = [f"alphafold3/design_{i}.json" for i in range(1, 5)]
    assert names == sorted([*jobs, "designs.csv", "designs.fasta", "settings.json"])
    assert got["words"] == f"Wrote 7 files into {tmp_path / 'designs'}."
    assert generate_again(tmp_path / "designs" / "settings.json").sequences == panel.generation.sequences
    (tmp_path / "designs" / "designs.csv").write_text("mine")
    again = page.told("write", folder=str(tmp_path / "designs"))
    assert "designs-2" in again["words"] and (tmp_path / "designs" / "designs.csv").read_text() == "mine"
    job = json.loads((tmp_path / "designs-2" / "alphafold3" / "design_1.json").read_text())
    assert "unpairedMsa" not in job["sequences"][0]["protein"]
    assert "Name a folder" in page.refused("write", folder="  ")
    assert "Name a folder" in page.refused("write", folder=None)
    (tmp_path / "file").write_text("")
    assert "Cannot" in page.refused("write", folder=str(tmp_path / "file" / "below"))


def test_save_goes_by_the_ending(panel: ProteinPanel, tmp_path: Path) -> None:
    for kind, begin in {"fasta": b">design_1", "csv": b"name,", "json": b"{", "svg": b"<svg", "png": b"\x89PNG",
                        "html": b"<!DOCTYPE"}.items():  # fmt: skip
        panel.save(tmp_path / f"designs.{kind}")
        assert (tmp_path / f"designs.{kind}").read_bytes().startswith(begin)
    with pytest.raises(InputError, match=r"the ending is one of \.fasta, \.csv"):
        panel.save(tmp_path / "designs.docx")


# --- The saved picture


def test_the_twin_has_the_finding_the_table_and_the_sequences_and_says_that_it_is_saved(panel: ProteinPanel) -> None:
    page = panel._make_twin()
    assert panel.title in page and "This is a saved picture" in page and "data:image/svg+xml" in page
    assert all(design.name in page and wrap(design.sequence) in page for design in panel.generation)
    assert "comparable only within one model" in page and "<script" not in page and "<button" not in page
    assert "This is a saved picture" not in panel._make_twin(saved=False)


def test_hostile_text_is_text_wherever_it_is_shown() -> None:
    evil = "<img src=x onerror=alert(1)>"
    known = {evil: MOTIF + "ACDEFGHIKLMNPQRSTVWY"}
    panel = ProteinPanel(prompt=f">{evil} {evil}\n{MOTIF}", n=2, seed=1, max_length=60, references=known, name=evil)
    panel.generate_sync()
    panel._sheet.end("failed", [evil])
    assert evil not in panel._make_twin() and evil not in panel.to_html()
    panel._sheet.said = evil
    assert evil not in panel._make_twin()


def test_the_page_alone_holds_the_table_and_no_buttons(panel: ProteinPanel) -> None:
    kept = panel._alone()
    assert kept is not None
    assert kept["_shot"]["buttons"] == [] and not kept["_shot"]["live"] and len(kept["_shot"]["table"]["rows"]) == 4
    assert set(kept["_texts"]) == {"protein_judging"}
    assert "http" not in panel.to_html().replace("http://www.w3.org/2000/svg", "")


def test_the_explorer_answers_a_slider_in_under_a_tenth_of_a_second(page: Page) -> None:
    taken = []
    for step in range(10):
        began = time.perf_counter()
        page.told("settings", changes={"temperature": 0.5 + step / 100})
        page.told("explore")
        taken.append(time.perf_counter() - began)
    page.told("authors")
    assert min(taken[1:]) < 0.1  # other tests may take the cores now and then
