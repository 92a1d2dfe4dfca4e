"""A matplotlib picture in a notebook, with words for those who do not see it."""

from __future__ import annotations

import base64
import html
import io
from typing import Any


class Picture:
    """What `picture` gives: it draws itself in a notebook and is its words elsewhere.

    Attributes
    ----------
    png : bytes
    words : str
    """

    def __init__(self, png: bytes, words: str) -> None:
        self.png, self.words = png, words

    def _repr_html_(self) -> str:
        # As text/html, since the front ends give an image/png output an alternative text of their own.
        data = base64.b64encode(self.png).decode("ascii")
        return f'<img alt="{html.escape(self.words)}" style="max-width: 100%" src="data:image/png;base64,{data}">'

    def __repr__(self) -> str:
        return f"A picture: {self.words}"


def picture(figure: Any, words: str) -> Picture:
    """A matplotlib figure as the output of a cell, with an alternative text for screen readers; the figure is closed.

    Parameters
    ----------
    figure : matplotlib Figure
    words : str
        What is to be seen in it, as sentences: the finding, not "a plot". Make them of the numbers that are drawn.

    Returns
    -------
    Picture, to be the last line of a cell.
    """
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)  # or the notebook shows it a second time, without the words
    return Picture(file.getvalue(), " ".join(words.split()))
