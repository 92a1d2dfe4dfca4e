"""The pictures of the widgets in docs/images, taken in a real JupyterLab: one command after a change to how they look.

    python -m docs.pictures                     # all of them, in about a minute
    python -m docs.pictures token-view-dark     # this one

Everything shown comes from the embedded models, so anyone gets the same; only fonts differ between computers.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from PIL import Image
from playwright.sync_api import Locator, Page, ViewportSize, expect

from benchmarks.browser import browser, jupyter, notebook_in
from docs import panel_scenes, training_scenes
from tests.browser.notebooks import Notebook
from tests.browser.servers import Server
from tests.browser.token_views import SETUP, View

IMAGES = Path(__file__).with_name("images")
MOST = 160_000  # bytes of a picture; the README shows several
# With the lanes of 59 bases this is just wide enough for one row, so that letters stay large where the page is narrow.
VIEWPORT: ViewportSize = {"width": 1010, "height": 1100}
SIX = "[dna, bio.KmerTokenizer(6)]"
# 100 kb in E. coli's manner, genes and what is between them, and a second BPE that learns from it.
MORE = """
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from biollm_widgets.dna.simulate import simulate_coding_dataset
contig = "".join(simulate_coding_dataset(600, seed=1)["DNA_sequence"])[:100_000]
small, pages = Tokenizer(BPE()), [contig[i : i + 1000] for i in range(0, 100_000, 1000)]
small.train_from_iterator(pages, BpeTrainer(vocab_size=64, show_progress=False))
"""


class Studio:
    """An open notebook in which each scene is set, one after the other."""

    def __init__(self, page: Page, server: Server):
        self.page, self.server = page, server
        self.notebook = notebook_in(page, server, "scenes.ipynb", [SETUP])

    def show(self, made: str, theme: str = "Light") -> View:
        """A view alone in the notebook."""
        self.page.mouse.move(0, 0)
        self.notebook.forget(1)
        self.notebook.theme(f"JupyterLab {theme}")
        return View(self.notebook, made)

    def point(self, piece: Locator) -> None:
        """Rest the pointer on a piece until Python has said all that it knows of it."""
        piece.hover()
        expect(self.page.locator(".bw-details")).to_contain_text("rank")


def plain(studio: Studio) -> Locator:
    """BPE and overlapping 6-mers on one ruler, with the reading frame under them."""
    view = studio.show(f"bio.TokenView(SEQUENCE, {SIX}, frames=[1])")
    studio.point(view.pieces.nth(4))
    return view.card


def dark(studio: Studio) -> Locator:
    """The same sequence in the dark theme, coloured by the length of each token."""
    view = studio.show('bio.TokenView(SEQUENCE, dna, color="length", frames=[1])', "Dark")
    studio.point(view.pieces.nth(4))
    return view.card


def mutate(studio: Studio) -> Locator:
    """One base changed, and the sentence that says what that did."""
    view = studio.show("bio.TokenView(SEQUENCE, dna)")
    view.open("Mutate")
    view.card.locator(".bw-base").nth(6).click()
    view.panel.get_by_role("button", name="Change to A").click()
    expect(view.panel.locator(".bw-summary")).to_be_visible()
    return view.card


def merges(studio: Studio) -> Locator:
    """The replay of BPE, half-way."""
    view = studio.show("bio.TokenView(SEQUENCE, dna)")
    panel = view.open("Merges")
    steps = panel.get_by_role("slider")
    expect(panel.locator(".bw-step")).to_contain_text("Before the first")
    steps.fill(str(int(steps.get_attribute("max") or "0") // 2))
    expect(panel.locator(".bw-step")).to_contain_text("became")
    return view.card


def compare(studio: Studio) -> Locator:
    """Two BPE tokenizers and 3-mers, where they cut alike, and the table."""
    made = "bio.TokenView(SEQUENCE, {'BPE': dna, 'BPE 64': small, '3-mer': bio.KmerTokenizer(3)}, special_tokens=False)"
    view = studio.show(made)
    panel = view.open("Compare")
    expect(panel.locator("tbody tr")).to_have_count(3)
    return view.card


def long(studio: Studio) -> Locator:
    """Somewhere in 100 kb, with a stretch selected."""
    view = studio.show("bio.TokenView(contig, dna, frames=[1], height=320)")
    view.notebook.tell("chosen = view.tokenizations[0]['BPE'].columns.starts; near = chosen.searchsorted(50_112)")
    view.notebook.tell("view.select(int(chosen[near]), int(chosen[near + 7]))")
    expect(view.chosen).not_to_have_count(0)
    expect(view.card.locator(".bw-await")).to_have_count(0)
    return view.card


def twin(studio: Studio) -> Locator:
    """What whoever is sent the notebook sees before running anything."""
    studio.show(f"bio.TokenView(SEQUENCE, {SIX}, frames=[1])")
    saved = json.loads(studio.notebook.save().read_text(encoding="utf-8"))
    # One more cell, and Jupyter no longer trusts what it did not run itself.
    saved["cells"].append({"cell_type": "markdown", "id": "by-mail", "metadata": {}, "source": ""})
    (studio.server.work / "mailed.ipynb").write_text(json.dumps(saved), encoding="utf-8")
    # A saved picture is as wide as it is: a window that shows it whole.
    studio.page.set_viewport_size({**VIEWPORT, "width": VIEWPORT["width"] + 60})
    mailed = Notebook(studio.page, studio.server, "mailed.ipynb")
    picture = mailed.page.locator("[class*=biollm-twin-]").first
    expect(picture.locator("img")).to_be_visible()
    return picture


# The last leaves the notebook of the others; what is stopped was begun by the scene before it.
SCENES: dict[str, Callable[[Studio], Locator]] = {
    "training-progress": training_scenes.learning,
    "training-progress-stopped": training_scenes.stopped,
    "training-progress-compare": training_scenes.compare,
    "training-progress-follow": training_scenes.follow,
    "protein-panel": panel_scenes.judged,
    "protein-panel-next": panel_scenes.explored,
    "protein-panel-walk": panel_scenes.walked,
    "token-view": plain,
    "token-view-dark": dark,
    "token-view-mutate": mutate,
    "token-view-merges": merges,
    "token-view-compare": compare,
    "token-view-long": long,
    "token-view-twin": twin,
}
POINTED = ("token-view", "token-view-dark")  # where the pointer is part of the picture


def small(png: bytes) -> bytes:
    """The same picture with at most 256 colours."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    made = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
    return made.getvalue()


def main(words: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="scene", help=f"some of {', '.join(SCENES)} [default: all]")
    given = parser.parse_args(words)
    unknown = [name for name in given.scenes if name not in SCENES]
    if unknown:
        parser.error(f"There is no scene {unknown[0]!r}; there are {', '.join(SCENES)}.")
    expect.set_options(timeout=60_000)
    IMAGES.mkdir(exist_ok=True)
    with jupyter() as server, browser() as opened:
        page = opened.new_page(viewport=VIEWPORT, device_scale_factor=2)
        page.set_default_timeout(60_000)
        studio = Studio(page, server)
        studio.notebook.tell(MORE)
        for name, scene in SCENES.items():
            if given.scenes and name not in given.scenes:
                continue
            shown = scene(studio)
            if name not in POINTED:
                page.mouse.move(0, 0)
            png = small(shown.screenshot(animations="disabled"))
            if len(png) > MOST:
                parser.exit(1, f"{name}.png has {len(png):,} bytes, over {MOST:,}: make its scene smaller.\n")
            (IMAGES / f"{name}.png").write_bytes(png)
            print(f"docs/images/{name}.png  {len(png) / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
