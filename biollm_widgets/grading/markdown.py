"""Markdown from learners, as harmless as its words: what would act in the browser of whoever marks it is shown as text.

The formgrader puts the HTML that nbconvert makes of a Markdown cell into its page as it is. So a cell is rendered here
in
the very same way, bleach says whether anything in it is more than dress, and a cell in which there is something is
rewritten, gently first, until bleach finds nothing more. Cells in which there is nothing stay as they are.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any, Optional
from urllib.parse import urlsplit

LONGEST = 20_000  # letters that are rendered; a longer answer is shown as plain text

# What Markdown itself makes, and simple HTML that dresses words.
TAGS = frozenset(
    """a abbr b blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption figure h1
    h2     h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub summary sup table
    tbody td tfoot
    th thead tr tt u ul var""".split()  # noqa: SIM905
)
_EMPTY = {"br", "col", "hr", "img"}
_MAY_STAY_OPEN = {"p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dt", "dd", "colgroup"}
_OF_TAG = {
    "a": {"href", "title"}, "img": {"src", "alt", "title", "width", "height"}, "ol": {"start"},
    "td": {"align", "colspan", "rowspan"}, "th": {"align", "colspan", "rowspan", "scope"}, "details": {"open"},
    "table": {"border", "align"}, "col": {"span"}, "p": {"align"}, "div": {"align"}, "abbr": {"title"},
}  # fmt: skip
_DRESS = re.compile(
    r"(\s*(color|background-color|text-align|font-weight|font-style|text-decoration)\s*:\s*[\w#%., ()-]{1,40}\s*(;|$))*"
)
_TICK = re.compile(r'<input class="task-list-item-checkbox" type="checkbox" disabled(?: checked)?/>')  # Markdown's own
_CODE_CLASS = re.compile(r"(highlight|task-list-item|language-[\w+#-]{1,30}|[a-z]{1,2}[a-z0-9]?)")  # of code, coloured
_RASTER = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
_STANDS_FOR_IT = "data:image/png;base64,AAAA"
# In a formula: commands of MathJax that make links, styles and ids, or that load more commands. Entities, because raw
# HTML is read once more before MathJax sees it.
_COMMAND = re.compile(
    r"(?:\\|&#0*92;?|&#x0*5c;?|&bsol;?)(?=(?:href|style|class|cssId|require|url|data|mmlToken)\b)", re.I
)
_ATTACHED = re.compile(r"!\[([^\]]{0,200})\]\(\s*<?attachment:([^)\s>]{1,300})[^)]{0,200}\)")


def harmless(text: str, attachments: Optional[dict[str, Any]] = None) -> tuple[str, bool]:
    """A Markdown text without anything that acts, and whether anything was changed.

    Parameters
    ----------
    text : str
    attachments : dict, optional
        Pictures pasted into the cell; what refers to others is replaced by words.
    """
    there = set(attachments or {})
    made = _ATTACHED.sub(lambda found: found[0] if found[2] in there else f"[picture left out: {found[1]}]", text)
    lost_picture = made != text
    made = _COMMAND.sub("＼", made)
    if is_harmless(made, there):
        return made, made != text and not lost_picture
    if len(made) < 10 * LONGEST:
        for step in (_without_tags_that_act, _without_tags):
            other = step(made)
            if is_harmless(other, there):
                return other, True
    return as_text(text), True


def as_text(text: str) -> str:
    """A text as a block of code, which is shown letter by letter."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def is_harmless(text: str, attachments: Optional[set[str]] = None) -> bool:
    """Whether nothing in the HTML that nbconvert makes of a Markdown text acts, loads, or breaks out of its cell."""
    short = _RASTER.sub(_STANDS_FOR_IT, text)
    if len(short) > LONGEST:
        return False
    if not re.search(r"[<&\[!:`$\\]", short):
        return True  # nothing in it is more than words
    try:
        page = _TICK.sub("", _rendered(short, attachments or set()))
        return _only_dress(page)
    except Exception:  # what nbconvert stumbles over here it would stumble over in the formgrader
        return False


def _rendered(text: str, attachments: set[str]) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    pictures = {name: {"image/png": "AAAA"} for name in attachments}
    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True, attachments=pictures)
    return MarkdownWithMath(renderer=renderer).render(text)


def _only_dress(page: str) -> bool:
    """Whether bleach would leave HTML as it is, and all its elements are closed."""
    from bleach.sanitizer import Cleaner

    refused: list[str] = []

    def allowed(tag: str, name: str, value: str) -> bool:
        good = _attribute(tag, name, html.unescape(value))
        if not good:
            refused.append(name)
        return good

    class Style:
        def sanitize_css(self, style: str) -> str:
            return style  # was looked at as an attribute

    cleaner = Cleaner(
        tags=TAGS, attributes=allowed, protocols={"http", "https", "mailto", "data"}, strip=False,
        strip_comments=False, css_sanitizer=Style(),
    )  # fmt: skip
    cleaned = cleaner.clean(page)
    # What bleach does not allow it writes as text.
    return not refused and cleaned.count("&lt;") <= page.count("&lt;") and _Balance().of(page)


def _attribute(tag: str, name: str, value: str) -> bool:
    if name == "style":
        return _DRESS.fullmatch(value) is not None and "url" not in value.lower()
    if name == "class":
        return all(_CODE_CLASS.fullmatch(one) for one in value.split())
    if name not in _OF_TAG.get(tag, ()):
        return False
    if name == "href":
        return _address(value, ("http", "https", "mailto"))
    if name == "src":
        return bool(_RASTER.fullmatch(value)) or _address(value, ("http", "https"))
    return True


def _address(value: str, schemes: tuple[str, ...]) -> bool:
    """Whether an address is of another place on the web or of a file beside the notebook, not of Jupyter's server."""
    value = "".join(letter for letter in value if letter.isprintable() and not letter.isspace())
    if value.startswith("#"):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    if parts.scheme:
        return parts.scheme.lower() in schemes
    return not value.startswith(("/", "\\", ".")) and "?" not in value and ":" not in value and not parts.netloc


class _Balance(HTMLParser):
    """Whether HTML closes what it opens and nothing else: it ends in the cell that it began in."""

    def of(self, page: str) -> bool:
        self._open: list[str] = []
        self._good = True
        self.feed(page)
        self.close()
        return self._good and not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        if tag not in _EMPTY and tag not in _MAY_STAY_OPEN:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attrs)  # HTML knows no element that closes itself but the empty ones

    def handle_endtag(self, tag: str) -> None:
        if tag in _EMPTY or tag in _MAY_STAY_OPEN:
            return
        if not self._open or self._open.pop() != tag:
            self._good = False

    def handle_comment(self, data: str) -> None:
        if "--!" in data or data.startswith((">", "->", "[if")):
            self._good = False


# A tag that is only dress, in the one way of writing it that every reader of HTML understands alike.
_PLAIN_TAG = re.compile(
    r"</?(?:b|i|u|s|em|strong|sub|sup|small|code|kbd|mark|br|hr|p|ul|ol|li|table|thead|tbody|tr|td|th|details|summary"
    r"|blockquote|pre|span|div|del|ins|h[1-6])\s*/?>"
)
_TAG = re.compile(r"<(?=[!/?A-Za-z])")


def _without_tags_that_act(text: str) -> str:
    return _TAG.sub(lambda found: "<" if _PLAIN_TAG.match(text, found.start()) else "&lt;", text)


def _without_tags(text: str) -> str:
    return _TAG.sub("&lt;", text)
