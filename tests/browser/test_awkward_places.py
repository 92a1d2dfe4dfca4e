"""Where a widget cannot be, or not as usual: each time something that can be read is on the page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .notebooks import PLAIN, Notebook, expect_the_saved_picture, write_notebook
from .servers import Server, surroundings
from .token_views import SETUP, View

CELLS = [SETUP, "view = bio.TokenView(SEQUENCE, dna)\nview"]
LIVE = "section.biollm"


@pytest.fixture(scope="package")
def saved(server: Callable[[str], Server], context) -> Path:
    """A notebook that was run and saved in JupyterLab; its kernel is gone."""
    here = server("same")
    write_notebook(here, "saved.ipynb", CELLS)
    page = context.new_page()
    notebook = Notebook(page, here, "saved.ipynb")
    notebook.run_all()
    expect(page.locator(f"{LIVE} .bw-title")).to_contain_text("59 bases became")
    path = notebook.save()
    notebook.end_kernel()
    page.close()
    return path


def test_no_front_end_extension_on_the_server(page: Page, server: Callable[[str], Server]) -> None:
    write_notebook(server("none"), "view.ipynb", [PLAIN, *CELLS])
    notebook = Notebook(page, server("none"), "view.ipynb")
    notebook.run_all()
    expect_the_saved_picture(page, "59 bases became", "59 bases became")
    expect(notebook.outputs(0)).to_contain_text("rror")  # what every other widget shows here
    expect(page.locator("button.plain")).to_have_count(0)


def test_a_front_end_of_another_version_draws_it_live(page: Page, server: Callable[[str], Server]) -> None:
    write_notebook(server("older"), "view.ipynb", [PLAIN, SETUP])
    notebook = Notebook(page, server("older"), "view.ipynb")
    notebook.run_all()
    expect(notebook.outputs(0)).to_contain_text("rror")  # what a widget pinned to its version shows here
    expect(page.locator("button.plain")).to_have_count(0)
    view = View(notebook)
    expect(page.locator("[class*=biollm-twin-]")).to_be_hidden()
    view.pieces.nth(1).click()
    notebook.wait_for("view.selection is not None")
    view.open("Mutate")
    view.card.locator(".bw-base").nth(3).click()
    view.panel.get_by_role("button", name="Delete it").click()
    expect(view.title).to_contain_text("58 bases became")


def test_the_page_is_loaded_again_while_the_kernel_lives(page: Page, server: Callable[[str], Server]) -> None:
    write_notebook(server("same"), "reloaded.ipynb", CELLS)
    notebook = Notebook(page, server("same"), "reloaded.ipynb")
    notebook.run_all()
    expect(page.locator(f"{LIVE} .bw-title")).to_be_visible()
    notebook.save()
    page.reload()
    notebook.wait_until_ready()
    expect(page.locator(f"{LIVE} .bw-title")).to_contain_text("59 bases became")
    expect(page.locator("[class*=biollm-twin-]")).to_be_hidden()
    page.locator(f"{LIVE} .bw-t:not(.bw-special)").first.click()
    notebook.wait_for("view.selection is not None")


def test_the_kernel_is_gone_and_the_notebook_opened_again(
    page: Page, server: Callable[[str], Server], saved: Path
) -> None:
    notebook = Notebook(page, server("same"), saved.name)
    assert page.evaluate("bio.trusted()")
    expect_the_saved_picture(page, "59 bases became", "59 bases became")
    # Running the cell, as the picture says, brings the live view.
    notebook.run_all()
    expect(page.locator(f"{LIVE} .bw-title")).to_be_visible()
    expect(page.locator("[class*=biollm-twin-]")).to_be_hidden()


def test_a_notebook_that_is_not_trusted(page: Page, server: Callable[[str], Server], saved: Path) -> None:
    content = json.loads(saved.read_text())
    content["cells"].append({"cell_type": "markdown", "id": "from-elsewhere", "metadata": {}, "source": "as mailed"})
    (saved.parent / "mailed.ipynb").write_text(json.dumps(content))
    Notebook(page, server("same"), "mailed.ipynb")
    assert not page.evaluate("bio.trusted()")
    expect_the_saved_picture(page, "59 bases became", "59 bases became")


@pytest.mark.parametrize("how", ["saved", "executed"])
def test_a_page_made_by_nbconvert_is_read_without_a_connection(context, saved: Path, tmp_path: Path, how: str) -> None:
    source = tmp_path / "view.ipynb"
    source.write_text(saved.read_text())
    # What nbconvert runs it with is this Python's own kernel: no server and no kernel of ours takes part.
    content = json.loads(source.read_text())
    content["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source.write_text(json.dumps(content))
    command = [sys.executable, "-m", "nbconvert", "--to", "html", *(["--execute"] if how == "executed" else [])]
    subprocess.run([*command, str(source)], check=True, capture_output=True, env=surroundings(tmp_path))
    page = context.new_page()
    page.goto((tmp_path / "view.html").as_uri())
    expect_the_saved_picture(page, "59 bases became", "59 bases became")
    page.close()


HOSTILE = """
from tokenizers import Tokenizer, models, pre_tokenizers
bad = '</style><script>window.hacked=1</script>'
worse = '<img/src=x/onerror=window.hacked=1>'
words = Tokenizer(models.WordLevel({"[UNK]": 0, bad: 1, worse: 2, "ACGT": 3}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
view = bio.TokenView({bad + worse: f"ACGT {bad} {worse} ACGT"}, {worse: words}, alphabet="protein")
view
"""


def test_markup_in_a_name_a_sequence_or_a_token_is_text(page: Page, lab: Notebook, tmp_path: Path) -> None:
    card = lab.run(HOSTILE).locator(LIVE)
    expect(card.locator(".bw-title")).to_be_visible()
    expect(card).to_contain_text("</style><script>window.hacked=1</script>")
    card.locator(".bw-t").nth(1).hover()
    expect(card.locator(".bw-details")).to_contain_text("window.hacked=1")
    assert card.locator("script, img, style").count() == 0
    for panel in ("Compare", "Mutate", "Find", "Save"):
        card.get_by_role("button", name=panel, exact=True).click()
    assert lab.page.evaluate("window.hacked") is None
    # The twin, as a page of its own, where nothing sanitises it.
    (tmp_path / "view.html").write_text(lab.ask("view.to_html()"))
    page.bring_to_front()
    page.goto((tmp_path / "view.html").as_uri())
    expect(page.locator(f"{LIVE} .bw-title")).to_be_visible()
    assert "window.hacked=1" in page.locator("img").get_attribute("alt")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img:not([src^='data:'])").count() == 0
