"""What the pages tell people to type can be typed, and what they point at is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from biollm_widgets.cli import main
from biollm_widgets.dna.finetuning.flags import DEFAULTS, Flags, read_words

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def fenced(text: str) -> Iterator[str]:
    """Lines of code blocks, with lines that go on joined to one."""
    for kind, block in re.findall(r"^ *```([^\n`]*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        # A command's own help is no line to type; the examples in it are looked at apart.
        if kind not in ("", "bash", "console", "text") or block.lstrip().startswith("Usage:"):
            continue
        yield from re.sub(r"\\\n\s*", "", block).splitlines()


def is_command(line: str) -> bool:
    return bool(re.match(r"biollm [a-z-]", line)) and "..." not in line and "VERB" not in line


def lines_of(page: Path) -> list[str]:
    """Every line to be typed that begins with `biollm`."""
    text = page.read_text(encoding="utf-8")
    lines = [re.sub(r"^(\w+=\S+ )+", "", line.strip().removeprefix("$ ")) for line in fenced(text)]
    # The examples in a command's help stand by themselves, further in than anything else.
    lines += re.findall(r"^ {4,6}(biollm \S.*)$", text, re.MULTILINE) if page.name == "commands.md" else []
    return [line for line in lines if is_command(line)]


def spoken_of(page: Path) -> list[str]:
    """Every command that the running text names, often without all that it takes."""
    spans = re.findall(r"(?<!`)`(biollm [^`]+)`(?!`)", page.read_text(encoding="utf-8"))
    return [line for line in (" ".join(span.split()) for span in spans) if is_command(line)]


def parse(line: str) -> None:
    """Let click read the words of a line, without running them."""
    words = shlex.split(re.split(r" [|>&;]|\)$", line)[0], comments=True)[1:]
    verb, group = words[0], main
    context = click.Context(main, info_name="biollm")
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        command = group.get_command(context, words[0])
        assert command is not None, f"There is no {words[0]}."
        group, words = command, words[1:]
    with group.make_context("biollm", list(words), parent=context) as made:
        if verb == "finetune":
            from transformers import TrainingArguments

            known = {item.name for kind in (Flags, TrainingArguments) for item in fields(kind)}
            # What versions have dropped is taken all the same.
            known |= {*DEFAULTS, "evaluation_strategy", "warmup_ratio"}
            given = read_words(list(made.params["words"])).keys()
            assert given <= known, f"There are no flags {given - known}."


@pytest.mark.parametrize("name", NAMES)
def test_every_command_on_a_page_can_be_read(name: str) -> None:
    page = ROOT / name
    for line in [*lines_of(page), *spoken_of(page)]:
        try:
            parse(line)
        except click.exceptions.Exit:
            pass  # --help
        except (click.ClickException, AssertionError) as problem:
            short = isinstance(problem, click.MissingParameter) or "requires an argument" in str(problem)
            if not (short and line in spoken_of(page)):
                raise AssertionError(f"{name}: {line}\n{problem}") from problem


def test_the_pages_have_commands_that_are_read() -> None:
    assert len(lines_of(ROOT / "docs" / "vista.md")) > 8 and len(lines_of(ROOT / "README.md")) > 4
    for wrong in ("biollm lessons", "biollm tokenize ACGT --kmers 6", "biollm finetune --data_pth x"):
        with pytest.raises((click.ClickException, AssertionError)):
            parse(wrong)


def anchors(page: Path) -> set[str]:
    """What a code host makes of the headings of a page, to be pointed at."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            wrong.append(target)
    assert wrong == []


TOP = {"biollm_widgets", "docs", "tests", "training", "benchmarks", "solutions", "lessons", ".ci"}


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_a_page_names_is_there(name: str) -> None:
    wrong = []
    for span in re.findall(r"`([^`\n]+)`", (ROOT / name).read_text(encoding="utf-8")):
        path = span.split("::")[0]
        named = re.fullmatch(r"[\w./*-]+/.*", path) and path.split("/")[0] in TOP and not re.search("NAME|<", path)
        if named and not list(ROOT.glob(path)):
            wrong.append(span)
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_on_a_page_is_one(name: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / name).read_text(encoding="utf-8")
    asked = re.findall(r"`make ([a-z0-9-]+)", text)
    for line in fenced(text):
        asked += re.findall(r"^\s*make ([a-z0-9-]+)", line)
    assert set(asked) <= targets, set(asked) - targets


def test_the_makefile_tells_of_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    told = set(re.findall(r'@echo "make ([a-z0-9-]+)', text))
    assert set(phony.split()) - told <= {"help", "check-javascript", "clean"}
