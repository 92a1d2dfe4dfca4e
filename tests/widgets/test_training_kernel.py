"""TrainingProgress in a kernel, clicked and interrupted, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")

from kernels import Kernel
from small_trainer import checkpoints

pytestmark = pytest.mark.slow
EVERY = 'eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=4, disable_tqdm=True'


@pytest.fixture(scope="module")
def kernel(shared_data: Path) -> Iterator[Kernel]:
    one = Kernel()
    yield one
    one.close()


def left_while_it_evaluates(kernel: Kernel, out: Path) -> None:
    """A cell that two interrupts have left, while its training evaluates at step 4."""
    cell = kernel.start(
        f"p = TrainingProgress()\nt = small_trainer({str(out)!r}, callbacks=[Slow(0.1, 1.5)], {EVERY})\n"
        "before = list(t.callback_handler.callbacks)\nawait p.fit(t)"
    )
    kernel.phase("evaluating")
    kernel.interrupt()
    kernel.phase("stopping")
    kernel.interrupt()
    assert "KeyboardInterrupt: The cell was left" in kernel.end_of(cell, 20)


def test_a_training_that_was_left_ends_with_its_checkpoint_and_is_not_joined_by_a_second(
    kernel: Kernel, tmp_path: Path
) -> None:
    left_while_it_evaluates(kernel, tmp_path / "out")
    assert kernel.run("print(trains(), p.state, p._control is not None)") == "['training'] evaluating True"
    words = "The training before is still at step 4; Stop was asked, so it ends with a checkpoint. Run this cell again"
    for again in (
        "await p.fit(t)",
        "p.fit_sync(t)",
        "await TrainingProgress().fit(t)",
        f"await TrainingProgress().fit(small_trainer({str(tmp_path / 'out')!r}))",
    ):
        assert f"InputError: {words}" in kernel.run(again)
    kernel.phase("stopped")
    kernel.wait(lambda: kernel.run("print(p._control)") == "None")
    assert kernel.shown["title"].startswith("Stopped at step 4 of 12") and kernel.shown["buttons"] == []
    assert checkpoints(tmp_path / "out") == [4]
    assert kernel.run("print(p.state, t.callback_handler.callbacks == before, type(sys.stdout).__name__)") == (
        "stopped True OutStream"
    )
    out = kernel.run("r = await p.fit(t, resume_from_checkpoint=True)\nprint(r.global_step, p.state)")
    assert out.endswith("12 finished") and checkpoints(tmp_path / "out") == [4, 8, 12]


def test_cells_still_print_after_one_that_ran_beside_a_training(kernel: Kernel, tmp_path: Path) -> None:
    left_while_it_evaluates(kernel, tmp_path / "out")
    assert kernel.run("print('beside', trains())") == "beside ['training']"
    kernel.phase("stopped")
    kernel.wait(lambda: kernel.run("print(trains())") == "[]")
    assert kernel.run("print('still')\nprint('there', file=sys.stderr)").split() == ["still", "there"]


def test_with_the_callback_a_pause_is_shown_and_ended_by_a_click(kernel: Kernel, tmp_path: Path) -> None:
    cell = kernel.start(
        f"p = TrainingProgress()\nt = small_trainer({str(tmp_path)!r}, callbacks=[Slow(0.2), p.callback], {EVERY})\n"
        "t.train()\nprint('trained', t.state.global_step)"
    )
    kernel.phase("training")
    kernel.click("pause")
    kernel.phase("paused", 10)
    kernel.click("go_on")
    kernel.phase("training", 10)
    kernel.click("pause")
    kernel.phase("paused", 10)
    kernel.click("stop")
    assert "trained" in kernel.end_of(cell, 20)
    assert kernel.run("print(p.state)") == "stopped"


def test_an_interrupt_after_a_training_that_broke_off_in_the_same_cell_interrupts_the_cell(
    kernel: Kernel, tmp_path: Path
) -> None:
    cell = kernel.start(
        f"p = TrainingProgress()\nt = small_trainer({str(tmp_path)!r}, {EVERY},\n"
        "    callbacks=[p.callback, At(2, lambda: 1 / 0)])\n"
        "try:\n    t.train()\nexcept ZeroDivisionError:\n    print('caught', flush=True)\ntime.sleep(60)"
    )
    kernel.wait(lambda: "caught" in kernel.printed.get(cell, ""))
    kernel.interrupt()
    assert "KeyboardInterrupt" in kernel.end_of(cell, 20)
    assert kernel.run("print(p.state, p._control)") == "failed None"


def test_the_callback_in_a_thread_of_its_own_outlives_the_cell_that_began_it(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run(
        f"p = TrainingProgress()\nt = small_trainer({str(tmp_path)!r}, callbacks=[Slow(0.1), p.callback], {EVERY})\n"
        "own = threading.Thread(target=t.train)\nown.start()\ntime.sleep(0.5)"
    )
    assert kernel.run("print(p.state in ('training', 'evaluating', 'saving'))") == "True"
    assert kernel.run("own.join()\nprint(p.state, len(p.to_frame()))").endswith("finished 3")
