"""TrainingProgress over a real Trainer in a real page: live while the cell is busy, steered by clicks, and kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from safetensors import safe_open

from .conftest import Rooms
from .notebooks import Notebook, expect_the_saved_picture, write_notebook
from .servers import Server, surroundings
from .trainings import EVALUATED, LIVE, SETUP, Training, replayed

# A run that ends when somebody ends it; 40 steps an epoch, and each takes long enough to be met.
ENDLESS = "max_steps=100_000, per_device_train_batch_size=1, step_takes=0.05"
NO_EVALUATION = "eval_strategy='no', save_strategy='no'"


def test_the_curve_and_the_words_grow_while_the_cell_runs(trains_everywhere: Notebook) -> None:
    page = trains_everywhere.page
    page.evaluate("bio.listen()")
    run = Training(trains_everywhere, "live", "max_steps=60, eval_steps=20, save_steps=20, step_takes=0.1")
    card = run.card
    first = card.wait_for_points(1)
    expect(card.title).to_contain_text("Learning: loss")
    title = card.title.text_content()
    expect(card.line).to_contain_text(
        re.compile(r"step \d+ of 60 · epoch \d\.\d of \d · .*samples/s.*tokens/s.*left.*GB")
    )
    card.wait_for_points(first + 4)
    expect(card.title).not_to_have_text(title or "")
    assert not page.evaluate("number => bio.done(number)", run.cell)
    run.wait_until_done()
    card.expect_end("finished")
    loss = run.ask("[one['loss'] for one in trainer.state.log_history if 'loss' in one]")
    expect(card.title).to_have_text(run.ask("progress.title"))
    expect(card.title).to_contain_text("Finished at step 60 of 60: ")
    assert card.drawn() == len(loss) == 60
    # The matrix is of the newest evaluation: all its rows, and what Python says.
    assert card.counts() == run.ask("progress.confusion().values.tolist()")
    assert sum(map(sum, card.counts())) == EVALUATED
    expect(card.matrix).to_contain_text("step 60")
    # Four messages a second at the most, and what they bring is what is new.
    heard = page.evaluate("bio.heard")
    news = [one for one in heard if one["kind"] in ("news", "fresh")]
    assert len(news) > 6
    spread = [last["at"] - first["at"] for first, last in zip(news, news[4:], strict=False)]
    assert min(spread) > 950, spread
    assert sorted(one["size"] for one in news)[len(news) // 2] < 2_000
    pictures = [one["at"] for one in heard if one["type"] == "update_display_data"]
    assert all(last - first > 950 for first, last in pairwise(pictures[:-1])), pictures


def test_stop_while_it_is_busy_leaves_a_checkpoint_from_which_the_shown_line_goes_on(
    trains_everywhere: Notebook,
) -> None:
    # An epoch's end would evaluate and save once more if it were not told that the run has been stopped.
    by_epoch = "eval_strategy='epoch', save_strategy='epoch'"
    run = Training(trains_everywhere, "stopped", f"{ENDLESS}, {by_epoch}")
    run.wait_for_steps(5)
    run.card.stop.click()
    run.wait_until_done()
    run.card.expect_end("stopped")
    step = run.ask("trainer.state.global_step")
    assert 5 <= step < 40
    expect(run.card.title).to_contain_text(f"Stopped at step {step} of 100,000")
    expect(run.card.notice).to_contain_text(f"{run.folder}/checkpoint-{step}")
    assert run.diary() == ["began 0", *(f"step {n}" for n in range(1, step + 1)), f"saved {step}", f"ended {step}"]
    assert run.checkpoints() == [step]

    line = run.card.code.text_content()
    assert line == f'await progress.fit(trainer, resume_from_checkpoint="{run.folder}/checkpoint-{step}")'
    more = f"trainer = make({run.folder!r}, {ENDLESS}, {by_epoch})\ntrainer.args.max_steps = {step + 4}\n{line}"
    run.cell = trains_everywhere.start([more])
    run.wait_until_done()
    run.card.expect_end("finished")
    expect(run.card.title).to_contain_text(f"Finished at step {step + 4} of {step + 4}")
    assert run.noted("began") == [0, step]
    every = list(range(1, step + 5))
    assert run.steps() == every  # none is done twice, and none is left out
    assert run.ask("[one['step'] for one in trainer.state.log_history if 'loss' in one]") == every
    assert run.ask("progress.to_frame('training').step.tolist()") == every
    assert run.card.drawn() == len(every)


def test_stop_during_an_evaluation_says_so_and_nothing_is_evaluated_or_saved_twice(trains: Notebook) -> None:
    often = "eval_steps=3, save_steps=3, per_device_eval_batch_size=2, batch_takes=0.15"
    run = Training(trains, "evaluating", f"{ENDLESS}, {often}")
    expect(run.card.doing).to_contain_text(re.compile(r"Evaluating at step 3: \d+ of 20 batches\."))
    run.card.stop.click()
    expect(run.card.doing).to_contain_text("Training stops when this evaluation is done, with a checkpoint.")
    expect(run.card.stop).to_be_hidden()
    run.wait_until_done()
    run.card.expect_end("stopped")
    assert run.diary() == ["began 0", "step 1", "step 2", "step 3", "evaluated 3", "saved 3", "ended 3"]
    assert run.checkpoints() == [3]
    assert sum(map(sum, run.card.counts())) == EVALUATED


def test_the_page_is_loaded_again_while_it_trains_and_stop_still_works(trains: Notebook) -> None:
    run = Training(trains, "reloaded", f"{ENDLESS}, {NO_EVALUATION}")
    run.card.wait_for_points(3)
    trains.save()
    before = run.steps()[-1]
    trains.page.reload()
    trains.wait_until_open()
    run.look(trains.outputs(run.cell))
    drawn = run.card.wait_for_points(before)  # with what happened while nobody looked
    run.card.wait_for_points(drawn)
    run.card.stop.click()
    run.card.expect_end("stopped")
    trains.wait_until_ready()
    step = run.ask("trainer.state.global_step")
    assert run.checkpoints() == [step] == run.noted("saved")
    expect(run.card.title).to_contain_text(f"Stopped at step {step} of 100,000")


def test_pause_holds_the_run_and_go_on_goes_on(trains: Notebook) -> None:
    run = Training(trains, "paused", f"{ENDLESS}, {NO_EVALUATION}")
    run.wait_for_steps(3)
    run.card.button("Pause").click()
    expect(run.card.title).to_contain_text("Paused at step")
    held = run.steps()
    expect(run.card.title).to_contain_text(f"Paused at step {held[-1]} of")
    expect(run.card.line).to_contain_text(f"step {held[-1]} of")
    trains.page.wait_for_timeout(600)  # a dozen steps, if it went on
    assert run.steps() == held
    run.card.button("Go on").click()
    expect(run.card.title).to_contain_text("Learning: loss")
    run.wait_for_steps(len(held) + 3)
    expect(run.card.button("Go on")).to_be_hidden()
    # A run that waits can be stopped as well.
    run.card.button("Pause").click()
    expect(run.card.title).to_contain_text("Paused at step")
    run.card.stop.click()
    run.wait_until_done()
    run.card.expect_end("stopped")
    assert run.checkpoints() == [run.steps()[-1]]


def test_a_cell_below_waits_for_the_training_whether_it_ends_or_is_stopped(trains_everywhere: Notebook) -> None:
    below = "note(trainer.args.output_dir, f'below {trainer.state.global_step}')"
    run = Training(trains_everywhere, "all", f"max_steps=8, {NO_EVALUATION}", below=below)
    trains_everywhere.wait_until_done(run.cell + 1)
    assert run.diary()[-2:] == ["ended 8", "below 8"]
    run = Training(trains_everywhere, "all-stopped", f"{ENDLESS}, {NO_EVALUATION}", below=below)
    run.wait_for_steps(2)
    run.card.stop.click()
    trains_everywhere.wait_until_done(run.cell + 1)
    step = run.steps()[-1]
    assert run.diary()[-3:] == [f"saved {step}", f"ended {step}", f"below {step}"]


def test_the_notebooks_own_interrupt_does_what_stop_does(trains: Notebook) -> None:
    run = Training(trains, "interrupted", f"{ENDLESS}, {NO_EVALUATION}")
    run.wait_for_steps(3)
    trains.page.evaluate("bio.interrupt()")
    run.wait_until_done()
    run.card.expect_end("stopped")
    step = run.ask("trainer.state.global_step")
    assert run.checkpoints() == [step] == run.noted("saved")
    expect(run.card.code).to_contain_text(f"checkpoint-{step}")


BREAKS = """
class Full(TrainerCallback):
    def on_step_end(self, args, state, control, **given):
        if state.global_step == 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
"""


def test_an_exception_in_training_reaches_the_cell_as_itself_and_the_card_says_what_happened(trains: Notebook) -> None:
    call = "trainer.train_dataset.labels[:] = [7] * len(trainer.train_dataset)\nawait progress.fit(trainer)"
    run = Training(trains, "bad-label", NO_EVALUATION, call=call)
    trains.wait_until_done(run.cell)
    assert re.match(r"IndexError: Target 7 is out of bounds\.", trains.said(run.cell).splitlines()[-1])
    run.card.expect_end("failed")
    expect(run.card.title).to_contain_text("Training broke off at step 0")
    expect(run.card.notice).to_contain_text("A label is not one of the model's classes")

    run = Training(trains, "full", "callbacks=[Full()], eval_strategy='no', save_steps=2", before=BREAKS)
    trains.wait_until_done(run.cell)
    said = trains.said(run.cell).splitlines()[-1]
    assert said == "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"
    run.card.expect_end("failed")
    expect(run.card.notice).to_contain_text(
        re.compile(r"Memory ran out at step \d.*per_device_train_batch_size \(now 2\)")
    )
    expect(run.card.notice).to_contain_text(f"The last checkpoint is {run.folder}/checkpoint-2.")
    assert run.checkpoints() == [2]
    # The same widget can watch another run.
    run.cell = trains.start(
        [f"trainer = make({run.folder!r}, max_steps=3, {NO_EVALUATION})\nawait progress.fit(trainer)"]
    )
    run.wait_until_done()
    run.card.expect_end("finished")


def test_a_callback_shows_a_trainer_that_somebody_else_starts_and_can_stop_it(trains: Notebook) -> None:
    plain = {"call": "trainer.add_callback(progress.callback)\nresult = trainer.train()"}
    run = Training(trains, "callback", f"{ENDLESS}, {NO_EVALUATION}", **plain)
    first = run.card.wait_for_points(2)
    run.card.wait_for_points(first)
    assert not trains.page.evaluate("number => bio.done(number)", run.cell)
    run.card.stop.click()
    run.wait_until_done()
    run.card.expect_end("stopped")
    step = run.ask("trainer.state.global_step")
    assert run.checkpoints() == [step] == run.noted("saved")
    expect(run.card.code).to_have_text(f'trainer.train(resume_from_checkpoint="{run.folder}/checkpoint-{step}")')


def test_a_cell_that_does_not_await_can_be_stopped_as_well(trains: Notebook) -> None:
    run = Training(trains, "sync", f"{ENDLESS}, {NO_EVALUATION}", call="result = progress.fit_sync(trainer)")
    first = run.card.wait_for_points(2)
    run.card.wait_for_points(first)
    run.card.stop.click()
    run.wait_until_done()
    run.card.expect_end("stopped")
    assert run.checkpoints() == run.noted("saved") == [run.steps()[-1]]


# Runs that are over, beside each other, or elsewhere.


def test_a_run_that_is_over_is_replayed_from_its_folder(runs: Notebook) -> None:
    card = replayed(runs, "bio.TrainingProgress.from_run('slow')")
    state = json.loads((runs.server.work / "slow" / "checkpoint-20" / "trainer_state.json").read_text())
    losses = [one["loss"] for one in state["log_history"] if "loss" in one]
    expect(card.title).to_have_text(runs.ask("progress.title"))
    expect(card.title).to_contain_text("Finished at step 20 of 20: ")
    assert card.drawn() == len(losses) == 20
    assert sum(map(sum, card.counts())) == EVALUATED
    assert card.matrix.locator("tbody th").all_text_contents() == ["non-coding", "coding"]
    for name in ("Pause", "Go on", "Stop and keep"):
        expect(card.button(name)).to_be_hidden()
    panel = card.open("Settings")
    expect(panel.get_by_role("row", name=re.compile("learning_rate"))).to_contain_text(re.compile("2e-0?4|0.0002"))


def test_two_runs_are_laid_over_each_other_with_their_settings(runs: Notebook) -> None:
    card = replayed(runs, "bio.TrainingProgress.compare('slow', 'fast')")
    expect(card.title).to_contain_text(re.compile("(slow|fast).*(slow|fast|2 runs)|2 runs.*(slow|fast)"))
    expect(card.legend).to_contain_text("slow")
    expect(card.legend).to_contain_text("fast")
    losses = card.root.locator("svg:not(.bt-over) .bt-curve:not(.bt-dashed)")
    assert len(set(losses.evaluate_all("all => all.map((one) => one.style.stroke)"))) == 2
    settings = card.open("Settings")
    row = settings.get_by_role("row", name=re.compile("^learning_rate"))
    expect(row).to_contain_text("differs")
    expect(settings.get_by_role("row", name=re.compile("^weight_decay"))).not_to_contain_text("differs")
    # One is taken away, and laid over again.
    laid = card.open("Compare with…")
    laid.get_by_role("button", name="Take fast away").click()
    expect(card.legend).not_to_contain_text("fast")
    expect(card.title).to_contain_text("Finished at step 20 of 20")
    box = laid.get_by_role("textbox", name="Folder of another run")
    box.fill("nowhere")
    box.press("Enter")
    expect(laid.get_by_role("alert")).to_contain_text("nowhere")
    box.fill("fast")
    box.press("Enter")
    expect(card.legend).to_contain_text("fast")
    expect(laid.get_by_role("alert")).to_be_hidden()
    assert runs.ask("[run.name for run in progress._sheet.runs]") == ["slow", "fast"]


def test_a_file_is_followed_that_another_process_writes(runs: Notebook) -> None:
    lines = (runs.server.work / "slow.events").read_text().splitlines(keepends=True)
    middle = next(n for n, line in enumerate(lines) if '"event": "evaluation"' in line)
    file = runs.server.work / "job.jsonl"
    card = replayed(runs, "bio.TrainingProgress.follow('job.jsonl')")
    expect(card.notice).to_contain_text("job.jsonl is not there yet")
    file.write_text("".join(lines[:middle]))
    expect(card.title).to_contain_text("Learning: loss")
    before = card.wait_for_points(2)
    assert before < 20
    expect(card.notice).to_be_empty()
    expect(card.stop).to_be_hidden()  # it trains elsewhere
    with file.open("a") as written:
        written.write(lines[middle][:40])  # half a line is not read
        written.flush()
        written.write(lines[middle][40:] + "".join(lines[middle + 1 :]))
    card.expect_end("finished")
    expect(card.title).to_contain_text("Finished at step 20 of 20: ")
    assert card.drawn() == 20
    assert sum(map(sum, card.counts())) == EVALUATED
    # The same from the start, for whoever comes late.
    late = replayed(runs, "bio.TrainingProgress.follow('job.jsonl')")
    expect(late.title).to_have_text(card.title.text_content() or "")
    assert late.drawn() == 20


LONG = """
folder = Path("long/checkpoint-100000")
folder.mkdir(parents=True, exist_ok=True)
lines = [{"step": n, "epoch": n / 1e4, "loss": 1 + 2 ** (-n / 9999), "learning_rate": 1e-5} for n in range(1, 100_001)]
state = {"global_step": 100_000, "max_steps": 100_000, "epoch": 10.0, "log_history": lines, "num_train_epochs": 10}
(folder / "trainer_state.json").write_text(json.dumps(state))
"""


def test_of_a_hundred_thousand_lines_few_points_are_kept_and_a_closer_look_gets_more(runs: Notebook) -> None:
    runs.tell(LONG)
    card = replayed(runs, "bio.TrainingProgress.from_run('long')")
    kept = runs.ask(
        "[sum(len(run[k]) for k in ('points', 'evaluations')) for run in progress.get_state()['_shot']['runs']]"
    )
    assert 200 < sum(kept) <= 500
    expect(card.legend).to_contain_text("lowest to highest of 256 log lines")
    card.charts.focus()
    for _ in range(3):
        card.charts.press("+")
    expect(card.legend).not_to_contain_text("256 log lines")
    card.charts.press("0")
    expect(card.legend).to_contain_text("256 log lines")


def test_the_keys_read_the_charts_and_zoom(runs: Notebook) -> None:
    card = replayed(runs, "bio.TrainingProgress.from_run('slow')")
    cells = runs.page.locator(".jp-Notebook .jp-Cell").count()
    loss = runs.ask("progress.to_frame('training').loss.tolist()")
    expect(card.reading).to_contain_text("Point at the charts")
    card.charts.focus()
    for step in (1, 2, 3):
        runs.page.keyboard.press("ArrowRight")
        expect(card.reading).to_contain_text(re.compile(rf"^step {step}: training loss {loss[step - 1]:.2f}"))
    expect(card.root.locator(".bt-over .bt-line")).to_be_attached()
    runs.page.keyboard.press("ArrowLeft")
    expect(card.reading).to_contain_text("step 2: training loss")
    runs.page.keyboard.press("End")
    expect(card.reading).to_contain_text(re.compile(r"^step 20: .*evaluation at step 20: loss .*MCC"))
    # A closer look, and back
    ticks = card.root.locator("svg:not(.bt-over) .bt-middle")
    whole = ticks.all_text_contents()
    runs.page.keyboard.press("+")
    expect(card.button("Whole run")).to_be_visible()
    expect(ticks).not_to_have_text(whole)
    runs.page.keyboard.press("0")
    expect(card.button("Whole run")).to_be_hidden()
    expect(ticks).to_have_text(whole)
    # Enter keeps the matrix of an evaluation.
    runs.page.keyboard.press("Home")
    for _ in range(10):
        runs.page.keyboard.press("ArrowRight")
    runs.page.keyboard.press("Enter")
    runs.page.keyboard.press("Escape")
    expect(card.charts).not_to_be_focused()
    expect(card.matrix).to_contain_text("step 10")
    assert card.counts() == runs.ask("progress.confusion(10).values.tolist()")
    card.matrix.get_by_role("button", name="The next evaluation").click()
    expect(card.matrix).to_contain_text("step 20")
    assert runs.page.locator(".jp-Notebook .jp-Cell").count() == cells  # no key was the notebook's own


def test_the_pointer_reads_values_and_a_drag_zooms(runs: Notebook) -> None:
    card = replayed(runs, "bio.TrainingProgress.from_run('slow')")
    loss = runs.ask("progress.to_frame('training').loss.tolist()")
    card.charts.scroll_into_view_if_needed()
    box = card.charts.bounding_box()
    assert box is not None
    x, y, mouse = box["x"], box["y"] + 80, runs.page.mouse
    mouse.move(x + 200, y)
    said = re.compile(r"^step (\d+): training loss (\S+)")
    expect(card.reading).to_contain_text(said)
    found = said.match(card.reading.text_content() or "")
    assert found is not None and found[2] == f"{loss[int(found[1]) - 1]:.2f}"
    mouse.down()
    mouse.move(x + 320, y, steps=4)
    mouse.up()
    expect(card.button("Whole run")).to_be_visible()
    mouse.move(x + 60, y)
    expect(card.reading).to_contain_text(said)
    assert int(said.match(card.reading.text_content() or "")[1]) >= int(found[1])  # type: ignore[index]
    card.button("Whole run").click()
    expect(card.button("Whole run")).to_be_hidden()


def test_tables_say_what_the_charts_show_and_files_can_be_taken_along(runs: Notebook) -> None:
    card = replayed(runs, "bio.TrainingProgress.from_run('slow')")
    panel = card.open("Table")
    frame = json.loads(runs.ask("progress.to_frame().to_json(orient='records')"))
    rows = panel.get_by_role("region", name="Evaluations").locator("tbody tr")
    expect(rows).to_have_count(len(frame))
    for row, one in zip(rows.all(), frame, strict=True):
        expect(row).to_contain_text(f"{one['step']}")
        assert float(row.locator("td").nth(1).text_content() or "") == pytest.approx(one["loss"], rel=1e-3)
    expect(panel.get_by_role("row").filter(has_text="best")).to_have_count(1)
    panel.get_by_text("Every point of the training loss").click()
    expect(panel.get_by_role("region", name="Points of the training loss").locator("tbody tr")).to_have_count(20)
    panel = card.open("Save")
    panel.get_by_role("button", name="Numbers (CSV)").click()
    expect(panel.get_by_role("textbox")).to_have_value(re.compile("^run,kind,step"))


# What is left when Jupyter is not there.


@pytest.mark.parametrize("how", ["saved", "executed"])
def test_a_page_made_by_nbconvert_shows_the_run(
    context: BrowserContext, trains_lab: Notebook, tmp_path: Path, how: str
) -> None:
    source = tmp_path / "run.ipynb"
    if how == "saved":
        run = Training(trains_lab, "printed", "max_steps=4, eval_steps=2, save_strategy='no'")
        run.wait_until_done()
        run.card.expect_end("finished")
        shutil.copy(trains_lab.save(), source)
    else:
        cell = "progress = bio.TrainingProgress()\nawait progress.fit(make('out', max_steps=4, eval_steps=2))"
        shutil.copy(write_notebook(trains_lab.server, "executed.ipynb", [SETUP, cell], "python3"), source)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", *(["--execute"] if how == "executed" else [])]
    subprocess.run([*command, str(source)], check=True, capture_output=True, env=surroundings(tmp_path))
    page = context.new_page()
    page.goto((tmp_path / "run.html").as_uri())
    twin = expect_the_saved_picture(page, "Finished at step 4 of 4: ", "Training loss")
    expect(twin.locator("table").first.locator("tbody tr").filter(has_text="best")).to_have_count(1)
    page.close()


def test_markup_in_names_labels_folders_and_printed_lines_is_text(
    page: Page, trains_lab: Notebook, tmp_path: Path
) -> None:
    bad = "<img src=x onerror=window.hacked=1>"
    worse = "</style><script>window.hacked=1</script>"
    before = f"bad, worse = {bad!r}, {worse!r}\n" + (
        "class Prints(TrainerCallback):\n    def on_step_end(self, *given, **more):\n        print(bad + worse)\n"
    )
    run = Training(
        trains_lab, bad, "max_steps=2, eval_steps=1, save_steps=1, callbacks=[Prints()]",
        progress="bio.TrainingProgress(name=worse, labels=[bad, worse])", before=before,
    )  # fmt: skip
    run.wait_until_done()
    run.card.expect_end("finished")
    card = run.card
    assert card.matrix.locator("tbody th").all_text_contents() == [bad, worse]
    expect(card.open("Printed")).to_contain_text(bad + worse)
    expect(card.open("Settings")).to_contain_text(worse)
    expect(card.open("Compare with…")).to_be_visible()
    trains_lab.tell("progress._answer_compare(trainer.args.output_dir)")
    expect(card.panel.get_by_role("button", name=re.compile("Take .*away"))).to_be_visible()
    expect(card.legend).to_contain_text(worse)
    expect(card.open("Table")).to_contain_text(worse)
    assert card.root.locator("script, img, style").count() == 0
    assert trains_lab.page.evaluate("window.hacked") is None
    # The twin, as a page of its own, where nothing sanitises it.
    (tmp_path / "view.html").write_text(trains_lab.ask("progress.to_html()"))
    page.goto((tmp_path / "view.html").as_uri())
    expect(page.locator(f"{LIVE} .bw-title")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img:not([src^='data:'])").count() == 0


def test_the_kernel_is_killed_while_it_trains_and_run_and_checkpoint_are_still_there(
    trains: Notebook, rooms: Rooms, context: BrowserContext, server: Callable[[str], Server]
) -> None:
    pid = trains.ask("pid")
    run = Training(trains, "killed", f"{ENDLESS}, eval_steps=5, save_steps=5")
    twin = trains.page.locator("[class*=biollm-twin-]").last
    expect(twin).to_contain_text("step 5", timeout=60_000)
    run.wait_for_steps(7)
    expect(run.card.silence).to_be_hidden()
    os.kill(pid, signal.SIGKILL)
    # The page says so within 20 seconds of silence; its clock is set forward so that we need not wait for that.
    trains.page.evaluate("(() => { const now = Date.now; Date.now = () => now() + 15_000; })()")
    expect(run.card.silence).to_contain_text(
        re.compile(r"No word from Python for \d+ s.*The last checkpoint is step \d+")
    )
    said = int(re.search(r"checkpoint is step (\d+)", run.card.silence.text_content() or "")[1])  # type: ignore[index]
    assert said in run.checkpoints()
    with safe_open(run.place / f"checkpoint-{said}" / "model.safetensors", "numpy") as weights:
        assert len(list(weights.keys())) > 10
    name = trains.save().name
    rooms.leave(trains)
    page = context.new_page()
    Notebook(page, server("same"), name)
    twin = expect_the_saved_picture(page, "Learning: loss", "Training loss")
    expect(twin.locator("tbody tr").first).to_contain_text("5")
    page.close()
