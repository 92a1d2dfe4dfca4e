"""HTML from strangers, made harmless: what a widget's saved picture or a table needs stays, nothing that acts does."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

TAGS = frozenset(
    """a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6
    hr i img kbd li mark ol p pre q s samp section small span strong sub summary sup table tbody td tfoot th thead tr u
    ul var""".split()  # noqa: SIM905
)
_EVERYWHERE = {"style", "class", "title", "role", "dir", "lang"}
_OF_TAG = {
    "img": {"src", "alt", "width", "height"}, "td": {"colspan", "rowspan", "align"}, "details": {"open"},
    "th": {"colspan", "rowspan", "scope", "align"}, "col": {"span"}, "ol": {"start"}, "table": {"border"},
    "tr": {"align"}, "a": {"href"},
}  # fmt: skip
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z")
# What could load something, cover the page around it, or act.
_ACTS = re.compile(r"url\s*\(|image\s*\(|image-set|expression|@|\\|javascript|behaviou?r|-moz-binding|<|/\*", re.I)
_COVERS = re.compile(
    r"^\s*(position|z-index|pointer-events|content|animation|transition|inset|top|left|right|bottom)\b", re.I
)


class _Style:
    """What bleach asks for styles: declarations that only dress their own element."""

    def sanitize_css(self, style: str) -> str:
        kept = [one for one in style.split(";") if ":" in one and not _ACTS.search(one) and not _COVERS.match(one)]
        return ";".join(kept)


def _allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return bool(_PICTURE.match(value))
    if tag == "a" and name == "href":
        return value.startswith("#")
    return name in _EVERYWHERE or name.startswith("aria-") or name in _OF_TAG.get(tag, ())


@cache
def _cleaner() -> Any:
    from bleach.sanitizer import Cleaner

    return Cleaner(
        tags=TAGS, attributes=_allowed, protocols={"data"}, strip=True, strip_comments=True,
        css_sanitizer=_Style(),
    )  # fmt: skip


def harmless_html(text: str) -> str:
    """HTML without anything active in it: no script, no handler, no form, no address outside the page.

    What stood between the tags of a script or a style is gone, too; text is kept.
    """
    # bleach keeps the text of tags that it strips, which for these is no text for a reader.
    bare = re.sub(r"<(script|style|template|noscript|iframe|title)\b.*?(</\1\s*>|\Z)", "", text, flags=re.I | re.S)
    return _cleaner().clean(bare)
