"""Markdown of learners: what would act in a page is shown as text, and ordinary answers stay as they are."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

pytest.importorskip("bleach", reason="nbconvert brings it, with the extra `grading`.")

from biollm_widgets.grading.markdown import as_text, harmless, is_harmless

ORDINARY = [
    "Plain words, 3 < 5 and 7 > 2, A & B, p<0.05, x<y.",
    "**Bold**, *italic*, `code <script>`, ~~gone~~ and a list:\n\n- one\n- two\n    - three\n\n1. a\n2. b",
    "# Heading\n\n> quoted\n\n---\n\n| a | b |\n|---|:-:|\n| 1 | 2 |",
    "```python\nprint('<script>alert(1)</script>')\n```",
    "```\n<img src=x onerror=alert(1)>\n```",
    "$x^2 < y$ and $$\\frac{a}{b} \\text{ if } a<b$$ and \\begin{align} a &= b \\end{align}",
    "<b>b</b> <i>i</i> H<sub>2</sub>O x<sup>2</sup><br>next<br/>",
    "<table><tr><th>a</th><td align='left'>b</td></tr></table>",
    "<details><summary>More</summary>\n\nhidden **words**\n\n</details>",
    "[a paper](https://doi.org/10.1/x), <https://example.org>, https://example.org and [below](#below)",
    "![plot](https://example.org/x.png) ![plot](plot.png) ![a](data:image/png;base64,iVBORw0KGgo=)",
    '<span style="color: red">red</span> <div align="center">x</div>',
    "Term\n: definition\n\n- [x] done\n- [ ] open",
    "Line one\nline two\\\nline three  \nline four &amp; &lt;tag&gt; &copy;",
    "It is 5' to 3', and T->U; A<->B; <- here",
]

HOSTILE = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//x>",
    "<script\n>alert(1)</script\n>",
    "x <img src=x onerror=alert(1)> y",
    "<img src=x onerror=alert(1)//",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=x></object>",
    "<embed src=x>",
    "<meta http-equiv=refresh content='0;url=//x'>",
    "<base href=//x>",
    "<link rel=stylesheet href=//x>",
    "<style>.cell { display: none }</style>",
    "<form action=/formgrader><input name=score></form>",
    "<button>Sign in</button>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "[x](vbscript:x)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    "![x](/logout)",
    "[x](//evil)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '<a href="javascript:alert(1)">x</a>',
    "<a href=' java\nscript:alert(1)'>x</a>",
    "<a href='java&Tab;script:alert(1)'>x</a>",
    "<b onmouseover=alert(1)>x</b>",
    "<b style='position:fixed;inset:0'>x</b>",
    "<div style='background:url(//x)'>x</div>",
    "<b id=submit class=btn>x</b>",
    "<b class=mermaid>x</b>",
    "</div></div></div>out",
    "<details><summary>swallows the rest</summary>",
    "<b>never closed",
    "<!-- never closed",
    "<!--><img src=x onerror=alert(1)>-->",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><img src=x onerror=alert(1)>",
    "<table><tr><td><img src=x onerror=alert(1)></table>",
    "<plaintext>",
    "<xmp><script>alert(1)</script></xmp>",
    "<title>x",
    "```mermaid\n<img src=x onerror=alert(1)>\n```",
    "```mermaid\ngraph TD; click A javascript:alert(1)\n```",
    "$\\href{javascript:alert(1)}{x}$",
    "$$\\style{position:fixed}{x}$$",
    "<div>$&#92;href{javascript:alert(1)}{x}$</div>",
    "<div>$&bsol;href{javascript:alert(1)}{x}$</div>",
    "$\\require{html}\\cssId{x}{y}$",
    "\\begin{x<img src=x onerror=alert(1)>}\\end",
    "\\begin{a}\\end{a}<img src=x onerror=alert(1)>",
    "`<b>` <img src=`x` onerror=alert(1)>",
    "\\<img src=x onerror=alert(1)>",
    "[<img src=x onerror=alert(1)>](x)",
    "[x](y '\"><img src=x onerror=alert(1)>')",
    '!["><script>alert(1)</script>](x)',
    "| <script>alert(1)</script> | b |\n|---|---|\n| 1 | <img src=x onerror=alert(1)> |",
    "# <img src=x onerror=alert(1)>",
    "- <script>\n- alert(1)</script>",
    "> <script>\n> alert(1)\n> </script>",
    "<x\n\nonclick=alert(1)>",
    "<<script>script>alert(1)<</script>/script>",
    "<img/src=x/onerror=alert(1)>",
    "<a\x0chref='javascript:1'>x</a>",
    "<custom-element onclick=alert(1)>x</custom-element>",
    "<?php x ?><img src=x onerror=alert(1)>",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<video src=x onerror=alert(1)>",
    "<audio autoplay src=x>",
    "<select><option>x",
    "<p hidden>x</p>",
]


MAY_STAY_OPEN = ("p", "li", "tr", "td", "th", "tbody", "thead", "dt", "dd")


class Acts(HTMLParser):
    """What acts in a page, by a reader of HTML that is not the one that the package asks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in (*MAY_STAY_OPEN, "br", "hr", "img"):
            self.open.append(tag)
        if not re.fullmatch(
            "p|b|i|em|strong|sub|sup|code|pre|div|span|a|img|ul|ol|li|table|thead|tbody|tr|t[dh]|br|hr|h[1-6]|details|"
            "summary|blockquote|del|d[ldt]",
            tag,
        ):
            self.found.append(tag)
        for name, value in attrs:
            value = re.sub(r"[\s\x00-\x1f]", "", value or "").lower()
            if name.startswith("on") or name in ("style", "id", "srcdoc") or "script:" in value:
                self.found.append(f"{name}={value}")
            if name in ("src", "href") and not re.match(r"https?:|#|data:image/png|[\w.]+$", value):
                self.found.append(f"{name}={value}")

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in MAY_STAY_OPEN and (not self.open or self.open.pop() != tag):
            self.found.append(f"</{tag}>")


def rendered(text: str) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    return MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_answer_stays_letter_for_letter(text: str) -> None:
    assert harmless(text) == (text, False)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_acts_is_gone_from_the_page_and_its_words_are_still_there(text: str) -> None:
    for around in ("{}", "Before\n\n{}\n\nafter", "*Before* {} after", "- item {}\n- item", "> {}"):
        whole = around.format(text)
        made, changed = harmless(whole)
        page = rendered(made)
        acts = Acts(page)
        assert acts.found == [] and not acts.open, (made, page)
        assert not re.search(r"\\(href|style|require|cssId)", page.replace("&#92;", "\\").replace("&bsol;", "\\"))
        assert is_harmless(made)
        # Nothing of it was dropped: every word of it can still be read.
        words = re.findall(r"\w{4,}", re.sub(r"&[#\w]+;", " ", whole))
        assert [word for word in words if word not in made] == []
        if changed:
            assert harmless(made) == (made, False)


def test_a_link_to_jupyters_own_server_is_shown_and_no_address_is_asked_for() -> None:
    assert harmless("![x](/logout)")[1] and harmless("![x](../../api/x?y=1)")[1] and not harmless("![x](plot.png)")[1]


def test_a_picture_that_is_not_there_does_not_stop_the_page() -> None:
    made, _ = harmless("See ![x](attachment:missing.png), **bold**.")
    assert made == "See [picture left out: x], **bold**." and rendered(made)
    assert rendered(harmless("[x]: attachment:missing.png\n\n![x][x]")[0])


def test_a_text_in_a_block_of_code_cannot_end_the_block() -> None:
    text = "```\n</pre><script>alert(1)</script>\n````\nx"
    assert Acts(rendered(as_text(text))).found == []


@pytest.mark.parametrize(
    "text",
    [
        "[" * 19_000,
        "*a **b " * 2_500,
        "> " * 9_000,
        "<" * 19_000,
        "<b>" * 6_000,
        "`" * 19_000 + "x",
        "$" * 19_000,
        "- " * 9_000,
        "![" * 9_000,
        "&" * 19_000,
        "|a" * 9_000 + "\n" + "|-" * 9_000,
        "\\begin{a}" * 2_000,
        "<a href='" * 2_000,
    ],
)
def test_a_text_that_is_made_to_keep_a_reader_busy_does_not(text: str) -> None:
    began = time.monotonic()
    made, _ = harmless(text)
    assert time.monotonic() - began < 20
    assert is_harmless(made) or made == as_text(text)
