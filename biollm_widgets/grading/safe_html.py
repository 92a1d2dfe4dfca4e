"""HTML of strangers, written anew: only elements of a short list come out, every letter of text escaped, all closed.

Nothing of the input is copied. It is read by a lenient parser, and whatever that makes of it, what is written is made
of our own words; so there is no markup that two parsers could read in two ways. Inline SVG becomes a picture in an
`<img>`, where a browser runs no script and loads nothing, and is rewritten from a short list of its own besides.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from html import escape
from html.parser import HTMLParser
from typing import Optional

TAGS = frozenset(
    """a abbr b blockquote br caption center code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4
    h5 h6 hr i img ins kbd li mark ol p pre q s samp section small span strong sub summary sup table tbody td tfoot th
    thead tr tt u ul var""".split()  # noqa: SIM905
)
_EMPTY = {"br", "col", "hr", "img"}
# What stands between these is no text for a reader.
_DROPPED = frozenset(
    """script style template noscript noembed noframes iframe object embed applet title textarea select option math xmp
    plaintext audio video canvas frameset""".split()  # noqa: SIM905
)
_NUMBERS = {"colspan", "rowspan", "span", "start", "width", "height", "border"}
_ATTRIBUTES = {
    "img": {"alt", "width", "height"}, "td": {"colspan", "rowspan", "align"}, "th": {"colspan", "rowspan", "align"},
    "col": {"span"}, "ol": {"start"}, "details": {"open"}, "table": {"border"}, "tr": {"align"},
}  # fmt: skip
# Classes with a meaning on our pages: tables of pandas, and the colours of code.
_CLASS = re.compile(r"dataframe|highlight|[a-z]{1,2}[a-z0-9]?")
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})")
_SVG_URI = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/]+={0,2})")
# Whatever could load, run, or reach out of its own box.
_ACTS = re.compile(
    r"[\\<>@{}!]|/\*|\b(url|image|image-set|cross-fade|element|src|expression|attr|env|paint)\s*\(", re.I
)
_STYLES = frozenset(
    """background background-color border border-bottom border-bottom-color border-collapse border-color border-left
    border-radius border-right border-spacing border-style border-top border-width box-sizing color color-scheme
    column-gap display flex flex-basis flex-direction flex-grow flex-shrink flex-wrap font font-family font-size
    font-style font-variant-numeric font-weight gap grid-column grid-row grid-template-columns height
    justify-content align-items
    letter-spacing line-height list-style-type margin margin-bottom margin-left margin-right margin-top max-height
    max-width min-height min-width opacity overflow overflow-wrap overflow-x overflow-y padding padding-bottom
    padding-left padding-right padding-top row-gap text-align text-decoration text-indent text-transform vertical-align
    white-space width word-break word-wrap""".split()  # noqa: SIM905
)
_DECLARED = re.compile(r"<[!?]")
_DEEP = 60  # elements inside each other; browsers themselves stop at some hundreds


def safe_html(
    text: str,
    words: Callable[[str], str] = lambda text: text,
    pictures: Mapping[str, str] = {},
) -> str:
    """HTML without anything that acts, loads, or names an address; balanced, so that it ends where it ends.

    Parameters
    ----------
    text : str
    words : callable
        What is done to each piece of text before it is escaped.
    pictures : mapping of str to str
        Data URIs of a cell's attachments, by the address they are shown under.
    """
    writer = _Writer(words, pictures)
    writer.feed(_read_in_one_go(text))
    writer.close()
    return writer.whole()


def _read_in_one_go(text: str) -> str:
    """The same without what html.parser looks for the end of again and again: hours for what a learner writes so.

    Comments and declarations go, with all that follows one that does not end; `<` behind the last tag is a letter.
    """
    parts, place = [], 0
    while found := _DECLARED.search(text, place):
        end = "-->" if text.startswith("<!--", found.start()) else ">"
        stop = text.find(end, found.end())
        # A space, lest what stands before and behind make a new one.
        parts += [text[place : found.start()], " "]
        place = len(text) if stop < 0 else stop + len(end)
    kept = "".join([*parts, text[place:]])
    last = kept.rfind(">") + 1
    return kept[:last] + kept[last:].replace("<", "&lt;")


def safe_style(style: str) -> str:
    """The declarations of a `style` that dress their own element and no more."""
    kept = []
    for one in style.split(";"):
        name, colon, value = one.partition(":")
        name, value = name.strip().lower(), " ".join(value.split())
        if colon and name in _STYLES and value and len(value) < 300 and not _ACTS.search(value):
            # Nothing is pulled over what stands beside it.
            if name.startswith(("margin", "text-indent", "letter-spacing")) and "-" in value:
                continue
            kept.append(f"{name}:{value}")
    return ";".join(kept)


class _Writer(HTMLParser):
    """Reads HTML and writes what may stay."""

    def __init__(self, words: Callable[[str], str], pictures: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self._words, self._pictures = words, pictures
        self._out: list[str] = []
        self._open: list[str] = []
        self._dropping: list[str] = []
        self._svg: Optional[_Svg] = None
        self._link = ""

    def whole(self) -> str:
        self._end_svg()
        while self._open:
            self._out.append(f"</{self._open.pop()}>")
        return "".join(self._out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._svg is not None:
            self._svg.start(tag, given)
        elif self._dropping:
            if tag in _DROPPED:
                self._dropping.append(tag)
        elif tag == "svg":
            self._svg = _Svg(self._words)
            self._svg.start(tag, given)
        elif tag in _DROPPED:
            self._dropping.append(tag)
        elif tag == "img":
            self._out.append(self._image(given))
        elif tag in TAGS and len(self._open) < _DEEP:
            if tag == "a":
                self._link = _address(given.get("href", ""))
            self._out.append(f"<{tag}{self._attributes(tag, given)}>")
            if tag not in _EMPTY:
                self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY and (self._svg is not None or tag in _DROPPED):  # HTML knows no other that ends at once
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._svg is not None:
            if self._svg.end(tag):
                self._end_svg()
        elif self._dropping:
            if tag in self._dropping:
                while self._dropping.pop() != tag:
                    pass
        elif tag in self._open:
            if tag == "a" and self._link:
                self._out.append(f" ({escape(self._words(self._link))})")
                self._link = ""
            while (last := self._open.pop()) != tag:
                self._out.append(f"</{last}>")
            self._out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._svg is not None:
            self._svg.text(data)
        elif not self._dropping:
            self._out.append(escape(self._words(data)))

    def _end_svg(self) -> None:
        if self._svg is not None:
            self._out.append(self._svg.image())
            self._svg = None

    def _attributes(self, tag: str, given: dict[str, str]) -> str:
        kept = []
        for name, value in given.items():
            if name == "style":
                value = safe_style(value)
                if not value:
                    continue
            elif name == "class":
                value = " ".join(one for one in value.split() if _CLASS.fullmatch(one))
                if not value:
                    continue
            elif name == "title" or name in _ATTRIBUTES.get(tag, ()):
                if name in _NUMBERS and not re.fullmatch(r"\d{1,4}", value.strip()):
                    continue
                value = self._words(value)
            else:
                continue
            kept.append(f' {name}="{escape(value)}"')
        return "".join(kept)

    def _image(self, given: dict[str, str]) -> str:
        source = given.get("src", "").strip()
        source = safe_picture(self._pictures.get(source, source), self._words)
        if not source:
            said = given.get("alt", "").strip()
            return f"<span>[{escape(self._words(said) or 'a picture')}: not shown here]</span>"
        return f'<img src="{source}"{self._attributes("img", {**given, "class": ""})}>'


def safe_picture(uri: str, words: Callable[[str], str] = lambda text: text) -> str:
    """A data URI of a picture that stays, an SVG rewritten; empty for everything else."""
    if _PICTURE.fullmatch(re.sub(r"\s+", "", uri)):
        return re.sub(r"\s+", "", uri)
    found = _SVG_URI.fullmatch(re.sub(r"\s+", "", uri))
    if found is None:
        return ""
    try:
        return safe_svg(base64.b64decode(found[1], validate=True).decode("utf-8"), words)
    except (binascii.Error, UnicodeDecodeError):
        return ""


def safe_svg(text: str, words: Callable[[str], str] = lambda text: text) -> str:
    """An SVG document rewritten, as the data URI of a picture; empty for what is none."""
    reader = _SvgReader(_Svg(words))
    reader.feed(text)
    reader.close()
    return reader.svg.uri()


def _address(href: str) -> str:
    """A link is told in words: a reader sees where it would lead, and nothing leads there by itself."""
    href = href.strip()
    return href[:300] if re.match(r"https?://", href, re.I) else ""


_SVG_TAGS = {
    name.lower(): name
    for name in """svg g path rect circle ellipse line polyline polygon text tspan title desc defs clipPath
    linearGradient radialGradient stop style use""".split()  # noqa: SIM905
}
_SVG_ATTRIBUTES = {
    name.lower(): name
    for name in """viewBox width height x y x1 x2 y1 y2 cx cy r rx ry d points transform fill fill-opacity fill-rule
    stroke stroke-width stroke-dasharray stroke-opacity stroke-linejoin stroke-linecap opacity font-family font-size
    font-weight font-style text-anchor dominant-baseline dx dy class id style preserveAspectRatio offset stop-color
    stop-opacity gradientUnits gradientTransform clip-path clip-rule role textLength lengthAdjust href
    xlink:href""".split()  # noqa: SIM905
}
_INNER = re.compile(r"url\(#[\w-]+\)")  # of the document itself
_BAD_IN_SHEET = re.compile(
    r"[\\<]|/\*|@(?!media\s*\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\))|\b(url|image|image-set|src|expression)\s*\(",
    re.I,
)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Svg:
    """Writes an SVG of a short list of elements and attributes."""

    def __init__(self, words: Callable[[str], str]) -> None:
        self._words = words
        self._out: list[str] = []
        self._open: list[str] = []  # lower case
        self._skipped: list[str] = []
        self._size = ""

    def start(self, tag: str, given: dict[str, str]) -> None:
        if self._skipped or tag not in _SVG_TAGS or len(self._open) >= _DEEP or (tag == "svg" and self._open):
            self._skipped.append(tag)
            return
        kept = []
        for name, value in given.items():
            name = name.lower()
            value = " ".join(value.split())
            bare = _INNER.sub("", value)
            if name.endswith("href"):
                good = bool(re.fullmatch(r"#[\w-]+", value))
            elif name == "style":
                good = not _ACTS.search(bare)
            else:
                good = name in _SVG_ATTRIBUTES and not re.search(r"url\s*\(|[<>\\]", bare, re.I)
            if good and name in _SVG_ATTRIBUTES and name != "xlink:href":
                kept.append(f' {_SVG_ATTRIBUTES[name]}="{escape(_NOT_XML.sub("", value))}"')
        if tag == "svg":
            kept.insert(0, ' xmlns="http://www.w3.org/2000/svg"')
            sizes = [given.get(name, "") for name in ("width", "height")]
            if all(re.fullmatch(r"\d{1,5}(\.\d+)?(px)?", size) for size in sizes):
                width, height = (round(float(size.removesuffix("px"))) for size in sizes)
                self._size = f' width="{width}" height="{height}"'
        self._out.append(f"<{_SVG_TAGS[tag]}{''.join(kept)}>")
        self._open.append(tag)

    def end(self, tag: str) -> bool:
        """Close an element; whether the document ends with it."""
        if self._skipped:
            if tag in self._skipped:
                while self._skipped.pop() != tag:
                    pass
                return False
            if tag != "svg":
                return False
            self._skipped = []
        if tag in self._open:
            while True:
                last = self._open.pop()
                self._out.append(f"</{_SVG_TAGS[last]}>")
                if last == tag:
                    break
        return not self._open

    def text(self, data: str) -> None:
        if self._skipped or not self._open:
            return
        data = _NOT_XML.sub("", data)
        if self._open[-1] == "style":
            self._out.append("" if _BAD_IN_SHEET.search(data) else escape(data, quote=False))
        else:
            self._out.append(escape(self._words(data), quote=False))

    def uri(self) -> str:
        while self._open:
            self._out.append(f"</{_SVG_TAGS[self._open.pop()]}>")
        document = "".join(self._out)
        if not document.startswith("<svg"):
            return ""
        return "data:image/svg+xml;base64," + base64.b64encode(document.encode("utf-8")).decode("ascii")

    def image(self) -> str:
        uri = self.uri()
        return f'<img src="{uri}" alt="A drawing"{self._size}>' if uri else ""


class _SvgReader(HTMLParser):
    """Reads an SVG document as leniently as HTML."""

    def __init__(self, svg: _Svg) -> None:
        super().__init__(convert_charrefs=True)
        self.svg, self._done = svg, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        if not self._done:
            self.svg.start(tag, {name: value or "" for name, value in attrs})

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self._done = self._done or self.svg.end(tag)

    def handle_data(self, data: str) -> None:
        if not self._done:
            self.svg.text(data)
