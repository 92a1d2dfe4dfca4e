"""A picture of a notebook has words, and nothing of them is read as markup."""

from __future__ import annotations

import base64
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from biollm_widgets.pictures import picture


def test_a_picture_is_an_image_with_its_words_and_the_figure_is_closed():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1])
    shown = picture(figure, 'A line that rises,\n   and <b>"no"</b> markup.')
    html = shown._repr_html_()
    assert 'alt="A line that rises, and &lt;b&gt;&quot;no&quot;&lt;/b&gt; markup."' in html
    data = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert data and base64.b64decode(data[1]).startswith(b"\x89PNG") and base64.b64decode(data[1]) == shown.png
    assert repr(shown).startswith("A picture: A line that rises, and")
    assert not plt.fignum_exists(figure.number)
